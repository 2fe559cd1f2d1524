"""What a released value may stand for: the leaves of its hierarchy that it covers.

An attacker knows the exact value of a person and sees generalised ones. `Attribute` says which exact values a released
word covers, and how far it is from an exact one: Gower's distance (Gower 1971), expected over a leaf drawn from those
it covers. For values released as they are, this is Gower's distance itself; a suppressed value is as far from everyone
as a stranger drawn at random.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medlock.deid.tabular.columns import Column, Table
from medlock.deid.tabular.counts import Counts, Rows
from medlock.deid.tabular.grouping import Mask
from medlock.deid.tabular.hierarchy import SUPPRESSED, Codes, Hierarchy, Reals, flat
from medlock.deid.tabular.ranking import Ints
from medlock.errors import BadRequest


@dataclass(frozen=True)
class Attribute:
    """One attribute: D leaves, W released words, and P pairs of a word and a leaf that it covers, sorted by word."""

    hierarchy: Hierarchy
    words: tuple[str, ...]
    word_of: Ints
    leaf_of: Ints

    @property
    def name(self) -> str:
        """The column."""
        return self.hierarchy.name

    @cached_property
    def sizes(self) -> Ints:
        """(W,) how many leaves each word covers."""
        return np.bincount(self.word_of, minlength=len(self.words)).astype(np.int64)

    @cached_property
    def numbers(self) -> Reals | None:
        """(D,) the leaves as numbers, when all are."""
        try:
            found = np.array([float(line[0]) for line in self.hierarchy.lines])
        except ValueError:
            return None
        return found if np.isfinite(found).all() and np.ptp(found) > 0 else None

    def covered(self, word: int) -> Ints:
        """The leaves that a word covers."""
        low, high = np.searchsorted(self.word_of, (word, word + 1))
        return self.leaf_of[low:high]

    def distances(self, leaf: int) -> Reals:
        """(W,) from an exact value to each released word, 0 to 1."""
        if self.numbers is None:
            each = np.ones(self.hierarchy.size)
            each[leaf] = 0
        else:
            each = np.abs(self.numbers - self.numbers[leaf]) / np.ptp(self.numbers)
        return np.bincount(self.word_of, each[self.leaf_of], len(self.words)) / self.sizes

    def words_within(self, leaves: Mask) -> Mask:
        """(W,) the words of which every leaf is among those (D,)."""
        return np.bincount(self.word_of, leaves[self.leaf_of], len(self.words)) == self.sizes


@dataclass(frozen=True)
class Sight:
    """What an audit sees: attributes, and the rows of the release (words) and of real people (leaves) over them.

    `control` are people who were not used to make the release.
    """

    attributes: Sequence[Attribute]
    release: Sequence[Codes]
    original: Sequence[Codes]
    control: Sequence[Codes] | None

    @property
    def names(self) -> list[str]:
        """The attributes' names."""
        return [each.name for each in self.attributes]

    @cached_property
    def rows(self) -> int:
        """Rows of the release."""
        return len(self.release[0])

    @cached_property
    def shown(self) -> Mask:
        """(N,) the rows of the release that are not suppressed whole."""
        hidden = np.ones(self.rows, bool)
        for attribute, codes in zip(self.attributes, self.release, strict=True):
            hidden &= (attribute.sizes == attribute.hierarchy.size)[codes]
        return ~hidden


def seen(release: Table, original: Table, control: Table | None, hierarchies: Mapping[str, Hierarchy]) -> Sight:
    """Encode the tables.

    `hierarchies` has one for each generalised column; the others of the release are taken as they are. Raises
    BadRequest for a column or value that one of the tables has and its hierarchy or the release's source does not.
    """
    if not len(release) or not len(original) or (control is not None and not len(control)):
        msg = "A table has no rows; an audit needs rows in the release, the original and the control."
        raise BadRequest(msg)
    people = [original, *([] if control is None else [control])]
    ladders = [hierarchies.get(name) or _as_is(name, [release, *people]) for name in release.columns]
    found = [attribute_of(release.column(each.name), each) for each in ladders]
    return Sight(
        [attribute for attribute, _ in found],
        [codes for _, codes in found],
        [original.column(each.name).leaves(each) for each in ladders],
        None if control is None else [control.column(each.name).leaves(each) for each in ladders],
    )


def attribute_of(column: Column, hierarchy: Hierarchy) -> tuple[Attribute, Codes]:
    """The attribute of a released column, and each row's word. Raises BadRequest for a word of no level."""
    covers = _covers(hierarchy)
    used = np.bincount(column.codes, minlength=len(column.words)) > 0
    for at in np.flatnonzero(used):
        if column.words[at] not in covers:
            row = int(np.argmax(column.codes == at)) + 1
            msg = f"Row {row} of the release has a value in column {column.name} that is on no level of its hierarchy."
            raise BadRequest(msg)
    leaves = [covers[word] if held else np.zeros(1, np.int64) for word, held in zip(column.words, used, strict=True)]
    word_of = np.repeat(np.arange(len(leaves)), [len(each) for each in leaves])
    return Attribute(hierarchy, column.words, word_of, np.concatenate(leaves)), column.codes


def tuples(columns: Sequence[Codes]) -> Counts:
    """The distinct rows of some columns."""
    return Rows(list(columns), {}).counted()


def _covers(hierarchy: Hierarchy) -> dict[str, Ints]:
    """For each word of each level the leaves below it; the mark of suppression covers all."""
    below: dict[str, set[int]] = {}
    for leaf, line in enumerate(hierarchy.lines):
        for word in line:
            below.setdefault(word, set()).add(leaf)
    below[SUPPRESSED] = set(range(hierarchy.size))
    return {word: np.array(sorted(leaves), np.int64) for word, leaves in below.items()}


def _as_is(name: str, tables: Sequence[Table]) -> Hierarchy:
    words = {word for each in tables for word in each.column(name).words} - {SUPPRESSED}
    return flat(name, list(words) or [""])
