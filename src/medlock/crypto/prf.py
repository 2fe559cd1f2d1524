"""Keyed labels: what lies on disk as a row key says nothing without the key that made it.

`Prf` is HMAC-SHA256 (RFC 2104, FIPS 198-1), cut short; its outputs lie in clear on disk. `ValueHash` is keyed
BLAKE2b (RFC 7693 §2.9) cut to 64 bits; it is twice as fast, its outputs only ever lie inside sealed indexes, and
collisions are expected, so whoever uses it checks the record afterwards.
"""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC


class Prf:
    """One HMAC-SHA256 key, its key schedule done once and copied for every call."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:  # FIPS 198-1 §3: no shorter than the strength wanted
            raise ValueError("a PRF key has at least 32 bytes")
        self._keyed = HMAC(key, SHA256())

    def __repr__(self) -> str:
        return "<Prf>"

    def label(self, data: bytes) -> int:
        """A 63-bit non-negative integer, which every SQL database stores as one signed 64-bit column."""
        mac = self._keyed.copy()
        mac.update(data)
        return int.from_bytes(mac.finalize()[:8], "big") >> 1

    def digest(self, data: bytes) -> bytes:
        """The first 16 bytes of the MAC."""
        mac = self._keyed.copy()
        mac.update(data)
        return mac.finalize()[:16]


class ValueHash:
    """One keyed BLAKE2b of 8 bytes, for values inside sealed indexes only."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise ValueError("a value hash key has 32 bytes")
        self._keyed = hashlib.blake2b(key=key, digest_size=8)

    def __repr__(self) -> str:
        return "<ValueHash>"

    def of(self, data: bytes) -> int:
        """A 64-bit unsigned integer; equal data gives equal integers, the reverse is only likely."""
        keyed = self._keyed.copy()
        keyed.update(data)
        return int.from_bytes(keyed.digest(), "big")
