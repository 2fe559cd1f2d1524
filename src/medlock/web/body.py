"""Request bodies, bounded in size and in time before anything looks at them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping

from starlette.types import Receive

from medlock.errors import BadRequest, TooLarge
from medlock.fhir.binary import is_content
from medlock.web.compression import inflated

BODY_SECONDS = 60  # a sender slower than this holds memory for nothing
SLOWEST = 256 * 1024  # of a body that is taken in as it arrives
_SLOW = f"The body did not arrive: {SLOWEST} bytes of it take no longer than {BODY_SECONDS} seconds."


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> bytes:
    """The whole body, inflated. Raises TooLarge beyond `limit` bytes, before and after inflating; BadRequest."""
    refuse_longer(headers, limit)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            raw = await _received(receive, limit)
    except TimeoutError:
        raise BadRequest(f"The body did not arrive within {BODY_SECONDS} seconds.") from None
    return inflated(raw, headers, limit) if b"content-encoding" in headers else raw


def flows(method: str, headers: Mapping[bytes, bytes], least: int) -> bool:
    """Whether a body of content is so long, or of a length not told, that it is taken in as it arrives."""
    if method not in {"POST", "PUT"} or b"content-encoding" in headers or not is_content(headers):
        return False
    declared = headers.get(b"content-length")
    return declared is None or not declared.isdigit() or int(declared[:20]) > least


def refuse_longer(headers: Mapping[bytes, bytes], limit: int) -> None:
    """Raise TooLarge for a body that says itself that it is."""
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit() or int(declared[:20]) > limit:
        raise _too_large(limit)


async def arriving(receive: Receive) -> AsyncGenerator[bytes, None]:
    """The body piece by piece. Raises BadRequest when it does not come, or so slowly that it only holds a place."""
    loop = asyncio.get_running_loop()
    size, until = 0, loop.time() + BODY_SECONDS
    more = True
    while more:
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            raise BadRequest(_SLOW) from None
        if message["type"] == "http.disconnect":
            raise BadRequest("The connection ended before the body did.")
        piece = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(piece)
        if size >= SLOWEST:
            size, until = 0, loop.time() + BODY_SECONDS
        if piece:
            yield piece


async def gathered(flow: AsyncGenerator[bytes, None], most: int) -> tuple[bytes, AsyncGenerator[bytes, None] | None]:
    """A body of a length that was not told: whole when it is short, else as it arrives, from its first byte on."""
    held: list[bytes] = []
    size = 0
    async for piece in flow:
        held.append(piece)
        size += len(piece)
        if size > most:
            return b"", _from_the_first(held, flow)
    return b"".join(held), None


async def _from_the_first(held: list[bytes], flow: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    while held:
        yield held.pop(0)
    async for piece in flow:
        yield piece


async def _received(receive: Receive, limit: int) -> bytes:
    """The bytes as they came."""
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("The connection ended before the body did.")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
        more = message.get("more_body", False)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"The body is larger than {limit} bytes.")
