"""One form of JSON Web Encryption (RFC 7516): compact, `dir` with A256GCM, as SMART Health Links want their files.

The key is used as it is (RFC 7518 §4.5), so whoever has it reads; the nonce is random and new for each file.
"""

from __future__ import annotations

import os
import zlib
from base64 import urlsafe_b64encode

import msgspec

from medlock.crypto.aead import NONCE_BYTES, TAG_BYTES, Aead

_RAW_DEFLATE = -15


def encrypted(key: bytes, content: bytes, content_type: str) -> str:
    """A compact JWE of a content, compressed (RFC 7516 §4.1.3)."""
    header = _text(msgspec.json.encode({"alg": "dir", "enc": "A256GCM", "zip": "DEF", "cty": content_type}))
    squeeze = zlib.compressobj(wbits=_RAW_DEFLATE)
    nonce = os.urandom(NONCE_BYTES)
    sealed = Aead(key).seal_with(nonce, squeeze.compress(content) + squeeze.flush(), header.encode())
    return ".".join((header, "", _text(nonce), _text(sealed[:-TAG_BYTES]), _text(sealed[-TAG_BYTES:])))


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
