"""A resource as a tree that can be changed and written again with every number as it was.

FHIR says that the precision of a decimal matters (R4 §2.24.0.1), so numbers with a fraction or an exponent are
Decimals here, never floats. Whoever asks for a tree has had the bytes looked at by `fhir.parse` before.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_AROUND = 4  # quotation marks, colon, comma
_encode = msgspec.json.Encoder(decimal_format="number").encode


def tree_of(data: bytes) -> Any:
    """The value that some JSON stands for."""
    return _decode(data)


def written(tree: Any) -> bytes:
    """The tree as compact JSON."""
    return _encode(tree)


def size(tree: Any) -> int:
    """About how many characters it is written in, itself, its names and all that separates them."""
    if isinstance(tree, dict):
        return _AROUND + sum(len(name) + _AROUND + size(value) for name, value in tree.items())
    return _AROUND + (sum(map(size, tree)) if isinstance(tree, list) else len(str(tree)))


def copied(tree: Any) -> Any:
    """The same tree with nothing in common."""
    if isinstance(tree, dict):
        return {name: copied(value) for name, value in tree.items()}
    return [copied(item) for item in tree] if isinstance(tree, list) else tree


def same(left: Any, right: Any) -> bool:
    """JSON equality (RFC 6902 §4.6): numbers by value, but true is not 1; the order of members does not count."""
    if isinstance(left, dict):
        alike = isinstance(right, dict) and left.keys() == right.keys()
        return alike and all(same(value, right[name]) for name, value in left.items())
    if isinstance(left, list):
        alike = isinstance(right, list) and len(left) == len(right)
        return alike and all(map(same, left, right))
    return isinstance(left, bool) is isinstance(right, bool) and bool(left == right)
