"""HTTP/1.1 over a bare socket: a client that sends whatever it is given, and reads what a server may answer."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import dataclass

SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def plain(self) -> bytes:
        """The body, inflated where it came deflated."""
        return gzip.decompress(self.body) if self.headers.get("content-encoding") == "gzip" else self.body


class Silence(Exception):
    """No answer, or one cut short."""


class Line:
    """A connection that is made again when the server has closed it, as it may after a request that is no HTTP."""

    def __init__(self, host: str, port: int) -> None:
        self._place = (host, port)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes, method: str) -> Answer:
        """One request, one answer. Raises Silence."""
        kept = self._writer is not None
        try:
            return await asyncio.wait_for(self._once(request, method), SECONDS)
        except (TimeoutError, OSError, EOFError, Silence) as fault:
            self.close()
            if kept and not isinstance(fault, TimeoutError):  # an idle connection may have ended meanwhile
                return await self.ask(request, method)
            raise Silence(repr(fault)) from fault

    async def _once(self, request: bytes, method: str) -> Answer:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(*self._place)
        self._writer.write(request)
        answer = await _read(self._reader, method)
        if answer.headers.get("connection") == "close":
            self.close()
        return answer

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


async def _read(reader: asyncio.StreamReader, method: str) -> Answer:
    """An answer as RFC 9112 §6 delimits it."""
    status = 100
    while status < 200:  # 100 Continue comes before the answer
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split()[1])
    headers = {}
    for line in filter(None, head[1:]):
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if method == "HEAD" or status in {204, 304}:
        return Answer(status, headers, b"")
    if headers.get("transfer-encoding") == "chunked":
        return Answer(status, headers, await _chunks(reader))
    if "content-length" not in headers:
        headers["connection"] = "close"
        return Answer(status, headers, await reader.read())
    return Answer(status, headers, await reader.readexactly(int(headers["content-length"])))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    """A chunked body."""
    whole = b""
    while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
        whole += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return whole
