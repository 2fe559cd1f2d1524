"""The patients' consents as they stand at this request: read for every patient that it reaches, each time.

What belongs to a process is in `records.books`. `Consulted` belongs to one request: it answers for the patients that
were looked up, and raises for others. Handlers look up what they are about to reach (`ready`); where one
reaches further than that, the door looks those up as well, or everybody, and lets it start over.

Where the site asks for a treatment relationship, it is one more word that must be yes: for whom a caller does not treat
everything is denied, before any consent is read (`records.relations`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from medlock.access.consent.binding import LOOKING, NAMING, actions_of, ask_of, weighed
from medlock.access.consent.book import Book
from medlock.access.consent.codes import labels_of
from medlock.access.consent.facts import facts_of
from medlock.access.consent.policy import Policy
from medlock.access.consent.reading import unreadable
from medlock.access.consent.ruling import Ruling, ruled
from medlock.access.grant import Grant, Sealed
from medlock.access.relationship import Caller, Source, Tie, is_bound
from medlock.access.residual import Seen
from medlock.fhir.question import EXPORTS, Question
from medlock.fhir.values import MAX_MS
from medlock.records.books import ConsentBooks
from medlock.records.closure import Unclear, closure
from medlock.records.relations import Relations
from medlock.records.scribe import Scribe
from medlock.records.vault import TENANT
from medlock.store.bodies import Opened

FEW = 64
"""Records that are looked up one by one; where more are reached, all that have consents are."""
_SAID_MAX = 120
_YIELD_EVERY = 64


class Unheard(Exception):
    """A patient was reached whose consents were not looked up. The door looks them up and starts over.

    `slot` says whose, where that is known.
    """

    def __init__(self, slot: int | None = None) -> None:
        super().__init__()
        self.slot = slot


_SILENT = Book("")
_STRANGER = Book("", [unreadable("", "", "no treatment relationship")])
_ERASED = Book("", [unreadable("", "", "erased, with its consents")])
_NONE: frozenset[str] = frozenset()


class Heard:
    """What was looked up for one request: books by slot, slots by patient. Shared by all that the request asks.

    `caller`, when set, needs a relationship; `ties` are those that count, by slot. `windows`: slot → emergency that the
    caller is in with that patient, of those that were looked up.
    """

    __slots__ = (
        *("_scribe", "_source", "_within", "base", "books", "bound", "caller", "now", "principal", "site"),
        *("slots", "ties", "whole", "windows"),
    )

    def __init__(self, books: ConsentBooks, scribe: Scribe, caller: Caller | None = None) -> None:
        self.caller = caller
        self.ties: dict[int, tuple[Tie, ...]] = {}
        self.now = scribe.now
        self.windows = scribe.windows
        self._within: Mapping[int, str] | None = {} if scribe.question.interaction in EXPORTS else None
        self.site = books.site
        self.base = books.base
        self.books: dict[int, tuple[Book, frozenset[str]] | None] = {0: None}
        self.bound: list[int] = []
        self.slots: dict[str, int] = {}
        self.whole = False
        self._source = books
        self._scribe = scribe
        self.principal = scribe.principal

    @property
    def relations(self) -> Relations:
        """Where relationships are looked up."""
        return self._source.relations

    async def ready(self, patients: Iterable[str]) -> None:
        """Look up the consents of these patients."""
        for patient in patients:
            if patient not in self.slots:
                slot = await self._source.vault.any_slot(patient)
                await self._ready(patient, slot or 0)  # erased, or only being made: there is nobody to ask

    async def ready_opened(self, opened: Opened) -> None:
        """The same for those to whom a resource belongs: its owner's slot is known by now."""
        for owner in opened.meta.patients[:1]:
            if owner not in self.slots:
                await self._ready(owner, opened.slot)
        await self.ready(opened.meta.patients[1:])

    async def _ready(self, patient: str, slot: int) -> None:
        self.slots[patient] = slot
        if slot not in self.books and not self.whole:
            await self._look_up(slot)
        if self.caller is not None:
            await self._relate([slot], self.caller)

    async def ready_slots(self, slots: Sequence[int]) -> None:
        """The same by slot."""
        await self.ready_books(slots)
        if self.caller is not None:
            await self._relate(slots, self.caller)

    async def _relate(self, slots: Sequence[int], caller: Caller) -> None:
        """Look up by what a caller is related to these patients."""
        for count, slot in enumerate(slots):
            if slot not in self.ties and slot != TENANT:
                ties, patient = await self.relations.reasons(slot, caller, self.now)
                self.ties[slot] = (*self.emergency(slot), *ties)
                self.slots.setdefault(patient, slot)
                if count % _YIELD_EVERY == _YIELD_EVERY - 1:
                    await asyncio.sleep(0)

    async def ready_books(self, slots: Sequence[int]) -> None:
        """Look up their consents only; of many at once, everybody's."""
        fresh = [slot for slot in slots if slot not in self.books]
        if self.whole or not fresh:
            return
        if len(fresh) > FEW:
            await self._ready_holders()
            return
        for slot in fresh:
            await self._look_up(slot)

    async def ready_all(self) -> None:
        """Look up everybody's, and whom the caller treats."""
        await self._ready_holders()
        if self.caller is not None:
            await self._source.vault.directory.refresh()
            await self.ready_slots(list(self._source.vault.directory.slots()))

    async def _ready_holders(self) -> None:
        """Look up the consents of all who have any."""
        for slot in await self._source.vault.holders.all():
            if slot not in self.books:
                await self._look_up(slot)
        self.whole = True

    def treats(self, slot: int) -> bool:
        """Whether the caller may come near a record at all, as far as relationship goes. Raises Unheard.

        In no slot is a patient who is only being made: there is nothing to see yet.
        """
        if self.caller is None or slot == TENANT:
            return True
        if slot not in self.ties:
            raise Unheard(slot)
        return bool(self.ties[slot])

    def emergency(self, slot: int) -> tuple[Tie, ...]:
        """That the caller has opened a record in an emergency is a reason to see it."""
        window = self.windows.get(slot)
        return () if window is None else (Tie(Source.BREAK_GLASS, window, _NONE, self.now, MAX_MS),)

    async def _look_up(self, slot: int) -> None:
        holds, marked = await self._source.vault.holders.holds(slot)
        book = await self._source.book(slot) if holds else None
        if book is None:
            self.books[slot] = (_ERASED, _NONE) if holds else None
            self.bound += [slot] if holds else []
            return
        if marked:
            await self._look_for_window(slot)
        if book.broken:
            self._source.unclear(self._scribe, slot, book, book.broken)
        try:
            named = [str(each) for each in book.actors.by]
            beside = await closure(self._source.vault, self.principal, named, self.now)
        except Unclear as fault:  # whom a consent means cannot be told: it denies
            self._source.unclear(self._scribe, slot, book, book.naming(fault.named), f"{fault.named}: {fault.why}")
            book, beside = Book(book.patient, [unreadable("", book.patient, "Group")]), _NONE
        self.books[slot] = book, beside
        self.bound.append(slot)
        self.slots[book.patient] = slot

    async def _look_for_window(self, slot: int) -> None:
        """Whether the caller has opened this record in an emergency; asked anew by each request, once."""
        if self._within is None:
            self._within = await self._source.glass.within(self.principal, self.now)
        if slot in self._within:
            self.windows[slot] = self._within[slot]

    def note(self, slot: int, patient: str) -> None:
        """Whose record lies in a slot that was looked up."""
        self.slots[patient] = slot


