"""Integer keys replaced by their rank among the keys present: grouping without sorting, as far as memory allows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DENSE_MAX = 1 << 23  # a table of so many 32-bit slots costs less to touch than a sort of the same keys
SPAN_MAX = 1 << 62
Ints = NDArray[np.int64]


class Keys(NamedTuple):
    """A key for every row; all keys are below `span`."""

    keys: Ints
    span: int


def ranked(given: Keys) -> Keys:
    """The same groups, numbered without gaps, in the order of the keys."""
    if given.span > DENSE_MAX:
        distinct, ids = np.unique(given.keys, return_inverse=True)
        return Keys(ids.astype(np.int64, copy=False), len(distinct))
    present = np.zeros(given.span, bool)
    present[given.keys] = True
    numbers = np.cumsum(present, dtype=np.int64)
    return Keys(numbers[given.keys] - 1, int(numbers[-1]) if given.span else 0)


def joined(parts: Iterable[Keys]) -> Keys:
    """One key for the combination of several; ranks in between whenever the span would leave the dense range."""
    parts = iter(parts)
    keys, span = next(parts)
    for more in parts:
        if span * more.span > DENSE_MAX:
            keys, span = ranked(Keys(keys, span))
        if span * more.span > SPAN_MAX:
            more = ranked(more)  # noqa: PLW2901 - the same part, written shorter
        keys, span = keys * more.span + more.keys, span * more.span
    return Keys(keys, span)


def firsts(ids: Ints, count: int) -> Ints:
    """For each id below `count` the first row that has it; every id is present."""
    rows = np.empty(count, np.int64)
    rows[ids[::-1]] = np.arange(len(ids) - 1, -1, -1)
    return rows
