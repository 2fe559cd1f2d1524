"""The door: the only way in to patient data. Every answer goes through `Door.answer`.

In this order, and nowhere else:

 1. decide: Principal and Question give a Grant, or Denied;
 2. fetch: a handler brings a Finding, having asked the Grant about every resource that came back;
 3. re-check: the door asks the Grant again, for everything that the Finding discloses, and whoever counts how many
    patients somebody sees;
 4. write down: the audit entry is durable before the first byte leaves; for a write it went with the commit;
 5. release: the Disclosure, which is all that `web` can send.

Refusals are written down too, with the private reason. If the log cannot be written, nothing is answered: 503.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import count
from random import random

import msgspec

from medlock.access.consent.ruling import PERMISSIVE, Site
from medlock.access.decide import decide
from medlock.access.principal import Principal
from medlock.audit.events import Outcome
from medlock.audit.log import AuditLog
from medlock.clock import Clock
from medlock.errors import BadRequest, Conflict, Denied, MedlockError, Raced
from medlock.fhir import bundle
from medlock.fhir.question import EMERGENCIES, EXPORTS, Interaction, Question
from medlock.fhir.request import Frame, continued
from medlock.ids import random_bytes
from medlock.records import (
    auditing,
    beat,
    bundles,
    docref,
    everything,
    exporting,
    history,
    lastn,
    matching,
    patch,
    read,
    reasons,
    search,
    validating,
    write,
)
from medlock.records.books import ConsentBooks
from medlock.records.claims import Claims
from medlock.records.commit import Committer
from medlock.records.consents import Consulted, Unheard, asked_by, consulted, ready_for
from medlock.records.disclosure import _RELEASED, Disclosure
from medlock.records.drafts import Context
from medlock.records.emergencies import Emergencies
from medlock.records.finding import Finding, recheck
from medlock.records.glass import Glass
from medlock.records.inflow import Arriving, Received, received
from medlock.records.onlooker import Onlooker, look
from medlock.records.projects import Projects
from medlock.records.scribe import Scribe
from medlock.records.search import Links, Page, self_link
from medlock.records.stepup import step_up
from medlock.records.unclear import Told
from medlock.records.vault import Vault
from medlock.records.visit import Visit
from medlock.settings import Limits
from medlock.store.tables import Batch

_TRIES = 24
_AHEAD_MAX = 8
"""Patients who are reached unexpectedly and looked up by name; beyond that, everybody is."""
_AUDIT = "AuditEvent"
_IN_PARTS = frozenset({Interaction.BATCH, Interaction.TRANSACTION})
_PAGED: Mapping[Interaction, Callable[..., Awaitable[Finding]]] = {
    Interaction.HISTORY: history.history,
    Interaction.HISTORY_TYPE: history.history,
    Interaction.HISTORY_SYSTEM: history.history,
    Interaction.EVERYTHING: everything.everything,
    Interaction.DOCREF: docref.docref,
    Interaction.LASTN: lastn.lastn,
}
_TAILS = {
    Interaction.HISTORY: "_history",
    Interaction.HISTORY_TYPE: "_history",
    Interaction.HISTORY_SYSTEM: "_history",
}
Handler = Callable[["Visit"], Awaitable[Finding]]


class Door:
    """Opens for who may come in, and writes down who did."""

    def __init__(  # noqa: PLR0917 - all that an answer is made of
        self,
        vault: Vault,
        log: AuditLog,
        clock: Clock,
        base: str,
        limits: Limits,
        projects: Projects | None = None,
        *,
        site: Site = PERMISSIVE,
    ) -> None:
        self._vault = vault
        self._log = log
        self._clock = clock
        self._base = base
        self._limits = limits
        self._projects = projects or Projects()
        self._told = Told(vault, log)
        glass = Glass(vault)
        self._books = ConsentBooks(vault, site, base, self._told, glass)
        emergencies = Emergencies(vault, log, glass, site.review_days)
        self._acts = random_bytes(8).hex()  # ties together the events of one act, with a number: unique, not secret
        self._numbers = count()
        self._claims = Claims()
        self._onlooker: Onlooker | None = None
        self._handlers: dict[Interaction, Handler] = {
            Interaction.READ: self._read,
            Interaction.VREAD: lambda visit: read.vread(vault, visit.granted, visit.question),
            Interaction.SEARCH: self._search,
            Interaction.SEARCH_SYSTEM: self._search,
            Interaction.VALIDATE: lambda visit: validating.validate(
                self._context(visit), visit.granted, visit.question
            ),
            Interaction.ACCESS_REASONS: lambda visit: reasons.access_reasons(
                vault, visit.granted, visit.question, visit.consents
            ),
            Interaction.MATCH: lambda visit: matching.match(vault, visit.granted, visit.question, base),
            Interaction.CREATE: lambda visit: self._write(visit, write.create),
            Interaction.UPDATE: lambda visit: self._write(visit, write.update),
            Interaction.PATCH: lambda visit: self._write(visit, patch.patch),
            Interaction.DELETE: lambda visit: self._write(visit, write.delete),
            Interaction.TRANSACTION: self._transaction,
            Interaction.BATCH: self._batch,
        }
        self._handlers |= dict.fromkeys(EMERGENCIES, lambda visit: emergencies.answer(visit.scribe))
        self._handlers |= dict.fromkeys(EXPORTS, self._export)
        self._handlers |= {each: partial(self._paged, interaction=act) for each, act in _PAGED.items()}

    def watched_by(self, onlooker: Onlooker) -> None:
        """Tell whose records are about to be shown to whom; who must not see so many is refused."""
        self._onlooker = onlooker

    async def answer(
        self, principal: Principal, question: Question, *, receipt: bytes = b"", arriving: Arriving | None = None
    ) -> Disclosure:
        """The answer to one question. Raises MedlockError: the refusal is in the log by then.

        `arriving` is the content of a Binary that the question brings, which is taken in only after a first decision.
        `receipt` is left behind in the same commit as what a question writes; `has_receipt` finds it again.
        """
        async with beat.Bar() as bar:
            finding, shown = await self._answer(principal, question, receipt, arriving)
            bar.found(finding)
            return shown

    async def _answer(
        self, principal: Principal, question: Question, receipt: bytes = b"", arriving: Arriving | None = None
    ) -> tuple[Finding, Disclosure]:
        """The same as soon as it is there, with what was found."""
        if not self._vault.cleared:
            principal = principal.uncleared()
        scribe = Scribe(principal, question, self._clock.now_ms(), f"{self._acts}{next(self._numbers):016x}")
        try:
            if arriving is not None:
                return await self._receive(principal, question, scribe, arriving)
            finding, visit = await self._find(principal, question, scribe, receipt)
            return finding, await self._release(finding, visit)
        except MedlockError as refusal:
            await self._write_down(refusal, scribe)
            raise

    async def _receive(
        self, principal: Principal, question: Question, scribe: Scribe, arriving: Arriving
    ) -> tuple[Finding, Disclosure]:
        """The same for a question that brings a content: nothing is taken from who may not write it."""
        decide(principal, question)
        async with received(self._vault, self._clock.now_ms, arriving, self._limits.binary_bytes) as content:
            finding, visit = await self._find(principal, question, scribe, content=content)
            return finding, await self._release(finding, visit)

    async def _find(
        self,
        principal: Principal,
        question: Question,
        scribe: Scribe,
        receipt: bytes = b"",
        content: Received | None = None,
    ) -> tuple[Finding, Visit]:
        """Decide and fetch; again from the start when another process wrote in between."""
        ahead: list[int] = []
        whole = False
        for tried in range(_TRIES):
            if tried:
                scribe.windows.clear()
            consents = await consulted(self._books, scribe, ahead, whole=whole)
            visit = self._decided(principal, question, scribe, receipt, consents)
            if content is not None:
                visit = msgspec.structs.replace(visit, content=content)
            try:
                finding = await self._handlers[visit.question.interaction](visit)
            except Unheard as missed:
                whole = missed.slot is None or len(ahead) >= _AHEAD_MAX
                ahead += [missed.slot or 0]
                continue
            except Raced:
                await asyncio.sleep(random() * tried / 500)  # noqa: S311 - no secret; who lost often waits a little
                continue
            if visit.grant is not None:
                await ready_for(visit.grant, finding.disclosed)
            recheck(finding, visit.grant)
            if self._onlooker is not None:
                look(self._onlooker, principal, visit.question.interaction, finding)
            return finding, visit
        raise Conflict("These records are being changed by many at once; nothing was written. Try again.")

    def _decided(
        self, principal: Principal, asked: Question, scribe: Scribe, receipt: bytes, consents: Consulted
    ) -> Visit:
        """The visit with its Grant. A page token is opened first: its question is decided like any other."""
        now = scribe.now
        question = self._continued(principal, asked, now) if asked.page else asked
        grant = None
        if question.interaction not in _IN_PARTS:
            grant = decide(principal, question, asked_by(consents, question))
            question = self._projects.settled(grant, question)
        basis = "each entry by itself" if grant is None else grant.basis
        windows = {} if question.interaction in EXPORTS else scribe.windows  # an emergency opens no export
        decided = Scribe(principal, question, now, scribe.request, basis, consents.why, windows)
        return Visit(principal, question, grant, decided, now, receipt, consents)

    def _continued(self, principal: Principal, asked: Question, now: int) -> Question:
        """The question that a page token goes on with."""
        place = self._vault.page_place(principal.account, asked.page, now)
        if place.interaction != asked.interaction or place.type != asked.type or place.subject != asked.id:
            raise BadRequest("This page link belongs to another address.")
        frame = Frame(now, self._limits.page_size_max, self._base)
        query, options = continued(asked.interaction, asked.type, asked.id, place.text, frame)
        return msgspec.structs.replace(asked, query=query, options=options)

    async def _release(self, finding: Finding, visit: Visit) -> Disclosure:
        """Write down, then let go."""
        sequence = await self._told.append(*(() if finding.logged else visit.scribe.disclosure(finding)))
        return Disclosure(
            *(finding.status, finding.body, finding.version, finding.updated, finding.location),
            *(sequence, _RELEASED, finding.after, finding.outflow),
        )

    async def _write_down(self, refusal: MedlockError, scribe: Scribe) -> None:
        """Put a refusal in the log. When the log refuses as well, that is the error the caller gets."""
        outcome = Outcome.DENIED if isinstance(refusal, Denied) else Outcome.FAILED
        await self._told.append(*scribe.refusal(outcome, refusal))

    async def _read(self, visit: Visit) -> Finding:
        if visit.question.type == _AUDIT:
            return await auditing.read_event(self._vault, self._log, visit.granted, visit.question)
        return await read.read(self._vault, visit.granted, visit.question)

    async def _export(self, visit: Visit) -> Finding:
        step_up(visit.principal, visit.question, visit.now)
        return await exporting.export(self._vault, visit.granted, visit.question, self._projects, visit.now)

    async def _search(self, visit: Visit) -> Finding:
        query = visit.question.query
        if query is None:
            raise BadRequest("A search needs a question.")
        links = self._links(visit, self_link(self._base, query.type, query.text, visit.question.id))
        page = self._page(visit, query.count)
        if query.type == _AUDIT:
            return await auditing.search_events(
                self._vault, self._log, visit.granted, query, auditing.Part(page, links)
            )
        return await search.search(self._vault, visit.granted, query, page, links)

    async def _paged(self, visit: Visit, interaction: Callable[..., Awaitable[Finding]]) -> Finding:
        """A history or an operation whose answer has pages."""
        asked = visit.question
        tail = _TAILS.get(asked.interaction, f"${asked.interaction}")
        where = "/".join(part for part in (self._base, asked.type, asked.id, tail) if part)
        text, count = (
            ("", None) if asked.options is None else (asked.options.text, getattr(asked.options, "count", None))
        )
        links = self._links(visit, f"{where}?{text}" if text else where)
        return await interaction(self._vault, visit.granted, asked, self._page(visit, count), links)

    def _page(self, visit: Visit, count: int | None) -> Page:
        """Which page: the size asked for within bounds, and where the token says to go on."""
        size = min(self._limits.page_size if count is None else count, self._limits.page_size_max)
        if not visit.question.page:
            return Page(size)
        place = self._vault.page_place(visit.principal.account, visit.question.page, visit.now)
        size = min(size, visit.question.page_size or size)
        return Page(size, place.shown, place.last, place.version)

    def _links(self, visit: Visit, here: str) -> Links:
        expires = visit.now + self._limits.page_token_seconds * 1000
        asked = visit.question
        return Links(
            self._base, here, self._limits.include_max, visit.principal.account, expires, asked.interaction, asked.id
        )

    def _context(self, visit: Visit) -> Context:
        limit = self._limits.resource_bytes
        who, claims, consents = visit.principal, self._claims, visit.consents
        context = Context(
            self._vault, who, self._base, visit.now, resource_bytes=limit, claims=claims, consents=consents
        )
        context.content = None if visit.content is None else visit.content.content
        context.onlooker = self._onlooker
        return context

    async def _write(self, visit: Visit, interaction: Callable[..., Awaitable[Finding]]) -> Finding:
        committer = self._committer(visit)
        return await interaction(self._context(visit), visit.granted, visit.question, committer)

    def _committer(self, visit: Visit) -> Committer:
        extra = self._receipt(visit.scribe, visit.receipt) if visit.receipt else Batch()
        if visit.content is not None:
            extra += visit.content.settling
        return Committer(self._vault, self._log, visit.scribe, extra, self._told)

    def _receipt(self, scribe: Scribe, digest: bytes) -> Batch:
        """A receipt, and the event that vouches for it."""
        row = self._vault.notes.receipt(digest)
        return Batch(puts=[row], entries=self._log.seal(scribe.receipt(row[1])))

    async def has_receipt(self, principal: Principal, digest: bytes) -> bool:
        """Whether a question with this receipt was answered before. Only those who may load may ask."""
        decide(principal, Question(Interaction.CREATE, "Patient"))
        return await self._vault.has_receipt(digest)

    async def give_receipt(self, principal: Principal, digest: bytes) -> None:
        """Leave a receipt for something that took several questions."""
        question = Question(Interaction.CREATE, "Patient")
        decide(principal, question)
        await self._vault.backend.commit(self._receipt(Scribe(principal, question, self._clock.now_ms(), ""), digest))

    def frame(self) -> Frame:
        """What questions are read against now."""
        return Frame(self._clock.now_ms(), self._limits.page_size_max, self._base)

    async def _transaction(self, visit: Visit) -> Finding:
        parts = bundle.entries(visit.question.body, self._limits.bundle_entries)
        committer = self._committer(visit)

        async def find(question: Question) -> Finding:
            scribe = Scribe(visit.principal, question, visit.now, visit.scribe.request)  # a retry forgets its own only
            async with beat.Bar() as bar:
                return bar.found((await self._find(visit.principal, question, scribe))[0])

        async def read(question: Question) -> Finding:
            async with beat.Bar() as bar:
                return bar.found(await self._noted(visit, question))

        doors = bundles.Doors(committer, find, read, self._limits.bundle_bytes)
        return await bundles.transaction(self._context(visit), parts, self._frame(visit), doors)

    async def _noted(self, visit: Visit, question: Question) -> Finding:
        """What a read inside a transaction finds, written down by itself before the transaction is released."""
        scribe = Scribe(visit.principal, question, visit.now, visit.scribe.request)
        try:
            finding, inner = await self._find(visit.principal, question, scribe)
        except MedlockError as refusal:
            await self._write_down(refusal, scribe)
            raise
        await self._told.append(*inner.scribe.disclosure(finding))
        return finding

    async def _batch(self, visit: Visit) -> Finding:
        """Each entry by itself, one after another; each has its own audit entries."""
        parts = bundle.entries(visit.question.body, self._limits.bundle_entries)
        allowance = bundles.Allowance(self._limits.bundle_bytes)
        responses = [await self._batch_entry(visit, part, allowance) for part in parts]
        return Finding(200, bundle.transaction_response(responses, "batch-response"))

    async def _batch_entry(self, visit: Visit, part: bundle.Entry, allowance: bundles.Allowance) -> bundle.Response:
        try:
            question = bundles.question(part, self._frame(visit))
            if question.interaction in bundles.WRITES:
                return bundles.finding_response(_bodiless(await self.answer(visit.principal, question)), question)
            allowance.check()
            shown = await self.answer(visit.principal, question)
        except MedlockError as refusal:
            return bundles.failed_response(refusal)
        allowance.spend(shown.body)
        return bundles.finding_response(Finding(shown.status, shown.body, shown.version, shown.updated), question)

    def _frame(self, visit: Visit) -> Frame:
        return Frame(visit.now, self._limits.page_size_max, self._base)


def _bodiless(shown: Disclosure) -> Finding:
    """A write as a batch shows it."""
    return Finding(shown.status, b"", shown.version, shown.updated, shown.location)
