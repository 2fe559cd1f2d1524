"""Request bodies, bounded in size and in time before anything looks at them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.types import Receive

from medlock.errors import BadRequest, TooLarge
from medlock.web.compression import inflated

BODY_SECONDS = 60  # a sender slower than this holds memory for nothing


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> bytes:
    """The whole body, inflated. Raises TooLarge beyond `limit` bytes, before and after inflating; BadRequest."""
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit() or int(declared[:20]) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            raw = await _received(receive, limit)
    except TimeoutError:
        raise BadRequest(f"The body did not arrive within {BODY_SECONDS} seconds.") from None
    return inflated(raw, headers, limit) if b"content-encoding" in headers else raw


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
