"""Organisations, streets and other things of several words, found within one slip of the pen.

The words of a hospital's name are ordinary ones, so none of them may go alone. A row of words goes when its letters
and digits, run together, are within one edit of those of a known row. Rows are looked up by their first and by their
second word, of which one slip can spoil but one; of a row of two, also by what its words begin with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from medlock.deid.fhir.exact import TOKEN, folded
from medlock.deid.text.typos import within_one

_LETTERS_MIN = 6
_GAP_MAX = 3


@dataclass(frozen=True, slots=True)
class Row:
    """A known row: how many words, all of its letters, and which of the values given it is."""

    size: int
    letters: str
    at: int


class WordRows:
    """Rows of two words or more, each under its position in `values`; others and short ones are passed over."""

    def __init__(self, values: Iterable[str]) -> None:
        self._first: dict[str, list[Row]] = defaultdict(list)
        self._second: dict[str, list[Row]] = defaultdict(list)
        for at, value in enumerate(values):
            words = TOKEN.findall(folded(value))
            row = Row(len(words), "".join(words), at)
            if len(words) > 1 and len(row.letters) >= _LETTERS_MIN:
                self._first[words[0]].append(row)
                self._second[words[1]].append(row)

    def find(self, text: str) -> Iterator[tuple[int, int, int]]:
        """(start, end, position in `values`) of every row that stands in the text."""
        if not self._first:
            return
        plain = folded(text)
        tokens = [match.span() for match in TOKEN.finditer(plain)]
        words = [plain[start:end] for start, end in tokens]
        for at, word in enumerate(words):
            begun = self._first.get(word, ())
            second = self._second.get(words[at + 1], ()) if at + 1 < len(words) else ()
            for row in (*begun, *second):
                near = tokens[at : at + row.size]
                if within_one("".join(words[at : at + row.size]), row.letters) and _together(near):
                    yield near[0][0], near[-1][1], row.at


def _together(tokens: list[tuple[int, int]]) -> bool:
    """Whether words stand close enough to be one row."""
    return all(after[0] - before[1] <= _GAP_MAX for before, after in pairwise(tokens))
