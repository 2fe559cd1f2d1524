"""batch and transaction (R4 §3.1.0.11): a transaction is all or nothing, a batch is one request after another.

In a transaction every entry is decided by its own Question before anything is written; ids are given first, so that
`urn:uuid` references and conditional references can be rewritten; reads are rehearsed, so that one that fails stops
the whole; then one commit writes everything; reads see what was written. In a batch each entry goes through the door by
itself. Every read inside a bundle has its own audit entries, and all together bring back no more than `Allowance`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from medlock.access.grant import Grant
from medlock.clock import instant
from medlock.errors import BadRequest, MedlockError, Problem, TooLarge, Unprocessable
from medlock.fhir import bundle
from medlock.fhir.outcome import operation_outcome
from medlock.fhir.question import Interaction, Question
from medlock.fhir.references import rewrite
from medlock.fhir.request import EntryRequest, Frame, parse_entry
from medlock.ids import resource_id
from medlock.records.commit import Committer, Written
from medlock.records.conditional import existing, named_by, settled
from medlock.records.drafts import CREATE, DELETE, Context, Draft
from medlock.records.finding import Finding
from medlock.records.ownership import SPEAKING
from medlock.records.patch import no_resource, patch_draft
from medlock.records.read import visible
from medlock.records.standing import refuse_resigning
from medlock.records.turns import in_turns
from medlock.records.write import bind, brought_by, granted, may_replace, prepare, refuse_orphans, update_draft
from medlock.store.bodies import Opened

Reader = Callable[[Question], Awaitable[Finding]]
_PROBLEMS_MAX = 100
WRITES = {Interaction.CREATE, Interaction.UPDATE, Interaction.PATCH, Interaction.DELETE}


@dataclass(slots=True)
class Step:
    """One entry on its way: its question and Grant, then its draft, or the resource that was there already.

    `twin` is the reference of an earlier entry's resource that this one's If-None-Exist means too. `refused` is why a
    read that was possible before the commit was not after it.
    """

    path: str
    full_url: str
    question: Question
    grant: Grant
    draft: Draft | None = None
    found: Opened | None = None
    finding: Finding | None = None
    written: Written | None = None
    twin: str = ""
    refused: MedlockError | None = None


def question(entry: bundle.Entry, frame: Frame) -> Question:
    """The Question of one entry. Raises BadRequest when it cannot be understood."""
    conditions = entry.if_match, entry.if_none_match, entry.if_none_exist, entry.if_modified_since
    return parse_entry(EntryRequest(entry.method, entry.url, entry.resource, *conditions), frame)


@contextmanager
def _naming(path: str, *, always: bool = False) -> Iterator[None]:
    """What is refused inside the block names this place, where it does not name one already, or `always`."""
    try:
        yield
    except MedlockError as fault:
        fault.problems = tuple(
            Problem(each.code, each.text, path if always else each.path or path, each.severity)
            for each in fault.problems
        )
        raise


async def _steps(context: Context, parts: Sequence[bundle.Entry], frame: Frame) -> list[Step]:
    """Each entry understood, and decided for this caller. Raises MedlockError naming the entry that is not."""
    steps = []
    async for at, entry in in_turns(enumerate(parts)):
        with _naming(f"Bundle.entry[{at}].request", always=True):  # else parameters would be named as if paths
            asked = question(entry, frame)
            steps.append(Step(f"Bundle.entry[{at}]", entry.full_url, asked, granted(context, asked)))
    return steps


@dataclass(slots=True)
class Allowance:
    """How many bytes the reads of one bundle may still bring back: a short question can have a very long answer."""

    left: int

    def check(self) -> None:
        """Raise TooLarge when nothing is left."""
        if self.left <= 0:
            text = "The answers in this bundle are too large together: ask for them in parts."
            raise TooLarge(text, problems=(Problem("too-costly", text),))

    def spend(self, body: bytes) -> None:
        """Count what a read brought."""
        self.left -= len(body)


@dataclass(frozen=True, slots=True)
class Doors:
    """What a transaction needs of the door: a committer for this visit, and reading inside it.

    `find` fetches without releasing, `read` writes down what it releases; `limit` is the Allowance of each round.
    """

    committer: Committer
    find: Reader
    read: Reader
    limit: int


async def transaction(context: Context, parts: Sequence[bundle.Entry], frame: Frame, doors: Doors) -> Finding:
    """All entries or none. Raises whatever the first failing entry raises, naming its path; nothing is written then."""
    steps = await _steps(context, parts, frame)
    criteria = (each for step in steps for each in (step.question.criteria, step.question.preconditions.if_none_exist))
    async with context.claims.hold(context.principal.patient, criteria):
        try:
            return await _transaction(context, steps, doors)
        except MedlockError as refusal:  # whatever failed: what was patched before it passed its tests
            made_from = [step.draft.made_from for step in steps if step.draft is not None]
            refusal.tells_of += tuple(each for each in made_from if each is not None)
            raise


async def _transaction(context: Context, steps: list[Step], doors: Doors) -> Finding:
    mapping: dict[str, str] = {}
    async for step in in_turns(steps):
        with _naming(step.path):
            await _identify(context, step, mapping)
    _once_each(steps)
    await _describe_all(context, steps, mapping)
    reads = [step for step in steps if step.question.interaction not in WRITES]
    await _rehearse(context, reads, doors)
    drafts = [step.draft for step in steps if step.draft is not None]
    further = await brought_by(context, drafts)
    written = iter(await doors.committer.commit([*drafts, *further])) if drafts else iter(())
    for step in steps:
        step.written = next(written) if step.draft is not None else None
    await _read(reads, doors)
    found = [step.found for step in steps if step.found is not None and step.draft is None]
    body = bundle.transaction_response([_response(step) for step in steps], "transaction-response")
    return Finding(200, body, disclosed=found, logged=bool(drafts or reads) and not found)


async def _rehearse(context: Context, reads: Sequence[Step], doors: Doors) -> None:
    """Raise what a read would raise, while nothing is written; what this transaction creates is there only later."""
    allowance = Allowance(doors.limit)
    for step in reads:
        if f"{step.question.type}/{step.question.id}" not in context.born:
            with _naming(step.path):
                allowance.check()
                allowance.spend((await doors.find(step.question)).body)


async def _read(reads: Sequence[Step], doors: Doors) -> None:
    """The reads, after the commit. What fails now cannot stop the writes, so it is told in its own entry."""
    allowance = Allowance(doors.limit)
    for step in reads:
        try:
            allowance.check()
            step.finding = await doors.read(step.question)
            allowance.spend(step.finding.body)
        except MedlockError as refusal:
            step.refused = refusal


async def _identify(context: Context, step: Step, mapping: dict[str, str]) -> None:
    """Give a step its draft and id, and remember what its fullUrl stands for."""
    await _settle(context, step)
    asked = step.question
    if asked.interaction is Interaction.CREATE:
        await _identify_created(context, step, mapping)
    elif asked.interaction is Interaction.UPDATE:
        step.draft = update_draft(asked)
        await may_replace(context, step.grant, step.draft)
    elif asked.interaction is Interaction.PATCH:
        step.draft = await patch_draft(context, step.grant, asked)
    elif asked.interaction is Interaction.DELETE and asked.id:
        step.found = await visible(context.vault, step.grant, asked)
        if not step.found.meta.deleted:
            step.draft = Draft(asked.type, asked.id, DELETE, if_match=asked.preconditions.if_match or "")
            bind(step.grant, step.draft, step.found)
            await refuse_orphans(context, step.found)
            await refuse_resigning(context, step.found)
    _remember(context, step, mapping)


async def _settle(context: Context, step: Step) -> None:
    """Find what a conditional update, patch or delete means; one that creates is decided as that."""
    criteria = step.question.criteria
    if criteria is None:
        return
    name = f"{criteria.type}?{criteria.text}"
    if name in context.criteria:  # an earlier entry of this transaction makes what these criteria mean
        raise _twice()
    step.question = await settled(context, step.question)
    if step.question.interaction is Interaction.CREATE:
        step.grant = granted(context, step.question)


def _twice() -> Unprocessable:
    return Unprocessable("A transaction may change a resource only once (R4 §3.1.0.11.2).")


def _once_each(steps: Sequence[Step]) -> None:
    """Raise Unprocessable when two entries change one resource, whatever they call it."""
    seen: set[tuple[str, str]] = set()
    for step in steps:
        if step.draft is None:
            continue
        name = step.draft.type, step.draft.id
        if name in seen:
            with _naming(step.path):
                raise _twice()
        seen.add(name)


async def _identify_created(context: Context, step: Step, mapping: dict[str, str]) -> None:
    """A new resource, the one that is there already, or the one that an earlier entry makes by the same criteria."""
    exists = step.question.preconditions.if_none_exist
    if exists is not None:
        name = f"{exists.type}?{exists.text}"
        step.twin = context.criteria.get(name, "")
        if step.twin:
            mapping |= {step.full_url: step.twin} if step.full_url else {}
            return
        step.found = await existing(context, exists)
    if step.found is None:
        step.draft = Draft(step.question.type, resource_id(), CREATE, step.question.body)
        criteria = exists or step.question.criteria
        if criteria is not None:
            context.criteria[f"{criteria.type}?{criteria.text}"] = f"{step.draft.type}/{step.draft.id}"


def _remember(context: Context, step: Step, mapping: dict[str, str]) -> None:
    """What references to this entry mean from here on."""
    draft = step.draft
    if draft is not None:
        draft.path = step.path
    if draft is not None and draft.crud != DELETE:
        reference = f"{draft.type}/{draft.id}"
        context.born[reference] = None
        if step.full_url:
            mapping[step.full_url] = reference
    elif step.found is not None and step.full_url:
        mapping[step.full_url] = step.found.meta.reference


async def _describe_all(context: Context, steps: list[Step], mapping: dict[str, str]) -> None:
    """Rewrite references and check every draft; those last that go with what they speak of.

    Raises one Unprocessable with the problems of every entry.
    """
    problems: list[Problem] = []
    writing = [step for step in steps if step.draft is not None and step.draft.crud != DELETE]
    async for step in in_turns(sorted(writing, key=_speaks)):
        try:
            await _describe(context, step, mapping)
        except BadRequest as fault:
            problems += fault.problems
        if len(problems) >= _PROBLEMS_MAX:
            break
    if problems:
        raise Unprocessable("The transaction was refused whole.", problems=tuple(problems[:_PROBLEMS_MAX]))


def _speaks(step: Step) -> int:
    """After which others a step is described: types that belong with what they speak of come last."""
    return 1 + SPEAKING.index(step.question.type) if step.question.type in SPEAKING else 0


async def _describe(context: Context, step: Step, mapping: dict[str, str]) -> None:
    draft = step.draft
    if draft is not None:
        draft.body = rewrite(draft.body, mapping)
        patched = step.question.interaction is Interaction.PATCH
        named = draft.id if patched else named_by(step.question)
        try:
            await prepare(context, step.grant, draft, named=named, path=f"{step.path}.resource")
        except BadRequest as fault:
            raise (no_resource(fault) if patched else fault) from None
        context.born[f"{draft.type}/{draft.id}"] = draft.patients


def _response(step: Step) -> bundle.Response:
    """The entry.response of one step; resources are shown for reads only."""
    if step.written is not None:
        return written_response(step.written)
    if step.refused is not None:
        return failed_response(step.refused)
    if step.finding is not None:
        return finding_response(step.finding, step.question)
    if step.found is not None:
        meta = step.found.meta
        status = "204" if meta.deleted else "200"
        return bundle.Response(
            status, f"{meta.reference}/_history/{meta.version}", str(meta.version), instant(meta.updated)
        )
    if not step.twin:
        return bundle.Response("204")  # a conditional delete that found nothing
    return bundle.Response("200", f"{step.twin}/_history/1", "1")


def written_response(written: Written) -> bundle.Response:
    """The entry.response of a write."""
    meta = written.meta
    if meta.deleted:
        return bundle.Response("204", "", str(meta.version), instant(meta.updated))
    status = "201" if written.created else "200"
    location = f"{meta.reference}/_history/{meta.version}"
    return bundle.Response(status, location, str(meta.version), instant(meta.updated))


def finding_response(finding: Finding, asked: Question) -> bundle.Response:
    """The entry.response of anything else; without the resource when the caller has this version."""
    updated = instant(finding.updated) if finding.updated else ""
    if finding.status == 200 and asked.unchanged(finding.version, finding.updated):
        return bundle.Response("304", "", finding.version, updated)
    return bundle.Response(str(finding.status), finding.location, finding.version, updated, finding.body)


def failed_response(fault: MedlockError) -> bundle.Response:
    """The entry.response of a batch entry that was refused."""
    return bundle.Response(str(fault.http_status), outcome=operation_outcome(fault.problems))
