"""Minimise: what a Grant's masks leave of a resource (45 CFR 164.502(b), minimum necessary)."""

from __future__ import annotations

from collections.abc import Sequence

from medlock.access.grant import Grant
from medlock.access.residual import Seen
from medlock.fhir.document import without_members
from medlock.store.bodies import Opened

_NOTHING: frozenset[str] = frozenset()


def minimised(grant: Grant, opened: Opened) -> bytes:
    """The resource's JSON as this Grant may see it.

    Members are taken out that are masked for all those of its patients through whom the Grant shows it.
    """
    hidden: frozenset[str] | None = None
    for patient in opened.meta.patients:
        rules = grant.rules_for(patient)
        if rules is None or (rules.residuals and not rules.admits(Seen(opened.meta, opened.body, mark=opened.tag))):
            continue
        if not rules.masks:
            return opened.body
        mask = rules.masks.get(opened.meta.type, _NOTHING)
        hidden = mask if hidden is None else hidden & mask
    return without_members(opened.body, hidden) if hidden else opened.body


def minimised_all(grant: Grant, found: Sequence[Opened]) -> list[bytes]:
    """`minimised` of each."""
    if grant.masks_nothing():
        return [opened.body for opened in found]
    return [minimised(grant, opened) for opened in found]
