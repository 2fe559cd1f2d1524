"""Patient/[id]/$access-reasons: by which treatment relationships somebody may see this record, now.

For the caller themselves; and for the patient, of any practitioner. A reason names the resource that makes the
relationship where whoever asks may read it. What consents and roles leave is not said here: this is one condition of
several (docs/relationship.md).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson

from medlock.access.decide import allowed, decide
from medlock.access.grant import Grant
from medlock.access.principal import Principal, Role
from medlock.access.relationship import Caller, Tie
from medlock.access.scopes import READ
from medlock.clock import instant
from medlock.errors import BadRequest, Denied, Gone, Problem
from medlock.fhir.options import ReasonsOptions
from medlock.fhir.question import Interaction, Question
from medlock.fhir.values import MAX_MS
from medlock.records.consents import Consulted, asked_by, ready_for
from medlock.records.finding import Finding
from medlock.records.read import visible
from medlock.records.vault import Vault


async def access_reasons(vault: Vault, grant: Grant, question: Question, consents: Consulted | None) -> Finding:
    """The reasons as Parameters. Raises NotFound, Gone; Denied for a question about somebody else."""
    if consents is None:
        raise Denied("nobody was asked whom the caller treats")
    opened = await visible(vault, grant, question)
    if opened.meta.deleted:
        raise Gone("This resource was deleted; its versions are in its history.")
    heard = consents.heard
    caller = await _meant(consents, question)
    ties, _ = await heard.relations.reasons(opened.slot, caller, heard.now)
    if Role.PATIENT not in heard.principal.roles:
        ties = (*heard.emergency(opened.slot), *ties)
    policy = {"name": "relationship", "valueCode": "required" if heard.site.related else "open"}
    shown = [_reason(tie, named=named) async for tie, named in _known(vault, consents, ties)]
    body = orjson.dumps({"resourceType": "Parameters", "parameter": [policy, *shown]})
    return Finding(200, body, disclosed=[opened])


async def _meant(consents: Consulted, question: Question) -> Caller:
    """Whose relationships are asked for. Raises Denied, BadRequest."""
    heard = consents.heard
    options = question.options if isinstance(question.options, ReasonsOptions) else ReasonsOptions()
    own = Role.PATIENT in heard.principal.roles
    if options.practitioner and not own:
        raise Denied("only the patient asks why others have access")
    if own and not options.practitioner:
        text = "Name the practitioner whose access you ask about: practitioner=Practitioner/id."
        raise BadRequest(text, problems=(Problem("required", text, "practitioner"),))
    if own:
        return await heard.relations.person(options.practitioner, heard.now)
    return heard.caller or await heard.relations.caller(heard.principal, heard.now)


async def _known(vault: Vault, consents: Consulted, ties: tuple[Tie, ...]) -> AsyncIterator[tuple[Tie, bool]]:
    """The ties that whoever asks may know of, and whether they may know which resource it is."""
    for tie in ties:
        type_, _, id_ = tie.reference.partition("/")
        if not allowed(consents.heard.principal, type_) & READ:
            yield tie, False
        elif await _shown(vault, consents, Question(Interaction.READ, type_, id_)):
            yield tie, True


async def _shown(vault: Vault, consents: Consulted, question: Question) -> bool:
    principal: Principal = consents.heard.principal
    grant = decide(principal, question, asked_by(consents, question))
    opened = await vault.current(question.type, question.id)
    await ready_for(grant, [opened])
    return opened is not None and grant.admits(opened)


def _reason(tie: Tie, *, named: bool) -> dict[str, Any]:
    """One reason: its source, the resource if it may be named, until when it counts as things stand."""
    parts: list[dict[str, Any]] = [{"name": "source", "valueCode": tie.source.value}]
    if named:
        parts.append({"name": "resource", "valueReference": {"reference": tie.reference}})
    if tie.until < MAX_MS:
        parts.append({"name": "until", "valueInstant": instant(tie.until)})
    return {"name": "reason", "part": parts}
