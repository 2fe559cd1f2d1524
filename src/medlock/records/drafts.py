"""From received bytes to a Draft: parsed, valid, references resolved, its patients known. Nothing is written yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medlock.access.decide import decide_naming, narrowed
from medlock.access.grant import Grant
from medlock.access.principal import Principal
from medlock.errors import BadRequest, Problem, Unprocessable
from medlock.fhir.extract import extract
from medlock.fhir.parse import parse_json
from medlock.fhir.question import Interaction, Question
from medlock.fhir.references import local_target
from medlock.fhir.report import Place, path_of
from medlock.fhir.validate import examine
from medlock.fhir.values import Values
from medlock.records.claims import Claims
from medlock.records.consents import Consulted, comes_near, naming, ready_for
from medlock.records.indexing import TYPE_NUMBERS
from medlock.records.onlooker import Onlooker
from medlock.records.ownership import SPEAKING, owners, security_context, subjects_of_provenance
from medlock.records.vault import Vault
from medlock.settings import MIB
from medlock.store.bodies import Opened
from medlock.store.content import Content

CREATE, UPDATE, DELETE = "C", "U", "D"


@dataclass(slots=True)
class Draft:
    """One change to make. `body` is the resource's JSON as received (references rewritten), empty for a delete.

    `crud` is C, U or D; `if_match` the version the caller demands, "" for none. `based_on` is the version that the body
    was made from: when another is there by now, it must be made anew. `made_from` is that version of it.
    `patients` are the ids of the patients it belongs to, the owner first. `path` is its entry's in a transaction.
    `labels` lie sealed beside it; `security` are those among them that its body does not have yet.
    `content` lies in chunks beside the body. `record_at` is the number that the owner's index must stand at
    when this is written: what was looked for in it must be all that there is.
    """

    type: str
    id: str
    crud: str
    body: bytes = b""
    values: Values | None = None
    patients: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    if_match: str = ""
    none_match: bool = False
    path: str = ""
    based_on: int = 0
    made_from: Opened | None = None
    content: Content | None = None
    security: tuple[Mapping[str, Any], ...] = ()
    record_at: int = 0


@dataclass(slots=True)
class Context:
    """What the drafts of one request share: who asks, the address of this server, and what they create together.

    `born` maps `Type/id` of resources in the same transaction to the ids of their patients, once known.
    `resolved` remembers which references were found good. A patch may make no resource of more than `resource_bytes`.
    `claims` are shared by all requests of the process. `consents` narrow what this caller is granted. `content` was
    received by itself, for the Binary in question. `onlooker` counts whose records a write shows.
    """

    vault: Vault
    principal: Principal
    base: str
    now: int
    born: dict[str, tuple[str, ...] | None] = field(default_factory=dict)
    resolved: set[str] = field(default_factory=set)
    criteria: dict[str, str] = field(default_factory=dict)
    resource_bytes: int = MIB
    claims: Claims = field(default_factory=Claims)
    consents: Consulted | None = None
    content: Content | None = None
    onlooker: Onlooker | None = None


def checked(data: bytes, type_: str, path: str = "") -> dict[str, object]:
    """The resource in `data`, valid R4 of the type wanted. Raises BadRequest or Unprocessable naming every fault."""
    return examined(data, type_, path)[0]


def examined(data: bytes, type_: str, path: str) -> tuple[dict[str, object], list[tuple[Place, str]]]:
    """The same, with every literal reference in it and its place."""
    resource = parse_json(data)
    if resource.get("resourceType") != type_:
        text = f"The body must be a {type_}: its resourceType says otherwise."
        raise BadRequest(text, problems=(Problem("invalid", text, f"{path or type_}.resourceType"),))
    report = examine(resource, path=path or None)
    if report.problems:
        raise Unprocessable("The resource is not valid FHIR R4.", problems=tuple(report.problems))
    return resource, report.references


async def describe(context: Context, draft: Draft, grant: Grant, path: str = "") -> dict[str, object]:
    """Fill in a draft's values and patients, and check that its references hold; the parsed resource.

    Raises Unprocessable naming the path of a reference that does not resolve, in the same words whether the target
    is missing or out of reach.
    """
    resource, references = examined(draft.body, draft.type, path)
    given = resource.get("id")
    resource["id"] = draft.id
    draft.values = extract(resource)
    draft.patients = await _patients(context, resource, draft, path)
    if draft.type == "Patient":
        draft.patients = (draft.id,)
    for place, reference in references:
        if not await _resolves(context, grant, reference):
            raise unresolved(path_of(place))
    return {**resource, "id": given}


async def _patients(context: Context, resource: dict[str, object], draft: Draft, path: str) -> tuple[str, ...]:
    """Whose record it is; a Provenance that names no patient, and a Binary, go with what they speak of."""
    values = draft.values or Values()
    found = owners(resource, values)
    if found or draft.type not in SPEAKING:
        return found
    for target in security_context(resource, path) if draft.type == "Binary" else subjects_of_provenance(values):
        if target in context.born:
            found = context.born[target] or ()
        else:
            type_, _, id_ = target.partition("/")
            opened = await context.vault.current(type_, id_) if type_ in TYPE_NUMBERS else None
            found = opened.meta.patients if opened is not None else ()
        if found:
            return found
    return ()


async def _resolves(context: Context, grant: Grant, reference: str) -> bool:
    """Whether a reference leads to a living resource that this Grant reaches, or leads out of this server."""
    target = local_target(reference, context.base)
    if target is None:
        return not reference.startswith("urn:") and "?" not in reference
    name = "/".join(target)
    if name in context.born or name in context.resolved:
        return True
    if target[0] not in TYPE_NUMBERS:
        return False
    opened = await context.vault.current(*target)
    if opened is None or opened.meta.deleted or not _reached(grant, opened.meta.patients):
        return False
    if not await _known_to(context, opened):  # as if it were not there
        return False
    context.resolved.add(name)
    return True


async def _known_to(context: Context, opened: Opened) -> bool:
    """Whether a caller may name what they refer to, where resources of its type are hidden from them one by one.

    Who has no right on a type at all may refer to it, as a lab does to a visit that it cannot read, of whom it treats.
    """
    grant = decide_naming(context.principal, opened.meta.type)
    if grant is None:
        return await comes_near(context.consents, opened)
    asked = Question(Interaction.READ, opened.meta.type)
    grant = narrowed(grant, context.principal, asked, naming(context.consents))
    await ready_for(grant, [opened])
    if (grant.consents is not None or not context.vault.cleared) and not grant.covers(opened.meta):
        return False
    return not grant.needs_body(opened.meta.type) or grant.admits(opened)


def _reached(grant: Grant, patients: tuple[str, ...]) -> bool:
    """Whether the Grant reaches any of the patients; what is shared may be pointed at by anybody who may write."""
    return not patients or any(grant.rules_for(patient) is not None for patient in patients)


def unresolved(path: str) -> Unprocessable:
    """The same words whether the target is missing or out of reach."""
    text = "The reference does not lead to a resource that you may refer to."
    return Unprocessable(text, problems=(Problem("not-found", text, path),))
