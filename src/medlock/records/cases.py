"""Emergency accesses as FHIR Parameters: what the person who opened a record is told, and the privacy officer's queue.

The officer sees who opened whose record, when and why, what was read in it by name, and what became of it; nothing that
stands in the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
import orjson

from medlock.audit.events import Event
from medlock.clock import instant
from medlock.records.glass import Case

Part = dict[str, Any]
ERASED: Final = "erased with the patient's record"


class Act(msgspec.Struct, frozen=True):
    """What was done in an emergency: the first event of it, how often, and when last (ms)."""

    event: Event
    times: int
    last: int

    def again(self, event: Event) -> Act:
        """Done once more."""
        return Act(self.event, self.times + 1, event.recorded)


def part(name: str, kind: str, value: object) -> Part:
    """One parameter with a value of a FHIR type."""
    return {"name": name, f"value{kind}": value}


def parameters(parts: Iterable[Part]) -> bytes:
    """A Parameters resource; an array in FHIR is never empty."""
    given = list(parts)
    return orjson.dumps({"resourceType": "Parameters"} | ({"parameter": given} if given else {}))


def opened(case: str, patient: str, until: int) -> bytes:
    """What is said to whoever opened a record, whether or not there is one."""
    about = part("patient", "Reference", {"reference": f"Patient/{patient}"})
    return parameters([part("case", "Id", case), about, part("until", "Instant", instant(until))])


def closed(patient: str) -> bytes:
    """What is said to whoever ended their access to a record, whether or not there was one."""
    about = part("patient", "Reference", {"reference": f"Patient/{patient}"})
    return parameters([about, part("open", "Boolean", value=False)])


def queue(cases: Iterable[tuple[str, Case]], now: int) -> bytes:
    """The cases, each with what it is called."""
    return parameters({"name": "case", "part": list(_case(id_, case, now))} for id_, case in cases)


def one(id_: str, case: Case, now: int, done: Iterable[Act]) -> bytes:
    """One case, with what was done in its time."""
    parts = [*_case(id_, case, now), *map(_done, done)]
    return parameters([{"name": "case", "part": parts}])


def status(case: Case, now: int) -> str:
    """Where its review stands."""
    if case.verdict is not None:
        return "reviewed"
    return "overdue" if case.overdue(now) else "open"


def _access(case: Case, now: int) -> str:
    if case.ended is not None:
        return "ended"
    return "lasts" if now < case.opened.until else "over"


def _case(id_: str, case: Case, now: int) -> Iterator[Part]:
    about, told = case.opened, case.told
    yield part("id", "Id", id_)
    yield part("status", "Code", status(case, now))
    yield part("access", "Code", _access(case, now))
    yield part("account", "String", about.account)
    yield from (part("role", "Code", role) for role in about.roles)
    if about.person:
        yield part("person", "Reference", {"reference": about.person})
    if about.client:
        yield part("client", "String", about.client)
    if told is not None:
        yield part("patient", "Reference", {"reference": f"Patient/{told.patient}"})
    yield part("reason", "String", ERASED if told is None else told.reason)
    for name, at in (("opened", about.opened), ("until", about.until), ("due", about.due)):
        yield part(name, "Instant", instant(at))
    yield part("openedThatDay", "Integer", about.recent)
    yield part("often", "Boolean", case.often)
    yield from _became(case)


def _became(case: Case) -> Iterator[Part]:
    if case.ended is not None:
        yield part("ended", "Instant", instant(case.ended.at))
        yield part("endedBy", "String", case.ended.by)
    if case.verdict is not None:
        yield part("outcome", "Code", case.verdict.outcome)
        yield part("reviewed", "Instant", instant(case.verdict.at))
        yield part("reviewedBy", "String", case.verdict.by)
        if case.verdict.note:
            yield part("note", "String", case.verdict.note)


def _done(act: Act) -> Part:
    """One act in the time of a case: what it was, and the names of the resources; how often, where it was repeated."""
    event = act.event
    names = [{"reference": f"{each.reference}/_history/{each.version}"} for each in event.touched]
    parts = [part("at", "Instant", instant(event.recorded)), part("act", "Code", event.action.value)]
    if act.times > 1:
        parts += [part("times", "Integer", act.times), part("last", "Instant", instant(act.last))]
    return {"name": "did", "part": [*parts, *(part("resource", "Reference", name) for name in names)]}
