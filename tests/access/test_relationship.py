"""The treatment relationship, pure: what each resource says, of whom and until when."""

import pytest

from consent.form import ms
from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.relationship import (
    SELF_NAMED,
    Caller,
    answers,
    covered,
    covering,
    in_force,
    is_bound,
    memberships_of,
    names_itself,
    reasons,
    ties_of,
)
from medlock.access.scopes import parse_scopes

ANN = "Practitioner/ann"
ME = Caller(ANN, frozenset({ANN, "PractitionerRole/r", "Organization/ward", "CareTeam/out"}))
ON_CALL = Caller(ANN, ME.answers, frozenset({"Organization/ward"}))
NOW = "2026-06-15T10:00:00+00:00"  # a Monday


def ref(reference=ANN):
    """A reference."""
    return {"reference": reference}


def visit(status="in-progress", who=ANN, of=None, **more):
    """An Encounter."""
    part = {"individual": ref(who)} | ({"period": of} if of else {})
    return {"resourceType": "Encounter", "id": "e", "status": status, "participant": [part]} | more


def period(start=None, end=None):
    """A Period."""
    return {name: text for name, text in (("start", start), ("end", end)) if text}


def team(status="active", member=ANN, of=None, **more):
    """A CareTeam."""
    part = {"member": ref(member)} | ({"period": of} if of else {})
    return {"resourceType": "CareTeam", "id": "t", "status": status, "participant": [part]} | more


def appointment(status="booked", part="accepted", start="2026-06-20T09:00:00Z", end="2026-06-20T09:30:00Z", who=ANN):
    """An Appointment."""
    made = {"resourceType": "Appointment", "id": "a", "status": status, "start": start, "end": end}
    return made | {"participant": [{"status": part, "actor": ref(who)}]}


def order(status="active", intent="order", **more):
    """A ServiceRequest."""
    return {"resourceType": "ServiceRequest", "id": "s", "status": status, "intent": intent} | more


def chart(*who):
    """A Patient."""
    return {"resourceType": "Patient", "id": "p", "generalPractitioner": [ref(each) for each in who]}


def related(resource, now=NOW, caller=ME):
    """Whether a resource makes a relationship at a moment."""
    return any(True for _ in reasons(ties_of(resource), caller, ms(now)))


YES, NO = True, False
CASES = {
    "general practitioner": (chart(ANN), YES),
    "general practitioner, a practice": (chart("Organization/ward"), YES),
    "general practitioner, a role": (chart("PractitionerRole/r"), YES),
    "general practitioner, somebody else": (chart("Practitioner/bob", "Organization/other"), NO),
    "no general practitioner": (chart(), NO),
    "team": (team(), YES),
    "team, of which a team of theirs is a member": (team(member="CareTeam/out"), YES),
    "team, proposed": (team("proposed"), NO),
    "team, suspended": (team("suspended"), NO),
    "team, inactive": (team("inactive"), NO),
    "team without a status": ({**team(), "status": None}, NO),
    "team, over": (team(period=period("2026-01-01", "2026-06-14")), NO),
    "team, until today": (team(period=period("2026-01-01", "2026-06-15")), YES),
    "team, to come": (team(period=period("2026-06-16")), NO),
    "team, left": (team(of=period("2026-01-01", "2026-06-14")), NO),
    "team, managed by their organisation": (
        team(member="Practitioner/bob", managingOrganization=[ref("Organization/ward")]),
        NO,
    ),
    "visit going on": (visit(), YES),
    "visit going on, since long": (visit(period=period("2020-01-01")), YES),
    "visit arrived": (visit("arrived", period=period("2026-06-15T09:00:00Z")), YES),
    "visit of somebody else at their place": (
        visit(who="Practitioner/bob", serviceProvider=ref("Organization/ward")),
        NO,
    ),
    "visit over for 13 days": (visit("finished", period=period("2026-06-01", "2026-06-02")), YES),
    "visit over for 15 days": (visit("finished", period=period("2026-05-30", "2026-05-31")), NO),
    "visit over, it is not said when": (visit("finished"), NO),
    "visit over, no end said": (visit("finished", period=period("2026-06-05")), YES),
    "visit over, no end said, long ago": (visit("finished", period=period("2025-06-05")), NO),
    "visit in 13 days": (visit("planned", period=period("2026-06-28")), YES),
    "visit in 15 days": (visit("planned", period=period("2026-06-30T12:00:00Z")), NO),
    "visit cancelled": (visit("cancelled", period=period("2026-06-15")), NO),
    "visit entered in error": (visit("entered-in-error", period=period("2026-06-15")), NO),
    "visit, they left it 15 days ago": (visit(period=period("2026-05-01"), of=period("2026-05-01", "2026-05-31")), NO),
    "visit, they left it yesterday": (visit(period=period("2026-05-01"), of=period("2026-05-01", "2026-06-14")), YES),
    "visit, they were never there": (
        visit("finished", period=period("2026-06-10", "2026-06-11"), of=period("2026-06-12")),
        NO,
    ),
    "appointment in five days": (appointment(), YES),
    "appointment five days ago": (
        appointment("fulfilled", start="2026-06-10T09:00:00Z", end="2026-06-10T10:00:00Z"),
        YES,
    ),
    "appointment long ago": (appointment("fulfilled", start="2026-05-10T09:00:00Z", end="2026-05-10T10:00:00Z"), NO),
    "appointment far off": (appointment(start="2026-07-10T09:00:00Z", end="2026-07-10T10:00:00Z"), NO),
    "appointment cancelled": (appointment("cancelled"), NO),
    "appointment missed": (appointment("noshow"), NO),
    "appointment only proposed": (appointment("proposed"), NO),
    "appointment declined by them": (appointment(part="declined"), NO),
    "appointment without a time": ({**appointment(), "start": None}, NO),
    "order of theirs": (order(requester=ref()), YES),
    "order to them": (order(performer=[ref("Practitioner/bob"), ref("Organization/ward")]), YES),
    "order to a team of theirs": (order(performer=[ref("CareTeam/out")]), YES),
    "order of and to others": (order(requester=ref("Practitioner/bob"), performer=[ref("Organization/other")]), NO),
    "order done": (order("completed", requester=ref()), NO),
    "order revoked": (order("revoked", requester=ref()), NO),
    "order that is only a plan": (order(intent="plan", requester=ref()), NO),
    "order not to do something": (order(requester=ref(), doNotPerform=True), NO),
    "order, one version of the order named": (order(requester=ref(f"{ANN}/_history/3")), YES),
    "observation": ({"resourceType": "Observation", "id": "o", "performer": [ref()]}, NO),
    "visit at a date that is none": (visit("finished", period={"start": "soon"}), NO),
    "team whose participants are no list": (team(participant="all"), NO),
}


