"""Minimise: what a Grant's masks leave of a resource (45 CFR 164.502(b), minimum necessary)."""

from __future__ import annotations

from medlock.access.grant import Grant
from medlock.fhir.document import without_members
from medlock.records.vault import Opened

_NOTHING: frozenset[str] = frozenset()


def minimised(grant: Grant, opened: Opened) -> bytes:
    """The resource's JSON as this Grant may see it: members that are masked for all its patients are taken out."""
    if len(opened.meta.patients) == 1:
        hidden = _mask(grant, opened.meta.patients[0], opened.meta.type)
        return without_members(opened.body, hidden) if hidden else opened.body
    masks = [_mask(grant, patient, opened.meta.type) for patient in opened.meta.patients]
    hidden = frozenset.intersection(*masks) if masks else frozenset()
    return without_members(opened.body, hidden) if hidden else opened.body


def _mask(grant: Grant, patient: str, type_: str) -> frozenset[str]:
    rules = grant.rules_for(patient)
    return rules.masks.get(type_, _NOTHING) if rules is not None and rules.masks else _NOTHING
