"""Answers in one write, on a real connection: the same bytes as the ordinary way, in order, and nothing smuggled."""

import asyncio

import pytest
import uvicorn

from medlock.web import whole
from medlock.web.headers import security_headers
from medlock.web.protocol import BoundedProtocol

FIXED = whole.block([(b"x-one", b"1"), (b"x-two", b"2")])
REQUEST = b"GET /%b HTTP/1.1\r\nhost: x\r\n\r\n"


async def application(scope, _receive, send):
    """Answers with the path; /slow waits first; /asgi goes the ordinary way."""
    body = scope["raw_path"] * (100_000 if scope["raw_path"] == b"/large" else 1)
    if scope["raw_path"] == b"/slow":
        await asyncio.sleep(0.05)
    own = [(b"content-length", b"%d" % len(body))]
    shown = b"" if scope["method"] == "HEAD" else body
    if scope["raw_path"] != b"/asgi" and whole.offered(scope)(whole.head(200, FIXED, own), shown):
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-one", b"1"), (b"x-two", b"2"), *own]})
    await send({"type": "http.response.body", "body": shown})


@pytest.fixture
async def port():
    """A server."""
    config = uvicorn.Config(application, http=BoundedProtocol, lifespan="off", log_config=None, ws="none")
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    server.server_state.default_headers = [(b"date", b"now")]
    listener = await asyncio.get_running_loop().create_server(
        lambda: BoundedProtocol(config=config, server_state=server.server_state, app_state={}), "127.0.0.1", 0
    )
    yield listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()


async def told(port, sent, *, until=None):
    """What comes back on a new connection: until it closes, or until it ends with these bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    heard = b""
    while until is None or not heard.endswith(until):
        piece = await asyncio.wait_for(reader.read(1 << 20), 5)
        if not piece:
            break
        heard += piece
    writer.close()
    return heard


async def test_the_bytes_are_those_of_the_ordinary_way(port):
    """Nobody can tell which way an answer went, but for the path that it names."""
    quick = await told(port, REQUEST % b"abcd", until=b"\r\n\r\n/abcd")
    plain = await told(port, REQUEST % b"asgi", until=b"\r\n\r\n/asgi")
    assert sorted(quick.split(b"\r\n")[:-1]) == sorted(plain.split(b"\r\n")[:-1])
    assert quick.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_connection_ends_when_the_client_wants_it(port):
    """With `connection: close` the answer says so, and nothing follows."""
    heard = await told(port, b"GET /abcd HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert b"connection: close\r\n" in heard
    assert heard.endswith(b"\r\n\r\n/abcd")


async def test_answers_keep_the_order_of_requests(port):
    """Requests sent without waiting are answered one after another, the slow one too."""
    heard = await told(port, REQUEST % b"slow" + REQUEST % b"a" + REQUEST % b"b", until=b"\r\n\r\n/b")
    assert [part[:5] for part in heard.split(b"\r\n\r\n")[1:]] == [b"/slow", b"/aHTT", b"/b"]


async def test_head_has_no_body(port):
    """HEAD is answered with the length of the body and without it."""
    heard = await told(port, b"HEAD /abcd HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert b"content-length: 5\r\n" in heard
    assert heard.endswith(b"\r\n\r\n")


async def test_large_answers_arrive_whole(port):
    """More than a socket takes at once."""
    heard = await told(port, b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    assert heard.partition(b"\r\n\r\n")[2] == b"/large" * 100_000


async def test_a_client_that_went_away_does_no_harm(port):
    """The answer to somebody who hung up is dropped, and the server goes on."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST % b"slow")
    await writer.drain()
    writer.transport.abort()
    await asyncio.sleep(0.1)
    assert (await told(port, REQUEST % b"abcd", until=b"/abcd")).endswith(b"/abcd")


@pytest.mark.parametrize("value", [b"a\r\nx-evil: 1", b"a\nb", b"a\rb"])
def test_no_header_ends_its_own_line(value):
    """A value with a line break would become a header of its own: refused."""
    with pytest.raises(ValueError, match="line break"):
        whole.block([(b"x", value)])


def test_every_answer_has_the_security_headers():
    """The block that is made once holds them all."""
    lines = whole.block(security_headers(tls=True)).decode().splitlines()
    assert lines == [f"{name.decode()}: {value.decode()}" for name, value in security_headers(tls=True)]
