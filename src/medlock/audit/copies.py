"""What the two copies of an event hold before they are sealed, and how one event becomes as many entries as it takes.

Entries have one length: a length would say how many resources an act touched, and so how old a patient is or what was
done. So an event that touches more than fits is told in several entries. Resources whose ids are UUIDs are written as
*lots*, one for each neighbouring run of one type: sixteen bytes an id instead of fifty for a reference, so that a page
of fifty takes five entries. Format: docs/spec/audit.md §3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import msgspec
from msgspec.structs import replace

from medlock.audit.events import Action, Event, Outcome, Position, Touched
from medlock.audit.wire import decoder, encode
from medlock.errors import Tampered

MINIMAL_BYTES = 224
FULL_BYTES = 288
"""Both copies are padded to multiples of these: seven entries fit a page of SQLite's, and most events fit one entry."""

Counts = tuple[int, int, int, int]
Telling = tuple[Event, Counts, bytes]
"""What becomes one entry: an event, how many resources of it, and the full copy in clear."""

_UUID_BYTES = 16
_ENDS = re.compile(r"(?:/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12} )+")
_END = len("/01234567-89ab-cdef-0123-456789abcdef")
_LISTED = 3  # the length of a longer list, and the mark of the padding
_LOT = 12  # what a lot takes beside its type, ids and versions, at most; and the mark
_ONE = {"C": (1, 0, 0, 0), "R": (0, 1, 0, 0), "U": (0, 0, 1, 0), "D": (0, 0, 0, 1)}


class Minimal(msgspec.Struct, array_like=True, frozen=True):
    """The copy that stays. `counts` are resources created, read, updated, deleted."""

    action: Action
    outcome: Outcome
    account: str
    roles: tuple[str, ...]
    client: str
    purpose: str
    slot: int
    request: str
    recorded: int
    counts: Counts
    position: Position | None


class FormerMinimal(msgspec.Struct, array_like=True, frozen=True):
    """The same in an entry of version 1, which had an id."""

    event_id: bytes
    action: Action
    outcome: Outcome
    account: str
    roles: tuple[str, ...]
    client: str
    purpose: str
    slot: int
    request: str
    recorded: int
    counts: Counts
    position: Position | None


class Lot(msgspec.Struct, array_like=True, frozen=True):
    """Resources of one type to which the same was done; `ids` are their UUIDs, put together."""

    type: str
    crud: str
    ids: bytes
    versions: tuple[int, ...]

    def touched(self) -> Iterator[Touched]:
        """One by one. Raises Tampered when there are not as many ids as versions."""
        text = self.ids.hex()
        if len(text) != 2 * _UUID_BYTES * len(self.versions):
            raise Tampered("a lot of resources with too few ids, or too many")
        for at, version in enumerate(self.versions):
            digits = text[2 * _UUID_BYTES * at : 2 * _UUID_BYTES * (at + 1)]
            uuid = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
            yield Touched(f"{self.type}/{uuid}", version, self.crud)

    def cut(self, count: int) -> tuple[Lot, Lot]:
        """The first so many, and the rest."""
        at = count * _UUID_BYTES
        return (
            Lot(self.type, self.crud, self.ids[:at], self.versions[:count]),
            Lot(self.type, self.crud, self.ids[at:], self.versions[count:]),
        )


class Full(msgspec.Struct, array_like=True, frozen=True):
    """The copy that dies with the patient. What was touched stands in `touched`, or in `lots`."""

    patient: str
    touched: tuple[Touched, ...]
    query: str
    reason: str
    basis: str
    lots: tuple[Lot, ...] = ()

    def all_touched(self) -> tuple[Touched, ...]:
        """Every resource, in order. Raises Tampered."""
        return (*self.touched, *(each for lot in self.lots for each in lot.touched())) if self.lots else self.touched


decode_minimal = decoder(Minimal)
decode_former = decoder(FormerMinimal)
decode_full = decoder(Full)


def minimal_of(event: Event, counts: Counts) -> bytes:
    """What `Minimal` is read from. From a tuple: this is made for every event, and a Struct costs four times that."""
    return encode(
        (
            event.action,
            event.outcome,
            event.account,
            event.roles,
            event.client,
            event.purpose,
            event.slot,
            event.request,
            event.recorded,
            counts,
            event.position,
        )
    )


