"""The patients' consents as they stand at this request: read for every patient that it reaches, each time.

`ConsentBooks` belongs to a process: it turns the Consents in a patient's index into a book (`access.consent.book`),
kept for as long as the index names the very same versions of them; so a consent that is given or taken away acts on
the next request, on every worker. `Consulted` belongs to one request: it answers for the patients that were looked up,
and raises for others. Handlers look up what they are about to reach (`ready`); where one reaches further than that, the
door looks up everybody who has consents, and lets it start over.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import structs

from medlock.access.consent.binding import LOOKING, NAMING, actions_of, ask_of, callers, naming_of
from medlock.access.consent.book import Book
from medlock.access.consent.codes import labels_of
from medlock.access.consent.facts import facts_of, references_of
from medlock.access.consent.model import Consent
from medlock.access.consent.policy import Policy
from medlock.access.consent.reading import read, unreadable
from medlock.access.consent.ruling import Ruling, Site
from medlock.access.grant import Grant, Sealed
from medlock.access.principal import Principal, Role
from medlock.access.residual import Seen
from medlock.errors import Conflict, NotFound
from medlock.fhir.parse import parse_json
from medlock.fhir.question import Question
from medlock.records.closure import Unclear, closure
from medlock.records.holders import consent_rows
from medlock.records.scribe import Whom
from medlock.records.unclear import Met, Told
from medlock.records.vault import Vault
from medlock.store.bodies import Opened
from medlock.store.capsule import IndexRow

KEPT = 4_096
FEW = 64
"""Records that are looked up one by one; where more are reached, all that have consents are."""
_TRIES = 8
_SAID_MAX = 120
_LINKING = frozenset({"related", "dependents"})
_Rows = list[tuple[int, int, int, int]]


class Unheard(Exception):
    """A patient was reached whose consents were not looked up. The door looks them up and starts over."""


class ConsentBooks:
    """The consents of each record; shared by all requests of a process."""

    def __init__(self, vault: Vault, site: Site, base: str, told: Told) -> None:
        self.vault = vault
        self.site = site
        self._told = told
        self._base = base
        self._kept: OrderedDict[int, tuple[_Rows, list[Consent], Book | None]] = OrderedDict()

    @property
    def base(self) -> str:
        """This server's own address."""
        return self._base

    async def book(self, slot: int) -> Book | None:
        """The consents of the patient in a slot; None when there are none."""
        if not await self.vault.holders.holds(slot):
            return None
        for _ in range(_TRIES):
            try:
                capsule = await self.vault.capsules.open(slot)
            except NotFound:  # erased
                return None
            rows = consent_rows(capsule)
            known = self._kept.get(slot)
            if known is None or known[0] != rows:
                known = await self._read(slot, capsule.patient, rows)
            if known is not None:
                return known[2] or Book(capsule.patient, known[1], await self._links(known[1]))
        raise Conflict("This record is being changed by many at once. Try again.")

    def unclear(self, slot: int, book: Book, consents: Iterable[Consent], why: str = "") -> None:
        """These cannot be evaluated: the privacy officer is to be told."""
        for each in consents:
            rid = self.vault.rid(each.reference)
            rows = self._kept[slot][0] if slot in self._kept else []
            version = next((version for row, _, version, _ in rows if row == rid), 0)
            self._told.meet(Met(Whom(slot, book.patient), each.id, version, why or each.broken))

    async def _read(self, slot: int, patient: str, rows: _Rows) -> tuple[_Rows, list[Consent], Book | None] | None:
        """The Consents in these rows, kept for the next who asks; None when one has changed since."""
        wanted = [IndexRow(rid, owner or slot, version, tag) for rid, owner, version, tag in rows]
        opened = [each for each in await self.vault.fetch(wanted) if each is not None]
        if len(opened) < len(rows):
            return None
        found = [read({**parse_json(each.body), "id": each.meta.id}, self.site.purposes, self._base) for each in opened]
        consents = [each for each in found if each is not None]
        whole = None if any(True for _ in _linked(consents)) else Book(patient, consents)
        self._kept[slot] = rows, consents, whole
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return self._kept[slot]

    async def _links(self, consents: Iterable[Consent]) -> Mapping[str, frozenset[str]]:
        """What the resources refer to that provisions name by `related` and `dependents`, as they are now."""
        found: dict[str, frozenset[str]] = {}
        for reference in set(_linked(consents)):
            type_, _, id_ = reference.partition("/")
            opened = await self.vault.current(type_, id_)
            if opened is not None and not opened.meta.deleted:
                found[reference] = references_of(parse_json(opened.body), self._base)
        return found


def _linked(consents: Iterable[Consent]) -> Iterable[str]:
    """References in provisions that stand for more than themselves."""
    waiting = [consent.root for consent in consents]
    while waiting:
        rule = waiting.pop()
        waiting += rule.children
        yield from (datum.reference for datum in rule.data or () if datum.meaning in _LINKING)


_SILENT = Book("")
_NONE: frozenset[str] = frozenset()


