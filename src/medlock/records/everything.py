"""Patient/[id]/$everything (R4 operation Patient-everything): all that one patient's index holds, page by page."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from medlock.access.grant import Grant
from medlock.errors import Conflict, NotFound
from medlock.fhir import bundle
from medlock.fhir.extract import extract
from medlock.fhir.options import EverythingOptions
from medlock.fhir.parse import parse_json
from medlock.fhir.question import Question
from medlock.records.admitting import admitted
from medlock.records.consents import ready_for, ready_slots
from medlock.records.finding import Finding
from medlock.records.indexing import TYPE_NUMBERS
from medlock.records.minimise import minimised_all
from medlock.records.reach import Reach, reach_of
from medlock.records.read import NOT_FOUND, read
from medlock.records.search import Links, Page
from medlock.records.vault import TENANT, Vault
from medlock.store.bodies import Opened
from medlock.store.capsule import IndexRow
from medlock.store.entries import parameter_number
from medlock.store.segment import Mask, Segment

SHARED = ""
"""In place of a patient's id: what belongs to no patient. The export asks for it; no address leads to it."""
_TRIES = 4
_NO_CARE = [parameter_number(name) for name in ("birthdate", "death-date", "_lastUpdated")]


async def everything(vault: Vault, grant: Grant, question: Question, page: Page, links: Links) -> Finding:
    """One page: the Patient first, then the compartment by row, and what the page points at in shared records."""
    reach = await reach_of(vault, grant)
    slot = await _slot(vault, reach, question)
    options = question.options if isinstance(question.options, EverythingOptions) else EverythingOptions()
    for _ in range(_TRIES):
        rows = await _rows(vault, reach, slot, vault.rid(f"Patient/{question.id}"), options)
        if rows is None:
            continue
        start = _start(rows, page)
        opened = await vault.fetch(rows[start : start + page.size])
        if None not in opened:
            await ready_for(grant, opened)
            admits = grant.judge()
            shown = [each for each in opened if each is not None and admits(each)]
            beside = await _pointed_at(vault, grant, shown, options) if slot != TENANT else []
            return _assemble(vault, grant, _Cut(rows, start, shown, beside, options.text), links)
    raise Conflict("These records are being changed right now; try again.")


async def _slot(vault: Vault, reach: Reach, question: Question) -> int:
    """The index to walk. Raises NotFound when the patient is unknown or out of reach, Gone when deleted."""
    if question.id == SHARED:
        return TENANT
    slot = await vault.any_slot(question.id)
    if slot is None or reach.rules(slot) is None:
        raise NotFound(NOT_FOUND, reason="patient unknown or out of reach")
    await read(vault, reach.grant, question)
    return slot


async def _rows(
    vault: Vault, reach: Reach, slot: int, patient_rid: int, options: EverythingOptions
) -> list[IndexRow] | None:
    """Every visible row of the index that was asked for, the Patient first, then in an order that does not change.

    None when one of those that had to be opened has changed since.
    """
    await ready_slots(reach.grant, [slot])
    capsule = await vault.capsules.open(slot)
    found: list[IndexRow] = []
    unsure: list[IndexRow] = []
    for segment in capsule.view():
        chosen = np.flatnonzero(reach.visible_everything(capsule, segment) & _asked_for(segment, options))
        undecided = reach.undecided_rows(segment)[chosen].tolist()
        each = segment.rows[chosen][["rid", "slot", "version", "tag"]].tolist()
        for (rid, owner, version, tag), opens in zip(each, undecided, strict=True):
            (unsure if opens else found).append(IndexRow(rid, owner or slot, version, tag))
    if unsure:
        known = await admitted(vault, reach.grant, unsure)
        if known is None:
            return None
        found += [row for row in unsure if row.rid in known]
    found.sort(key=lambda row: (row.rid != patient_rid, row.rid))
    return found


def _asked_for(segment: Segment, options: EverythingOptions) -> Mask:
    """Rows of the types, times of change and dates of care that were asked for."""
    mask: Mask = np.ones(len(segment), np.bool_)
    if options.types:
        mask &= np.isin(segment.rows["type"], [TYPE_NUMBERS[name] for name in options.types])
    if options.since is not None:
        mask &= segment.rows["updated"] >= options.since
    if options.care is not None:
        mask &= _in_care(segment, *options.care)
    return mask


def _in_care(segment: Segment, low: int, high: int) -> Mask:
    """Rows that have a date of care within [low, high), or none at all: demographics belong to every time."""
    dates = segment.dates[~np.isin(segment.dates["param"], _NO_CARE)]
    mask: Mask = np.ones(len(segment), np.bool_)
    mask[dates["row"]] = False
    mask[dates["row"][(dates["low"] < high) & (dates["high"] > low)]] = True
    return mask


def _start(rows: list[IndexRow], page: Page) -> int:
    """After the last one shown; the order is by row, so what was added meanwhile neither repeats nor skips."""
    if not page.last:
        return 0
    if rows and rows[0].rid == page.last:
        return 1
    return bisect_right(rows, page.last, 1, key=lambda row: row.rid)


@dataclass(frozen=True, slots=True)
class _Cut:
    """A page: all rows, where it starts, what it shows of the record, the shared resources beside it, the question."""

    rows: list[IndexRow]
    start: int
    shown: list[Opened]
    beside: list[Opened]
    text: str


async def _pointed_at(vault: Vault, grant: Grant, shown: list[Opened], options: EverythingOptions) -> list[Opened]:
    """Shared resources that the page, as it is shown, refers to: who treated, where, with what (text of R4)."""
    types = grant.shared & options.types if options.types else grant.shared
    names = dict.fromkeys(
        target
        for body in minimised_all(grant, shown)
        for _, target in extract(parse_json(body)).references
        if "://" not in target
    )
    found: list[Opened] = []
    for name in names:
        type_, _, id_ = name.partition("/")
        opened = await vault.current(type_, id_) if type_ in types else None
        if opened is not None and _belongs(grant, opened, options.since):
            found.append(opened)
    return found


def _belongs(grant: Grant, opened: Opened, since: int | None) -> bool:
    """Whether a resource that is pointed at is shared, there, within reach, and changed since."""
    meta = opened.meta
    return not (meta.patients or meta.deleted) and meta.updated >= (since or 0) and grant.admits(opened)


def _assemble(vault: Vault, grant: Grant, cut: _Cut, links: Links) -> Finding:
    both = [*cut.shown, *cut.beside]
    modes = ["match"] * len(cut.shown) + ["include"] * len(cut.beside)
    entries = [
        bundle.SearchEntry(f"{links.base}/{each.meta.reference}", body, mode)
        for each, body, mode in zip(both, minimised_all(grant, both), modes, strict=True)
    ]
    addresses = {"self": links.here}
    end = cut.start + len(cut.shown)
    if cut.shown and end < len(cut.rows):
        addresses["next"] = links.next(vault, cut.text, "Patient", end, cut.shown[-1].rid)
    body = bundle.searchset(entries, total=len(cut.rows), links=addresses)
    return Finding(200, body, disclosed=both)
