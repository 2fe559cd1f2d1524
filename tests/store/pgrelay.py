"""A relay in front of PostgreSQL that loses the connection at a moment of one's choice."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

SOCKET = ".s.PGSQL.5432"


class Relay:
    """Forwards bytes. When a client sends `word` it is cut off, once: before the server hears it, or after it answered."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self.word = b""
        self.heard = False
        self.cut = 0
        self.clients: set[asyncio.Task] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        self.clients.add(asyncio.current_task())
        up, down = await asyncio.open_unix_connection(self._socket)
        back = asyncio.create_task(_pump(up, writer))
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                if self.word and self.word in data:
                    await self._lose(back, up, down, data)
                    break
                down.write(data)
        back.cancel()
        for each in (down, writer):
            each.close()
            with suppress(ConnectionError):
                await each.wait_closed()

    async def _lose(self, back: asyncio.Task, up, down, data: bytes) -> None:
        self.word, self.cut = b"", self.cut + 1
        back.cancel()
        with suppress(asyncio.CancelledError):
            await back
        if self.heard:
            down.write(data)
            await up.read(65_536)  # the answer, which nobody gets


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
    writer.close()  # one end hangs up, so does the other


@asynccontextmanager
async def relayed(url: str) -> AsyncIterator[tuple[Relay, str]]:
    """The relay, and the address of the same database through it."""
    parts = urlsplit(url)
    relay = Relay(str(Path(parse_qs(parts.query)["host"][0]) / SOCKET))
    with tempfile.TemporaryDirectory(prefix="medlock-relay-") as directory:
        listening = await asyncio.start_unix_server(relay.serve, str(Path(directory) / SOCKET))
        yield relay, f"postgresql://postgres@{parts.path}?host={directory}"
        listening.close()
        await asyncio.gather(*relay.clients)