@pytest.mark.parametrize("case", CASES)
def test_a_resource_makes_a_relationship_or_not(case):
    """Each source at its begin and its end, and what looks like one and is none."""
    resource, wanted = CASES[case]
    assert related(resource) is wanted


@pytest.mark.parametrize("case", CASES)
def test_nobody_is_related_by_what_they_are_marked_in(case):
    """What a person wrote themselves into never counts for them, and does for others in it."""
    resource, wanted = CASES[case]
    marked = {**resource, "meta": {"tag": [{"system": SELF_NAMED, "code": ANN}]}}
    assert not related(marked)
    other = Caller("Practitioner/bob", ME.answers)
    assert related(marked, caller=other) is wanted


def test_without_an_actor_nobody_is_related():
    """A caller who is nobody's record is related to nobody."""
    nobody = Caller("", frozenset())
    assert not any(related(resource, caller=nobody) for resource, _ in CASES.values())


ROLE = {"resourceType": "PractitionerRole", "id": "r", "practitioner": ref(), "organization": ref("Organization/ward")}


def test_teams_within_teams_and_roles():
    """Roles give organisations, those give teams, and those teams around them; what ended gives nothing."""
    outer = {**team(member="CareTeam/t"), "id": "g"}
    chain = [ROLE, team(member="Organization/ward"), outer]
    told = [each for resource in chain for each in memberships_of(resource)]
    own = frozenset({ANN})
    wanted = own | {"PractitionerRole/r", "Organization/ward", "CareTeam/t", "CareTeam/g"}
    assert answers(own, ANN, told, ms(NOW)) == wanted
    assert answers(frozenset({"Practitioner/bob"}), "Practitioner/bob", told, ms(NOW)) == {"Practitioner/bob"}
    for broken in (
        {**ROLE, "active": False},
        {**ROLE, "period": period("2020-01-01", "2021-01-01")},
        {**ROLE, "practitioner": ref("Practitioner/bob")},
    ):
        told = [each for resource in [broken, *chain[1:]] for each in memberships_of(resource)]
        assert answers(own, ANN, told, ms(NOW)) == own
    for ended in ({"status": "inactive"}, {"participant": []}, {"period": period("2020-01-01", "2021-01-01")}):
        told = [each for resource in [*chain[:2], outer | ended] for each in memberships_of(resource)]
        assert answers(own, ANN, told, ms(NOW)) == wanted - {"CareTeam/g"}
    marked = outer | {"meta": {"tag": [{"system": SELF_NAMED, "code": ANN}]}}
    told = [each for resource in [*chain[:2], marked] for each in memberships_of(resource)]
    assert answers(own, ANN, told, ms(NOW)) == wanted - {"CareTeam/g"}