class Heard:
    """What was looked up for one request: books by slot, slots by patient. Shared by all that the request asks."""

    __slots__ = ("_source", "base", "books", "principal", "site", "slots", "whole")

    def __init__(self, books: ConsentBooks, principal: Principal) -> None:
        self.site = books.site
        self.base = books.base
        self.books: dict[int, tuple[Book, frozenset[str]] | None] = {0: None}
        self.slots: dict[str, int] = {}
        self.whole = False
        self._source = books
        self.principal = principal

    async def ready(self, patients: Iterable[str]) -> None:
        """Look up the consents of these patients."""
        for patient in patients:
            if patient not in self.slots:
                slot = await self._source.vault.any_slot(patient)
                self.slots[patient] = slot or 0  # erased, or only being made: there is nobody to ask
                await self.ready_slots([slot or 0])

    async def ready_slots(self, slots: Sequence[int]) -> None:
        """The same by slot; of many at once, everybody's."""
        fresh = [slot for slot in slots if slot not in self.books]
        if self.whole or not fresh:
            return
        if len(fresh) > FEW:
            await self.ready_all()
            return
        for slot in fresh:
            await self._look_up(slot)

    async def ready_all(self) -> None:
        """Look up everybody's."""
        for slot in await self._source.vault.holders.all():
            if slot not in self.books:
                await self._look_up(slot)
        self.whole = True

    async def _look_up(self, slot: int) -> None:
        book = await self._source.book(slot)
        if book is None:
            self.books[slot] = None
            return
        if book.broken:
            self._source.unclear(slot, book, book.broken)
        try:
            beside = await closure(self._source.vault, self.principal, [str(each) for each in book.actors.by])
        except Unclear as fault:  # whom a consent means cannot be told: it denies
            self._source.unclear(slot, book, book.naming(fault.named), f"{fault.named}: {fault.why}")
            book, beside = Book(book.patient, [unreadable("", book.patient, "Group")]), _NONE
        self.books[slot] = book, beside
        self.slots[book.patient] = slot

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
        self.silent = self._ruled(_SILENT, _NONE)
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

    def _ruled(self, book: Book, beside: frozenset[str]) -> Sequence[Ruling]:
        site, who, books = self.heard.site, self.heard.principal, [book]
        if Role.LINK in who.roles:  # what its own provision opens, and nothing denies; a site's policy opens none
            site = structs.replace(site, policy=Policy.DENY)
            books.append(Book(book.patient, naming_of(book.consents, callers(who))))
        elif not book.consents and site.policy is Policy.PERMIT_ALL:
            return ()
        asks = [ask_of(who, action, self._now, beside) for action in sorted(self._actions)]
        return tuple(Ruling(each, ask, site) for each in books for ask in asks)

    def of_slot(self, slot: int) -> Sequence[Ruling]:
        """What must agree for the patient in a slot. Raises Unheard."""
        found = self._rulings.get(slot)
        if found is None:
            if slot not in self.heard.books and not self.heard.whole:
                raise Unheard
            known = self.heard.books.get(slot)
            found = self._rulings[slot] = self.silent if known is None else self._ruled(*known)
        return found

    def of_patient(self, patient: str) -> Sequence[Ruling]:
        """The same by patient."""
        slot = self.heard.slots.get(patient)
        if slot is not None:
            return self.of_slot(slot)
        if not self.heard.whole:
            raise Unheard
        return self.silent

    def others(self) -> list[int]:
        """The slots for which something else may hold than for everybody."""
        return [slot for slot, book in self.heard.books.items() if book is not None]

    def may(self, patient: str, resource: Sealed) -> bool:
        """Whether the header of a resource lets it be seen, as far as headers tell. Raises Unheard."""
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
        return any(ruling.needs_body(resource_type) for ruling in self._known())

    @property
    def looks_inside(self) -> bool:
        """Whether that is so of any type."""
        return any(ruling.looks_inside for ruling in self._known())

    def _known(self) -> Iterable[Ruling]:
        for slot in self.others():
            yield from self.of_slot(slot)

    def why(self, patient: str) -> str:
        """For the log: the provisions that speak of this request, by consent and path; "" where there is no consent."""
        slot = self.heard.slots.get(patient, 0)
        if not self.heard.books.get(slot):
            return ""
        rules = dict.fromkeys(rule for ruling in self.of_slot(slot) for rule in ruling.book.where(ruling.matched))
        said = "; ".join(rules) or "none speaks of this"
        return f"consent: {said[:_SAID_MAX]}"


async def consulted(books: ConsentBooks, principal: Principal, now: int, *, whole: bool) -> Consulted:
    """What consents leave to this caller now: looked up as they are reached, or those of everybody at once."""
    heard = Heard(books, principal)
    if whole:
        await heard.ready_all()
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
    if isinstance(grant.consents, Consulted):
        await grant.consents.heard.ready({who for each in opened if each is not None for who in each.meta.patients})


async def ready_slots(grant: Grant, slots: Sequence[int]) -> None:
    """The same by slot."""
    if isinstance(grant.consents, Consulted):
        await grant.consents.heard.ready_slots(slots)


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
