"""Whoever counts how many different patients a caller sees: told by the door before it lets an answer go."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from medlock.access.principal import Principal
from medlock.fhir.question import EXPORTS, Interaction
from medlock.records.finding import Finding


class Onlooker(Protocol):
    """`web.limits.patients` is one."""

    def saw(self, principal: Principal, slots: Collection[int]) -> None:
        """These patients' records are about to be shown. Raises TooMany."""


def look(onlooker: Onlooker, principal: Principal, interaction: Interaction, finding: Finding) -> None:
    """Tell of a Finding. Not of a write, which is done by now, nor of an export, which has limits of its own.

    What a patch shows is told before it is made (`records.patch`). Raises TooMany.
    """
    shown = finding.disclosed
    if shown and not (finding.logged or finding.deidentified or interaction in EXPORTS):
        onlooker.saw(principal, [opened.slot for opened in shown if opened.meta.patients])
