"""A secret in shares, any `threshold` of which give it back and fewer of which say nothing: codex32 (BIP-93).

Shamir's scheme over GF(32), one polynomial for each character, and a BCH checksum of 13 characters that finds every
slip of up to eight. A share is a line that people can print, read out and type: prefix, threshold, name of the set,
its own letter, payload, checksum. BIP-93 writes `ms` in front of wallet seeds; whoever uses this says what stands
there instead, and the checksum covers it, so that a share of one thing is never taken for a share of another.

Sums run over tables and take no constant time: this is for an operator at a quiet machine, not for a server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"  # BIP-173
INDICES = "acdefghjklmnpqrtuvwxyz023456789"  # BIP-93: every letter but s, where the secret itself would stand
SECRET_BYTES = 32
SHARES_MAX = len(INDICES)
THRESHOLD_MIN, THRESHOLD_MAX = 2, 9
_SECRET_INDEX = "s"
_VALUES = {letter: value for value, letter in enumerate(ALPHABET)}
_PAYLOAD = -(-SECRET_BYTES * 8 // 5)
_SPARE_BITS = _PAYLOAD * 5 - SECRET_BYTES * 8
_CHECKSUM = 13
_HEAD = 6  # threshold, set, index
_GENERATORS = (
    0x19DC500CE73FDE210, 0x1BFAE00DEF77FE529, 0x1FBD920FFFE7BEE52, 0x1739640BDEEE3FDAD, 0x07729A039CFC75F5A,
)  # fmt: skip
_TARGET = 0x10CE0795C2FD1E62A
_POLYNOMIAL = 0b101001  # x^5 + x^3 + 1, the field of BIP-173


@dataclass(frozen=True, slots=True)
class Share:
    """One share. `values` are its characters behind the prefix as numbers, checksum included.

    set        four characters that shares of one secret have in common
    threshold  how many of them are needed
    index      the letter of this one
    """

    set: str
    threshold: int
    index: str
    values: tuple[int, ...]

    def __repr__(self) -> str:
        return f"<Share {self.index} of {self.set}>"


def split(secret: bytes, threshold: int, shares: int, name: tuple[str, str], random: bytes) -> list[str]:
    """As many shares as are wanted, any `threshold` of which give the secret back.

    name    prefix, and the four characters of the set
    random  `SECRET_BYTES + 1` bytes for each share that is not derived: (threshold - 1) of them
    Raises ValueError for numbers that cannot be.
    """
    prefix, set_name = name
    if not THRESHOLD_MIN <= threshold <= min(shares, THRESHOLD_MAX) or shares > SHARES_MAX:
        raise ValueError(f"2 to {THRESHOLD_MAX} shares of at most {SHARES_MAX} can be made necessary")
    if len(secret) != SECRET_BYTES or len(random) != (threshold - 1) * (SECRET_BYTES + 1):
        raise ValueError("secret or randomness of another length")
    if len(set_name) != 4 or not set(set_name) <= set(ALPHABET):
        raise ValueError("a set is named by four characters of the alphabet")
    payloads = [_characters(secret + b"\x00")]
    payloads += [_characters(random[at : at + SECRET_BYTES + 1]) for at in range(0, len(random), SECRET_BYTES + 1)]
    letters = _SECRET_INDEX + INDICES[: threshold - 1]
    known = [
        _share(prefix, threshold, set_name, letter, payload) for letter, payload in zip(letters, payloads, strict=True)
    ]
    made = [*known[1:], *(_at(known, letter) for letter in INDICES[threshold - 1 : shares])]
    return [f"{prefix}1{_text(share.values)}" for share in made]


def parse(text: str, prefix: str) -> Share:
    """A share as somebody typed it: spaces, dashes and capitals do not matter.

    Raises ValueError with what is wrong in words, when it is no share or has a slip in it.
    """
    line = "".join(text.split()).replace("-", "").lower()
    head, _, data = line.rpartition("1")
    if head != prefix:
        raise ValueError(f"a share begins with {prefix}1")
    if not set(data) <= set(ALPHABET):
        odd = ", ".join(sorted(set(data) - set(ALPHABET)))
        raise ValueError(f"a share has no {odd}: letters and digits look alike, read it again")
    values = tuple(_VALUES[letter] for letter in data)
    if len(values) != _HEAD + _PAYLOAD + _CHECKSUM:
        raise ValueError("characters are missing in this share, or it has too many")
    if _residue(prefix, values) != _TARGET:
        raise ValueError("there is a slip in this share: its checksum does not fit")
    if data[0] not in "23456789" or data[5] == _SECRET_INDEX:
        raise ValueError("this is no share of a secret")
    return Share(data[1:5], int(data[0]), data[5], values)


def join(shares: Sequence[Share]) -> bytes:
    """The secret. Raises ValueError when shares are of several sets, one is given twice, or there are too few."""
    first = shares[0]
    if any((each.set, each.threshold) != (first.set, first.threshold) for each in shares):
        raise ValueError("these shares are not of one set")
    if len({each.index for each in shares}) != len(shares):
        raise ValueError("the same share was given twice")
    if len(shares) < first.threshold:
        raise ValueError(f"{first.threshold} shares are needed, {len(shares)} were given")
    known = shares[: first.threshold]
    if any(_at(known, other.index).values != other.values for other in shares[first.threshold :]):
        raise ValueError("these shares do not fit together")
    payload = _at(known, _SECRET_INDEX).values[_HEAD : _HEAD + _PAYLOAD]
    number = reduce(lambda sum_, value: sum_ << 5 | value, payload, 0)
    return (number >> _SPARE_BITS).to_bytes(SECRET_BYTES, "big")


def _characters(padded: bytes) -> tuple[int, ...]:
    """A secret and one more byte, of which the last character takes its spare bits, in characters of five bits."""
    number = int.from_bytes(padded, "big") >> 8 - _SPARE_BITS
    return tuple(number >> 5 * (_PAYLOAD - 1 - at) & 31 for at in range(_PAYLOAD))


def _share(prefix: str, threshold: int, set_name: str, index: str, payload: tuple[int, ...]) -> Share:
    """A share with its checksum."""
    values = (*(_VALUES[letter] for letter in f"{threshold}{set_name}{index}"), *payload)
    check = _residue(prefix, (*values, *(0,) * _CHECKSUM)) ^ _TARGET
    return Share(set_name, threshold, index, (*values, *(check >> 5 * (12 - at) & 31 for at in range(_CHECKSUM))))


def _at(known: Sequence[Share], letter: str) -> Share:
    """The share of another letter: Lagrange's formula, for each character; the checksum, too: it is linear."""
    weights = [_weight(known, each, _VALUES[letter]) for each in known]
    columns = zip(*(each.values for each in known), strict=True)
    values = tuple(reduce(lambda sum_, term: sum_ ^ term, map(_times, weights, column)) for column in columns)
    return Share(known[0].set, known[0].threshold, letter, values)


