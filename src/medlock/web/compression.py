"""gzip, both ways (RFC 1952), and nothing else.

Out: answers above a threshold, when the caller takes gzip. The known danger (BREACH) needs a page that an attacker can
make a victim's browser request with the victim's credentials; here credentials are bearer tokens that no browser
attaches by itself. In: a body is inflated up to its limit and no further, so a small file that
inflates to gigabytes costs a 413 and one mebibyte.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping
from functools import lru_cache

from medlock.errors import BadRequest, TooLarge, UnsupportedMedia

WORTH_BYTES = 1_024
_OFFLOAD_BYTES = 256 * 1_024  # above, deflating takes milliseconds: another thread does it
_GZIP = 16 + zlib.MAX_WBITS
_FAST = 1


@lru_cache(maxsize=256)
def takes_gzip(accept_encoding: bytes) -> bool:
    """Whether an Accept-Encoding header allows gzip (RFC 9110 §12.5.3)."""
    weights: dict[str, bool] = {}
    for part in accept_encoding.decode("latin-1").lower().split(","):
        coding, _, weight = part.partition(";")
        weights[coding.strip()] = weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return weights.get("gzip", weights.get("*", False))


async def deflated(body: bytes) -> bytes:
    """A body as one gzip member."""
    if len(body) > _OFFLOAD_BYTES:
        return await asyncio.to_thread(zlib.compress, body, _FAST, _GZIP)
    return zlib.compress(body, _FAST, _GZIP)


def inflated(body: bytes, headers: Mapping[bytes, bytes], limit: int) -> bytes:
    """A request body without its Content-Encoding. Raises TooLarge, BadRequest or UnsupportedMedia."""
    coding = headers.get(b"content-encoding", b"identity").strip().lower()
    if coding == b"identity":
        return body
    if coding not in {b"gzip", b"x-gzip"}:
        raise UnsupportedMedia("Bodies are sent as they are or with Content-Encoding gzip.")
    reader = zlib.decompressobj(_GZIP)
    try:
        plain = reader.decompress(body, limit + 1)
    except zlib.error:
        raise BadRequest("The body is not gzip.") from None
    if len(plain) > limit:
        raise TooLarge(f"The body inflates to more than {limit} bytes.")
    if not reader.eof or reader.unused_data:
        raise BadRequest("The gzip body is cut short, or something follows it.")
    return plain