class Consulted:
    """The consents that one question meets: what `access.grant.Consents` asks for. `actions` are what it does."""

    __slots__ = ("_actions", "_now", "_rulings", "_siblings", "heard", "silent")

    def __init__(self, heard: Heard, actions: frozenset[str], now: int) -> None:
        self.heard = heard
        self._actions = actions
        self._now = now
        self._siblings: dict[frozenset[str], Consulted] | None = None
        self._rulings: dict[int, Sequence[Ruling]] = {}
        self.silent = self._ruled(_SILENT, _NONE, TENANT)
        """What must agree for everybody who has no consent."""

    def acting(self, actions: frozenset[str]) -> Consulted:
        """The same caller at the same time, doing something else."""
        if actions == self._actions:
            return self
        if self._siblings is None:
            self._siblings = {self._actions: self}
        found = self._siblings.get(actions)
        if found is None:
            found = self._siblings[actions] = Consulted(self.heard, actions, self._now)
            found._siblings = self._siblings
        return found

    def _ruled(self, book: Book, beside: frozenset[str], slot: int) -> Sequence[Ruling]:
        who, emergency = self.heard.principal, slot in self.heard.windows
        site, books = weighed(who, book, self.heard.site)
        if not book.consents and site.policy is Policy.PERMIT_ALL:
            return ()
        asks = [ask_of(who, action, self._now, beside, emergency=emergency) for action in sorted(self._actions)]
        return tuple(ruled(each, ask, site) for each in books for ask in asks)

    def of_slot(self, slot: int) -> Sequence[Ruling]:
        """What must agree for the patient in a slot. Raises Unheard."""
        found = self._rulings.get(slot)
        if found is None:
            if slot not in self.heard.books and not self.heard.whole:
                raise Unheard(slot)
            known = self.heard.books.get(slot)
            if not self.heard.treats(slot):
                known = _STRANGER, _NONE
            found = self._rulings[slot] = self.silent if known is None else self._ruled(*known, slot)
        return found

    def of_patient(self, patient: str) -> Sequence[Ruling]:
        """The same by patient."""
        slot = self.heard.slots.get(patient)
        if slot is not None:
            return self.of_slot(slot)
        if not self.heard.whole:
            raise Unheard
        return self.silent if self.heard.caller is None else self._ruled(_STRANGER, _NONE, TENANT)

    def others(self) -> list[int]:
        """The slots for which something else may hold than for everybody."""
        return self.heard.bound

    def may(self, patient: str, resource: Sealed) -> bool:
        """Whether the header of a resource lets it be seen, as far as headers tell. Raises Unheard."""
        heard = self.heard
        if not self.silent and heard.caller is None and heard.books.get(heard.slots.get(patient, -1), heard) is None:
            return True  # looked up, and there is no consent
        return may_each(self.of_patient(patient), resource.type, resource.labels)

    def permits(self, patient: str, seen: Seen) -> bool:
        """Whether this very resource may be seen. Raises Unheard."""
        meta = seen.meta
        rulings = self.of_patient(patient)
        if not any(ruling.needs_body(meta.type) for ruling in rulings):
            return may_each(rulings, meta.type, meta.labels)
        if meta.deleted:
            return False
        facts = facts_of(seen.resource, meta.labels, meta.updated, type_=meta.type, id_=meta.id, base=self.heard.base)
        return all(ruling.permits(facts) for ruling in rulings)

    def needs_body(self, resource_type: str) -> bool:
        """Whether the headers of some resources of a type do not tell enough."""
        return bool(self.heard.bound) and any(ruling.needs_body(resource_type) for ruling in self._known())

    @property
    def looks_inside(self) -> bool:
        """Whether that is so of any type."""
        return bool(self.heard.bound) and any(ruling.looks_inside for ruling in self._known())

    def _known(self) -> Iterable[Ruling]:
        """Of whoever was looked up whole: nothing of others has been seen yet."""
        asked = self.heard.caller is not None
        for slot in self.others():
            if not asked or slot in self.heard.ties:
                yield from self.of_slot(slot)

    def why(self, patient: str) -> str:
        """For the log: by which relationship, and the provisions that speak of this request; "" where nothing does."""
        slot = self.heard.slots.get(patient, 0)
        return "; ".join(filter(None, (self._relation(slot), self._provisions(slot))))

    def _relation(self, slot: int) -> str:
        if self.heard.caller is None or slot == TENANT:
            return ""
        ties = [f"{tie.source} {tie.reference}" for tie in self.heard.ties.get(slot, ())]
        return f"relationship: {', '.join(ties)[:_SAID_MAX] or 'none'}"

    def _provisions(self, slot: int) -> str:
        related = self.heard.caller is None or bool(self.heard.ties.get(slot))
        if not self.heard.books.get(slot) or not related:
            return ""
        rules = dict.fromkeys(rule for ruling in self.of_slot(slot) for rule in ruling.spoken)
        said = "; ".join(rules) or "none speaks of this"
        return f"consent: {said[:_SAID_MAX]}"


