"""Generalisation hierarchies: each value of a quasi-identifier with what it becomes on every level.

The file form is ARX's: a CSV of one line a value, the value first, then its generalisations from fine to coarse. Every
line has the same number of fields, no value stands twice, and what two values share on one level they share on all
levels above. A hierarchy that breaks one of these is refused with the line that breaks it.

Inside, a value is its line (its *leaf*), and a level is an array that maps leaves to groups: integers from zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from medlock.errors import BadRequest

SUPPRESSED = "*"
Codes = NDArray[np.int32]
Reals = NDArray[np.float64]


@dataclass(frozen=True)
class Hierarchy:
    """The hierarchy of one attribute.

    `labels[level][leaf]` is what the value of that leaf becomes; level 0 is the value itself. Raises BadRequest, which
    names attribute and line, when lines are ragged, values repeated, or groups torn apart on a higher level.
    """

    name: str
    lines: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if not self.lines or not self.lines[0]:
            msg = f"The hierarchy of {self.name} is empty; give it a line for every value."
            raise BadRequest(msg)
        self._check_width()
        self._check_leaves()
        for level in range(self.height):
            self._check_nesting(level)

    @property
    def height(self) -> int:
        """Number of the coarsest level."""
        return len(self.lines[0]) - 1

    @property
    def size(self) -> int:
        """Number of leaves."""
        return len(self.lines)

    @cached_property
    def leaf(self) -> dict[str, int]:
        """The leaf of a value."""
        return {line[0]: at for at, line in enumerate(self.lines)}

    @cached_property
    def groups(self) -> tuple[Codes, ...]:
        """For each level the group of each leaf."""
        return tuple(self._grouped(level)[0] for level in range(self.height + 1))

    @cached_property
    def labels(self) -> tuple[tuple[str, ...], ...]:
        """For each level the word for each group."""
        return tuple(self._grouped(level)[1] for level in range(self.height + 1))

    @cached_property
    def shares(self) -> tuple[Reals, ...]:
        """For each level, by leaf: the part of all leaves that lies in its group, in (0, 1]."""
        return tuple(np.bincount(group)[group] / self.size for group in self.groups)

    @cached_property
    def words(self) -> tuple[tuple[str, ...], Codes]:
        """All words of all levels, and by level and leaf the number of its word: the same word has one number."""
        numbers: dict[str, int] = {}
        found = [
            [numbers.setdefault(line[level], len(numbers)) for line in self.lines] for level in range(self.height + 1)
        ]
        return tuple(numbers), np.array(found, np.int32)

    def _grouped(self, level: int) -> tuple[Codes, tuple[str, ...]]:
        seen: dict[str, int] = {}
        groups = [seen.setdefault(line[level], len(seen)) for line in self.lines]
        return np.array(groups, np.int32), tuple(seen)

    def _check_width(self) -> None:
        for number, line in enumerate(self.lines, 1):
            if len(line) != len(self.lines[0]):
                msg = (
                    f"Line {number} of the hierarchy of {self.name} has {len(line)} levels, line 1 has "
                    f"{len(self.lines[0])}; give every line the same number."
                )
                raise BadRequest(msg)

    def _check_leaves(self) -> None:
        seen: dict[str, int] = {}
        for number, line in enumerate(self.lines, 1):
            if (before := seen.setdefault(line[0], number)) != number:
                msg = f"Lines {before} and {number} of the hierarchy of {self.name} are for the same value; keep one."
                raise BadRequest(msg)

    def _check_nesting(self, level: int) -> None:
        """Whether every group of a level lies whole in one group of the next."""
        parents: dict[str, tuple[str, int]] = {}
        for number, line in enumerate(self.lines, 1):
            parent, before = parents.setdefault(line[level], (line[level + 1], number))
            if parent != line[level + 1]:
                msg = (
                    f"Lines {before} and {number} of the hierarchy of {self.name} are alike on level {level} and "
                    f"differ on level {level + 1}; what is one group must stay one group above."
                )
                raise BadRequest(msg)


def flat(name: str, values: Sequence[str]) -> Hierarchy:
    """A hierarchy with no levels between the value and its suppression."""
    return Hierarchy(name, tuple((value, SUPPRESSED) for value in sorted(set(values))))
