"""The one client for outbound connections: keys and metadata of registered apps, and nothing else.

In this order, all within one span of time:

 1. the URL is https to a name (`addresses`), and the name is one that somebody registered;
 2. the name is resolved once, and every address that it has must be public;
 3. the connection goes to an address that was looked at in step 2, whatever the name resolves to by then; certificate
    and SNI are checked against the name;
 4. one GET, without cookies, credentials or compression; a redirect is an error, and so is what is not 200 or not JSON;
 5. bytes are counted as they come, and the connection is cut at the bound.

No proxy and no certificate of the environment is used, no connection is kept. What to do with an answer, and how long
it may be kept, is the caller's matter. A test may stand in for the internet with an authority of its own on loopback
(`Trial`): an argument of the composition root, which no setting reaches.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import certifi
import httpcore

from medlock.errors import MedlockError, Unavailable
from medlock.partners.addresses import HTTPS, Target, is_public, target_of

BYTES_MAX = 256 * 1_024
SECONDS = 5.0
AT_ONCE = 8
_HEADERS = [(b"accept", b"application/json"), (b"accept-encoding", b"identity"), (b"user-agent", b"medlock")]
_JSON = re.compile(rb"application/(?:[\w.+-]+\+)?json(?:\s*;.*)?", re.IGNORECASE)
_MAX_AGE = re.compile(rb'(?:^|,)\s*max-age\s*=\s*"?(\d{1,9})"?', re.IGNORECASE)
_NOT_KEPT = re.compile(rb"(?:^|,)\s*no-(?:store|cache)\b", re.IGNORECASE)

Registered = Callable[[str], Awaitable[bool]]
"""Whether a host, in lower case, is one that a registered client named."""


@dataclass(frozen=True, slots=True)
class Trial:
    """For tests: an authority to trust instead, what names resolve to, loopback to connect to, and less patience."""

    authority: Path
    resolve: Callable[[str], Iterable[str]] | None = None
    loopback: bool = True
    seconds: float = SECONDS


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: at most BYTES_MAX of JSON text, and for how many seconds its server lets it be kept (None: unsaid)."""

    body: bytes
    max_age: int | None


class Egress:
    """Fetches. `registered` is the allow-list."""

    def __init__(self, registered: Registered, *, trial: Trial | None = None) -> None:
        self._registered = registered
        self._trial = trial
        self._seconds = SECONDS if trial is None else trial.seconds
        self._context = _context(trial)
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, url: str) -> Answer:
        """The document at `url`. Raises BadRequest for an address that may not be asked, Unavailable for the rest."""
        target = target_of(url, local=self._trial is not None)
        if not await self._registered(target.host):
            raise _failed("its host is not registered")
        try:
            async with asyncio.timeout(self._seconds), self._slots:
                return await self._fetch(target)
        except TimeoutError:
            raise _failed("it took too long") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as fault:
            raise _failed(f"the connection failed: {type(fault).__name__}") from None

    async def _fetch(self, target: Target) -> Answer:
        backend = _Pinned(self._trial)
        async with httpcore.AsyncConnectionPool(
            ssl_context=self._context, max_connections=1, max_keepalive_connections=0, network_backend=backend
        ) as pool:
            named, port = target.host.encode(), target.port
            url = httpcore.URL(scheme=b"https", host=named, port=port, target=target.path.encode())
            host = named if port == HTTPS else b"%b:%d" % (named, port)
            async with pool.stream("GET", url, headers=[(b"host", host), *_HEADERS]) as response:
                _acceptable(response)
                return Answer(await _received(response), _max_age(response.headers))


class _Pinned(httpcore.AsyncNetworkBackend):
    """Resolves once, looks at every address, connects to one of those and to no other."""

    def __init__(self, trial: Trial | None) -> None:
        self._trial = trial
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address that takes one. Raises Unavailable, httpcore.ConnectError."""
        addresses = await self._resolved(host, port)
        if not addresses or not all(self._may(address) for address in addresses):
            raise _failed("its name has no address, or one that is not public")
        for address in addresses[:-1]:
            with suppress(httpcore.ConnectError):
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
        return await self._inner.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def _resolved(self, host: str, port: int) -> list[str]:
        """Every address of a name, each once."""
        if self._trial is not None and self._trial.resolve is not None:
            return list(self._trial.resolve(host))
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError:
            return []
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    def _may(self, address: str) -> bool:
        local = self._trial is not None and self._trial.loopback and address in {"127.0.0.1", "::1"}
        return local or is_public(address)


def _acceptable(response: httpcore.Response) -> None:
    """Raises Unavailable unless this is 200 with JSON as it is."""
    if response.status != 200:
        raise _failed(f"the answer is {response.status}")
    headers = {name.lower(): value for name, value in response.headers}
    if _JSON.fullmatch(headers.get(b"content-type", b"").strip()) is None or b"content-encoding" in headers:
        raise _failed("the answer is not JSON as it is")
    length = headers.get(b"content-length", b"0")
    if not length.isdigit() or int(length) > BYTES_MAX:
        raise _failed("the answer is too large")


async def _received(response: httpcore.Response) -> bytes:
    """The body. Raises Unavailable as soon as it is too large."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.aiter_stream():
        size += len(chunk)
        if size > BYTES_MAX:
            raise _failed("the answer is too large")
        chunks.append(chunk)
    return b"".join(chunks)


def _max_age(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """What Cache-Control says (RFC 9111 §5.2.2): 0 when it may not be kept."""
    said = b",".join(value for name, value in headers if name.lower() == b"cache-control")
    if _NOT_KEPT.search(said):
        return 0
    age = _MAX_AGE.search(said)
    return None if age is None else int(age[1])


def _context(trial: Trial | None) -> ssl.SSLContext:
    """Those authorities that browsers trust (certifi); TLS 1.2 at least. Nothing of the environment."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if trial is not None:
        context.load_verify_locations(trial.authority)
        return context
    context.load_verify_locations(certifi.where())
    return context


def _failed(reason: str) -> MedlockError:
    return Unavailable("This address cannot be fetched from now.", reason=f"a fetch failed: {reason}")
