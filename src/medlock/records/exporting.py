"""A piece of a bulk export, in the door: some rows of one file, or a count of what the files will hold.

An export walks the indexes in the order of their slots and in each the rows in their order; where it stands is a slot
and a row, so nothing is kept between two pieces and nothing lies anywhere. Each piece is decided, fetched, re-checked
and audited like any other answer, at the time when it is sent: who was erased, or who left the Group meanwhile, is
not in it.

A resource of several patients comes once: with the first of them who is in the export and may show it. What is
de-identified becomes so here, from what the Grant's masks left, before it is written down and released.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from medlock.access.grant import Grant
from medlock.access.residual import Seen
from medlock.errors import BadRequest, Conflict, NotFound, Raced
from medlock.fhir.options import ExportOptions, ExportPart
from medlock.fhir.query import COMPARTMENT, Condition, Kind, ReferenceValue, SearchQuery, TokenValue
from medlock.fhir.question import Question
from medlock.records.admitting import admitted
from medlock.records.consents import ready_for, ready_slots
from medlock.records.deidentifying import PROVENANCE, deidentified
from medlock.records.finding import Finding
from medlock.records.hits import Finder
from medlock.records.indexing import TYPE_NAMES, TYPE_NUMBERS
from medlock.records.minimise import minimised_all
from medlock.records.outflow import in_line, length
from medlock.records.projects import Projects
from medlock.records.reach import Reach, reach_of
from medlock.records.studied import members_of
from medlock.records.vault import TENANT, Vault
from medlock.store.bodies import Opened
from medlock.store.capsule import Capsule, IndexRow
from medlock.store.segment import Mask, Segment

PAGE: Final = 200
"""Resources in a piece, at the most."""
BYTES: Final = 2 * 1024 * 1024
"""Bodies of a piece: with the one that goes beyond it, it ends."""
_AT_ONCE: Final = 8
"""Bodies that are fetched together. Of Binary, which may hold 16 MiB each, it is one."""
LOOKED: Final = 256
"""Indexes that a piece looks into at the most, so that none takes long."""
_TRIES: Final = 4


class Counted(msgspec.Struct):
    """What a count found in the indexes it looked into, and how far along that is."""

    types: dict[str, int]
    done: int
    of: int
    deidentified: bool


class Walk(NamedTuple):
    """The way of an export. `patients` None: everybody within reach."""

    reach: Reach
    slots: Sequence[int]
    patients: frozenset[str] | None

    def first(self, opened: Opened) -> str:
        """With whom of its patients a resource comes; "" for nobody."""
        meta, seen = opened.meta, Seen(opened.meta, opened.body, mark=opened.tag)
        for patient in meta.patients:
            within = self.patients is None or patient in self.patients
            if within and self.reach.grant.through(patient, seen):
                return patient
        return ""


class _Piece(NamedTuple):
    """Rows to fetch, with the index in which each stands and its patient, and where to go on ("" at the end)."""

    rows: list[IndexRow]
    whose: list[tuple[int, str]]
    after: str


def begins(question: Question) -> bool:
    """Whether this is the first piece: who asks begins an export, and does not go on with one."""
    options = question.options
    return not isinstance(options, ExportOptions) or (not options.job and options.part == ExportPart())


async def export(vault: Vault, grant: Grant, question: Question, projects: Projects, now: int) -> Finding:
    """One piece. Raises NotFound for a Group that is not there or out of reach."""
    options = question.options
    if not isinstance(options, ExportOptions):
        raise BadRequest("An export says what it exports.")
    walk = await _walk(vault, grant, question)
    if not options.part.file:
        return await _count(vault, walk, options, deidentified=grant.deidentified)
    for _ in range(_TRIES):
        piece = await _look(vault, walk, options)
        opened = await _fetched(vault, piece, 1 if options.part.file == "Binary" else _AT_ONCE)
        if None not in opened:
            await ready_for(grant, opened)
            admits = grant.judge()
            shown = [
                each
                for each, (_, patient) in zip(opened, piece.whose, strict=False)
                if each is not None and admits(each) and _comes(walk, each, patient)
            ]
            bodies = minimised_all(grant, shown)
            if grant.deidentified:
                bodies = await deidentified(vault, question, projects, list(zip(shown, bodies, strict=True)), now)
            else:
                bodies = [await in_line(vault, grant, *each) for each in zip(shown, bodies, strict=True)]
            lines = b"".join(body + b"\n" for body in bodies)
            after = _after(piece, len(opened))
            return Finding(200, lines, disclosed=shown, after=after, deidentified=grant.deidentified)
    raise Conflict("These records are being changed right now; try again.")


async def _fetched(vault: Vault, piece: _Piece, at_once: int) -> list[Opened | None]:
    """The bodies of the rows from the first on, until they are as many bytes as a piece may hold."""
    found: list[Opened | None] = []
    size = 0
    while len(found) < len(piece.rows) and size < BYTES:
        some = await vault.fetch(piece.rows[len(found) : len(found) + at_once])
        size += sum(length(each) for each in some if each is not None)
        found += some
    return found


def _after(piece: _Piece, fetched: int) -> str:
    """Where to go on when this many of the rows were fetched."""
    if fetched == len(piece.rows):
        return piece.after
    return f"{piece.whose[fetched - 1][0]}.{piece.rows[fetched - 1].rid}"


def _comes(walk: Walk, opened: Opened, patient: str) -> bool:
    """Whether a resource comes with this patient ("" for one that belongs to nobody)."""
    return walk.first(opened) == patient if opened.meta.patients else not patient


async def _walk(vault: Vault, grant: Grant, question: Question) -> Walk:
    """All indexes of the export, in order: nobody's at first where the whole system is asked for."""
    reach = await reach_of(vault, grant)
    if question.type == "Group":
        members = await members_of(vault, grant, question.id)
        slots = {patient: await vault.patient_slot(patient) for patient in members}
        within = {who: slot for who, slot in slots.items() if slot is not None and reach.rules(slot) is not None}
        return Walk(reach, sorted(within.values()), frozenset(within))
    await vault.directory.refresh()
    named = None if grant.everyone is not None else frozenset(grant.rules)
    nobody = [] if question.type else [TENANT]
    return Walk(reach, [*nobody, *sorted(reach.slots(vault))], named)


