"""The consents of each record as books (`access.consent.book`), which belong to a process.

A book is kept for as long as the index of its patient names the very same versions of the Consents in it; so a consent
that is given or taken away acts on the next request, on every worker.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from medlock.access.consent.book import Book
from medlock.access.consent.facts import references_of
from medlock.access.consent.model import Consent
from medlock.access.consent.reading import read
from medlock.access.consent.ruling import Site
from medlock.audit.events import Touched
from medlock.errors import Conflict, NotFound
from medlock.fhir.parse import parse_json
from medlock.records.glass import Glass
from medlock.records.holders import consent_rows
from medlock.records.relations import Relations
from medlock.records.scribe import Scribe, Whom
from medlock.records.unclear import Told, met
from medlock.records.vault import Vault
from medlock.store.capsule import IndexRow

KEPT = 4_096
_TRIES = 8
_LINKING = frozenset({"related", "dependents"})
_Rows = list[tuple[int, int, int, int]]
_State = tuple[int, bytes]


class _Kept(NamedTuple):
    """The consents in a slot, and in which state of its index in which rows; no book where that hangs on more."""

    state: _State
    rows: _Rows
    consents: list[Consent]
    book: Book | None


class ConsentBooks:
    """The consents of each record; shared by all requests of a process."""

    def __init__(self, vault: Vault, site: Site, base: str, told: Told, glass: Glass) -> None:
        self.vault = vault
        self.site = site
        self.glass = glass
        self.relations = Relations(vault)
        self._told = told
        self._base = base
        self._kept: OrderedDict[int, _Kept] = OrderedDict()

    @property
    def base(self) -> str:
        """This server's own address."""
        return self._base

    async def book(self, slot: int) -> Book | None:
        """The consents of the patient in a slot that is on the list; None when they are erased."""
        for _ in range(_TRIES):
            try:
                capsule = await self.vault.capsules.open(slot)
            except NotFound:  # erased
                return None
            state = capsule.number, capsule.tag
            known = self._kept.get(slot)
            if known is None or known.state != state:
                known = await self._brought_up(slot, capsule.patient, consent_rows(capsule), state)
            if known is not None:
                return known.book or Book(capsule.patient, known.consents, await self._links(known.consents))
        raise Conflict("This record is being changed by many at once. Try again.")

    def unclear(self, scribe: Scribe, slot: int, book: Book, consents: Iterable[Consent], why: str = "") -> None:
        """A request met these, which cannot be evaluated: the privacy officer is to be told."""
        for each in consents:
            rid = self.vault.rid(each.reference)
            rows = self._kept[slot].rows if slot in self._kept else []
            version = next((version for row, _, version, _ in rows if row == rid), 0)
            touched = Touched(f"Consent/{each.id}", version, "R")
            self._told.meet(met(scribe, rid, touched, Whom(slot, book.patient), why or each.broken))

    async def _brought_up(self, slot: int, patient: str, rows: _Rows, state: _State) -> _Kept | None:
        """What is kept of a slot, as of a state of its index; None when it has changed since."""
        known = self._kept.get(slot)
        if known is None or known.rows != rows:
            return await self._read(slot, patient, rows, state)
        self._kept[slot] = known._replace(state=state)
        return self._kept[slot]

    async def _read(self, slot: int, patient: str, rows: _Rows, state: _State) -> _Kept | None:
        """The Consents in these rows, kept for the next who asks; None when one has changed since."""
        wanted = [IndexRow(rid, owner or slot, version, tag) for rid, owner, version, tag in rows]
        opened = [each for each in await self.vault.fetch(wanted) if each is not None]
        if len(opened) < len(rows):
            return None
        found = [read({**parse_json(each.body), "id": each.meta.id}, self.site.purposes, self._base) for each in opened]
        consents = [each for each in found if each is not None]
        whole = None if any(True for _ in _linked(consents)) else Book(patient, consents)
        self._kept[slot] = _Kept(state, rows, consents, whole)
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
