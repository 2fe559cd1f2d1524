"""A client for the one server that is named on the command line; `medlock leaktest` and `medlock sharing` use it.

Nothing in a serving process makes one. It speaks to that address only: an answer's links are followed when they lead
to the same origin, and refused otherwise, so no token goes anywhere else. Redirects are answers like others. What is
sent is sent byte for byte: an address with two slashes keeps both.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import httpcore

from medlock.errors import BadRequest, SetupError, Unavailable

BYTES_MAX = 64 * 1_024 * 1_024
SECONDS = 30.0
TOO_MANY = 429
WAITS_MAX = 8
WAIT_SECONDS_MAX = 60
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class Asked(Protocol):
    """A request to send."""

    @property
    def method(self) -> str:
        """GET and so on."""

    @property
    def target(self) -> str:
        """What follows the base address, or a whole address of the same origin."""

    @property
    def body(self) -> bytes:
        """The body; empty for none."""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Headers beside the token."""


@dataclass(frozen=True, slots=True)
class Received:
    """What came back; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class TestedServer:
    """Sends requests to one server."""

    def __init__(self, pool: httpcore.AsyncConnectionPool, base: str) -> None:
        self._pool = pool
        self._base = base.rstrip("/")
        parts = urlsplit(self._base)
        self._origin = parts.scheme, parts.netloc
        self._url = httpcore.URL(self._base)

    async def call(self, ask: Asked, token: str) -> Received:
        """The answer; a server that asks for patience (429, RFC 6585 §4) is asked again when it says.

        Raises Unavailable when the server does not answer, BadRequest for another server's address.
        """
        for _ in range(WAITS_MAX):
            answer = await self._once(ask, token)
            if answer.status != TOO_MANY:
                return answer
            await asyncio.sleep(_patience(answer))
        raise Unavailable(
            "The server goes on limiting the rate of requests: try later, or raise its limits for a test."
        )

    async def _once(self, ask: Asked, token: str) -> Received:
        headers = [(b"host", self._origin[1].encode()), (b"accept-encoding", b"identity")]
        headers += [(name.encode(), value.encode()) for name, value in ask.headers]
        if not any(name == "accept" for name, _ in ask.headers):
            headers.append((b"accept", b"application/fhir+json"))
        if token:
            headers.append((b"authorization", b"Bearer " + token.encode()))
        if ask.body:
            headers.append((b"content-length", str(len(ask.body)).encode()))
        url = httpcore.URL(
            scheme=self._url.scheme, host=self._url.host, port=self._url.port, target=self._target(ask.target).encode()
        )
        timeout = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), SECONDS)}
        try:
            async with self._pool.stream(
                ask.method.encode(), url, headers=headers, content=ask.body, extensions=timeout
            ) as response:
                return await _received(response)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as fault:
            raise Unavailable(f"The server does not answer ({type(fault).__name__}): is it running?") from None

    def _target(self, target: str) -> str:
        """Path and query as they go on the wire."""
        if not target.startswith(("http://", "https://")):
            return self._url.target.decode().rstrip("/") + target
        parts = urlsplit(target)
        if (parts.scheme, parts.netloc) != self._origin:
            raise BadRequest("The server links to another server; no token is sent there.")
        return target.partition(parts.netloc)[2]


def _patience(answer: Received) -> int:
    """For how many seconds a server wants to be left alone."""
    asked = answer.headers.get("retry-after", "")
    return min(int(asked), WAIT_SECONDS_MAX) if asked.isdecimal() else 1


async def _received(response: httpcore.Response) -> Received:
    """The whole answer. Raises Unavailable when it is too large."""
    chunks, size = [], 0
    async for chunk in response.aiter_stream():
        size += len(chunk)
        if size > BYTES_MAX:
            raise Unavailable("An answer of the server is too large to be looked at.")
        chunks.append(chunk)
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in response.headers}
    return Received(response.status, headers, b"".join(chunks))


@asynccontextmanager
async def tested_server(base: str, authority: Path | None) -> AsyncIterator[TestedServer]:
    """A client for the server at `base`. Raises BadRequest, SetupError."""
    parts = urlsplit(base)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOCAL):
        raise BadRequest("The server's address begins with https://, or http:// on this machine.")
    if not parts.netloc or parts.query or parts.fragment or parts.username:
        raise BadRequest("Give the server's address alone, such as https://localhost:8443/fhir.")
    try:
        context = ssl.create_default_context(cafile=None if authority is None else str(authority))
    except (OSError, ssl.SSLError) as fault:
        raise SetupError(f"{authority} is no certificate authority that can be read.") from fault
    async with httpcore.AsyncConnectionPool(ssl_context=context, max_connections=4) as pool:
        yield TestedServer(pool, base)
