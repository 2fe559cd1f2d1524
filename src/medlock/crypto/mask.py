"""Row headers that only the tenant can read.

Sixteen bytes stand in front of every sealed row: which slot, version, key generation, dictionary and format
sealed it. They are hidden by XOR with one AES-256 block of the row's nonce: counter mode (NIST SP 800-38A §6.5)
with a single block, so hiding costs a third of a microsecond. It hides and nothing more: the AEAD that seals the
row binds the header as associated data, and a changed header makes that fail.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

HEADER_BYTES = 16
_COUNTER = bytes(4)


class HeaderMask:
    """One AES-256 key as a pseudo-random function of a 12-byte nonce."""

    __slots__ = ("_encrypt",)

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise ValueError("a header mask key has 32 bytes")
        # ECB over single, never repeated blocks is the bare permutation; the context has no state to spoil.
        self._encrypt = Cipher(AES(key), ECB()).encryptor().update  # noqa: S305

    def __repr__(self) -> str:
        return "<HeaderMask>"

    def mask(self, nonce: bytes) -> int:
        """AES-256(nonce | 00000000) as a 128-bit integer. `nonce` has 12 bytes and is never used twice."""
        return int.from_bytes(self._encrypt(nonce + _COUNTER), "big")

    def hide(self, nonce: bytes, header: bytes) -> bytes:
        """The 16-byte header, hidden under this nonce."""
        if len(nonce) != 12 or len(header) != HEADER_BYTES:
            raise ValueError("a mask covers 16 bytes under a nonce of 12")
        block = int.from_bytes(self._encrypt(nonce + _COUNTER), "big")
        return (int.from_bytes(header, "big") ^ block).to_bytes(16, "big")

    reveal = hide  # XOR is its own inverse

    def reveal_all(self, rows: Sequence[bytes]) -> bytes:
        """The headers of rows that begin with nonce (12) and hidden header (16), one after the other."""
        blocks = self._encrypt(b"".join([row[:12] + _COUNTER for row in rows]))
        hidden = b"".join([row[12:28] for row in rows])
        if len(hidden) != len(blocks):
            raise ValueError("a row begins with a nonce of 12 and a header of 16 bytes")
        return (int.from_bytes(hidden, "big") ^ int.from_bytes(blocks, "big")).to_bytes(len(blocks), "big")
