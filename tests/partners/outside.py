"""The outside world on loopback: an HTTPS server that can be slow, huge, endless, elsewhere, or somebody else."""

import asyncio
import gzip
import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from medlock.crypto.certificates import make_authority, make_server

NAME = "keys.example.org"
BODY = b'{"keys":[]}'


class Outside:
    """A server; `script` maps a path to the bytes of an answer, or to a coroutine function that writes them."""

    def __init__(self, port, authority):
        self.port = port
        self.authority = authority
        self.asked = []
        self.heads = []
        self.script = {}

    def url(self, path="/jwks", host=NAME):
        """An address on it."""
        return f"https://{host}:{self.port}{path}"

    async def answer(self, reader, writer):
        """One connection."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1].decode()
            self.asked.append(path)
            self.heads.append(head)
            reply = self.script.get(path, plain(BODY))
            if callable(reply):
                await reply(writer)
            else:
                writer.write(reply)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()


def plain(body, status="200 OK", **headers):
    """An answer."""
    given = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value is not None)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


async def endless(writer):
    """Chunks without end."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        await writer.drain()


async def trickle(writer):
    """A byte now and then, for longer than anybody waits."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(1000):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def silent(writer):
    """Nothing."""
    await asyncio.sleep(60)
    writer.write(b"")


BOMB = gzip.compress(b"0" * 50_000_000)


@asynccontextmanager
async def outside(tmp_path, *names):
    """A server whose certificate names `names` and nobody else, by an authority of its own."""
    now = datetime.now(UTC)
    authority = make_authority("outside", now)
    pair = make_server(authority, list(names) or [NAME], now)
    (tmp_path / "outside-ca.pem").write_bytes(authority.certificate)
    (tmp_path / "outside.pem").write_bytes(pair.key + pair.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "outside.pem")
    world = Outside(0, tmp_path / "outside-ca.pem")
    server = await asyncio.start_server(world.answer, "127.0.0.1", 0, ssl=context)
    world.port = server.sockets[0].getsockname()[1]
    try:
        yield world
    finally:
        server.close()
