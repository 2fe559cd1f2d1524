"""AuditEvent as a searchable view of the log (IHE BALP): who came in, told to those who may know.

A patient sees the events about their own record; a privacy officer all. What a search asked for can name other people:
only who may know of everybody sees it. The log is read newest first, a bounded
stretch per page; what a page shows is itself written down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from medlock.access.grant import Grant
from medlock.access.residual import Seen, holds
from medlock.audit.codings import action_of
from medlock.audit.entries import Recorded
from medlock.audit.events import Action, Touched
from medlock.audit.log import AuditLog
from medlock.audit.search import AuditQuery
from medlock.audit.view import audit_event, values
from medlock.errors import BadRequest, NotFound, Problem
from medlock.fhir import bundle
from medlock.fhir.match import matches
from medlock.fhir.query import COMPARTMENT, Condition, Kind, ReferenceValue, SearchQuery, TokenValue
from medlock.fhir.question import Question
from medlock.records.finding import Finding
from medlock.records.reach import Facts, Reach, reach_of
from medlock.records.read import NOT_FOUND
from medlock.records.search import Links, Page
from medlock.records.vault import Vault
from medlock.store.bodies import Meta

STRETCH = 20_000
"""Entries that one page looks at, at the most; a page that finds little says where to go on."""
_FETCH = 500
_PREFIX = "log-"
_TYPE = "AuditEvent"


async def read_event(vault: Vault, log: AuditLog, grant: Grant, question: Question) -> Finding:
    """AuditEvent/log-n. Raises NotFound when there is none, or none that this caller may know of."""
    number = question.id.removeprefix(_PREFIX)
    if not (question.id.startswith(_PREFIX) and number.isascii() and number.isdigit() and len(number) < 16):
        raise NotFound(NOT_FOUND, reason="not the id of a log entry")
    recorded = await log.event(int(number))
    if not _visible(await reach_of(vault, grant), recorded):
        raise NotFound(NOT_FOUND, reason="log entry out of reach")
    body = audit_event(_shown(grant, recorded))
    return Finding(200, body, "1", recorded.event.recorded, seen=[_mark(recorded)])


@dataclass(frozen=True, slots=True)
class Part:
    """Which page, and how the one after it is addressed."""

    page: Page
    links: Links


async def search_events(vault: Vault, log: AuditLog, grant: Grant, query: SearchQuery, part: Part) -> Finding:
    """One page of events, newest first. No total: counting would mean opening the whole log."""
    if _shaped(query):
        text = "The audit log is given whole and newest first: _count and _total=none are all that shapes it."
        raise BadRequest(text, problems=(Problem("not-supported", text),))
    page, links = part.page, part.links
    reach = await reach_of(vault, grant)
    slot, possible = await _slot(vault, reach, query)
    start = _Start(slot, page, _action(query))
    stretch = await _collect(log, reach, query, start) if possible else _Stretch([], 0, ended=True)
    entries = [
        bundle.SearchEntry(f"{links.base}/AuditEvent/{_PREFIX}{each.seq}", audit_event(_shown(grant, each)), "match")
        for each in stretch.found
    ]
    addresses = {"self": links.here}
    if not stretch.ended:
        shown = page.shown + len(stretch.found)
        addresses["next"] = links.next(vault, query.text, query.type, shown, stretch.last + 1)
    body = bundle.searchset(entries, total=None, links=addresses)
    return Finding(200, body, seen=[_mark(each) for each in stretch.found])


def _shaped(query: SearchQuery) -> bool:
    """Whether the result is to have a form that this view does not give."""
    others = query.sort or query.includes or query.revincludes or query.elements
    return bool(others) or query.summary not in {"", "false"} or query.total not in {"", "none"}


def _shown(grant: Grant, recorded: Recorded) -> Recorded:
    """The event as this caller may see it."""
    if grant.everyone is not None or "?" not in recorded.event.query:  # an address alone names nobody else
        return recorded
    return replace(recorded, event=msgspec.structs.replace(recorded.event, query=""))


@dataclass(frozen=True, slots=True)
class _Start:
    """Whose events, of which action, and where the page starts."""

    slot: int | None
    page: Page
    action: Action | None = None


@dataclass(slots=True)
class _Stretch:
    """What a page found, the last entry it looked at, and whether the log ended there."""

    found: list[Recorded]
    last: int
    ended: bool = False


async def _collect(log: AuditLog, reach: Reach, query: SearchQuery, start: _Start) -> _Stretch:
    """Look back through the log until the page is full, the log ends, or the stretch is used up."""
    stretch = _Stretch([], start.page.last - 1)
    seen = 0
    while seen < STRETCH:
        after = stretch.last if start.page.last or seen else None
        events = await log.find(AuditQuery(slot=start.slot, action=start.action, after_seq=after, limit=_FETCH))
        for recorded in events:
            stretch.last = recorded.seq
            if _visible(reach, recorded) and _matches(query, recorded):
                stretch.found.append(recorded)
                if len(stretch.found) == start.page.size:
                    return stretch
        seen += len(events)
        if len(events) < _FETCH:
            stretch.ended = True
            return stretch
    return stretch


async def _slot(vault: Vault, reach: Reach, query: SearchQuery) -> tuple[int | None, bool]:
    """The one slot that can match, None for any; and whether anything can match at all."""
    named = [value.id for condition in query.conditions if _names_patient(condition) for value in condition.values
             if isinstance(value, ReferenceValue)]  # fmt: skip
    if len(named) == 1:
        slot = await vault.any_slot(named[0])
        return slot, slot is not None and reach.rules(slot) is not None
    if reach.grant.everyone is None and len(reach.by_slot) == 1:
        return next(iter(reach.by_slot)), True
    return None, True


def _action(query: SearchQuery) -> Action | None:
    """The one action that can match, None for any."""
    for condition in query.conditions:
        if condition.param == "subtype" and not condition.modifier and len(condition.values) == 1:
            (value,) = condition.values
            return action_of(value.system, value.code) if isinstance(value, TokenValue) else None
    return None


def _names_patient(condition: Condition) -> bool:
    return condition.param in {"patient", COMPARTMENT} and condition.kind is Kind.REFERENCE and not condition.modifier


def _visible(reach: Reach, recorded: Recorded) -> bool:
    """Whether the caller may know of this event: by the patient it is about, or as one about nobody."""
    event = recorded.event
    if not event.slot:
        allowed = _TYPE in reach.grant.shared
    else:
        rules = reach.rules(event.slot)
        allowed = rules is not None and rules.allow(Facts(_TYPE, (event.patient,), ()))
    return allowed and (not reach.grant.needs_body(_TYPE) or _admitted(reach, recorded))


def _admitted(reach: Reach, recorded: Recorded) -> bool:
    """Whether the residual rule of those whom the event is about holds for the event as this caller may see it."""
    event = recorded.event
    rules = reach.rules(event.slot) if event.slot else None
    residuals = reach.grant.shared_residuals if rules is None else rules.residuals
    rule = residuals.get(_TYPE)
    patients = (event.patient,) if event.slot else ()
    meta = Meta(_TYPE, f"{_PREFIX}{recorded.seq}", 1, event.recorded, patients)
    shown = _shown(reach.grant, recorded)
    return rule is None or holds(rule, Seen(meta, audit_event(shown), values=values(shown)))


def _matches(query: SearchQuery, recorded: Recorded) -> bool:
    found = values(recorded)
    id_ = f"{_PREFIX}{recorded.seq}"
    return matches(query.conditions, "AuditEvent", found, id=id_, updated_ms=recorded.event.recorded)


def _mark(recorded: Recorded) -> tuple[int, str, Touched]:
    """What the log notes of itself being read."""
    event = recorded.event
    return event.slot, event.patient, Touched(f"AuditEvent/{_PREFIX}{recorded.seq}", 1, "R")