async def _count(vault: Vault, walk: Walk, options: ExportOptions, *, deidentified: bool) -> Finding:
    """How many of each type stand in the next indexes. Tells no more than that, and discloses nothing."""
    start = bisect_left(walk.slots, options.part.slot)
    slots = walk.slots[start : start + LOOKED]
    counts: Counter[str] = Counter()
    for slot in slots:
        capsule = await _opened(vault, walk, slot)
        if capsule is None:
            continue
        for segment in capsule.view():
            mask = await _shown_rows(vault, walk, capsule, segment, options)
            numbers, found = np.unique(segment.rows["type"][mask], return_counts=True)
            counts.update({TYPE_NAMES[int(number)]: int(each) for number, each in zip(numbers, found, strict=True)})
        await asyncio.sleep(0)
    end = start + len(slots)
    after = f"{walk.slots[end]}.0" if end < len(walk.slots) else ""
    body = msgspec.json.encode(Counted(dict(counts), end, len(walk.slots), deidentified))
    return Finding(200, body, after=after, deidentified=deidentified)


async def _shown_rows(vault: Vault, walk: Walk, capsule: Capsule, segment: Segment, options: ExportOptions) -> Mask:
    """Rows that an export will show: those of which only bodies can tell are looked at now, for a count tells too."""
    mask = walk.reach.visible_everything(capsule, segment) & _in_time(segment, options)
    if options.types:
        mask &= np.isin(segment.rows["type"], [TYPE_NUMBERS[name] for name in options.types])
    unsure = np.flatnonzero(mask & walk.reach.undecided_rows(segment))
    if len(unsure):
        each = segment.rows[unsure][["rid", "slot", "version", "tag"]].tolist()
        rows = [IndexRow(rid, owner or capsule.slot, version, tag) for rid, owner, version, tag in each]
        known = await admitted(vault, walk.reach.grant, rows)
        if known is None:
            raise Raced
        mask[unsure] = [row.rid in known for row in rows]
    return mask


