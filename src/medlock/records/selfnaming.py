"""Who writes themselves into a resource that makes a treatment relationship is marked in it (`access.relationship`).

The mark is a tag that anybody can see. Their own write cannot take it off, somebody else's can: that is how another
person vouches for it. A record that is only being made is no secret from who makes it, so whoever opens a new one may
name themselves in the same act.
"""

from __future__ import annotations

from typing import Any

from medlock.access.relationship import SELF_NAMED, SOURCES, is_bound, marked, names_itself
from medlock.errors import Denied
from medlock.fhir.document import tagged
from medlock.fhir.parse import parse_json
from medlock.records.drafts import Context, Draft
from medlock.store.bodies import Opened


async def mark_self_named(context: Context, draft: Draft, resource: dict[str, Any]) -> None:
    """Mark a draft in which its writer says that they treat somebody, where the site asks for a relationship.

    Raises Denied where there is nobody to mark: a caller who treats by their organisations, and names no person.
    """
    person = context.principal.fhir_user
    if draft.type not in SOURCES or context.consents is None or not context.consents.heard.site.related:
        return
    if not person and not is_bound(context.principal):
        return
    found = [await context.vault.any_slot(patient) for patient in draft.patients]
    slots: list[int | None] = [slot for slot in found if slot is not None]
    if (draft.patients and not slots) or person in marked(resource):
        return  # all of them are only being made
    before = await _before(context, draft)
    former = None if before is None else parse_json(before.body)
    relations = context.consents.heard.relations
    callers = [await relations.writer(context.principal, slot, context.now) for slot in slots or [None]]
    if any(names_itself(former, {**resource, "id": draft.id}, caller, context.now) for caller in callers):
        if not person:
            raise Denied("no person can be marked in what a caller writes of their own organisation")
        _mark(draft, person)
    if before is not None and not draft.based_on:
        draft.based_on = before.meta.version  # or somebody could put another version between


async def _before(context: Context, draft: Draft) -> Opened | None:
    """What is there now, of the same patients."""
    before = await context.vault.current(draft.type, draft.id)
    there = before is not None and not before.meta.deleted and before.meta.patients == draft.patients
    return before if there else None


def _mark(draft: Draft, person: str) -> None:
    draft.body = tagged(draft.body, [{"system": SELF_NAMED, "code": person}])
    if draft.values is not None:
        draft.values.tokens.append(("_tag", SELF_NAMED, person))