def test_what_begins_later_is_answered_to_later():
    """A role or team of tomorrow gives nothing now, and is known ahead; one that is over gives nothing ever."""
    own = frozenset({ANN})
    role = {**ROLE, "period": period("2026-06-16", "2026-06-30")}
    told = memberships_of(role) + memberships_of(team(member="Organization/ward", of=period("2026-06-17")))
    assert answers(own, ANN, told, ms(NOW)) == own
    ahead = answers(own, ANN, told, ms(NOW), ahead=True)
    assert ahead == own | {"PractitionerRole/r", "Organization/ward", "CareTeam/t"}
    assert answers(own, ANN, told, ms("2026-07-01T00:00:00+00:00"), ahead=True) == own
    turn = {**role, "availableTime": [{"allDay": True}]}
    assert covering(turn, ANN, ms(NOW)) == {"Organization/ward"}
    assert not covered(turn, ANN, ms(NOW))
    assert not covering(turn, ANN, ms("2026-07-01T00:00:00+00:00"))


HOURS = [{"daysOfWeek": ["mon"], "availableStartTime": "08:00:00", "availableEndTime": "12:00:00"}]
NIGHT = [{"daysOfWeek": ["sun"], "availableStartTime": "20:00:00", "availableEndTime": "11:00:00"}]
COVER = {
    "in the hours": (HOURS, {}, NOW, YES),
    "before the hours": (HOURS, {}, "2026-06-15T07:59:59+00:00", NO),
    "when they end": (HOURS, {}, "2026-06-15T12:00:00+00:00", NO),
    "another day": (HOURS, {}, "2026-06-16T10:00:00+00:00", NO),
    "the night before": (NIGHT, {}, "2026-06-14T23:00:00+00:00", YES),
    "a night that goes on": (NIGHT, {}, NOW, YES),
    "the night is over": (NIGHT, {}, "2026-06-15T11:00:00+00:00", NO),
    "the night of another day": (NIGHT, {}, "2026-06-16T10:00:00+00:00", NO),
    "all day": ([{"daysOfWeek": ["mon"], "allDay": True}], {}, NOW, YES),
    "hours on no day are hours on every day": ([{**HOURS[0], "daysOfWeek": []}], {}, "2026-06-17T10:00:00Z", YES),
    "hours without an end": ([{"availableStartTime": "08:00:00"}], {}, NOW, NO),
    "no hours": ([], {}, NOW, NO),
    "away": (HOURS, {"notAvailable": [{"description": "x", "during": period("2026-06-15", "2026-06-15")}]}, NOW, NO),
    "away for a time that is not said": (HOURS, {"notAvailable": [{"description": "x"}]}, NOW, NO),
    "a role that is over": (HOURS, {"period": period("2020-01-01", "2021-01-01")}, NOW, NO),
    "a role that does not hold": (HOURS, {"active": False}, NOW, NO),
    "somebody else's": (HOURS, {"practitioner": ref("Practitioner/bob")}, NOW, NO),
}


@pytest.mark.parametrize("case", COVER)
def test_on_call(case):
    """Who is on call for a place is related to those who are there now, and to nobody else."""
    hours, more, now, wanted = COVER[case]
    turn = {**ROLE, "availableTime": hours, **more}
    places = covered(turn, ANN, ms(now))
    assert places == ({"Organization/ward"} if wanted else set())
    ever = bool(hours) and not {"period", "active", "practitioner"} & set(more)
    assert covering(turn, ANN, ms(now)) == ({"Organization/ward"} if ever else set())
    caller = Caller(ANN, frozenset({ANN}), places)
    there = visit(who="Practitioner/bob", serviceProvider=ref("Organization/ward"))
    assert related(there, now, caller) is wanted
    assert not related({**there, "status": "finished", "period": period("2026-06-14", "2026-06-16")}, now, caller)
    assert not related({**there, "serviceProvider": ref("Organization/other")}, now, caller)


def test_a_role_is_in_force_for_its_time():
    """As its period and its mark say."""
    assert in_force({}, 0)
    assert not in_force({"active": False}, 0)
    assert not in_force({"period": period("2026-01-01", "2026-01-31")}, ms("2026-02-01T00:00:00+00:00"))


