"""What a Consent must be to be recorded: one that can be enforced whole, said by who may say it, and not undone.

Its performer, where it names one, is the patient, or a RelatedPerson of that patient who is in force: nobody else
decides about a record (IHE PCF, Consent.performer). One that was entered in error stays so: a new one is made.

What says of itself that the patient decided it through the sharing API is brought by the patient's own token, since
receipts are signed for it; others may end it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from medlock.access.consent.codes import PATIENT_SHARING
from medlock.access.consent.refusing import refusals
from medlock.access.principal import Principal, Role
from medlock.errors import Denied, Problem, Unprocessable
from medlock.fhir.parse import parse_json
from medlock.fhir.references import local_target
from medlock.records.drafts import Context, Draft

_MISTAKEN = "entered-in-error"


async def refuse_consents(context: Context, draft: Draft, resource: dict[str, Any], path: str) -> None:
    """Return when a draft is no Consent, or one that may be recorded. Raises Unprocessable, Denied."""
    if draft.type != "Consent":
        return
    _refuse_in_their_name(context.principal, draft, resource)
    if context.consents is None:
        return
    site = context.consents.heard.site
    found = refusals(resource, site.purposes, context.base, extended=site.extended)
    if await _was_mistaken(context, draft) and resource.get("status") != _MISTAKEN:
        text = "This consent was entered in error; record a new one."
        found.append(Problem("business-rule", text, "Consent.status"))
    if found:
        placed = (replace(each, path=path + each.path.removeprefix("Consent") if path else each.path) for each in found)
        raise Unprocessable("This consent could not be enforced as it is meant.", problems=tuple(placed))
    for performer in resource.get("performer") or ():
        if not await _may_decide(context, performer, draft.patients):
            raise Denied("the performer of a consent is neither its patient nor who stands in for them")


def _refuse_in_their_name(who: Principal, draft: Draft, resource: dict[str, Any]) -> None:
    """Return unless somebody else brings the Consent of a patient's sharing, in force. Raises Denied."""
    names = [(each.get("system"), each.get("value")) for each in resource.get("identifier") or ()]
    if PATIENT_SHARING not in names or resource.get("status") != "active":
        return
    if Role.PATIENT not in who.roles or who.patient not in draft.patients[:1]:
        raise Denied("only the patient's own token brings the Consent of their sharing")


async def _was_mistaken(context: Context, draft: Draft) -> bool:
    """Whether the version that is there says that it was entered in error."""
    before = await context.vault.current(draft.type, draft.id)
    return before is not None and not before.meta.deleted and parse_json(before.body).get("status") == _MISTAKEN


async def _may_decide(context: Context, performer: dict[str, Any], patients: tuple[str, ...]) -> bool:
    target = local_target(str(performer.get("reference", "")), context.base)
    if target is None:
        return False
    if target[0] == "Patient":
        return target[1] in patients[:1]
    if target[0] != "RelatedPerson" or "/".join(target) in context.born:
        return target[0] == "RelatedPerson"
    related = await context.vault.current(*target)
    if related is None or related.meta.deleted or related.meta.patients[:1] != patients[:1]:
        return False
    return parse_json(related.body).get("active") is not False