async def consulted(
    books: ConsentBooks, scribe: Scribe, ahead: Sequence[int] = (), *, whole: bool = False
) -> Consulted:
    """What consents leave to this caller now: looked up as they are reached, or `ahead`, or everybody's at once.

    The scribe hears which of the records that are reached they have opened in an emergency; for an export, none.
    """
    principal, now = scribe.principal, scribe.now
    asked = books.site.related and is_bound(principal)
    heard = Heard(books, scribe, await books.relations.caller(principal, now) if asked else None)
    if whole:
        await heard.ready_all()
    elif ahead:
        await heard.ready_slots(ahead)
    return Consulted(heard, LOOKING, now)


def may_each(rulings: Sequence[Ruling], type_: str, labels: tuple[str, ...]) -> bool:
    """Whether type and labels are enough for each ruling, or may be."""
    if not rulings:
        return True
    known = labels_of(labels)
    return all(ruling.needs_body(type_) or ruling.permits_sealed(type_, known) for ruling in rulings)


async def ready(grant: Grant, patients: Iterable[str]) -> None:
    """Look up the consents of patients whom a handler is about to ask a Grant about."""
    if isinstance(grant.consents, Consulted):
        await grant.consents.heard.ready(patients)


async def ready_for(grant: Grant, opened: Iterable[Opened | None]) -> None:
    """The same for those to whom resources belong."""
    if not isinstance(grant.consents, Consulted):
        return
    heard = grant.consents.heard
    for each in opened:
        if each is not None and not heard.slots.keys() >= set(each.meta.patients):
            await heard.ready_opened(each)


