"""What the tagger looks at: for each token a row of hashed features of itself and of its neighbourhood.

A feature is a template (which attributes of which neighbours) and their values, hashed into a table of fixed size
(the hashing trick: Weinberger et al., ICML 2009), so that a new word needs no new row. Attributes are computed once
for each different word of a text; everything after that is array arithmetic, which is why the tagger keeps up with
plain rules.
"""

from __future__ import annotations

import zlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from medlock.deid.text.lexicon import fold, marks
from medlock.deid.text.tokens import Ints, Tokens

BITS = 17
SIZE = 1 << BITS
Rows = NDArray[np.uint32]

# The attributes of a word, in the order of `_attributes`.
WORD, SHAPE, PREFIX, SUFFIX, LISTED, LENGTH = range(6)
REACH = 4  # how far to each side a template may look
LABEL_REACH = 12  # tokens after a colon to which the words before the colon still speak
_PRIME = np.uint64(0x9E3779B97F4A7C15)

# (attribute, offset) pairs that make one feature each.
TEMPLATES: tuple[tuple[tuple[int, int], ...], ...] = (
    *(((WORD, at),) for at in range(-4, 5)),
    *(((SHAPE, at),) for at in range(-2, 3)),
    *(((LISTED, at),) for at in range(-2, 3)),
    *(((PREFIX, at),) for at in (-1, 0, 1)),
    *(((SUFFIX, at),) for at in (-1, 0, 1)),
    ((LENGTH, 0), (LISTED, 0)),
    ((WORD, -1), (WORD, 0)),
    ((WORD, 0), (WORD, 1)),
    ((WORD, -2), (WORD, -1)),
    ((WORD, 1), (WORD, 2)),
    ((WORD, -1), (WORD, 1)),
    ((WORD, -1), (SHAPE, 0)),
    ((WORD, -2), (SHAPE, 0)),
    ((WORD, 1), (SHAPE, 0)),
    ((WORD, -1), (LISTED, 0)),
    ((WORD, 1), (LISTED, 0)),
    ((WORD, -2), (WORD, -1), (SHAPE, 0)),
    ((LISTED, -1), (LISTED, 0)),
    ((LISTED, 0), (LISTED, 1)),
    ((SHAPE, -1), (SHAPE, 0), (SHAPE, 1)),
    ((SHAPE, -2), (SHAPE, -1), (SHAPE, 0)),
    ((SHAPE, 0), (SHAPE, 1), (SHAPE, 2)),
)
# Features made of the line rather than of neighbours: label and distance, label and shape, cues left and right.
EXTRA = 8
WIDTH = len(TEMPLATES) + EXTRA


def _hash(name: str, value: str) -> int:
    return zlib.crc32(f"{name}={value}".encode())


def shape(word: str) -> str:
    """The form of a word: digits counted, letters by case, length of short words kept."""
    if word[0].isdigit():
        return "d" * min(len(word), 10)
    if not word[0].isalpha():
        return word
    if word.islower():
        return "x"
    if word.isupper():
        return "X" * min(len(word), 4)
    return "Xx" if word[1:].islower() else "mix"


def _normal(word: str) -> str:
    """Numbers by length and first digits, so that no number is learned by heart; words folded."""
    if not word[0].isdigit():
        return fold(word)
    if len(word) == 4 and word[:2] in {"19", "20"}:
        return "year"
    return word if len(word) < 3 else f"#{len(word)}"


@lru_cache(maxsize=1 << 16)
def _attributes(word: str) -> tuple[int, ...]:
    low, form = _normal(word), shape(word)
    return (
        _hash("w", low),
        _hash("s", form),
        _hash("p", low[:3]),
        _hash("f", low[-3:]),
        _hash("l", f"{marks(word)}{form}" if word[0].isalpha() else form),
        _hash("n", f"{min(len(word), 6)}{form}"),
    )


def _mix(values: NDArray[np.uint64], salt: int) -> NDArray[np.uint64]:
    mixed = (values + np.uint64(salt)) * _PRIME
    return mixed ^ (mixed >> np.uint64(29))


def rows(tokens: Tokens) -> Rows:
    """The features of every token: (tokens, WIDTH) indices below SIZE."""
    count = len(tokens.words)
    index: dict[str, int] = {"\0": 0}
    ids = np.zeros(count + 2 * REACH, np.int64)
    ids[REACH : REACH + count] = [index.setdefault(word, len(index)) for word in tokens.words]
    table = np.array([_attributes(word) for word in index], np.uint64)
    out = np.empty((count, WIDTH), np.uint32)
    for column, template in enumerate(TEMPLATES):
        value = np.zeros(count, np.uint64)
        for place, (attribute, offset) in enumerate(template):
            seen = table[:, attribute][ids[REACH + offset : REACH + offset + count]]
            value = _mix(value ^ seen, 64 * column + 8 * place + 1)
        out[:, column] = value & np.uint64(SIZE - 1)
    for column, extra in enumerate(_of_line(tokens, table, ids[REACH : REACH + count]), len(TEMPLATES)):
        out[:, column] = _mix(extra, 64 * column + 7) & np.uint64(SIZE - 1)
    return out


def _of_line(tokens: Tokens, table: NDArray[np.uint64], ids: Ints) -> list[NDArray[np.uint64]]:
    word, form, listed = (table[:, attribute][ids] for attribute in (WORD, SHAPE, LISTED))
    begins = _last(tokens.breaks)
    label, distance = _label(tokens, word, begins)
    lower = np.fromiter((each.islower() for each in tokens.words), bool, len(ids))
    left, left_far = _cue(lower, word, begins)
    right, right_far = _cue(lower[::-1], word[::-1], None)
    right, right_far = right[::-1], right_far[::-1]
    first = word[np.maximum(begins, 0)]
    extras = [
        *(label ^ np.uint64(8) * distance, _mix(label, 3) ^ form, _mix(label, 5) ^ listed),
        *(left ^ left_far, _mix(left, 9) ^ form, right ^ right_far, _mix(left, 13) ^ right),
        _mix(first, 11) ^ form,
    ]
    return [np.asarray(extra, np.uint64) for extra in extras]


def _last(flags: NDArray[np.bool_]) -> Ints:
    """For each place the last place up to it that is flagged, -1 when there is none."""
    places = np.where(flags, np.arange(len(flags)), -1)
    return np.maximum.accumulate(places) if len(places) else places


def _label(tokens: Tokens, word: NDArray[np.uint64], begins: Ints) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The two words before the last colon of the line, and how far back it is (bounded)."""
    count = len(word)
    colons = np.fromiter((each == ":" for each in tokens.words), bool, count)
    before = np.concatenate([np.zeros(2, np.uint64), word])[:count]
    last = np.concatenate([np.zeros(1, np.uint64), word])[:count]
    at = _last(colons)
    distance = np.arange(count) - at
    live = (at >= begins) & (at >= 0) & (distance > 0) & (distance <= LABEL_REACH)
    label = np.where(live, _mix(before, 17)[at] ^ last[at], np.uint64(0))
    return label, np.where(live, np.minimum(distance, 8), 0).astype(np.uint64)


def _cue(
    lower: NDArray[np.bool_], word: NDArray[np.uint64], begins: Ints | None
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The nearest lower-case word before each token, and its distance (bounded)."""
    at = np.concatenate([np.full(1, -1), _last(lower)[:-1]]) if len(word) else np.zeros(0, np.int64)
    live = at >= (0 if begins is None else np.maximum(begins, 0))
    distance = np.minimum(np.arange(len(word)) - at, 6)
    return np.where(live, word[at], np.uint64(0)), np.where(live, distance, 0).astype(np.uint64)