def tell(events: Iterable[Event]) -> list[Telling]:
    """The events as entries, in order."""
    told: list[Telling] = []
    for event in events:
        touched = event.touched
        if len(touched) == 1:  # what a read is
            plain = encode((event.patient, touched, event.query, event.reason, event.basis))
            if len(plain) < FULL_BYTES:
                told.append((event, _ONE[touched[0].crud], plain))
                continue
        told += _tell(event)
    return told


def _tell(event: Event) -> Iterable[Telling]:
    """The event as one or more entries that differ in what they touch, all of one length where that can be.

    Question and reason stand in the first only (`request` ties them together): told again beside each resource, a long
    question would let one search write megabytes. The first may be longer when its question is.
    """
    touched = event.touched
    lots = lots_of(touched) if touched else None
    if lots is not None:
        return _in_lots(event, lots)
    plain = _full_of(event, touched)
    return ((event, _counts(touched), plain),) if len(plain) < FULL_BYTES or not touched else _one_by_one(event)


def lots_of(touched: Sequence[Touched]) -> list[Lot] | None:
    """Neighbours of one type and one crud together; None unless every id is a UUID in its canonical form."""
    ends = " ".join([each.reference[-_END:] for each in touched]) + " "
    if _ENDS.fullmatch(ends) is None:
        return None
    ids = bytes.fromhex(ends.replace("-", "").replace("/", ""))
    lots, at = [], 0
    for (kind, crud), alike in groupby([(each.reference[:-_END], each.crud) for each in touched]):
        last = at + len(list(alike))
        versions = tuple([each.version for each in touched[at:last]])
        lots.append(Lot(kind, crud, ids[_UUID_BYTES * at : _UUID_BYTES * last], versions))
        at = last
    return lots


def _in_lots(event: Event, lots: Sequence[Lot]) -> Iterator[Telling]:
    """As many lots as fit behind the question; the rest in further entries, whose question stands in the first."""
    room = FULL_BYTES - len(_full_of(event, (), ()))
    told, rest = _fitting(lots, room, least=0)
    yield event, _count_lots(told), _full_of(event, (), told)
    further = replace(event, query="", reason="")
    room = FULL_BYTES - len(_full_of(further, (), ()))
    while rest:
        told, rest = _fitting(rest, room, least=1)
        yield further, _count_lots(told), _full_of(further, (), told)


def _fitting(lots: Sequence[Lot], room: int, least: int) -> tuple[list[Lot], list[Lot]]:
    """What fits into so many bytes, in order, and what does not; `least` resources are taken whatever the room."""
    told: list[Lot] = []
    for at, lot in enumerate(lots):
        room -= _LOT + len(lot.type)
        width = _UUID_BYTES + len(encode(max(lot.versions)))
        count = max(room // width, 0 if told else least)
        if count < len(lot.versions):
            taken, left = lot.cut(count)
            return [*told, taken] if count else told, [left, *lots[at + 1 :]]
        told.append(lot)
        room -= width * len(lot.versions)
    return told, []


def _one_by_one(event: Event) -> Iterator[Telling]:
    """The same for references that are not all of UUIDs."""
    further = replace(event, query="", reason="")
    left, room = _room(event), _room(further)
    groups: list[list[Touched]] = [[]]
    for each in event.touched:
        size = len(encode(each))
        if size > left and (groups[-1] or len(groups) == 1):
            groups.append([])
            left = room
        groups[-1].append(each)
        left -= size
    for number, some in enumerate(groups):
        told = further if number else event
        yield told, _counts(some), _full_of(told, some)


def _room(event: Event) -> int:
    """How many bytes what it touches may take in one entry."""
    return FULL_BYTES - len(_full_of(event, ())) - _LISTED


def _full_of(event: Event, touched: Sequence[Touched], lots: Sequence[Lot] | None = None) -> bytes:
    """What `Full` is read from."""
    if lots is None:
        return encode((event.patient, touched, event.query, event.reason, event.basis))
    return encode((event.patient, touched, event.query, event.reason, event.basis, lots))


def _counts(touched: Iterable[Touched]) -> Counts:
    """Resources created, read, updated, deleted."""
    crud = [each.crud for each in touched]
    return crud.count("C"), crud.count("R"), crud.count("U"), crud.count("D")


def _count_lots(lots: Iterable[Lot]) -> Counts:
    counts = dict.fromkeys("CRUD", 0)
    for lot in lots:
        counts[lot.crud] += len(lot.versions)
    return counts["C"], counts["R"], counts["U"], counts["D"]
