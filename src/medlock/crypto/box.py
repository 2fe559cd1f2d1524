"""Sealing to somebody who is not there: X25519 (RFC 7748), HKDF (RFC 5869) and AES-256-GCM (NIST SP 800-38D).

Whoever holds the public key can seal and cannot open, not even what it sealed itself: the ephemeral private key is
gone when `seal_to` returns. Each box has a key of its own, so its nonce is zero. What does not open raises `Tampered`,
whether the key is wrong, the associated data, or a byte.

    box = ephemeral public key (32) | ciphertext | tag (16)
    key = HKDF-Extract(salt = label, ikm = X25519(ephemeral, public) | ephemeral public | public)
"""

from __future__ import annotations

import os

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from medlock.crypto.aead import NONCE_BYTES, TAG_BYTES, Aead
from medlock.crypto.kdf import extract
from medlock.errors import Tampered

KEY_BYTES = 32
_NONCE = bytes(NONCE_BYTES)


def new_private_key() -> bytes:
    """A fresh private key: 32 random bytes, as RFC 7748 §5 wants them."""
    return os.urandom(KEY_BYTES)


def public_key_of(private: bytes) -> bytes:
    """The public key of 32 private bytes."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def seal_to(public: bytes, plaintext: bytes, label: bytes, aad: bytes) -> bytes:
    """A box that only the private key to `public` opens, under the same `label` and `aad`."""
    ephemeral = X25519PrivateKey.generate()
    shown = ephemeral.public_key().public_bytes_raw()
    return shown + _cipher(ephemeral, public, shown + public, label).seal_with(_NONCE, plaintext, aad)


def open_box(private: bytes, box: bytes, label: bytes, aad: bytes) -> bytes:
    """The plaintext of a box. Raises Tampered."""
    if len(box) < KEY_BYTES + TAG_BYTES:
        raise Tampered("a box is too short to hold a key and a tag")
    key = X25519PrivateKey.from_private_bytes(private)
    shown, own = box[:KEY_BYTES], key.public_key().public_bytes_raw()
    return _cipher(key, shown, shown + own, label).open_with(_NONCE, box[KEY_BYTES:], aad)


def _cipher(private: X25519PrivateKey, public: bytes, context: bytes, label: bytes) -> Aead:
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:  # a point of small order, or no point at all (RFC 7748 §6.1)
        raise Tampered("an X25519 exchange has no result") from None
    return Aead(extract(label, shared + context))