def _weight(known: Sequence[Share], one: Share, place: int) -> int:
    """How much one share counts at a place. In this field a difference is a sum is an exclusive or."""
    mine = _VALUES[one.index]
    others = [_VALUES[each.index] for each in known if each is not one]
    above = reduce(_times, (place ^ other for other in others), 1)
    below = reduce(_times, (mine ^ other for other in others), 1)
    return _times(above, _inverse(below))


def _times(left: int, right: int) -> int:
    """A product in GF(32)."""
    product = 0
    for bit in range(5):
        if right >> bit & 1:
            product ^= left << bit
    for bit in range(8, 4, -1):
        if product >> bit & 1:
            product ^= _POLYNOMIAL << bit - 5
    return product


def _inverse(value: int) -> int:
    """One over a value: its 30th power, since there are 31 that are not zero."""
    return reduce(_times, (value,) * 30, 1)


def _residue(prefix: str, values: Sequence[int]) -> int:
    """BIP-93's checksum over prefix and characters."""
    spread = [ord(each) >> 5 for each in prefix] + [0] + [ord(each) & 31 for each in prefix]
    residue = 1
    for value in (*spread, *values):
        carried = residue >> 60
        residue = (residue & (1 << 60) - 1) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            residue ^= generator if carried >> bit & 1 else 0
    return residue


def _text(values: Sequence[int]) -> str:
    return "".join(ALPHABET[value] for value in values)
