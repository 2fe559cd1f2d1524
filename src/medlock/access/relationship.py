"""The treatment relationship: who is treating this patient, read from the record at the moment somebody asks.

It is never stored as a permission. Resources that others wrote for their own reasons say it: who is the general
practitioner, who is in the care team, whose visit, appointment or order it is. Each gives ties (`ties_of`): by these
actors, from then until then. A caller answers to references (`Caller`), by roles and teams that are told of in the
same way (`memberships_of`), and is related when one tie counts now (`reasons`). When the resource changes, so does the
answer.

Nobody makes a relationship for themselves: who names themselves in such a resource is marked in it (`SELF_NAMED`), and
what bears somebody's mark does not count for them. docs/relationship.md has the rules in words.

Pure. What cannot be read says nothing, and nothing gives no access.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

import msgspec

from medlock.access.principal import Principal
from medlock.access.roles import TREATS
from medlock.fhir.dates import DAY_MS, Interval, interval, period
from medlock.fhir.values import MAX_MS, MIN_MS

Json = Mapping[str, Any]

WINDOW_MS: Final = 14 * DAY_MS
"""So long before a visit or appointment, and after it, those whose it is are related to the patient."""
SELF_NAMED: Final = "urn:medlock:self-named"
"""System of tags; the code is the person who wrote themselves into this resource."""
CHART: Final = "Patient"


class Source(StrEnum):
    """What says that there is a relationship."""

    GENERAL_PRACTITIONER = "general-practitioner"
    CARE_TEAM = "care-team"
    ENCOUNTER = "encounter"
    APPOINTMENT = "appointment"
    ORDER = "order"
    COVER = "on-call-cover"
    BREAK_GLASS = "break-glass"  # no resource says it: they opened the record in an emergency


class Tie(msgspec.Struct, frozen=True):
    """One reason: a resource names these actors, and it counts from `since` until before `until` (ms).

    `own` are persons for whom it does not count, since they wrote themselves into it. `patients` are whom it is about:
    somebody's team may have another patient in it, as a carer, and that makes no tie with that one.
    """

    source: Source
    reference: str
    actors: frozenset[str]
    since: int
    until: int
    own: frozenset[str] = frozenset()
    patients: frozenset[str] = frozenset()


class Membership(msgspec.Struct, frozen=True):
    """Whoever answers to one of `members` answers to `gives` as well, from `since` until before `until`."""

    gives: frozenset[str]
    members: frozenset[str]
    since: int
    until: int
    own: frozenset[str] = frozenset()


class Caller(msgspec.Struct, frozen=True):
    """Who asks: the person (`Practitioner/x`, "" for none), what they answer to now, and what they are on call for."""

    person: str
    answers: frozenset[str]
    covers: frozenset[str] = frozenset()


def is_bound(principal: Principal) -> bool:
    """Whether this caller needs a relationship, where the site asks for one."""
    return not TREATS.isdisjoint(principal.roles)


def ties_of(resource: Json) -> tuple[Tie, ...]:
    """Every tie that a resource makes with the patient whose record it is in."""
    return tuple(_told(resource, _TIES, _tie))


def memberships_of(resource: Json) -> tuple[Membership, ...]:
    """What a PractitionerRole makes its practitioner, and a CareTeam those in it. No source can name a Group in R4."""
    return tuple(_told(resource, _MEMBERS, _membership))


def answers(
    base: frozenset[str], person: str, memberships: Collection[Membership], now: int, *, ahead: bool = False
) -> frozenset[str]:
    """All that whoever answers to `base` answers to now: teams within teams as well. `ahead`: or will, later."""
    held = [each for each in memberships if now < each.until and (ahead or each.since <= now)]
    found, waiting = base, [each for each in held if person not in each.own]
    while True:
        more = frozenset[str]().union(*(each.gives for each in waiting if not found.isdisjoint(each.members)))
        if more <= found:
            return found
        found |= more


def reasons(ties: Iterable[Tie], caller: Caller, now: int) -> Iterator[Tie]:
    """The ties that count for a caller now."""
    for tie in ties:
        who = caller.covers if tie.source is Source.COVER else caller.answers
        if tie.since <= now < tie.until and not who.isdisjoint(tie.actors) and caller.person not in tie.own:
            yield tie


def names_itself(before: Json | None, after: Json, caller: Caller, now: int) -> bool:
    """Whether its own writer gets more out of a resource than others had given them, now or at any hour to come.

    Not more is: the same or a shorter time, of the same source. And whoever was named for a visit by others may begin
    it: it then lasts until somebody ends it, as it would if nobody did. `caller` is with all they will answer to.
    """
    given = () if before is None else tuple(_given(before, after, caller, now))
    return any(not any(_within(tie, each, caller) for each in given) for tie in ties_of(after) if _meant(tie, caller))


def marked(resource: Json) -> frozenset[str]:
    """The persons who wrote themselves into a resource."""
    tags = (resource.get("meta") or {}).get("tag") or ()
    return frozenset(str(each.get("code")) for each in tags if each.get("system") == SELF_NAMED)


def in_force(role: Json, now: int) -> bool:
    """Whether a PractitionerRole holds now."""
    since, until = _limits(role.get("period"))
    return role.get("active") is not False and since <= now < until


def covered(role: Json, person: str, now: int) -> frozenset[str]:
    """The organisation for which a person is on call now, by the hours of a role of theirs that is in force.

    Hours are in UTC. A role without hours is nobody's turn.
    """
    places = covering(role, person, now)
    if not places or not in_force(role, now):
        return frozenset()
    if any(low <= now < high for low, high in map(_limits, (e.get("during") for e in role.get("notAvailable") or ()))):
        return frozenset()
    return places if any(_on_call(hours, now) for hours in role.get("availableTime") or ()) else frozenset()


def covering(role: Json, person: str, now: int) -> frozenset[str]:
    """The same at any hour from now on: of a role that is not over."""
    lasts = role.get("active") is not False and now < _limits(role.get("period"))[1]
    if not lasts or not role.get("availableTime") or person not in _references([role.get("practitioner")]):
        return frozenset()
    return frozenset(_references([role.get("organization")]))


def _meant(tie: Tie, caller: Caller) -> bool:
    """Whether a tie is about a caller, whoever wrote it."""
    return not (caller.covers if tie.source is Source.COVER else caller.answers).isdisjoint(tie.actors)


def _theirs(tie: Tie, caller: Caller) -> bool:
    """Whether others gave a caller this tie."""
    return _meant(tie, caller) and caller.person not in tie.own


def _given(before: Json, after: Json, caller: Caller, now: int) -> Iterator[Tie]:
    """What others gave a caller; by a visit that they planned and that is due, what beginning it gives."""
    given = [each for each in ties_of(before) if _theirs(each, caller)]
    yield from given
    due = any(each.source is Source.ENCOUNTER and each.since <= now < each.until for each in given)
    if due and before.get("status") == "planned" and after.get("status") in _PRESENT:
        begun = {**before, "status": "in-progress", "period": {}}
        yield from (each for each in ties_of(begun) if _theirs(each, caller))


def _within(tie: Tie, given: Tie, caller: Caller) -> bool:
    """Whether a tie gives no more than one that was given before: by the same source, for no longer, by the same actor.

    Whatever else a person answers to gives them no more than they have by their own name.
    """
    mine = tie.actors & (caller.covers if tie.source is Source.COVER else caller.answers)
    named = caller.person in given.actors or mine <= given.actors
    return tie.source is given.source and named and given.since <= tie.since and tie.until <= given.until


_Told = Iterator[tuple[Any, Iterable[str], Interval]]
"""What it is, by whom, and when."""


def _told(resource: Json, table: Mapping[str, Callable[[Json], _Told]], make: Callable[..., Any]) -> Iterator[Any]:
    """What a resource of one of these types says, of whom and for a time; nothing where it cannot be read."""
    read = table.get(resource.get("resourceType", ""))
    if read is None:
        return
    try:
        told = [(what, frozenset(who), when) for what, who, when in read(resource)]
    except (ValueError, TypeError, AttributeError):  # a date that is none, a list where an element should be
        return
    for what, who, (since, until) in told:
        if who and since < until:
            yield make(resource, what, who, since, until)


def _tie(resource: Json, source: Source, who: frozenset[str], since: int, until: int) -> Tie:
    reference = f"{resource['resourceType']}/{resource.get('id', '')}"
    return Tie(source, reference, who, since, until, marked(resource), _about(resource, reference))


def _about(resource: Json, reference: str) -> frozenset[str]:
    """The patients whom a resource is about."""
    named = [resource.get("subject"), *(each.get("actor") for each in resource.get("participant") or ())]
    found = {reference, *_references(named)}
    return frozenset(each for each in found if each.startswith(f"{CHART}/"))


def _membership(resource: Json, gives: frozenset[str], who: frozenset[str], since: int, until: int) -> Membership:
    return Membership(gives, who, since, until, marked(resource))


_ALWAYS: Final = MIN_MS, MAX_MS


def _limits(element: Json | None) -> Interval:
    """A Period, open where it says nothing."""
    return (period(dict(element)) if element else None) or _ALWAYS


def _both(one: Interval, other: Interval) -> Interval:
    return max(one[0], other[0]), min(one[1], other[1])


def _around(when: Interval) -> Interval:
    """A time with what comes before and after it."""
    return (when[0] if when[0] == MIN_MS else when[0] - WINDOW_MS), (
        when[1] if when[1] == MAX_MS else when[1] + WINDOW_MS
    )


def _references(given: Iterable[Any]) -> Iterator[str]:
    """The literal references in these elements, without versions."""
    for each in given:
        if isinstance(each, dict) and isinstance(each.get("reference"), str):
            yield each["reference"].partition("/_history/")[0]


def _of_patient(resource: Json) -> _Told:
    yield Source.GENERAL_PRACTITIONER, _references(resource.get("generalPractitioner") or ()), _ALWAYS


def _of_team(resource: Json) -> _Told:
    if resource.get("status") != "active":
        return
    whole = _limits(resource.get("period"))
    for each in resource.get("participant") or ():
        yield Source.CARE_TEAM, _references([each.get("member")]), _both(whole, _limits(each.get("period")))


_PRESENT: Final = frozenset({"arrived", "triaged", "in-progress", "onleave"})
_VISITS: Final = _PRESENT | {"planned", "finished"}


def _of_encounter(resource: Json) -> _Told:
    status = resource.get("status")
    when = _visit(resource.get("period") or {}, present=status in _PRESENT)
    if status not in _VISITS or when is None:
        return
    for each in resource.get("participant") or ():
        theirs = _both(when, _limits(each.get("period")))
        if theirs[0] < theirs[1]:
            yield Source.ENCOUNTER, _references([each.get("individual")]), _around(theirs)
    if status in _PRESENT:
        yield Source.COVER, _references([resource.get("serviceProvider")]), when


def _visit(element: Json, *, present: bool) -> Interval | None:
    """When a visit is or was; one that goes on ends when somebody says so. None when nothing says when it is."""
    low, high = _limits(element)
    if present:
        return low, high
    if (low, high) == _ALWAYS:
        return None
    low = interval(element["end"])[0] if low == MIN_MS else low
    high = interval(element["start"])[1] if high == MAX_MS else high
    return low, high


_EXPECTED: Final = frozenset({"booked", "arrived", "checked-in", "fulfilled"})


def _of_appointment(resource: Json) -> _Told:
    start, end = resource.get("start"), resource.get("end")
    if resource.get("status") not in _EXPECTED or not start:
        return
    whole = _around((interval(start)[0], interval(end or start)[1]))
    for each in resource.get("participant") or ():
        if each.get("status") != "declined":
            yield Source.APPOINTMENT, _references([each.get("actor")]), _both(whole, _limits(each.get("period")))


_NO_ORDERS: Final = frozenset({"proposal", "plan", "option"})


def _of_order(resource: Json) -> _Told:
    asked = resource.get("intent") not in _NO_ORDERS and resource.get("doNotPerform") is not True
    if resource.get("status") == "active" and asked:
        who = [resource.get("requester"), *(resource.get("performer") or ())]
        yield Source.ORDER, _references(who), _ALWAYS


def _in_role(resource: Json) -> _Told:
    if resource.get("active") is not False:
        places = [resource.get("organization"), *(resource.get("healthcareService") or ())]
        gives = frozenset({f"PractitionerRole/{resource.get('id', '')}", *_references(places)})
        yield gives, _references([resource.get("practitioner")]), _limits(resource.get("period"))


def _in_team(resource: Json) -> _Told:
    gives = frozenset({f"CareTeam/{resource.get('id', '')}"})
    for _, who, when in _of_team(resource):
        yield gives, who, when


_TIES: Final[Mapping[str, Callable[[Json], _Told]]] = MappingProxyType(
    {
        CHART: _of_patient,
        "CareTeam": _of_team,
        "Encounter": _of_encounter,
        "Appointment": _of_appointment,
        "ServiceRequest": _of_order,
    }
)
_MEMBERS: Final[Mapping[str, Callable[[Json], _Told]]] = MappingProxyType(
    {"PractitionerRole": _in_role, "CareTeam": _in_team}
)
SOURCES: Final = frozenset(_TIES)
"""Types that can make a tie."""

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SINCE_MONDAY: Final = 3  # 1970-01-01 was a Thursday


def _on_call(hours: Json, now: int) -> bool:
    """Whether a moment lies in the hours of a role; hours that end before they begin go on after midnight."""
    day, at = divmod(now, DAY_MS)
    days = hours.get("daysOfWeek") or _DAYS
    today, yesterday = (_DAYS[(day + _SINCE_MONDAY - back) % 7] in days for back in (0, 1))
    if hours.get("allDay") is True:
        return today
    start, end = (_of_day(hours.get(name)) for name in ("availableStartTime", "availableEndTime"))
    if start is None or end is None:
        return False
    if start < end:
        return today and start <= at < end
    return (today and at >= start) or (yesterday and at < end)


def _of_day(text: Any) -> int | None:
    """A time of day in ms; None for none."""
    parts = str(text).split(":")
    if text is None or len(parts) != 3:
        return None
    return int(parts[0]) * 3_600_000 + int(parts[1]) * 60_000 + int(float(parts[2]) * 1000)