LATER = period("2026-06-01", "2027-06-01")
OLD, SOON, SHORT = period("2026-06-01"), period("2026-06-16"), period("2026-06-16", "2026-06-17")
WARD = {"serviceProvider": ref("Organization/ward")}
CHANGES = {
    "writes themselves in": (None, team(), YES),
    "writes their organisation in": (None, chart("Organization/ward"), YES),
    "writes others in": (None, team(member="Practitioner/bob"), NO),
    "orders something": (None, order(requester=ref()), YES),
    "changes nothing about it": (team(), {**team(), "name": "new"}, NO),
    "takes more time in a team": (team(of=period("2026-06-01", "2026-06-30")), team(of=LATER), YES),
    "takes less time in a team": (team(of=LATER), team(of=period("2026-06-01", "2026-06-30")), NO),
    "begins a visit that others planned": (
        visit("planned", period=period("2026-06-15")),
        visit(period=period(NOW)),
        NO,
    ),
    "begins one that is over": (visit("planned", period=period("2026-05-01")), visit(period=period(NOW)), YES),
    "ends a visit": (visit(period=period(NOW)), visit("finished", period=period(NOW, NOW)), NO),
    "draws a visit out": (visit("planned", period=period("2026-06-15")), visit("planned", period=LATER), YES),
    "takes another appointment": (
        appointment(),
        appointment(start="2026-07-20T09:00:00Z", end="2026-07-20T10:00:00Z"),
        YES,
    ),
    "opens an order again": (order("completed", requester=ref()), order(requester=ref()), YES),
    "begins one early": (visit("planned", period=period("2026-06-16")), visit(period=period(NOW)), NO),
    "begins one that is not due": (visit("planned", period=period("2026-07-15")), visit(period=period(NOW)), YES),
    "goes on with a visit": (visit("arrived"), visit(period=period(NOW)), NO),
    "opens a visit again": (visit("finished", period=period("2026-06-01", "2026-06-02")), visit(period=OLD), YES),
    "opens one again that was to end": (visit(period=period("2026-06-01", "2026-06-02")), visit(period=OLD), YES),
    "returns to a visit": (visit(period=OLD, of=period("2026-06-01", "2026-06-10")), visit(period=OLD), YES),
    "returns to one that is to come": (
        visit("planned", period=SOON, of=period("2026-06-01", "2026-06-15")),
        visit(period=SOON),
        YES,
    ),
    "begins one that they leave": (
        visit("planned", period=SOON, of=SHORT),
        visit(period=SOON, of=SHORT),
        NO,
    ),
    "takes part in a visit that they cover": (
        visit(who="Practitioner/bob", period=OLD, **WARD),
        visit(period=OLD, of=period("2026-06-15"), **WARD),
        YES,
    ),
    "covers a visit that they take part in": (visit(period=OLD), visit(period=OLD, **WARD), YES),
    "writes a visit at their own place": (None, visit(who="Practitioner/bob", period=OLD, **WARD), YES),
    "writes a visit elsewhere": (None, visit(who="Practitioner/bob", serviceProvider=ref("Organization/other")), NO),
    "changes nothing about a visit at their own place": (visit(**WARD), visit(length={"value": 1}, **WARD), NO),
    "begins one at their own place": (visit("planned", period=SOON, **WARD), visit(period=SOON, **WARD), NO),
    "takes one to their own place as it begins": (visit("planned", period=SOON), visit(period=SOON, **WARD), YES),
    "puts themselves where their place was": (team(member="Organization/ward"), team(), YES),
    "puts their place beside themselves": (chart(ANN), chart(ANN, "Organization/ward"), NO),
    "orders what they were asked for": (order(performer=[ref()]), order(requester=ref(), performer=[ref()]), NO),
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_is_more_than_others_gave(case):
    """A writer who gets more out of a resource than was given names themselves; what was given before stays given."""
    before, after, wanted = CHANGES[case]
    assert names_itself(before, after, ON_CALL, ms(NOW)) is wanted
    if before is not None and not wanted and related(before):
        marked = {**before, "meta": {"tag": [{"system": SELF_NAMED, "code": ANN}]}}
        assert names_itself(marked, after, ON_CALL, ms(NOW)), "what they wrote themselves was never given"


@pytest.mark.parametrize("role", list(Role))
def test_whom_it_binds(role):
    """Those who treat, and what they do for it."""
    principal = mint_principal("x", frozenset({role}), parse_scopes("user/*.rs"))
    assert is_bound(principal) is (role in {Role.CLINICIAN, Role.NURSE, Role.LAB})
