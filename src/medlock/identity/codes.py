"""Codes that people carry on paper: random, written so that no character can be mistaken for another.

120 random bits as 24 characters of Crockford's base 32: more than the 112 from which on a plain hash is enough to keep
(NIST SP 800-63B-4 §3.1.2.2, ASVS 5.0 6.5.2).
"""

from __future__ import annotations

from hashlib import sha256

from medlock.ids import random_bytes

BYTES = 15
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # no I, L, O, U
_READ_AS = str.maketrans("ILO", "110", " -\N{EN DASH}\N{EM DASH}\t")
_TYPED_MAX = 64
_GROUP = 4


def new_code() -> str:
    """120 random bits in six groups of four characters."""
    number = int.from_bytes(random_bytes(BYTES), "big")
    letters = "".join(_LETTERS[number >> shift & 31] for shift in range(0, BYTES * 8, 5))
    return "-".join(letters[place : place + _GROUP] for place in range(0, len(letters), _GROUP))


def plain(text: str) -> str:
    """A code as it was meant: capitals, without spaces and dashes, and with I, L and O read as 1, 1 and 0."""
    return text[:_TYPED_MAX].upper().translate(_READ_AS)


def digest(text: str) -> bytes:
    """What is kept of a code."""
    return sha256(plain(text).encode(errors="replace")).digest()
