"""What granular scopes leave to be asked of each resource: a residual rule per type and set of rights.

Rights are a union resource by resource: each letter that a question needs must be in a scope that speaks of the very
resource. So with `Observation.r?category=a` and `Observation.s?category=b` a history, which needs both letters, shows
what is of both categories, a read what is of the first, a search what is of the second. A letter that a scope without
a query carries is there for every resource and leaves nothing to ask.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from medlock.access.principal import Principal, Role
from medlock.access.residual import AllOf, AnyOf, Met, Rule
from medlock.access.roles import KINDS, role_rights
from medlock.access.scopes import Kind, letters, rights


def carriers(principal: Principal) -> Iterator[tuple[Role, Kind]]:
    """The pairs of role and kind of scope through which this caller can have a right at all."""
    held = principal.patient != ""
    for role in principal.roles:
        if held or role is not Role.PATIENT:
            yield from ((role, kind) for kind in KINDS[role] if held or kind is not Kind.PATIENT)


@lru_cache(maxsize=4_096)
def remainder(principal: Principal, resource_type: str, needed: int) -> Rule | None:
    """What a resource of a type must meet for this caller to have all rights `needed` on it; None for nothing.

    It does not say that the caller has them on any: `access.decide` asks that first.
    """
    asked: dict[Rule, None] = {}
    for letter in letters(needed):
        rule = _of_letter(principal, resource_type, rights(letter))
        if rule is not None:
            asked[rule] = None
    if len(asked) < 2:
        return next(iter(asked), None)
    return AllOf(tuple(asked))


def _of_letter(principal: Principal, resource_type: str, bit: int) -> Rule | None:
    """The resources on which one right is there: all (None), or those that one of some queries means."""
    found: dict[Rule, None] = {}
    for role, kind in carriers(principal):
        if not role_rights(role, resource_type, principal.purpose) & bit:
            continue
        if principal.scopes.plain(kind, resource_type) & bit:
            return None
        granular = principal.scopes.granular(kind, resource_type)
        found |= {Met(each.conditions): None for each in granular if each.bits & bit}
    rules = tuple(found)
    return rules[0] if len(rules) == 1 else AnyOf(rules)
