"""Words at most one slip of the pen apart: a letter too many, missing, wrong, or two exchanged (Damerau 1964)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable


def within_one(one: str, two: str) -> bool:
    """Whether two words are equal or one edit apart."""
    if one == two:
        return True
    if abs(len(one) - len(two)) > 1:
        return False
    start = 0
    least = min(len(one), len(two))
    while start < least and one[start] == two[start]:
        start += 1
    first, second = one[start:], two[start:]
    if len(one) != len(two):
        return first[1:] == second if len(one) > len(two) else first == second[1:]
    return first[1:] == second[1:] or (first[:2] == second[1::-1] and first[2:] == second[2:])


def deletions(word: str) -> set[str]:
    """The word with each of its letters left out."""
    return {word[:at] + word[at + 1 :] for at in range(len(word))}


class Typos:
    """Which of a set of words a given word may be meant to be.

    Two words within one edit share themselves or a form with one letter left out (Garbe's symmetric deletes), so a
    look-up is a handful of dictionary reads and not a comparison with every word.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._forms: dict[str, set[str]] = defaultdict(set)
        for word in words:
            for form in {word, *deletions(word)}:
                self._forms[form].add(word)

    def near(self, word: str) -> set[str]:
        """The words within one edit of it."""
        near = set(self._forms.get(word, ()))
        for form in deletions(word):
            near |= self._forms.get(form, set())
        return {each for each in near if within_one(word, each)}
