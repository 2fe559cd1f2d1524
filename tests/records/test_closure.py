"""Whom a caller answers to: of what consents name, the roles, organisations, services, teams and groups of now."""

import pytest

from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.scopes import parse_scopes
from medlock.errors import Denied
from medlock.records.closure import NESTED_MAX, Unclear, closure
from records.test_consents import ann, doctor
from records.world import open_world

ANN, BOB, ORG, CARE = "Practitioner/ann", "Practitioner/bob", "Organization/org", "HealthcareService/care"
ROLE = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": ANN}}
NAMED = [ORG, CARE, "PractitionerRole/r", "CareTeam/t", "Group/g", ANN, BOB, "Patient/p"]


def team(id_, *members, **more):
    """A CareTeam."""
    participants = [{"member": {"reference": each}} for each in members]
    return {
        "resourceType": "CareTeam",
        "id": id_,
        "name": "x",
        **({"participant": participants} if members else {}),
        **more,
    }


def group(id_, *members, **more):
    """A Group."""
    found = {"resourceType": "Group", "id": id_, "type": "practitioner", "actual": True}
    return found | ({"member": [{"entity": {"reference": each}} for each in members]} if members else {}) | more


@pytest.fixture
async def world(tmp_path):
    """Two people, an organisation and a service, a team and a group that nobody is in."""
    world = await open_world(tmp_path / "data")
    for reference in (ANN, BOB, ORG, CARE):
        type_, _, id_ = reference.partition("/")
        await world.put({"resourceType": type_, "id": id_} | ({"name": "x"} if type_ == "Organization" else {}))
    for each in (team("t"), group("g")):
        await world.put(each)
    yield world
    await world.close()


async def of(world, who=ann, named=NAMED):
    """What somebody answers to."""
    return await closure(world.vault, who, named, world.clock.now_ms())


async def test_a_role_gives_its_organisation_and_services(world):
    """Themselves are not listed; nothing of anybody else's role, or of one that has ended."""
    await world.put(ROLE | {"organization": {"reference": ORG}, "healthcareService": [{"reference": CARE}]})
    assert await of(world) == {"PractitionerRole/r", ORG, CARE}
    assert await of(world, doctor(BOB)) == frozenset()
    assert await of(world, doctor("")) == frozenset()
    await world.put(ROLE | {"organization": {"reference": ORG}, "active": False})
    assert await of(world) == frozenset()
    await world.put(ROLE | {"practitioner": {"reference": BOB}, "organization": {"reference": ORG}})
    assert await of(world) == frozenset()
    await world.put(ROLE | {"practitioner": {"reference": f"{ANN}/_history/1"}, "organization": {"reference": ORG}})
    assert await of(world) >= {ORG}


async def test_nothing_is_looked_up_that_no_consent_names(world):
    """Where only people and patients are named, roles do not matter."""
    await world.put(ROLE | {"organization": {"reference": ORG}})
    assert await of(world, named=[ANN, BOB, "Patient/p"]) == frozenset()
    assert await of(world, named=[ORG]) == {"PractitionerRole/r", ORG}


@pytest.mark.parametrize("make", [team, group])
async def test_members_of_teams(world, make):
    """By oneself, by the organisation one works for, by one's role; not who left, not in a team that has ended."""
    kind = make("t")["resourceType"]
    name = f"{kind}/t"
    works = mint_principal("x", frozenset({Role.CLINICIAN}), parse_scopes("user/*.rs"), organisations=frozenset({ORG}))
    for member, who in ((ANN, ann), (ORG, works))[: 2 if kind == "CareTeam" else 1]:
        await world.put(make("t", member))
        assert await of(world, who, [name]) == {name}
        assert await of(world, doctor(BOB), [name]) == frozenset()
    await world.put(ROLE | {"organization": {"reference": ORG}})
    await world.put(make("t", ANN if kind == "CareTeam" else "PractitionerRole/r"))
    assert name in await of(world, ann, [name])
    await world.put(make("t", ORG if kind == "CareTeam" else "PractitionerRole/r"))
    assert name in await of(world, ann, [name])


@pytest.mark.parametrize(
    ("kind", "ended"),
    [
        *((team, {"status": each}) for each in ("inactive", "entered-in-error", "suspended")),
        (group, {"active": False}),
    ],
)
async def test_a_team_that_has_ended_has_nobody(world, kind, ended):
    """Whoever stands in it; one that is only planned or in use has its members."""
    body = kind("t", ANN)
    name = f"{body['resourceType']}/t"
    await world.put(body | ended)
    assert await of(world, named=[name]) == frozenset()
    await world.put(body | ({"status": "active"} if kind is team else {"active": True}))
    assert await of(world, named=[name]) == {name}


async def test_who_left_a_group(world):
    """A member marked as inactive is none; nor is what was deleted a team."""
    left = group("g", ANN)
    left["member"][0]["inactive"] = True
    await world.put(left)
    assert await of(world) == frozenset()
    await world.put(group("g", ANN))
    assert await of(world) == {"Group/g"}
    await world.put(group("g", BOB))
    assert await of(world) == frozenset()


async def test_a_group_that_describes_is_unclear(world):
    """Not whether one is in it, so nobody may say so; one that has ended has nobody."""
    like = {"actual": False, "characteristic": [{"code": {"text": "x"}, "valueBoolean": True, "exclude": False}]}
    made = group("g") | like
    await world.put(made)
    with pytest.raises(Unclear):
        await of(world)
    await world.put(made | {"active": False})
    assert await of(world) == frozenset()


async def test_too_many_teams_inside_are_refused(world):
    """So many are looked into; with one more nobody is told anything."""
    for number in range(NESTED_MAX + 1):
        await world.put(team(f"in{number}"))
    await world.put(team("t", *(f"CareTeam/in{number}" for number in range(NESTED_MAX))))
    assert await of(world) == frozenset()
    await world.put(team("in0", f"CareTeam/in{NESTED_MAX}"))
    with pytest.raises((Denied, Unclear)):
        await of(world)


@pytest.mark.parametrize(("when", "holds"), [({"end": "2001-01-01"}, False), ({"start": "2001-01-01"}, True)])
async def test_what_has_a_time_counts_within_it(world, when, holds):
    """A role, a team, somebody's place in a team or group; a consent for the team ends for who has left it."""
    role = ROLE | {"organization": {"reference": ORG}, "period": when}
    await world.put(role)
    assert (await of(world, named=[ORG]) == {"PractitionerRole/r", ORG}) is holds
    await world.put(team("t", ANN, period=when))
    assert ("CareTeam/t" in await of(world)) is holds
    for make, path in ((team, "participant"), (group, "member")):
        made = make("t" if make is team else "g", ANN)
        made[path][0]["period"] = when
        await world.put(made)
        assert (f"{made['resourceType']}/{made['id']}" in await of(world)) is holds