async def _look(vault: Vault, walk: Walk, options: ExportOptions) -> _Piece:
    """The next rows of a file."""
    piece = _Piece([], [], "")
    start = bisect_left(walk.slots, options.part.slot)
    for at, slot in enumerate(walk.slots[start:]):
        if at == LOOKED:
            return piece._replace(after=f"{slot}.0")
        capsule = await _opened(vault, walk, slot)
        if capsule is None:
            continue
        after = options.part.rid if slot == options.part.slot else 0
        rows = await _rows(vault, walk, capsule, options, after)
        room = PAGE - len(piece.rows)
        piece.rows.extend(rows[:room])
        piece.whose.extend([(slot, capsule.patient if slot != TENANT else "")] * len(rows[:room]))
        if len(rows) > room:
            return piece._replace(after=f"{slot}.{rows[room - 1].rid}" if room else f"{slot}.{after}")
    return piece


async def _opened(vault: Vault, walk: Walk, slot: int) -> Capsule | None:
    """An index; None when its patient was erased a moment ago."""
    await ready_slots(walk.reach.grant, [slot])
    try:
        return await vault.capsules.open(slot)
    except NotFound:
        return None


async def _rows(vault: Vault, walk: Walk, capsule: Capsule, options: ExportOptions, after: int) -> list[IndexRow]:
    """The rows of a file in one index, in order, after one of them."""
    types = _types(options)
    found: list[IndexRow] = []
    for segment in capsule.view():
        mask = walk.reach.visible_everything(capsule, segment) & _in_time(segment, options)
        if types:
            mask &= np.isin(segment.rows["type"], [TYPE_NUMBERS[name] for name in types])
        chosen = segment.rows[mask & (segment.rows["rid"] > np.uint64(after))][["rid", "slot", "version", "tag"]]
        found += [IndexRow(rid, owner or capsule.slot, version, tag) for rid, owner, version, tag in chosen.tolist()]
    filters = [each for each in options.filters if each.type == options.part.file]
    if filters and found:
        wanted = await _filtered(vault, walk, capsule, filters)
        found = [row for row in found if row.rid in wanted]
    return sorted(found, key=lambda row: row.rid)


def _types(options: ExportOptions) -> frozenset[str]:
    """The types in a file: its own, and in that about all others those of the export."""
    return options.types if options.part.file == PROVENANCE else frozenset({options.part.file})


def _in_time(segment: Segment, options: ExportOptions) -> Mask:
    """Rows changed after `since`, and not after `until` (Bulk Data 2.0, transactionTime)."""
    mask: Mask = segment.alive.copy()
    if options.since is not None:
        mask &= segment.rows["updated"] > options.since
    if options.until is not None:
        mask &= segment.rows["updated"] <= options.until
    return mask


async def _filtered(vault: Vault, walk: Walk, capsule: Capsule, filters: Sequence[SearchQuery]) -> set[int]:
    """The rows that meet one of the filters: each is a search in this compartment, or among what is shared."""
    found: set[int] = set()
    for each in filters:
        query = each
        if capsule.slot != TENANT:
            query = msgspec.structs.replace(each, conditions=(*each.conditions, _own(each.type, capsule.patient)))
        found |= {hit.row.rid for hit in await Finder(vault, walk.reach).find(query)}
    return found


def _own(type_: str, patient: str) -> Condition:
    """The condition that a resource is this patient's."""
    if type_ == "Patient":
        return Condition("_id", Kind.TOKEN, (TokenValue(None, patient),))
    return Condition(COMPARTMENT, Kind.REFERENCE, (ReferenceValue("Patient", patient),))
