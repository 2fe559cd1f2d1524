"""The bounds on a request's head, on a real connection."""

import asyncio

import pytest
import uvicorn

from medlock.web import protocol
from medlock.web.protocol import BoundedProtocol

OK = b"HTTP/1.1 200 OK"


async def application(_scope, _receive, send):
    """Says yes to everything."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def port(monkeypatch):
    """A server with small bounds."""
    monkeypatch.setattr(protocol, "HEAD_BYTES", 1_000)
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    config = uvicorn.Config(application, http=BoundedProtocol, lifespan="off", log_config=None, ws="none")
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    listener = await asyncio.get_running_loop().create_server(
        lambda: BoundedProtocol(config=config, server_state=server.server_state, app_state={}), "127.0.0.1", 0
    )
    yield listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()


class Talk:
    """One connection."""

    def __init__(self, port):
        self.port = port

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_):
        self.writer.close()

    async def say(self, *pieces):
        """Send pieces one by one."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.01)

    async def heard(self):
        """What came back first, b"" when the connection was closed."""
        return await asyncio.wait_for(self.reader.read(200), 5)


async def test_a_whole_head_is_answered_again_and_again(port):
    """Requests on one kept connection are each answered, also when heads come in pieces."""
    async with Talk(port) as talk:
        for pieces in ((b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",), (b"GET / HT", b"TP/1.1\r\nhost:", b" x\r\n\r\n")):
            await talk.say(*pieces)
            assert OK in await talk.heard()


async def test_a_head_that_never_ends_is_refused(port):
    """Header lines beyond the bound get 400 and the end of the connection."""
    async with Talk(port) as talk:
        await talk.say(b"GET / HTTP/1.1\r\n", *[b"x: " + b"y" * 200 + b"\r\n"] * 6)
        assert b"400" in await talk.heard()


async def test_the_bound_is_for_each_request(port):
    """Many heads on one connection do not add up."""
    async with Talk(port) as talk:
        for _ in range(10):
            await talk.say(b"GET / HTTP/1.1\r\nx: " + b"y" * 300, b"\r\n\r\n")
            assert OK in await talk.heard()


async def test_a_slow_head_is_cut_off(port):
    """A head that is not whole in time ends the connection; so does a connection that says nothing."""
    async with Talk(port) as slow, Talk(port) as silent:
        await slow.say(b"GET / HTTP/1.1\r\n")
        assert await slow.heard() == b""
        assert await silent.heard() == b""


async def test_the_clock_stops_when_the_head_is_whole(port):
    """A kept connection is not cut off by the clock of a request that was answered."""
    async with Talk(port) as talk:
        await talk.say(b"GET / HTTP/1.1\r\nhost", b": x\r\n\r\n")
        assert OK in await talk.heard()
        await asyncio.sleep(0.5)
        await talk.say(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert OK in await talk.heard()
