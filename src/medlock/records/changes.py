"""What a history has to go through: the current row of every resource within reach, tombstones included, newest first.

Indexes know the current version of each resource and when it was made, so a history of a type or of everything costs
what an unbounded search costs, and no body is opened that no page shows. Older versions lie in no index: they are
found by walking back from the current one (`records.history`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from medlock.access.grant import Rules
from medlock.access.residual import Residuals
from medlock.records.indexing import TYPE_NAMES, TYPE_NUMBERS
from medlock.records.reach import Facts, Reach
from medlock.records.vault import TENANT, Vault
from medlock.store.bodies import Opened, tag_of
from medlock.store.capsule import Capsule, IndexRow
from medlock.store.entries import DELETED, DROPPED
from medlock.store.segment import ROWS, Mask, Segment

_YIELD_EVERY = 64
_KEPT = ["rid", "slot", "tag", "updated", "version"]
Lines = NDArray[np.void]
_PATIENT = frozenset({"Patient"})


async def newest_lines(vault: Vault, reach: Reach, types: frozenset[str]) -> Lines:
    """The last word on every visible resource of these types, each once, newest first, then by row."""
    await vault.directory.refresh()
    parts = [_visible(reach, None, vault.directory.view(), types)] if types == _PATIENT else []
    for count, slot in enumerate([] if parts else _slots(vault, reach, types)):
        capsule = await vault.capsules.open(slot)
        parts.append(_visible(reach, capsule, capsule.view(), types))
        if count % _YIELD_EVERY == _YIELD_EVERY - 1:
            await asyncio.sleep(0)
    found = np.concatenate([*parts, np.empty(0, ROWS)[_KEPT]])
    found = found[np.unique(found["rid"], return_index=True)[1]]  # a resource of two patients stands in two indexes
    return found[np.lexsort((found["rid"], -found["updated"]))]


def line_of(newest: Opened) -> Lines:
    """The line of one resource whose current version is open."""
    meta = newest.meta
    whole = np.array([(newest.rid, newest.slot, tag_of(newest.ct), meta.updated, meta.version, 0, 0, 0)], ROWS)
    found: Lines = whole[_KEPT]
    return found


def row_of(line: np.void) -> IndexRow:
    """The index row of a line."""
    rid, slot, tag, _, version = line.item()
    return IndexRow(rid, slot, version, tag)


def _slots(vault: Vault, reach: Reach, types: frozenset[str]) -> list[int]:
    shared = [TENANT] if types & reach.grant.shared else []
    return [*shared, *reach.slots(vault)]


def _visible(reach: Reach, capsule: Capsule | None, segments: Sequence[Segment], types: frozenset[str]) -> Lines:
    """What the rules let through of the last words in an index; of the directory, when there is no capsule."""
    parts = [np.empty(0, ROWS)[_KEPT]]
    later = np.empty(0, np.uint64)
    for segment in reversed(segments):
        mask = _allowed(reach, capsule, segment, types)
        if len(later):
            mask &= ~np.isin(segment.rids, later)
        parts.append(segment.rows[mask][_KEPT])
        later = np.concatenate([later, segment.rids])
    return np.concatenate(parts)


def _allowed(reach: Reach, capsule: Capsule | None, segment: Segment, types: frozenset[str]) -> Mask:
    """Rows of these types that the rules may allow; whether they are the last word is not asked."""
    mask: Mask = np.zeros(len(segment), np.bool_)
    for number in np.unique(segment.rows["type"]).tolist():
        if TYPE_NAMES.get(number) in types:
            mask |= segment.of_type(number) & _rules_allow(reach, capsule, segment, TYPE_NAMES[number])
    mask &= (segment.rows["flags"] & DROPPED) == 0
    return mask


def _rules_allow(reach: Reach, capsule: Capsule | None, segment: Segment, type_: str) -> Mask:
    """Rows that may be seen if they are of this type."""
    if capsule is None:
        return _patients_allowed(reach, segment)
    if capsule.slot == TENANT:
        shared = np.full(len(segment), type_ in reach.grant.shared)
        return _narrowed(reach, shared, reach.grant.shared_residuals, type_, segment)
    return _of_rules(reach, reach.rules(capsule.slot), Facts(type_, (capsule.patient,), ()), segment)


def _patients_allowed(reach: Reach, segment: Segment) -> Mask:
    """The same of the directory, whose rows belong to one patient each."""
    anybody = Facts("Patient", ("",), ())
    seen = _of_rules(reach, reach.grant.everyone, anybody, segment)
    for slot, rules in reach.by_slot.items():
        own = _of_rules(reach, rules, anybody, segment)
        seen = np.where(segment.rows["slot"] == np.uint64(slot), own, seen)
    return seen


def _of_rules(reach: Reach, rules: Rules | None, facts: Facts, segment: Segment) -> Mask:
    """Rows that some rules allow, were they of the type and patient of `facts`."""
    if rules is None:
        return np.zeros(len(segment), np.bool_)
    each = [rules.allow(msgspec.structs.replace(facts, labels=labels)) for labels in segment.labels]
    allowed: Mask = np.array(each, np.bool_)[segment.rows["label"]]
    return _narrowed(reach, allowed, rules.residuals, facts.type, segment)


def _narrowed(reach: Reach, seen: Mask, residuals: Residuals, type_: str, segment: Segment) -> Mask:
    """What residual rules may let through. Of a tombstone columns know nothing: `admitting.told` looks before it."""
    if type_ not in residuals:
        return seen
    gone = (segment.rows["flags"] & DELETED) != 0
    mask: Mask = reach.narrowed(seen, residuals, type_, segment) | (seen & gone)
    return mask


def is_stored(type_: str) -> bool:
    """Whether resources of this type lie in indexes: all but the view of the log."""
    return type_ in TYPE_NUMBERS and type_ != "AuditEvent"
