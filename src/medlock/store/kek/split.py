"""A provider key made of two secrets: a lasting root and one random secret per epoch.

    key(epoch) = HKDF-SHA256(salt = epoch secret, input = root, info = label | epoch number)

Who lacks either learns nothing, so destroying the epoch secret destroys the key even for somebody who knows the
root (RFC 5869 §3.1: HKDF with a random secret salt). The passphrase and keyring providers are made of this.
"""

from __future__ import annotations

from medlock.crypto.aead import Aead
from medlock.crypto.kdf import derive, expand, extract

SECRET_BYTES = 32


def epoch_key(root: bytes, secret: bytes, epoch: int) -> Aead:
    """The key that wraps one epoch's key."""
    info = b"medlock/1/provider/epoch" + epoch.to_bytes(4, "big")
    return Aead(expand(extract(secret, root), info, 32))


def check_value(root: bytes, secret: bytes) -> bytes:
    """16 bytes that tell a wrong root from damage; they lie beside the secret, never beside the data."""
    return derive(extract(secret, root), "medlock/1/provider/check", 16)
