"""Password hashing: Argon2id (RFC 9106) over a keyed hash of the password.

    encoded = Argon2id(HMAC-SHA256(pepper, UTF-8(NFKC(password))), random salt)      m = 64 MiB, t = 3, p = 1

The parameters are RFC 9106 §4's second choice with one lane, so that a hash takes one processor for about 160 ms. The
HMAC is the extra keyed hash of NIST SP 800-63B-4 §3.1.1.2, under a key that lies in the keystore and not beside the
hash; it also makes every password 32 bytes long, so nothing is ever cut. Normalising first makes the same keys on two
keyboards the same password. What is stored is the PHC string with its parameters, so that they can be raised later:
`outdated` says when.

Calls take 160 ms and release the interpreter's lock: `identity.slots` runs them two at a time beside the event loop.
"""

from __future__ import annotations

import hmac
import os
import unicodedata
from base64 import b64encode

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from medlock.errors import BadRequest, Tampered

MEMORY_KIB, PASSES, LANES = 65_536, 3, 1
_HASHER = PasswordHasher(
    time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES, hash_len=32, salt_len=16, type=Type.ID
)


def canonical(password: str) -> str:
    """The form that is counted, compared and hashed: NFKC (SP 800-63B-4 §3.1.1.2). Raises BadRequest."""
    if password.isascii():
        return password
    form = unicodedata.normalize("NFKC", password)
    if any("\ud800" <= character <= "\udfff" for character in form):
        raise BadRequest("This password holds a character that no keyboard can send again; choose another one.")
    return form


def hash_password(pepper: bytes, password: str) -> str:
    """A new PHC string for a password. Raises BadRequest."""
    return _HASHER.hash(_keyed(pepper, password))


def nobodys_hash() -> str:
    """What looks like a hash of today and is none of any password: checking against it takes as long as against any."""
    salt, made = (b64encode(os.urandom(size)).decode().rstrip("=") for size in (16, 32))
    return f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${made}"


def check_password(pepper: bytes, encoded: str, password: str) -> bool:
    """Whether a password is the one behind a PHC string; the comparison takes constant time. Raises Tampered."""
    try:
        return _HASHER.verify(encoded, _keyed(pepper, password))
    except InvalidHashError:
        raise Tampered("what lies where a password hash should be is none") from None
    except VerificationError:
        return False


def outdated(encoded: str) -> bool:
    """Whether a hash was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(encoded)


def _keyed(pepper: bytes, password: str) -> bytes:
    """What Argon2 sees of a password."""
    if len(pepper) < 32:
        raise ValueError("a pepper has at least 32 bytes")
    return hmac.digest(pepper, canonical(password).encode(), "sha256")
