"""The consents of one patient for one request, written out as rules: what IHE PCF's ITI-71 calls `residual`.

A forbid closes what it describes unless a permit inside it (its path goes on from the forbid's) describes it too; where
nothing forbids, a permit opens. It is for people and for tokens; the server itself decides by `access.consent.ruling`,
from the same provisions.
"""

from __future__ import annotations

import msgspec

from medlock.access.consent.codes import LEVELS as _LEVELS
from medlock.access.consent.model import Provision
from medlock.access.consent.ruling import Ruling


class Residual(msgspec.Struct, frozen=True):
    """One rule on data: `type` is forbid or permit; an element that is None does not narrow it."""

    type: str
    consent: str
    path: str
    labels: tuple[str, ...] | None = None
    period: tuple[int, int] | None = None
    data: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None
    codes: tuple[str, ...] | None = None


def residual(ruling: Ruling) -> tuple[Residual, ...]:
    """The rules that are left of the consents once the request is known, each before those that override it."""
    return tuple(_rule(node.rule, node.consent.reference) for node in ruling.book.nodes if node.bit & ruling.matched)


def _rule(rule: Provision, consent: str) -> Residual:
    labels = None
    if rule.labelled:
        names = [name for name, level in _LEVELS.items() if level in (rule.levels or ())]
        labels = (*names, *sorted(rule.sensitivities or ()))
    return Residual(
        "forbid" if rule.deny else "permit",
        consent,
        rule.path,
        labels,
        rule.data_period,
        None if rule.data is None else tuple(sorted(f"{each.meaning} {each.reference}" for each in rule.data)),
        None if rule.classes is None else tuple(sorted(rule.classes)),
        None if rule.codes is None else tuple(sorted(rule.codes)),
    )
