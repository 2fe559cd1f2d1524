"""create, update and delete of one resource (R4 §3.1.0.5, .7, .8)."""

from __future__ import annotations

from collections.abc import Callable

from medlock.access.decide import decide
from medlock.access.grant import Grant
from medlock.errors import BadRequest, Denied, NotFound, PreconditionFailed, Problem
from medlock.fhir.question import Interaction, Question
from medlock.ids import resource_id
from medlock.records.commit import Committer, Written
from medlock.records.conditional import existing, named_by, settled
from medlock.records.criteria import with_criteria_resolved, with_local_references
from medlock.records.drafts import CREATE, DELETE, UPDATE, Context, Draft, describe
from medlock.records.finding import Finding
from medlock.records.minimise import minimised
from medlock.records.reach import Facts
from medlock.records.read import NOT_FOUND, visible
from medlock.records.subscriptions import refuse_promises
from medlock.store.bodies import Opened

NewId = Callable[[], str]


async def create(context: Context, grant: Grant, question: Question, committer: Committer) -> Finding:
    """A new resource with an id of ours; with If-None-Exist the one that is there already, if there is one."""
    async with context.claims.hold(context.principal.patient, (question.preconditions.if_none_exist,)):
        return await _create(context, grant, question, committer)


async def _create(context: Context, grant: Grant, question: Question, committer: Committer) -> Finding:
    exists = question.preconditions.if_none_exist
    if exists is not None:
        found = await existing(context, exists)
        if found is not None:
            if not grant.covers(found.meta):  # shared, and the caller, who is held to a patient, may only look at it
                raise Denied(f"may not create {found.meta.type} of these patients")
            return Finding(200, minimised(grant, found), str(found.meta.version), found.meta.updated, disclosed=[found])
    draft = Draft(question.type, resource_id(), CREATE, question.body, content=context.content)
    await prepare(context, grant, draft)
    (written,) = await committer.commit([draft])
    return answer(written)


async def update(context: Context, grant: Grant, question: Question, committer: Committer) -> Finding:
    """A new version under the id in the address; the first one when the caller may create and chose the id."""
    async with context.claims.hold(context.principal.patient, (question.criteria,)):
        return await _update(context, grant, question, committer)


async def _update(context: Context, grant: Grant, question: Question, committer: Committer) -> Finding:
    asked = await settled(context, question)
    if asked.interaction is Interaction.CREATE:
        return await create(context, decide(context.principal, asked), asked, committer)
    draft = update_draft(asked)
    draft.content = context.content
    await may_replace(context, grant, draft)
    await prepare(context, grant, draft, named=named_by(asked))
    (written,) = await committer.commit([draft])
    return answer(written)


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


async def may_replace(context: Context, grant: Grant, draft: Draft) -> None:
    """Whether the caller may write over what is there, or start something new under an id of their choice.

    A caller who is held to some patients may not: that the id is free would tell who has it otherwise.
    """
    before = await context.vault.current(draft.type, draft.id)
    if before is not None:
        if not grant.covers(before.meta):
            raise NotFound(NOT_FOUND, reason=f"{before.meta.reference} is out of reach")
        return
    if grant.everyone is None:
        raise NotFound(NOT_FOUND, reason="update of an unknown id by a caller held to a patient")
    decide(context.principal, Question(Interaction.CREATE, draft.type))


async def prepare(context: Context, grant: Grant, draft: Draft, *, named: str = "", path: str = "") -> None:
    """Make a draft ready to commit: references resolved, resource valid, and the Grant covers what it will be."""
    context.born.setdefault(f"{draft.type}/{draft.id}", None)
    body = with_local_references(draft.body, context.base)
    draft.body = await with_criteria_resolved(context, body, draft.type, path)
    resource = await describe(context, draft, grant, path)
    refuse_promises(resource)
    if named and resource.get("id") != named:
        text = "The resource's id must be the id in the address."
        raise BadRequest(text, problems=(Problem("invalid", text, f"{path or draft.type}.id"),))
    if not grant.covers(Facts(draft.type, draft.patients, draft.labels)):
        raise Denied(f"may not write {draft.type} of these patients")


async def delete(context: Context, grant: Grant, question: Question, committer: Committer) -> Finding:
    """A tombstone; the versions before stay in the history. Deleting twice, or what nothing matches, is no error."""
    asked = await settled(context, question)
    if not asked.id:
        return Finding(204)
    opened = await visible(context.vault, grant, asked)
    if opened.meta.deleted:
        return Finding(204, version=str(opened.meta.version), updated=opened.meta.updated, disclosed=[opened])
    draft = Draft(asked.type, asked.id, DELETE, if_match=asked.preconditions.if_match or "")
    await refuse_orphans(context, opened)
    (written,) = await committer.commit([draft])
    return Finding(204, version=str(written.meta.version), updated=written.meta.updated, logged=True)


async def refuse_orphans(context: Context, opened: Opened) -> None:
    """A Patient whose record holds other resources is not deleted from under them."""
    if opened.meta.type != "Patient":
        return
    capsule = await context.vault.capsules.open(opened.slot)
    if capsule.live_rows() > 1:
        raise PreconditionFailed("The patient's record holds other resources: delete those first, or shred the record.")


def answer(written: Written) -> Finding:
    """What a write brings back; its audit entry went with the commit."""
    meta = written.meta
    location = f"{meta.reference}/_history/{meta.version}"
    status = 201 if written.created else 200
    return Finding(status, written.body, str(meta.version), meta.updated, location, logged=True)
