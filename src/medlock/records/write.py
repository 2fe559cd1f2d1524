"""create, update and delete of one resource (R4 §3.1.0.5, .7, .8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import structs

from medlock.access.decide import decide
from medlock.access.grant import Grant
from medlock.access.groups import SHARED
from medlock.access.residual import Seen
from medlock.errors import BadRequest, Denied, NotFound, PreconditionFailed, Problem
from medlock.fhir.question import Interaction, Question
from medlock.ids import resource_id
from medlock.records.admitting import told
from medlock.records.commit import Committer, Written
from medlock.records.conditional import existing, named_by, settled
from medlock.records.consents import asked_by, hides_patients, looking, ready, ready_for
from medlock.records.criteria import with_criteria_resolved, with_local_references
from medlock.records.drafts import CREATE, DELETE, UPDATE, Context, Draft, describe
from medlock.records.finding import Finding
from medlock.records.labelling import label, label_episodes
from medlock.records.minimise import minimised
from medlock.records.read import NOT_FOUND, visible
from medlock.records.recording import refuse_consents
from medlock.records.selfnaming import mark_self_named
from medlock.records.standing import refuse_appointing_oneself, refuse_resigning
from medlock.records.subscriptions import refuse_promises
from medlock.records.superseding import supersede
from medlock.store.bodies import Meta, Opened

NewId = Callable[[], str]


async def create(context: Context, grant: Grant, question: Question, committer: Committer) -> Finding:
    """A new resource with an id of ours; with If-None-Exist the one that is there already, if there is one."""
    async with context.claims.hold(context.principal.patient, (question.preconditions.if_none_exist,)):
        return await _create(context, grant, question, committer)


async def _create(context: Context, grant: Grant, question: Question, committer: Committer) -> Finding:
    exists, seen = question.preconditions.if_none_exist, 0
    if exists is not None:
        seen = await _position(context)
        found = await existing(context, exists)
        if found is not None:
            await ready_for(grant, [found])
            if not grant.admits(found):  # they may look at it, but not create such: it is shared, or outside the scope
                raise Denied(f"may not create {found.meta.type} of these patients")
            return Finding(200, minimised(grant, found), str(found.meta.version), found.meta.updated, disclosed=[found])
    draft = Draft(question.type, resource_id(), CREATE, question.body, content=context.content, record_at=seen)
    await prepare(context, grant, draft)
    return await commit(context, grant, draft, committer)


async def _position(context: Context) -> int:
    """Where the record stands that the caller is held to, 0 for none: nothing may join it before what they look for."""
    slot = await context.vault.patient_slot(context.principal.patient) if context.principal.patient else None
    return 0 if slot is None else (await context.vault.capsules.open(slot)).number


async def update(context: Context, grant: Grant, question: Question, committer: Committer) -> Finding:
    """A new version under the id in the address; the first one when the caller may create and chose the id."""
    async with context.claims.hold(context.principal.patient, (question.criteria,)):
        return await _update(context, grant, question, committer)


async def _update(context: Context, grant: Grant, question: Question, committer: Committer) -> Finding:
    asked = await settled(context, question)
    if asked.interaction is Interaction.CREATE:
        return await create(context, granted(context, asked), asked, committer)
    draft = update_draft(asked)
    draft.content = context.content
    await may_replace(context, grant, draft)
    await prepare(context, grant, draft, named=named_by(asked))
    return await commit(context, grant, draft, committer)


def update_draft(question: Question) -> Draft:
    """The draft of an update, with what its conditional headers demand."""
    asked = question.preconditions
    return Draft(
        question.type,
        question.id,
        UPDATE,
        question.body,
        if_match=asked.if_match or "",
        none_match=asked.if_none_match == "*",
    )


def granted(context: Context, question: Question) -> Grant:
    """The Grant for a further question of the same caller. Raises Denied."""
    return decide(context.principal, question, asked_by(context.consents, question))


async def may_replace(context: Context, grant: Grant, draft: Draft) -> None:
    """Whether the caller may write over what is there, or start something new under an id of their choice.

    A caller from whom some records are hidden may not: that the id is free would tell who has it otherwise.
    """
    before = await context.vault.current(draft.type, draft.id)
    if before is not None:
        await ready(grant, before.meta.patients)
        if not await told(context.vault, grant, before):
            raise NotFound(NOT_FOUND, reason=f"{before.meta.reference} is out of reach")
        bind(grant, draft, before)
        return
    if await context.vault.withheld(draft.type, draft.id):
        raise NotFound(NOT_FOUND, reason="of a sensitive class, and this process has no clearance")
    hides = hides_patients(grant) and draft.type not in SHARED
    if grant.everyone is None or grant.needs_body(draft.type) or hides:
        raise NotFound(NOT_FOUND, reason="update of an unknown id by a caller from whom some are hidden")


def bind(grant: Grant, draft: Draft, before: Opened) -> None:
    """Where rules look into bodies, the version that was looked at must still be there at the commit."""
    if grant.needs_body(draft.type):
        draft.based_on = before.meta.version


async def prepare(context: Context, grant: Grant, draft: Draft, *, named: str = "", path: str = "") -> None:
    """Make a draft ready to commit: references resolved, resource valid, and the Grant covers what it will be."""
    context.born.setdefault(f"{draft.type}/{draft.id}", None)
    body = with_local_references(draft.body, context.base)
    draft.body = await with_criteria_resolved(context, body, draft.type, path)
    resource = await describe(context, draft, grant, path)
    label(draft, resource)
    refuse_promises(resource)
    await refuse_consents(context, draft, resource, path)
    await refuse_appointing_oneself(context, draft.type, draft.id, resource)
    await mark_self_named(context, draft, resource)
    if named and resource.get("id") != named:
        text = "The resource's id must be the id in the address."
        raise BadRequest(text, problems=(Problem("invalid", text, f"{path or draft.type}.id"),))
    await ready(grant, draft.patients)
    if not grant.shows(_as_written(context, draft, resource)):
        raise Denied(f"may not write such {draft.type} of these patients")


def _as_written(context: Context, draft: Draft, resource: dict[str, object]) -> Seen:
    """What a draft will be, as rules look at it."""
    meta = Meta(draft.type, draft.id, 0, context.now, draft.patients, draft.labels)
    return Seen(meta, draft.body, resource, draft.values)


async def delete(context: Context, grant: Grant, question: Question, committer: Committer) -> Finding:
    """A tombstone; the versions before stay in the history. Deleting twice, or what nothing matches, is no error."""
    asked = await settled(context, question)
    if not asked.id:
        return Finding(204)
    opened = await visible(context.vault, grant, asked)
    if opened.meta.deleted:
        return Finding(204, version=str(opened.meta.version), updated=opened.meta.updated, disclosed=[opened])
    draft = Draft(asked.type, asked.id, DELETE, if_match=asked.preconditions.if_match or "")
    bind(grant, draft, opened)
    await refuse_orphans(context, opened)
    await refuse_resigning(context, opened)
    (written,) = await committer.commit([draft])
    return Finding(204, version=str(written.meta.version), updated=written.meta.updated, logged=True)


async def refuse_orphans(context: Context, opened: Opened) -> None:
    """A Patient whose record holds other resources is not deleted from under them."""
    if opened.meta.type != "Patient":
        return
    capsule = await context.vault.capsules.open(opened.slot)
    if capsule.live_rows() > 1:
        raise PreconditionFailed("The patient's record holds other resources: delete those first, or shred the record.")


async def brought_by(context: Context, drafts: Sequence[Draft]) -> list[Draft]:
    """What is written with these drafts because of them: notes labelled anew, consents that end."""
    return [*await label_episodes(context.vault, drafts), *await supersede(context, drafts)]


async def commit(context: Context, grant: Grant, draft: Draft, committer: Committer) -> Finding:
    """Write a draft, labelled by its episode, and what that brings back.

    What its episode added to it is not the writer's: who may not look at such is told that it is written, and no more.
    """
    own = draft.labels
    written, *_ = await committer.commit([draft, *await brought_by(context, [draft])])
    finding = answer(written)
    if draft.labels != own and not _looking(context, grant).shows(Seen(written.meta, written.body)):
        finding.body = b""
    return finding


def _looking(context: Context, grant: Grant) -> Grant:
    """The same Grant within what consents leave of a look at data."""
    return grant if grant.consents is None else structs.replace(grant, consents=looking(context.consents))


def answer(written: Written) -> Finding:
    """What a write brings back; its audit entry went with the commit."""
    meta = written.meta
    location = f"{meta.reference}/_history/{meta.version}"
    status = 201 if written.created else 200
    return Finding(status, written.body, str(meta.version), meta.updated, location, logged=True)
