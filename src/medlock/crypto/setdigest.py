"""A digest of a set of rows that is cheap to change: XOR of a secret permutation of each row's AEAD tag.

Adding and removing a row is the same XOR, so a transaction that touches a thousand rows of a million updates the
digest from those thousand alone. The construction is the XOR-MAC of Clarke et al., "Incremental multiset hash
functions" (ASIACRYPT 2003), with AES-256 as the secret function. It shows that a row is missing, added or
exchanged as long as (a) each row's tag authenticates the row, (b) a row is never in the set twice, and (c) the
digest itself lies sealed. It does not say which row, unless exactly
one is too many or too few (`odd_one`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

EMPTY = bytes(16)


class SetDigest:
    """One AES-256 key; digests are 16 bytes and `EMPTY` is the digest of no rows."""

    __slots__ = ("_decrypt", "_encrypt")

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise ValueError("a set digest key has 32 bytes")
        # Single blocks under ECB are the bare permutation; nobody without the key sees an output.
        cipher = Cipher(AES(key), ECB())  # noqa: S305
        self._encrypt = cipher.encryptor().update
        self._decrypt = cipher.decryptor().update

    def __repr__(self) -> str:
        return "<SetDigest>"

    def toggle(self, digest: bytes, tags: Sequence[bytes]) -> bytes:
        """The digest after each 16-byte tag entered the set, or left it if it was there."""
        joined = b"".join(tags)
        if len(joined) != 16 * len(tags) or len(digest) != 16:
            raise ValueError("tags and digests have 16 bytes")
        blocks = np.frombuffer(digest + self._encrypt(joined), dtype=np.uint64).reshape(-1, 2)
        return bytes(np.bitwise_xor.reduce(blocks, axis=0).tobytes())

    def odd_one(self, digest: bytes, expected: bytes) -> bytes:
        """The tag of the row that makes `digest` of `expected`, if one row too many or too few is all."""
        difference = int.from_bytes(digest, "big") ^ int.from_bytes(expected, "big")
        return self._decrypt(difference.to_bytes(16, "big"))
