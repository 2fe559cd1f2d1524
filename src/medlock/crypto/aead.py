"""Sealing: AES-256-GCM (NIST SP 800-38D) with 96-bit nonces and 128-bit tags.

An `Aead` holds one key for its whole life, because building the cipher costs more than sealing two kilobytes.
Nonces made here are random; under one key at most 2^32 messages may be sealed (SP 800-38D §8.3), which is why
every patient has keys of their own. What does not open raises `Tampered`: a wrong key, a wrong `aad`, a changed
byte and a truncated blob all look the same. GCM does not commit to its key: never use a successful `open` as
proof of which key sealed a blob that an adversary may have made.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from medlock.errors import Tampered

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
OVERHEAD = NONCE_BYTES + TAG_BYTES


class Aead:
    """One AES-256-GCM key.

    seal_with   (nonce, plaintext, aad) → ciphertext | tag (16), under the caller's nonce, which MUST never repeat under
                one key. It is the cipher's own function: the log calls it twice for each event.
    """

    __slots__ = ("_gcm", "seal_with")

    seal_with: Callable[[bytes, bytes | bytearray, bytes], bytes]

    def __init__(self, key: bytes | bytearray) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError("an AES-256-GCM key has 32 bytes")
        self._gcm = AESGCM(key)
        self.seal_with = self._gcm.encrypt

    def __repr__(self) -> str:
        return "<Aead>"

    def seal(self, plaintext: bytes | bytearray, aad: bytes) -> bytes:
        """Encrypt under a fresh random nonce: nonce (12) | ciphertext | tag (16)."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._gcm.encrypt(nonce, plaintext, aad)

    def open(self, blob: bytes, aad: bytes) -> bytes:
        """The plaintext of what `seal` made with the same `aad`. Raises Tampered."""
        try:
            return self._gcm.decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], aad)
        except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce
            raise Tampered("an AES-256-GCM tag does not match") from None

    def open_with(self, nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes:
        """The plaintext of what `seal_with` made with the same nonce and `aad`. Raises Tampered."""
        try:
            return self._gcm.decrypt(nonce, ciphertext, aad)
        except (InvalidTag, ValueError):
            raise Tampered("an AES-256-GCM tag does not match") from None
