"""Delta-presence: how sure one may be that somebody of a known population is in the sample (Nergiz et al. 2007)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medlock.deid.tabular.counts import Counts
from medlock.deid.tabular.grouping import Classes, Mask
from medlock.deid.tabular.models import nothing
from medlock.deid.tabular.ranking import Ints
from medlock.errors import BadRequest


@dataclass(frozen=True)
class DeltaPresence:
    """In every class the sample's part of the population is from `least` to `most`.

    A class with nobody of the sample has the part zero and cannot be mended by suppression. As in ARX 3.9.2 it counts
    only when no other model asks for a smallest class.
    """

    least: float
    most: float
    attribute: str | None = None
    steady = True

    def __post_init__(self) -> None:
        if not 0 <= self.least <= self.most <= 1:
            msg = f"Delta-presence needs 0 <= least <= most <= 1, not {self.least:g} and {self.most:g}."
            raise BadRequest(msg)

    def __str__(self) -> str:
        return f"dp:{self.least:g}:{self.most:g}"

    def smallest(self, counts: Counts) -> int:
        """Any. Raises BadRequest for a table that is no sample of a population."""
        if counts.population is None:
            msg = "Delta-presence needs to know which records are the sample: give the subset."
            raise BadRequest(msg)
        return 0

    def passes(self, classes: Classes) -> Mask:
        """Which classes satisfy it."""
        part = classes.sizes / np.maximum(classes.population, 1)
        return (part >= self.least) & (part <= self.most)

    def doomed(self, classes: Classes) -> Ints:
        """Nothing is known of parts."""
        return nothing(classes)


@dataclass(frozen=True)
class PopulationMap:
    """k-map with the population at hand: every class has at least k records of the population."""

    k: int
    attribute: str | None = None
    steady = True

    def __post_init__(self) -> None:
        if self.k < 1:
            msg = f"k-map needs k of at least 1, not {self.k}."
            raise BadRequest(msg)

    def __str__(self) -> str:
        return f"kmap:{self.k}"

    def smallest(self, counts: Counts) -> int:
        """Any class of the sample. Raises BadRequest when the population is missing or too small."""
        if counts.population is None or int(counts.population.sum()) < self.k:
            msg = f"k-map needs a population of at least {self.k} records, and the subset of it that is the sample."
            raise BadRequest(msg)
        return 1

    def passes(self, classes: Classes) -> Mask:
        """Which classes satisfy it."""
        return classes.population >= self.k

    def doomed(self, classes: Classes) -> Ints:
        """All of a class that fails: its parts have no more of the population."""
        return np.where(self.passes(classes), 0, classes.sizes)
