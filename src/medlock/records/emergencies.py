"""Emergency access at the door: a record is opened, closed again, and looked at afterwards. docs/break-glass.md.

Whoever opens one proves anew who they are, and types why. The patient is told at once by an entry in their own log, the
privacy officer by a case in the queue, both in the same commit as the opening. The answer is the same for a record that
hides something, one that hides nothing and one that does not exist: in body, status, headers, and time, which is a
whole number of quarter seconds. Refusals hang on the caller alone.

One proof opens one patient once, and three patients at most: asked again while the access lasts, the answer names the
same one, and when it was ended a new proof is needed. So a request that is sent twice, by whomever, gives nothing more.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterable
from time import monotonic
from typing import Final

from msgspec.structs import replace

from medlock.access.consent.codes import BREAK_GLASS
from medlock.audit.events import Action, Event, Outcome, Touched
from medlock.audit.log import AuditLog
from medlock.audit.search import AuditQuery
from medlock.errors import Conflict, Denied, Unprocessable
from medlock.fhir.options import BreakGlassOptions, CaseOptions
from medlock.fhir.question import Interaction
from medlock.identity.strength import NEEDS, Act, StepUpNeeded, demand
from medlock.records import cases
from medlock.records.finding import Finding
from medlock.records.glass import OFTEN, WINDOW_MS, Case, Ended, Glass, Opened, Recent, Told, Verdict, Window
from medlock.records.scribe import NOBODY, Scribe, Whom
from medlock.records.vault import Vault
from medlock.records.workdays import due
from medlock.store.tables import Batch

FLOOR_SECONDS: Final = 0.25
WORDS_MIN: Final = 10
WORDS_MAX: Final = 500
_LETTERS: Final = 5
_PAGE: Final = 500
_NOT_JUSTIFIED: Final = "not-justified"


def typed(text: str, what: str) -> str:
    """Words that a person typed, as they are kept. Raises Unprocessable for what says nothing."""
    said = " ".join(text.split())
    if not WORDS_MIN <= len(said) <= WORDS_MAX or not said.isprintable():
        raise Unprocessable(f"Type the {what} in {WORDS_MIN} to {WORDS_MAX} characters.")
    if len({each for each in said.casefold() if each.isalpha()}) < _LETTERS:
        raise Unprocessable(f"Type the {what} in words.")
    return said


class Emergencies:
    """What the door does when it is asked for one of the operations. `days`: working days until a review is due."""

    def __init__(self, vault: Vault, log: AuditLog, glass: Glass, days: int) -> None:
        self._vault = vault
        self._log = log
        self._glass = glass
        self._days = days

    async def answer(self, scribe: Scribe) -> Finding:
        """The answer to one question. Raises StepUpNeeded, Unprocessable, NotFound, Conflict, Denied, Raced."""
        interaction = scribe.question.interaction
        if scribe.question.id:
            begun = monotonic()
            finding = await (self._open if interaction is Interaction.BREAK_GLASS else self._close)(scribe)
            await asyncio.sleep(-(monotonic() - begun) % FLOOR_SECONDS)
            return finding
        if interaction is Interaction.BREAK_GLASS_END:
            return await self._end(scribe)
        return await (self._review if interaction is Interaction.BREAK_GLASS_REVIEW else self._list)(scribe)

    async def _open(self, scribe: Scribe) -> Finding:
        who, patient, now = scribe.principal, scribe.question.id, scribe.now
        demand(Act.BREAK_GLASS, who.acr, who.auth_time * 1_000, now)
        options = scribe.question.options
        reason = typed(options.reason if isinstance(options, BreakGlassOptions) else "", "reason")
        former = await self._glass.recent(who.account)
        slot = await self._vault.any_slot(patient) or 0
        window, batch, whom = await self._known(scribe, former[1]), Batch(), _whom(slot, patient)
        event = scribe.event(Outcome.SUCCESS, whom)
        if window is None:
            number = await self._glass.free()
            window = Window(
                number, who.grant_id, slot, self._glass.digest(patient), now, now + WINDOW_MS, who.auth_time
            )
            batch = await self._glass.opening(self._opened(scribe, window, former[1], reason), window, former)
            event = replace(self._event(scribe, Action.GLASS_OPEN, number, b"open", whom), reason=reason)
        await self._commit(batch, [event])
        return Finding(200, cases.opened(self._glass.id(window.number), patient, window.until), logged=True)

    async def _known(self, scribe: Scribe, recent: Recent) -> Window | None:
        """The window that this caller is in with this patient already.

        Raises StepUpNeeded where it was ended, or where this proof has opened as many as one may.
        """
        who, patient = scribe.principal, self._glass.digest(scribe.question.id)
        alike = [each for each in recent.windows if each.grant == who.grant_id and each.patient == patient]
        over = await self._glass.over(alike)
        for each in alike:
            if each.number not in over and each.lasts(scribe.now):
                return each
        opened = sum(each.proof == who.auth_time for each in recent.windows)
        if opened >= OFTEN or any(each.proof == who.auth_time for each in alike):
            raise StepUpNeeded(NEEDS[Act.BREAK_GLASS])
        return None

    def _opened(self, scribe: Scribe, window: Window, recent: Recent, reason: str) -> Opened:
        who = scribe.principal
        return Opened(
            window.number,
            who.account,
            tuple(sorted(who.roles)),
            who.fhir_user,
            who.client,
            window.slot,
            window.opened,
            window.until,
            due(window.opened, self._days),
            len(recent.of_day(window.opened)) + 1,
            self._glass.sealed(window.slot, Told(scribe.question.id, reason)),
        )

    async def _close(self, scribe: Scribe) -> Finding:
        """End the caller's own access to one patient, with whatever token it was opened."""
        who, patient, now = scribe.principal, scribe.question.id, scribe.now
        _, recent = await self._glass.recent(who.account)
        slot = await self._vault.any_slot(patient) or 0
        lasting = [each for each in recent.windows if each.patient == self._glass.digest(patient) and each.lasts(now)]
        over = await self._glass.over(lasting)
        numbers = [each.number for each in lasting if each.number not in over]
        whom = _whom(slot, patient)
        batch, events = self._ending(scribe, numbers, whom, "holder")
        await self._commit(batch, events or [scribe.event(Outcome.SUCCESS, whom)])
        return Finding(200, cases.closed(patient), logged=True)

    def _ending(self, scribe: Scribe, numbers: Iterable[int], whom: Whom, why: str) -> tuple[Batch, list[Event]]:
        batch, events = Batch(), list[Event]()
        for number in numbers:
            batch += self._glass.ending(number, Ended(scribe.now, scribe.principal.account, why))
            events.append(self._event(scribe, Action.GLASS_END, number, b"end", whom))
        return batch, events

    async def _end(self, scribe: Scribe) -> Finding:
        """End anybody's, by its case; one that is over already is answered as it stands."""
        case = await self._glass.case(_options(scribe).case)
        if case.ended is not None or scribe.now >= case.opened.until:
            return await self._looked_at(case, scribe.now)
        await self._commit(*self._ending(scribe, [case.opened.number], _of(case), "officer"))
        return await self._again(scribe)

    async def _review(self, scribe: Scribe) -> Finding:
        """Say what was found of a case, once; what was not justified ends. Nobody judges their own."""
        asked = _options(scribe)
        case = await self._glass.case(asked.case)
        refused = asked.outcome == _NOT_JUSTIFIED
        note = typed(asked.note, "note") if asked.note or refused else ""
        if case.opened.account == scribe.principal.account:
            raise Denied("nobody reviews their own emergency access")
        if case.verdict is not None:
            raise Conflict("This emergency access has been reviewed.")
        number, whom = case.opened.number, _of(case)
        batch = self._glass.judging(number, Verdict(scribe.now, scribe.principal.account, asked.outcome, note))
        event = self._event(scribe, Action.GLASS_REVIEW, number, b"verdict", whom)
        events = [replace(event, reason=f"{asked.outcome} {note}".strip())]
        if refused and case.ended is None and scribe.now < case.opened.until:
            more, ends = self._ending(scribe, [number], whom, "officer")
            batch, events = batch + more, events + ends
        await self._commit(batch, events)
        return await self._again(scribe)

    async def _again(self, scribe: Scribe) -> Finding:
        """A case as it is after what was done to it."""
        case = await self._glass.case(_options(scribe).case)
        return Finding(200, await self._shown(case, scribe.now), logged=True)

    async def _list(self, scribe: Scribe) -> Finding:
        """The queue, the latest first, or one case with what was done in its time."""
        asked, now = _options(scribe), scribe.now
        if asked.case:
            return await self._looked_at(await self._glass.case(asked.case), now)
        wanted = {"open", "overdue"} if asked.status == "open" else {asked.status}
        found = [
            case
            async for case in self._glass.cases()
            if asked.status in {"", "all"} or cases.status(case, now) in wanted
        ]
        named = [(self._glass.id(case.opened.number), case) for case in reversed(found)]
        return Finding(200, cases.queue(named, now))

    async def _looked_at(self, case: Case, now: int) -> Finding:
        """A case as it stands; the patient's log has that somebody looked at it."""
        whom = _of(case)
        return Finding(200, await self._shown(case, now), about=(whom.slot, whom.patient))

    async def _shown(self, case: Case, now: int) -> bytes:
        """A case, with what the log has of it."""
        id_ = self._glass.id(case.opened.number)
        return cases.one(id_, case, now, await self._acts(case.opened, id_))

    async def _acts(self, about: Opened, id_: str) -> Iterable[cases.Act]:
        """All that was done in an emergency, the first first; what was done again and again once, with how often."""
        acts: dict[tuple[str, tuple[Touched, ...]], cases.Act] = {}
        query = AuditQuery(
            *(about.slot, None, about.account),
            since_ms=about.opened,
            until_ms=about.until,
            limit=_PAGE,
            newest_first=False,
        )
        found = await self._log.find(query) if about.slot else []
        while found:
            for event in (each.event for each in found):
                if event.purpose == BREAK_GLASS and id_ in event.basis and event.action is not Action.GLASS_OPEN:
                    key = event.action.value, event.touched
                    acts[key] = acts[key].again(event) if key in acts else cases.Act(event, 1, event.recorded)
            query = dataclasses.replace(query, after_seq=found[-1].seq)
            found = await self._log.find(query) if len(found) == _PAGE else []
        return acts.values()

    def _event(self, scribe: Scribe, action: Action, number: int, kind: bytes, whom: Whom) -> Event:
        """The event that vouches for a note: `request` names it. The patient sees it in their own log."""
        event = scribe.event(Outcome.SUCCESS, whom)
        basis = f"{event.basis}; break-glass {self._glass.id(number)}"
        return replace(event, action=action, request=self._glass.id(number, kind), basis=basis, purpose=BREAK_GLASS)

    async def _commit(self, batch: Batch, events: Iterable[Event]) -> None:
        """What belongs together, with what tells of it. Raises Raced, Unavailable."""
        await self._vault.backend.commit(batch + Batch(entries=self._log.seal(*events)))


def _options(scribe: Scribe) -> CaseOptions:
    options = scribe.question.options
    return options if isinstance(options, CaseOptions) else CaseOptions()


def _whom(slot: int, patient: str) -> Whom:
    return Whom(slot, patient) if slot else NOBODY


def _of(case: Case) -> Whom:
    return _whom(case.opened.slot, "" if case.told is None else case.told.patient)
