"""Keys from keys, and keys from passphrases.

`derive` is HKDF-Expand (RFC 5869 §2.3) with SHA-256: our input keys are 32 uniformly random bytes, so the
extract step adds nothing. `extract` joins two secrets into one key. Labels are written
`medlock/<version>/<whose>/<what>` and stand in docs/spec/keystore.md; two keys never share a label. `argon2id` is
RFC 9106 version 1.3.
"""

from __future__ import annotations

import hmac

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

BLOCK_BYTES = 32


def derive(key: bytes | bytearray, label: str, length: int = 32) -> bytes:
    """HKDF-Expand-SHA256(key, label as UTF-8, length). `key` must be 32 or more uniformly random bytes."""
    return expand(key, label.encode(), length)


def extract(salt: bytes, secret: bytes | bytearray) -> bytes:
    """HKDF-Extract-SHA256 (RFC 5869 §2.2): 32 bytes that are unknown while either input is unknown."""
    return hmac.digest(salt or bytes(BLOCK_BYTES), secret, "sha256")


def expand(key: bytes | bytearray, info: bytes, length: int) -> bytes:
    """HKDF-Expand-SHA256 over raw `info` bytes, at most 255 blocks (RFC 5869 §2.3)."""
    if not 0 < length <= 255 * BLOCK_BYTES:
        raise ValueError("HKDF-Expand makes between 1 and 8160 bytes")
    if len(key) < BLOCK_BYTES:
        raise ValueError("HKDF-Expand wants a key of at least 32 bytes")
    if length <= BLOCK_BYTES:  # nearly always
        return hmac.digest(key, info + b"\x01", "sha256")[:length]
    output = block = b""
    for counter in range(1, -(-length // BLOCK_BYTES) + 1):
        block = hmac.digest(key, block + info + bytes((counter,)), "sha256")
        output += block
    return output[:length]


def argon2id(passphrase: bytes, salt: bytes, *, memory_kib: int = 65_536, iterations: int = 3, lanes: int = 1) -> bytes:
    """32 bytes from a passphrase; the defaults follow RFC 9106 §4 (second choice: 64 MiB, 3 passes)."""
    kdf = Argon2id(salt=salt, length=32, iterations=iterations, lanes=lanes, memory_cost=memory_kib)
    return kdf.derive(passphrase)
