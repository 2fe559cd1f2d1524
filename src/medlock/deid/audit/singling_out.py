"""Singling out: does a description taken from the release fit exactly one person of the original?

Giomi et al. 2023, §5.1. A predicate is made of the cells of a released record: a number released as it is becomes "at
least" or "at most" it, on the side of the median where it lies; any other cell becomes "one of what it covers".
Predicates that fit one released record are used; where none of them fits one person, as in a k-anonymous table, the
attacker goes on with those that fit fewest. Predicates of one attribute are all values released, and the extremes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np

from medlock.deid.audit.attack import ATTACKS, Attack
from medlock.deid.audit.cover import Attribute, Sight, tuples
from medlock.deid.audit.intervals import Rate
from medlock.deid.tabular.counts import Counts
from medlock.deid.tabular.grouping import Mask
from medlock.deid.tabular.hierarchy import Codes
from medlock.deid.tabular.ranking import Ints

ROUNDS = 8  # times that as many predicates are drawn as are wanted, until enough fit one record
LEAST = 200  # attempts that a claim of no risk rests on, where there are so many predicates
Test = tuple[int, int, str]  # place of the attribute, released word, "=" or "<" or ">"
Predicate = tuple[Test, ...]


class Describer:
    """Makes predicates of released records and counts whom they fit."""

    def __init__(self, sight: Sight, rnd: np.random.Generator) -> None:
        self._sight = sight
        self._rnd = rnd
        self._released = tuples(sight.release)
        self._middles = [_median(each, codes) for each, codes in zip(sight.attributes, sight.release, strict=True)]
        self.leaves = lru_cache(None)(self._leaves)
        words = lru_cache(None)(lambda test: sight.attributes[test[0]].words_within(self.leaves(test)))
        self._seen = lru_cache(None)(lambda predicate: _fit(predicate, words, self._released))

    def _all(self, columns: int) -> list[Predicate]:
        """Every predicate of so many attributes."""
        if columns == 1:
            return self._single()
        rows = self._released.first.tolist()
        return [each for row in rows for chosen in self._choices(row, columns) if (each := self._made(row, chosen))]

    def _choices(self, row: int, columns: int) -> Iterable[tuple[int, ...]]:
        telling = self._telling(row)
        return combinations(telling, min(columns, len(telling)))

    def _single(self) -> list[Predicate]:
        found: list[Predicate] = []
        for at, (attribute, codes) in enumerate(zip(self._sight.attributes, self._released.quasi, strict=True)):
            words = [int(word) for word in np.unique(codes) if attribute.sizes[word] < attribute.hierarchy.size]
            found += [((at, word, "="),) for word in words]
            found += [((at, *each),) for each in _extremes(attribute, words)]
        return found

    def _joint(self, number: int, columns: int) -> list[Predicate]:
        """Predicates of so many attributes, each from a released record drawn at random."""
        rows = self._rnd.integers(self._sight.rows, size=number).tolist()
        return [each for row in rows if (each := self._made(row, self._some(row, columns)))]

    def _some(self, row: int, columns: int) -> list[int]:
        telling = self._telling(row)
        return sorted(self._rnd.permutation(telling)[:columns].tolist())

    def _telling(self, row: int) -> list[int]:
        """The attributes that the record does not leave wholly open."""
        sight = self._sight
        every = enumerate(zip(sight.attributes, sight.release, strict=True))
        return [at for at, (attribute, codes) in every if attribute.sizes[codes[row]] < attribute.hierarchy.size]

    def _made(self, row: int, places: Sequence[int]) -> Predicate:
        return tuple(self._test(at, int(self._sight.release[at][row])) for at in places)

    def _test(self, at: int, word: int) -> Test:
        attribute, middle = self._sight.attributes[at], self._middles[at]
        if attribute.numbers is None or middle is None or attribute.sizes[word] > 1:
            return at, word, "="
        return at, word, ">" if attribute.numbers[attribute.covered(word)[0]] >= middle else "<"

    def gathered(self, columns: int, wanted: int) -> tuple[list[Predicate], Ints]:
        """Candidates, those that fit fewest released records first, and how many each fits."""
        if self.countable(columns, wanted):
            return self._ordered(dict.fromkeys(self._all(columns)))
        found: dict[Predicate, None] = {}
        for _ in range(ROUNDS):
            found.update(dict.fromkeys(self._joint(wanted, columns)))
            predicates, fits = self._ordered(found)
            if (fits == 1).sum() >= wanted:
                break
        return predicates, fits

    def countable(self, columns: int, wanted: int) -> bool:
        """Whether there are so few predicates that all are looked at."""
        each = comb(len(self._sight.attributes), columns)
        return columns == 1 or len(self._released.weight) * each <= ROUNDS * wanted

    def _ordered(self, found: Iterable[Predicate]) -> tuple[list[Predicate], Ints]:
        predicates = list(found)
        fits = np.array([self._seen(each) for each in predicates], np.int64)
        order = np.lexsort((self._rnd.random(len(predicates)), fits))
        return [predicates[at] for at in order], fits[order]

    def isolated(self, predicates: Sequence[Predicate], people: Counts, scale: float = 1.0) -> Rate:
        """How many predicates fit exactly one person, of `scale` times as many."""
        fits = (round(_fit(each, self.leaves, people) * scale) for each in predicates)
        return Rate(sum(each == 1 for each in fits), len(predicates))

    def random(self, number: int, columns: int) -> list[Predicate]:
        """Guesses: any released word of any attribute, with any sign."""
        return [tuple(self._guess(columns)) for _ in range(number)]

    def _guess(self, columns: int) -> Iterator[Test]:
        attributes = self._sight.attributes
        for at in sorted(self._rnd.choice(len(attributes), columns, replace=False).tolist()):
            word = int(self._rnd.choice(np.unique(self._released.quasi[at])))
            ordered = attributes[at].numbers is not None and attributes[at].sizes[word] == 1
            yield at, word, str(self._rnd.choice(["<", ">"])) if ordered else "="

    def _leaves(self, test: Test) -> Mask:
        at, word, side = test
        return _allowed(self._sight.attributes[at], word, side)


def singling_out(sight: Sight, columns: int, rnd: np.random.Generator, *, attacks: int = ATTACKS) -> Attack:
    """Attack with predicates of so many attributes.

    How many a predicate fits grows with the people asked: a control larger than the original is cut down, and what fits
    in a smaller one is scaled up.
    """
    describer, people = Describer(sight, rnd), tuples(sight.original)
    predicates = _chosen(describer, people, columns, attacks)
    control = None
    if sight.control is not None:
        others = tuples(_cut(sight.control, people.records, rnd))
        control = describer.isolated(predicates, others, people.records / others.records)
    return Attack(
        "singling-out",
        "one attribute" if columns == 1 else f"{columns} attributes",
        describer.isolated(predicates, people),
        control,
        describer.isolated(describer.random(attacks, columns), people),
        exhaustive=describer.countable(columns, attacks)
        and len(predicates) == len(describer.gathered(columns, attacks)[0]),
    )


def _chosen(describer: Describer, people: Counts, columns: int, wanted: int) -> list[Predicate]:
    """Those that fit one released record; when they all fail, the next ones too, until a failure means something."""
    candidates, fits = describer.gathered(columns, wanted)
    sharp = candidates[: min(wanted, int((fits == 1).sum()))]
    if describer.isolated(sharp, people).successes:
        return sharp
    return candidates[: max(len(sharp), min(wanted, LEAST))]


def _fit(predicate: Predicate, masks: Callable[[Test], Mask], records: Counts) -> int:
    fits = np.ones(len(records.weight), bool)
    for test in predicate:
        fits &= masks(test)[records.quasi[test[0]]]
    return int(records.weight[fits].sum())


def _allowed(attribute: Attribute, word: int, side: str) -> Mask:
    """(D,) the leaves that a test allows."""
    covered = attribute.covered(word)
    if side == "=" or attribute.numbers is None:
        mask = np.zeros(attribute.hierarchy.size, bool)
        mask[covered] = True
        return mask
    edge = attribute.numbers[covered[0]]
    return attribute.numbers >= edge if side == ">" else attribute.numbers <= edge


def _extremes(attribute: Attribute, words: Sequence[int]) -> list[tuple[int, str]]:
    """The least and the greatest of the numbers released as they are."""
    if attribute.numbers is None:
        return []
    exact = [
        (float(attribute.numbers[attribute.covered(word)[0]]), word) for word in words if attribute.sizes[word] == 1
    ]
    return [(min(exact)[1], "<"), (max(exact)[1], ">")] if exact else []


def _median(attribute: Attribute, codes: Codes) -> float | None:
    if attribute.numbers is None:
        return None
    exact = codes[(attribute.sizes == 1)[codes]]
    first = np.searchsorted(attribute.word_of, exact)
    return float(np.median(attribute.numbers[attribute.leaf_of[first]])) if len(exact) else None


def _cut(people: Sequence[Codes], most: int, rnd: np.random.Generator) -> list[Codes]:
    rows = len(people[0])
    kept = rnd.choice(rows, most, replace=False) if rows > most else np.arange(rows)
    return [codes[kept] for codes in people]
