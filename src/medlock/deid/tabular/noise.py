"""Differentially private counts and histograms: OpenDP's verified discrete Laplace noise over exact counts.

The guarantee is for one record added or left out, or for as many as `rows_per_person`. Categories are given by the
caller and must not be taken from the data: which values occur is an answer too. Each answer is paid for in the ledger
before its noise is drawn. Needs opendp, the extra `dp`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medlock.deid.tabular.columns import Table
from medlock.deid.tabular.extras import Extra
from medlock.deid.tabular.ledger import Ledger
from medlock.errors import BadRequest

dp = Extra("opendp.prelude", "dp")


@dataclass(frozen=True)
class PrivateTable:
    """Answers about a table for one recipient."""

    table: Table
    ledger: Ledger
    recipient: str
    rows_per_person: int = 1

    def __post_init__(self) -> None:
        if self.rows_per_person < 1:
            msg = "A person has at least one row."
            raise BadRequest(msg)

    def count(self, epsilon: float) -> int:
        """How many rows there are, with noise. Raises Conflict when the budget does not reach."""
        return self._answer([len(self.table)], epsilon, "count")[0]

    def histogram(self, column: str, categories: Sequence[str], epsilon: float) -> dict[str, int]:
        """How many rows have each of the categories, with noise; other values are not counted.

        Raises Conflict when the budget does not reach, BadRequest for an unknown column or repeated categories.
        """
        if len(set(categories)) != len(categories) or not categories:
            msg = f"Give each category of {column} once, and at least one."
            raise BadRequest(msg)
        found = self.table.column(column)
        often = np.bincount(found.codes, minlength=len(found.words))
        exact = dict(zip(found.words, often.tolist(), strict=True))
        noisy = self._answer([exact.get(name, 0) for name in categories], epsilon, f"histogram of {column}")
        return dict(zip(categories, noisy, strict=True))

    def _answer(self, exact: list[int], epsilon: float, question: str) -> list[int]:
        measurement = _laplace(self.rows_per_person, epsilon)
        self.ledger.spend(self.recipient, float(measurement.map(self.rows_per_person)), question)
        return [int(value) for value in measurement(exact)]


def _laplace(sensitivity: int, epsilon: float) -> Any:
    """Discrete Laplace noise on whole counts, of which one person changes `sensitivity` in all (L1)."""
    if not epsilon > 0:
        msg = "The epsilon must be a number above 0."
        raise BadRequest(msg)
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l1_distance(T=int)
    return dp.m.make_laplace(*space, scale=sensitivity / epsilon)
