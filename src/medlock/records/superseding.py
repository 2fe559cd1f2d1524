"""A consent that takes the place of an older one ends it: same patient, organisation, policy and scope.

IHE PCF asks a patient about one policy of one organisation at a time, so what they say last is what they say. The older
one becomes inactive in the commit that brings the new one, and a Provenance tells of it as a revision; history keeps
both. Who brings a consent must therefore have the right to change consents, whether there is an older one or not: an
answer that hung on that would tell of it. What the caller may not change stays as it is, and goes on denying.

A consent that names no organisation, or no policy, is the same as no other. Consents that one transaction brings
together stand beside each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from medlock.access.consent.reading import scope_of
from medlock.access.decide import decide
from medlock.access.grant import Grant
from medlock.access.residual import Seen
from medlock.clock import instant
from medlock.fhir.extract import extract
from medlock.fhir.jsontree import tree_of, written
from medlock.fhir.parse import parse_json
from medlock.fhir.question import Interaction, Question
from medlock.fhir.references import local_target
from medlock.ids import resource_id
from medlock.records.consents import asked_by, ready_for
from medlock.records.drafts import CREATE, Context, Draft
from medlock.records.holders import consent_rows
from medlock.records.labelling import as_draft, label
from medlock.store.bodies import Meta, Opened
from medlock.store.capsule import IndexRow

_HL7 = "http://terminology.hl7.org/CodeSystem/"
_UPDATE = {"coding": [{"system": f"{_HL7}v3-DataOperation", "code": "UPDATE"}]}
_ENTERER = {"coding": [{"system": f"{_HL7}provenance-participant-type", "code": "enterer"}]}
Subject = tuple[str, frozenset[str], frozenset[str]]
"""What a consent is about: scope, organisations, policies."""


async def supersede(context: Context, drafts: Sequence[Draft]) -> list[Draft]:
    """What ends with these drafts: older consents made inactive, and the Provenance of that. Raises Denied."""
    own = {(draft.type, draft.id) for draft in drafts}
    further: list[Draft] = []
    for draft in drafts:
        subject = await _newly_said(context, draft)
        if subject is None:
            continue
        grant = _to_change(context)
        older = await _older(context, draft, subject)
        await ready_for(grant, older)
        changed = [_inactive(each) for each in older if grant.admits(each)]
        ended = [each for each in changed if (each.type, each.id) not in own and grant.shows(_seen(each, context.now))]
        own |= {(each.type, each.id) for each in ended}
        if ended:
            further += [*ended, await _provenance(context, draft, ended)]
    return further


async def _newly_said(context: Context, draft: Draft) -> Subject | None:
    """What a draft is a decision about that was not in force by it before; None where it is none."""
    if draft.type != "Consent" or not draft.body or not draft.patients:
        return None
    subject = _subject(context, parse_json(draft.body))
    before = None if draft.crud == CREATE or subject is None else await context.vault.current(draft.type, draft.id)
    if before is not None and not before.meta.deleted and _subject(context, parse_json(before.body)) == subject:
        return None
    return subject


def _subject(context: Context, consent: Mapping[str, Any]) -> Subject | None:
    """What a consent in force is about; None when it is not, or could be about anything."""
    scope = scope_of(consent)
    targets = [local_target(str(each.get("reference", "")), context.base) for each in consent.get("organization") or ()]
    organisations = frozenset("/".join(each) for each in targets if each is not None)
    policies = frozenset(str(each["uri"]) for each in consent.get("policy") or () if each.get("uri"))
    if not policies:
        rule = (consent.get("policyRule") or {}).get("coding") or ()
        policies = frozenset(f"{each.get('system', '')}|{each.get('code', '')}" for each in rule)
    whole = consent.get("status") == "active" and scope and organisations and policies
    return (scope, organisations, policies) if whole else None


def _to_change(context: Context) -> Grant:
    """The Grant to change consents. Raises Denied."""
    asked = Question(Interaction.UPDATE, "Consent")
    return decide(context.principal, asked, asked_by(context.consents, asked))


async def _older(context: Context, draft: Draft, subject: Subject) -> list[Opened]:
    """The other consents of the patient in force that are about the same, all that there are at the commit."""
    slot = await context.vault.patient_slot(draft.patients[0])
    if slot is None:
        return []
    capsule = await context.vault.capsules.open(slot)
    draft.record_at = draft.record_at or capsule.number
    rows = [
        IndexRow(rid, slot, version, tag) for rid, owner, version, tag in consent_rows(capsule) if owner in (0, slot)
    ]
    found = [each for each in await context.vault.fetch(rows) if each is not None and each.meta.id != draft.id]
    return [each for each in found if _subject(context, parse_json(each.body)) == subject]


def _inactive(opened: Opened) -> Draft:
    draft = as_draft(opened)
    tree = tree_of(opened.body) | {"status": "inactive"}
    draft.body, draft.values = written(tree), extract(parse_json(written(tree)))
    return draft


def _seen(draft: Draft, now: int) -> Seen:
    meta = Meta(draft.type, draft.id, 0, now, draft.patients, draft.labels)
    return Seen(meta, draft.body, parse_json(draft.body), draft.values)


async def _provenance(context: Context, draft: Draft, ended: Iterable[Draft]) -> Draft:
    """That the new consent is a revision of those that ended, and who recorded it."""
    versions = [f"{each.type}/{each.id}/_history/{each.based_on}" for each in ended]
    id_ = resource_id()
    resource: dict[str, Any] = {
        "resourceType": "Provenance",
        "id": id_,
        "target": [{"reference": f"{draft.type}/{draft.id}"}],
        "recorded": instant(context.now),
        "activity": _UPDATE,
        "agent": [{"type": _ENTERER, "who": await _who(context)}],
        "entity": [{"role": "revision", "what": {"reference": each}} for each in versions],
    }
    found = Draft("Provenance", id_, CREATE, written(resource), extract(resource), draft.patients[:1])
    label(found, resource)
    return found


async def _who(context: Context) -> dict[str, str]:
    """The caller, by their resource where it is here."""
    person = context.principal.fhir_user
    type_, _, id_ = person.partition("/")
    opened = await context.vault.current(type_, id_) if person else None
    return {"reference": person} if opened is not None else {"display": f"account {context.principal.account}"}
