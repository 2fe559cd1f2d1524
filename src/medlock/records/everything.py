"""Patient/[id]/$everything (R4 operation Patient-everything): all that one patient's index holds, page by page."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from medlock.access.grant import Grant
from medlock.errors import Conflict, NotFound
from medlock.fhir import bundle
from medlock.fhir.extract import extract
from medlock.fhir.parse import parse_json
from medlock.fhir.question import Question
from medlock.records.finding import Finding
from medlock.records.minimise import minimised_all
from medlock.records.reach import Reach, reach_of
from medlock.records.read import NOT_FOUND, read
from medlock.records.search import Links, Page
from medlock.records.vault import TENANT, Vault
from medlock.store.bodies import Opened
from medlock.store.capsule import IndexRow

SHARED = ""
"""In place of a patient's id: what belongs to no patient. The export asks for it; no address leads to it."""
_TRIES = 4


async def everything(vault: Vault, grant: Grant, question: Question, page: Page, links: Links) -> Finding:
    """One page: the Patient first, then the compartment by row, and what the page points at in shared records."""
    reach = await reach_of(vault, grant)
    slot = await _slot(vault, reach, question)
    for _ in range(_TRIES):
        rows = await _rows(vault, reach, slot, vault.rid(f"Patient/{question.id}"))
        start = _start(rows, page)
        opened = await vault.fetch(rows[start : start + page.size])
        if None not in opened:
            covers = grant.judge()
            shown = [each for each in opened if each is not None and covers(each.meta)]
            beside = await _pointed_at(vault, grant, shown) if slot != TENANT else []
            return _assemble(vault, grant, _Cut(rows, start, shown, beside, page.size), links)
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


async def _rows(vault: Vault, reach: Reach, slot: int, patient_rid: int) -> list[IndexRow]:
    """Every visible row of the patient's index, the Patient first, then in an order that does not change."""
    capsule = await vault.capsules.open(slot)
    found: list[IndexRow] = []
    for segment in capsule.view():
        chosen = np.flatnonzero(reach.visible_everything(capsule, segment))
        for rid, owner, version, tag in segment.rows[chosen][["rid", "slot", "version", "tag"]].tolist():
            found.append(IndexRow(rid, owner or slot, version, tag))
    found.sort(key=lambda row: (row.rid != patient_rid, row.rid))
    return found


def _start(rows: list[IndexRow], page: Page) -> int:
    """After the last one shown; the order is by row, so what was added meanwhile neither repeats nor skips."""
    if not page.last:
        return 0
    if rows and rows[0].rid == page.last:
        return 1
    return bisect_right(rows, page.last, 1, key=lambda row: row.rid)


@dataclass(frozen=True, slots=True)
class _Cut:
    """A page: all rows, where it starts, what it shows of the record, and the shared resources beside it."""

    rows: list[IndexRow]
    start: int
    shown: list[Opened]
    beside: list[Opened]
    size: int


async def _pointed_at(vault: Vault, grant: Grant, shown: list[Opened]) -> list[Opened]:
    """Shared resources that the page refers to: who treated, where, with what (operation text of R4)."""
    names = dict.fromkeys(
        target for each in shown for _, target in extract(parse_json(each.body)).references if "://" not in target
    )
    found: list[Opened] = []
    for name in names:
        type_, _, id_ = name.partition("/")
        opened = await vault.current(type_, id_) if type_ in grant.shared else None
        if opened is not None and not opened.meta.patients and not opened.meta.deleted and grant.covers(opened.meta):
            found.append(opened)
    return found


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
        addresses["next"] = links.next(vault, f"_count={cut.size}", "Patient", end, cut.shown[-1].rid)
    body = bundle.searchset(entries, total=len(cut.rows), links=addresses)
    return Finding(200, body, disclosed=both)
