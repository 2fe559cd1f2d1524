"""Fewer rights than were granted: whether some scopes lie within others, and what two sets of them have in common.

A refresh or a launch may ask for less than what a person approved, never for more (RFC 6749 §6; SMART App Launch 2.2).
Both functions answer from the scopes alone and err to the narrower side: `covers` says no when it cannot tell, and
everything in `narrow(a, b)` is surely in a and in b.
"""

from __future__ import annotations

from collections.abc import Iterator

from medlock.access.granular import implies
from medlock.access.scopes import ANY, NO_SCOPES, Scope, Scopes, scopes_of


def covers(wider: Scopes, narrower: Scopes) -> bool:
    """Whether whatever `narrower` allows of any resource, `wider` surely allows of it too."""
    return all(_covered(wider.each, each) for each in narrower.each)


def narrow(first: Scopes, second: Scopes) -> Scopes:
    """What both allow; `NO_SCOPES` when that is nothing. What one scope covers is not said twice."""
    common: dict[str, Scope] = {}
    for one in first.each:
        for other in second.each:
            common |= {each.text: each for each in _both(one, other)}
    kept = [each for each in common.values() if not _said_elsewhere(each, common)]
    return scopes_of(kept) if kept else NO_SCOPES


def _covered(wider: tuple[Scope, ...], scope: Scope) -> bool:
    """Whether every letter of a scope is in one that speaks of all its resources."""
    bits = 0
    for each in wider:
        if _speaks_of_all(each, scope):
            bits |= each.bits
    return not scope.bits & ~bits


def _speaks_of_all(wide: Scope, scope: Scope) -> bool:
    """Whether a scope speaks of every resource that another one speaks of."""
    within = wide.kind is scope.kind and wide.type in {scope.type, ANY}
    return within and implies(scope.conditions, wide.conditions)


def _both(one: Scope, other: Scope) -> Iterator[Scope]:
    """What two scopes have in common: at the most one scope."""
    types = {one.type, other.type} - {ANY}
    bits = one.bits & other.bits
    if one.kind is not other.kind or len(types) > 1 or not bits:
        return
    of = types.pop() if types else ANY
    if implies(one.conditions, other.conditions):
        yield Scope(one.kind, of, bits, one.query, one.conditions)
    elif implies(other.conditions, one.conditions):
        yield Scope(one.kind, of, bits, other.query, other.conditions)
    else:
        query, conditions = f"{one.query}&{other.query}", (*one.conditions, *other.conditions)
        yield Scope(one.kind, of, bits, query, conditions)


def _said_elsewhere(scope: Scope, among: dict[str, Scope]) -> bool:
    """Whether another scope says all that this one says; of two that say the same, the first in order stays."""
    for text, each in among.items():
        same = scope.bits & ~each.bits == 0 and _speaks_of_all(each, scope)
        if same and each is not scope:
            back = each.bits & ~scope.bits == 0 and _speaks_of_all(scope, each)
            if not back or text < scope.text:
                return True
    return False