async def ready_slots(grant: Grant, slots: Sequence[int]) -> None:
    """The same by slot."""
    if isinstance(grant.consents, Consulted):
        await grant.consents.heard.ready_slots(slots)


async def ready_books(grant: Grant, slots: Sequence[int]) -> None:
    """The same of many who are reached one after another: `ready_slots` is called for each when it is."""
    if isinstance(grant.consents, Consulted):
        await grant.consents.heard.ready_books(slots)


def hides_patients(grant: Grant) -> bool:
    """Whether a caller may have records that they may not know of, since they do not treat everybody."""
    return isinstance(grant.consents, Consulted) and grant.consents.heard.caller is not None


async def comes_near(consents: Consulted | None, opened: Opened) -> bool:
    """Whether a caller may know of a resource of a type on which they have no right, as far as relationship goes."""
    if consents is None or consents.heard.caller is None or not opened.meta.patients:
        return True
    await consents.heard.ready(opened.meta.patients)
    return any(consents.heard.treats(consents.heard.slots[patient]) for patient in opened.meta.patients)


def why_not(grant: Grant, opened: Opened) -> str:
    """For the log: the provisions that speak of a resource that was withheld."""
    if not isinstance(grant.consents, Consulted) or not opened.meta.patients:
        return ""
    return grant.consents.why(opened.meta.patients[0])


def looking(consents: Consulted | None) -> Consulted | None:
    """The same for a look at data, whatever it is for."""
    return None if consents is None else consents.acting(LOOKING)


def naming(consents: Consulted | None) -> Consulted | None:
    """The same for naming a resource in what one writes: who may write is not asked to be able to read."""
    return None if consents is None else consents.acting(NAMING)


def asked_by(consents: Consulted | None, question: Question) -> Consulted | None:
    """The same for another question of the same request."""
    return None if consents is None else consents.acting(actions_of(question))
