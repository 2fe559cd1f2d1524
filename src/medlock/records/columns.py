"""What the columns of an index tell of a residual rule: of each row surely yes, surely no, or that the body must say.

So a hidden resource is absent before anything is counted, sorted, paged or followed, and no body is opened for what
columns decide. Two masks are made of a rule: rows of which it may hold, and rows of which it surely does. Negation
turns them round, so a rule that columns cannot decide hides nothing that it should show and shows nothing unasked:
where the two differ, `exact` is False and whoever counts must open bodies (`records.admitting`). What is shown is asked
of `Grant.admits` in any case.
"""

from __future__ import annotations

from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from medlock.access.residual import AllOf, AnyOf, Met, Rule, Unless
from medlock.records.plan import Planner
from medlock.store.segment import Mask, Segment


class Told(NamedTuple):
    """For every row: whether a rule may hold, and whether it surely does."""

    possible: Mask
    certain: Mask


LONG = 256
"""Rows of a segment for which masks are kept: of shorter ones they are made as fast as looked up."""
KEPT = 8
_MADE: WeakKeyDictionary[Segment, dict[tuple[int, str], tuple[Rule, Mask]]] = WeakKeyDictionary()


def possible(planner: Planner, rule: Rule, type_: str, segment: Segment) -> Mask:
    """Rows of which a rule on resources of a type may hold. Rows of other types, and dead ones, mean nothing in it.

    A segment never changes but for which of its rows are dead, so masks of long ones are kept with them.
    """
    if len(segment) < LONG:
        return _told(planner, rule, type_, segment).possible
    made = _MADE.setdefault(segment, {})
    at = id(rule), type_
    known = made.get(at)
    if known is not None and known[0] is rule:
        return known[1]
    mask = _told(planner, rule, type_, segment).possible
    if len(made) >= KEPT:
        made.clear()
    made[at] = rule, mask
    return mask


def exact(planner: Planner, rule: Rule, type_: str) -> bool:
    """Whether the columns decide a rule for good."""
    if isinstance(rule, Met):
        return all(planner.decides(type_, condition) for condition in rule.conditions)
    if isinstance(rule, AllOf | AnyOf):
        return all(exact(planner, each, type_) for each in rule.rules)
    if isinstance(rule, Unless):
        return exact(planner, rule.rule, type_)
    return False


def _told(planner: Planner, rule: Rule, type_: str, segment: Segment) -> Told:
    if isinstance(rule, Met):
        return _met(planner, rule, type_, segment)
    if isinstance(rule, Unless):
        inner = _told(planner, rule.rule, type_, segment)
        return Told(~inner.certain, ~inner.possible)
    if isinstance(rule, AllOf):
        return _joined(planner, rule.rules, type_, segment, every=True)
    if isinstance(rule, AnyOf):
        return _joined(planner, rule.rules, type_, segment, every=False)
    return Told(_filled(segment, held=True), _filled(segment, held=False))


def _met(planner: Planner, rule: Met, type_: str, segment: Segment) -> Told:
    found = _filled(segment, held=True)
    for condition in rule.conditions:
        mask = planner.mask(type_, condition, segment)
        if mask is not None:
            found &= mask
    return Told(found, found if exact(planner, rule, type_) else _filled(segment, held=False))


def _joined(planner: Planner, rules: tuple[Rule, ...], type_: str, segment: Segment, *, every: bool) -> Told:
    found = Told(_filled(segment, held=every), _filled(segment, held=every))
    for rule in rules:
        told = _told(planner, rule, type_, segment)
        if every:
            found = Told(found.possible & told.possible, found.certain & told.certain)
        else:
            found = Told(found.possible | told.possible, found.certain | told.certain)
    return found


def _filled(segment: Segment, *, held: bool) -> Mask:
    mask: Mask = np.full(len(segment), held)
    return mask
