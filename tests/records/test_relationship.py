"""The treatment relationship at the door, where the site asks for one: whoever is not treated is as if not there."""

import asyncio
import json
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from acceptance.verifier import offline
from consent import form
from medlock.access.consent.ruling import PERMISSIVE, Site
from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.relationship import SELF_NAMED
from medlock.access.scopes import parse_scopes
from medlock.audit.search import AuditQuery
from medlock.errors import BadRequest, Denied, MedlockError, NotFound, SetupError
from medlock.fhir.options import ExportOptions, ExportPart
from medlock.fhir.question import Interaction
from medlock.records.shred import Shredder
from medlock.records.site import consent_site
from medlock.records.turns import TURN
from medlock.settings import Settings
from records.world import BASE, START, ids, loader, officer, open_world, patient

ASKED = Site(PERMISSIVE.policy, extended=True, related=True)
SYSTEM = mint_principal("system", frozenset({Role.BACKEND}), parse_scopes("system/*.cruds"))
desk = mint_principal("desk", frozenset({Role.FRONT_DESK}), parse_scopes("user/*.crus"), fhir_user="Practitioner/desk")
ANN, BOB = "Practitioner/ann", "Practitioner/bob"


def staff(reference, role=Role.CLINICIAN, **more):
    """Somebody who works with patients."""
    return mint_principal(reference, frozenset({role}), parse_scopes("user/*.cruds"), fhir_user=reference, **more)


ann, bob = staff(ANN), staff(BOB)


def day(days):
    """A day, counted from today."""
    return (datetime.fromtimestamp(START / 1000, UTC) + timedelta(days=days)).date().isoformat()


def moment(days):
    """A moment, counted from now."""
    return (datetime.fromtimestamp(START / 1000, UTC) + timedelta(days=days)).isoformat(timespec="seconds")


def ref(reference):
    """A reference."""
    return {"reference": reference}


def made(type_, id_, who="p", **more):
    """A resource of a patient."""
    blank = {
        "Observation": {"status": "final", "code": {"text": "x"}},
        "Condition": {"code": {"text": "x"}},
        "CareTeam": {"status": "active"},
        "ServiceRequest": {"status": "active", "intent": "order"},
        "Encounter": {"status": "in-progress", "class": form.label("AMB"), "period": {"start": day(-1)}},
    }
    return {"resourceType": type_, "id": id_, "subject": ref(f"Patient/{who}"), **blank.get(type_, {}), **more}


def chart(id_="p", **more):
    """A Patient."""
    return {"resourceType": "Patient", "id": id_, **more}


def visit(id_="visit", who="p", by=ANN, **more):
    """An Encounter of somebody's."""
    return made("Encounter", id_, who, participant=[{"individual": ref(by)}], **more)


def team(id_="team", who="p", member=ANN, **more):
    """A CareTeam with somebody in it."""
    return made("CareTeam", id_, who, participant=[{"member": ref(member)}], **more)


def appointment(status="booked", by=ANN, days=3, who="p"):
    """An Appointment of somebody with a patient."""
    parts = [{"actor": ref(each), "status": "accepted"} for each in (f"Patient/{who}", by)]
    made_ = {"resourceType": "Appointment", "id": "appointment", "status": status, "participant": parts}
    return made_ | {"start": moment(days), "end": moment(days + 0.02)}


def order(**more):
    """A ServiceRequest."""
    return made("ServiceRequest", "order", code={"text": "x"}, **more)


def role(person=ANN, **more):
    """A PractitionerRole at the ward."""
    made_ = {"resourceType": "PractitionerRole", "id": "role", "practitioner": ref(person)}
    return made_ | {"organization": ref("Organization/ward")} | more


async def site(directory, store="", asked=ASKED):
    """A site with two doctors and two patients, and findings of both."""
    world = await open_world(directory, store=store, site=asked)
    shared = [("Practitioner", each) for each in ("ann", "bob", "desk", "nurse")]
    for type_, id_ in (
        *shared,
        ("Organization", "ward"),
        ("Organization", "other"),
        ("Patient", "p"),
        ("Patient", "q"),
    ):
        more = {"name": "x"} if type_ == "Organization" else {}
        await world.put({"resourceType": type_, "id": id_, **more}, SYSTEM)
    for type_, id_, who in (("Observation", "o", "p"), ("Condition", "c", "p"), ("Observation", "other", "q")):
        await world.put(made(type_, id_, who), SYSTEM)
    return world


@pytest.fixture
async def world(tmp_path, store):
    """A site that asks for a relationship."""
    world = await site(tmp_path / "data", store)
    yield world
    await world.close()


async def sees(world, who, reference="Observation/o"):
    """Whether a read shows it; search and total say the same."""
    type_, _, id_ = reference.partition("/")
    found = await world.search(who, type_, f"_id={id_}")
    try:
        await world.read(who, reference)
    except NotFound:
        assert (ids(found), found["total"]) == (set(), 0)
        return False
    assert (ids(found), found["total"]) == ({reference}, 1)
    return True


IN_TEAM = {"resourceType": "CareTeam", "id": "inner", "status": "active", "participant": [{"member": ref(ANN)}]}
HOURS = [{"allDay": True}]
THERE = {"serviceProvider": ref("Organization/ward")}
SOURCES = {
    "general practitioner": ([], chart(generalPractitioner=[ref(ANN)]), chart()),
    "practice": ([role()], chart(generalPractitioner=[ref("Organization/ward")]), chart()),
    "role": ([role()], chart(generalPractitioner=[ref("PractitionerRole/role")]), chart()),
    "care team": ([], team(), team(status="inactive")),
    "care team, left": ([], team(), team(member=BOB)),
    "organisation in the team": ([role()], team(member="Organization/ward"), team(member="Organization/other")),
    "role ends": ([role(), team(member="Organization/ward")], role(), role(active=False)),
    "team within the team": ([IN_TEAM], team(member="CareTeam/inner"), team(member=BOB)),
    "team within the team ends": (
        [IN_TEAM, team(member="CareTeam/inner")],
        {**IN_TEAM, "name": "x"},
        {**IN_TEAM, "status": "inactive"},
    ),
    "encounter": ([], visit(), visit(by=BOB)),
    "encounter long ago": ([], visit(), visit(status="finished", period={"start": day(-40), "end": day(-20)})),
    "encounter cancelled": ([], visit(), visit(status="cancelled")),
    "appointment": ([], appointment(), appointment("cancelled")),
    "appointment put off": ([], appointment(), appointment(days=30)),
    "order by them": ([], order(requester=ref(ANN)), order(status="revoked", requester=ref(ANN))),
    "order to them": ([], order(performer=[ref(ANN)]), order(performer=[ref(BOB)])),
    "order to a team of the patient": (
        [team("t2", member=BOB)],
        order(performer=[ref(ANN)]),
        order(status="completed"),
    ),
    "on call": ([role(availableTime=HOURS)], visit(by=BOB, **THERE), visit(by=BOB, status="finished", **THERE)),
    "no longer on call": ([visit(by=BOB, **THERE)], role(availableTime=HOURS), role()),
}


@pytest.mark.parametrize("case", SOURCES)
async def test_a_source_begins_and_ends(world, case, tmp_path, store):
    """Each source opens the record on the next request, of another process too, and closes it the same way."""
    before, opens, closes = SOURCES[case]
    for each in before:
        await world.put(each, SYSTEM)
    elsewhere = await open_world(tmp_path / "data", store=store, site=ASKED)
    if case not in {"role ends", "team within the team ends"}:
        assert not await sees(elsewhere, ann)
    await world.put(opens, SYSTEM)
    assert await sees(elsewhere, ann)
    assert not await sees(elsewhere, ann, "Observation/other")
    assert not await sees(elsewhere, bob, "Observation/other")
    await world.put(closes, SYSTEM)
    assert not await sees(elsewhere, ann)
    await world.put(opens, SYSTEM)
    assert await sees(elsewhere, ann)
    await elsewhere.close()


async def test_time_ends_it(world):
    """Nothing is written: two weeks after a visit the record is closed again."""
    await world.put(visit(status="finished", period={"start": day(-2), "end": day(-1)}), SYSTEM)
    assert await sees(world, ann)
    world.clock.ms += 15 * 86_400_000
    assert not await sees(world, ann)


async def test_the_resource_is_deleted(world):
    """What made the relationship is gone, and so is the relationship."""
    await world.put(visit(), SYSTEM)
    assert await sees(world, ann)
    await world.ask(SYSTEM, Interaction.DELETE, "Encounter", "visit")
    assert not await sees(world, ann)


@pytest.mark.parametrize("of", [Role.CLINICIAN, Role.NURSE, Role.LAB])
async def test_who_needs_one(world, of):
    """Every clinical role does; a lab by the organisation that an order names, also without a person."""
    person = staff("Practitioner/nurse", of)
    assert not await sees(world, person)
    await world.put(order(performer=[ref("Practitioner/nurse")]), SYSTEM)
    assert await sees(world, person)
    system = mint_principal(
        "lab", frozenset({of}), parse_scopes("user/*.rs system/*.rs"), organisations=frozenset({"Organization/ward"})
    )
    assert not await sees(world, system)
    await world.put(order(performer=[ref("Organization/ward")]), SYSTEM)
    assert await sees(world, system)


@pytest.mark.parametrize("who", [SYSTEM, patient("p"), loader()], ids=lambda who: who.account)
async def test_who_needs_none(world, who):
    """Programs, the operator's import and the patient are not asked."""
    if Role.LOADER not in who.roles:
        assert await sees(world, who)
    else:
        await world.put(made("Observation", "more"), who)


async def test_nobodys_record_is_nobodys_relation(world):
    """A token that names no practitioner sees no patient, and everything that is not about any."""
    nobody = mint_principal("token", frozenset({Role.CLINICIAN}), parse_scopes("user/*.cruds"))
    await world.put(visit(), SYSTEM)
    assert not await sees(world, nobody)
    assert await world.read(nobody, "Organization/ward")


QUESTIONS = [
    "GET /Patient/q",
    "GET /Patient/q/_history",
    "GET /Patient/q/_history/1",
    "GET /Patient/q/$everything",
    "GET /Patient/q/*",
    "GET /Patient/q/Observation",
    "GET /Observation/other",
    "GET /Observation/other/_history",
    "GET /Observation/other/_history/1",
    "GET /Observation?_sort=_id&_count=2",
    "GET /Observation?subject=Patient/q",
    "GET /Observation?subject=Patient/q&_summary=count",
    "GET /Observation?subject:Patient.name=Quine",
    "GET /Observation?subject.name=Quine&_total=accurate",
    "GET /Observation?_include=Observation:subject&_include=Observation:performer&_sort=_id",
    "GET /Observation?_id=both&_include=Observation:performer",
    "GET /Patient?_sort=_id",
    "GET /Patient?name=Quine",
    "GET /Patient?identifier=urn:x|q",
    "GET /Patient?_has:Observation:subject:status=final",
    "GET /Patient?_has:Observation:subject:_id=other",
    "GET /Patient?_revinclude=Observation:subject&_sort=_id",
    "GET /Patient?_summary=count",
    "GET /Practitioner?_has:Encounter:participant:_id=theirs",
    "GET /Practitioner?_revinclude=Encounter:participant&_sort=_id",
    "GET /Organization?_revinclude=Patient:organization&_sort=_id",
    "GET /?_type=Patient,Observation&_sort=_id",
    "GET /Observation/_history?_count=50",
    "GET /Patient/_history",
    "GET /_history?_count=200",
    "GET /Observation/$lastn?patient=Patient/q",
    "GET /DocumentReference/$docref?patient=q",
    "PUT /Patient/q",
    "PUT /Observation/other",
    "PUT /Observation/fresh-id",
    "DELETE /Observation/other",
    "DELETE /Observation?_id=other",
    "DELETE /Encounter?_id=theirs",
    "POST /Observation",
    "POST /Patient/$match",
    "POST /Observation if-none-exist",
    "PUT /Observation?subject=Patient/q",
]
_STAMPS = re.compile(
    rb'"(lastUpdated|versionId|timestamp|score|ETag|etag)":("[^"]*"|[0-9.]+),?|page=[^"&]*|\d{4}-\d\d-\d\dT[^"]*'
)


async def asked(world, who, line):
    """What comes of a question: kind and words of a refusal, or status and body without what time has put there."""
    about = "Patient" if line.startswith(("PUT /Patient", "POST /Patient")) else "Observation"
    id_ = "q" if about == "Patient" else line.rpartition("/")[2]
    body = (
        chart(id_, name=[{"family": "Quine"}], birthDate="1908-06-25") if about == "Patient" else made(about, id_, "q")
    )
    headers = {"if_none_exist": "subject=Patient/q"} if "if-none-exist" in line else {}
    if line.startswith("POST") or "?" in line:
        body.pop("id", None)
    if "if-none-exist" in line or "?subject" in line:
        body["subject"] = ref("Patient/p")
    if "$match" in line:
        body = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": body}]}
    sent = body if line.startswith(("PUT", "POST")) else b""
    try:
        shown = await world.send(who, line.removesuffix(" if-none-exist"), sent, **headers)
    except MedlockError as refused:
        return type(refused), str(refused), refused.problems
    return shown.status, _STAMPS.sub(b"", shown.body if line.startswith("GET") or "$" in line else b"")


async def furnished(world, *, stranger):
    """Ann treats p. With a stranger: q is there as well, with a record that touches everything."""
    await world.put(chart(name=[{"family": "Peano"}]), SYSTEM)
    await world.put(visit(), SYSTEM)
    if stranger:
        more = {
            "name": [{"family": "Quine"}],
            "birthDate": "1908-06-25",
            "managingOrganization": ref("Organization/ward"),
        }
        await world.put(chart("q", identifier=[{"system": "urn:x", "value": "q"}], **more), SYSTEM)
        await world.put(visit("theirs", "q", BOB), SYSTEM)
        await world.put(made("Observation", "both", "q", performer=[ref("Patient/p")]), SYSTEM)
        await world.put(made("Observation", "third", "q", encounter=ref("Encounter/theirs")), SYSTEM)


@pytest.mark.parametrize("line", QUESTIONS)
async def test_who_is_not_treated_is_not_there(tmp_path, line):
    """On every path the answer is that of a site which has no such patient: status, body, totals, words and problems."""
    answers = []
    for stranger in (True, False):
        world = await site(tmp_path / str(stranger))
        if not stranger:
            for reference in ("Observation/other", "Patient/q"):
                await world.ask(SYSTEM, Interaction.DELETE, *reference.split("/"))
            await Shredder(world.vault, world.log, world.clock).shred(officer(), "q")
        await furnished(world, stranger=stranger)
        answers.append(await asked(world, ann, line))
        if stranger and line.startswith("GET"):
            seen = await asked(world, SYSTEM, line)
            assert seen != answers[0] or "$docref" in line or "_id=both" in line, "somebody else sees more"
        await world.close()
    assert answers[0] == answers[1]


async def test_an_export_has_whom_one_treats(world):
    """System, Patient and Group exports: what the caller treats, and no line more."""
    await world.put(visit(), SYSTEM)
    whole = {"resourceType": "Group", "id": "all", "type": "person", "actual": True}
    await world.put({**whole, "member": [{"entity": ref(f"Patient/{each}")} for each in ("p", "q")]}, SYSTEM)
    for about, id_ in (("", ""), ("Patient", ""), ("Group", "all")):
        found, part = b"", ExportPart("Observation")
        while part is not None:
            options = ExportOptions(types=frozenset({"Observation"}), part=part)
            shown = await world.ask(ann, Interaction.EXPORT, about, id_, options=options)
            found += shown.body
            slot, _, rid = shown.after.partition(".")
            part = ExportPart("Observation", int(slot), int(rid)) if shown.after else None
        assert [json.loads(line)["id"] for line in found.splitlines()] == ["o"], about


async def test_a_transaction_reaches_no_further(world):
    """Reads and writes inside a transaction or a batch are those of the caller alone."""
    await world.put(visit(), SYSTEM)
    lines = [{"request": {"method": "GET", "url": url}} for url in ("Observation/o", "Observation/other", "Patient")]
    batch = {"resourceType": "Bundle", "type": "batch", "entry": lines}
    entries = json.loads((await world.send(ann, "POST /", batch)).body)["entry"]
    assert [each["response"]["status"][:3] for each in entries] == ["200", "404", "200"]
    assert ids(entries[2]["resource"]) == {"Patient/p"}
    stranger = {"resource": made("Observation", "new", "q"), "request": {"method": "POST", "url": "Observation"}}
    with pytest.raises(MedlockError):
        await world.transact([stranger], ann)


async def test_the_next_page_is_decided_again(world):
    """A page link gives nothing of whom one treats no longer."""
    await world.put(visit(), SYSTEM)
    await world.put(made("Observation", "o2"), SYSTEM)
    first = json.loads((await world.send(ann, "GET /Observation?_count=1")).body)
    link = next(each["url"] for each in first["link"] if each["relation"] == "next").removeprefix(BASE)
    await world.put(visit(by=BOB), SYSTEM)
    assert not ids(json.loads((await world.send(ann, f"GET {link}")).body))


async def test_consent_and_relationship_both_say_yes(world):
    """Neither makes up for the other."""
    await world.put(form.consent({"provision": {"type": "permit", "actor": [BOB]}}, 1), loader())
    assert not await sees(world, bob)
    await world.put(visit(by=BOB), SYSTEM)
    assert await sees(world, bob)
    denies = {"provision": {"type": "permit", "provision": [{"type": "deny", "actor": [BOB]}]}}
    await world.put(form.consent(denies, 1), loader())
    assert not await sees(world, bob)


async def test_many_patients_are_decided_one_by_one(world):
    """More than are looked up one by one, some with consents, a few treated."""
    entries = [{"resource": chart(f"m{n}"), "request": {"method": "PUT", "url": f"Patient/m{n}"}} for n in range(90)]
    await world.transact(entries, SYSTEM)
    for n in range(70, 90):
        await world.put(made("Observation", f"om{n}", f"m{n}"), SYSTEM)
    for n in (3, 77, 80):
        await world.put(visit(f"v{n}", f"m{n}"), SYSTEM)
    denied = form.consent({"provision": {"type": "deny"}}, 4)
    await world.put({**denied, "patient": ref("Patient/m80")}, loader())
    assert ids(await world.search(ann, "Patient", "")) == {"Patient/m3", "Patient/m77"}
    found = await world.search(ann, "Observation", "_revinclude=Provenance:target")
    assert (ids(found), found["total"]) == ({"Observation/om77"}, 1)


# Attacks ------------------------------------------------------------------------------------------------------------


async def test_a_stranger_cannot_write_themselves_in(world):
    """Every resource that would make a relationship, by every way of writing: refused like one of a patient who is not."""
    for body in (
        visit("new"),
        team("new"),
        order(requester=ref(ANN)),
        appointment(),
        chart(generalPractitioner=[ref(ANN)]),
    ):
        entry = {"resource": body, "request": {"method": "PUT", "url": f"{body['resourceType']}/{body['id']}"}}
        for send in (
            lambda body=body: world.put(body, ann),
            lambda body=body: world.send(ann, f"POST /{body['resourceType']}", {**body, "id": None}),
            lambda entry=entry: world.transact([entry], ann),
        ):
            with suppress(MedlockError):
                await send()
            assert not await sees(world, ann), body


async def test_who_treats_does_not_prolong_it(world):
    """What whoever is related writes about themselves is marked, and does not count when the relation ends."""
    await world.put(visit(), SYSTEM)
    for body in (
        visit("mine"),
        team("mine"),
        order(requester=ref(ANN)),
        appointment(),
        chart(generalPractitioner=[ref(ANN)]),
    ):
        shown = (
            await world.send(ann, f"POST /{body['resourceType']}", {k: v for k, v in body.items() if k != "id"})
            if (body["resourceType"] != "Patient")
            else await world.send(ann, "PUT /Patient/p", body)
        )
        tags = json.loads(shown.body)["meta"]["tag"]
        assert tags == [{"system": SELF_NAMED, "code": ANN}]
    assert ids(await world.search(SYSTEM, "CareTeam", f"_tag={SELF_NAMED}|{ANN}"))
    await world.put(visit(by=BOB), SYSTEM)
    assert not await sees(world, ann)


async def test_somebody_else_vouches(world):
    """The mark stays through writes of who is marked, and goes when somebody else takes it off."""
    await world.put(visit(), SYSTEM)
    mine = await world.put(visit("mine"), SYSTEM)
    del mine
    own = json.loads((await world.send(ann, "POST /CareTeam", {k: v for k, v in team().items() if k != "id"})).body)
    patch = json.dumps([{"op": "remove", "path": "/meta/tag"}]).encode()
    kind = "application/json-patch+json"
    line = f"/CareTeam/{own['id']}"
    again = await world.send(ann, f"PATCH {line}", patch, content_type=kind)
    assert json.loads(again.body)["meta"]["tag"] == own["meta"]["tag"]
    again = await world.send(ann, f"PUT {line}", {k: v for k, v in own.items() if k != "meta"})
    assert json.loads(again.body)["meta"]["tag"] == own["meta"]["tag"]
    for each in ("visit", "mine"):
        await world.ask(SYSTEM, Interaction.DELETE, "Encounter", each)
    assert not await sees(world, ann)
    await world.put({**own, "name": "seen by the ward"}, SYSTEM)
    assert not await sees(world, ann)
    await world.put({k: v for k, v in own.items() if k != "meta"}, SYSTEM)
    assert await sees(world, ann)


async def test_who_was_named_begins_and_ends_a_visit(world):
    """A visit that others planned goes on and ends without a mark; drawing it out marks it."""
    await world.put(visit(status="planned", period={"start": day(0), "end": day(0)}), SYSTEM)
    going = await world.put(visit(period={"start": day(0)}), ann)
    assert "tag" not in going["meta"]
    over = await world.put(visit(status="finished", period={"start": day(0), "end": day(0)}), ann)
    assert "tag" not in over["meta"]
    drawn = await world.put(visit(status="finished", period={"start": day(0), "end": day(300)}), ann)
    assert drawn["meta"]["tag"] == [{"system": SELF_NAMED, "code": ANN}]
    assert not await sees(world, ann)


async def test_nobody_is_named_beside_another(world):
    """A resource of two patients is no way to one of them: who is not treated cannot be named."""
    await world.put(visit(), SYSTEM)
    both = appointment()
    both["participant"].append({"actor": ref("Patient/q"), "status": "accepted"})
    with pytest.raises(MedlockError) as refused:
        await world.put(both, ann)
    missing = json.loads(json.dumps(both).replace("Patient/q", "Patient/nobody"))
    with pytest.raises(MedlockError) as unknown:
        await world.put(missing, ann)
    assert type(refused.value) is type(unknown.value)
    assert not await sees(world, ann, "Observation/other")


async def test_a_lab_learns_nothing_by_what_it_may_not_read(world):
    """A reference to something of whom it does not serve is as one to nothing, on types it has no right to as well."""
    lab = staff("Practitioner/nurse", Role.LAB)
    await world.put(order(performer=[ref("Practitioner/nurse")]), SYSTEM)
    await world.put(visit("theirs", "q", BOB), SYSTEM)
    refusals = []
    for encounter in ("theirs", "nobody"):
        body = {k: v for k, v in made("Observation", "n", encounter=ref(f"Encounter/{encounter}")).items() if k != "id"}
        with pytest.raises(MedlockError) as told:
            await world.send(lab, "POST /Observation", body)
        refusals.append((type(told.value), str(told.value), told.value.problems))
    assert refusals[0] == refusals[1]


async def test_nobody_joins_a_team_that_treats(world):
    """Nor a team, a group or a role by which one would treat."""
    await world.put(IN_TEAM | {"participant": [{"member": ref(BOB)}]}, SYSTEM)
    await world.put(team(member="CareTeam/inner"), SYSTEM)
    await world.put(chart("q", generalPractitioner=[ref("Organization/ward")]), SYSTEM)
    await world.put(visit(), SYSTEM)
    for body in (IN_TEAM, role()):
        with pytest.raises(Denied):
            await world.put(body, ann)
    await world.put(visit(by=BOB), SYSTEM)
    assert not await sees(world, ann)
    assert not await sees(world, ann, "Observation/other")


async def test_a_visit_carried_to_another_patient_is_marked(world):
    """What others said of one patient vouches for nothing about another: its writer made that tie."""
    await world.put(visit(), SYSTEM)
    await world.put(team("theirs", "q"), SYSTEM)
    moved = await world.put(visit("visit", "q"), ann)
    assert moved["meta"]["tag"] == [{"system": SELF_NAMED, "code": ANN}]
    await world.ask(SYSTEM, Interaction.DELETE, "CareTeam", "theirs")
    assert not await sees(world, ann, "Observation/other")


async def test_nobody_puts_themselves_on_call(world):
    """Nor makes their own role last: its time and hours are another's to write. What else is in it is theirs."""
    await world.put(visit(by=BOB, **THERE), SYSTEM)
    await world.put(role(period={"end": day(-1)}), SYSTEM)
    for body in (role(availableTime=HOURS), role(), role(period={"end": day(9)})):
        with pytest.raises(Denied):
            await world.put(body, ann)
        assert not await sees(world, ann)
    await world.put(role(period={"end": day(-1)}, telecom=[{"system": "phone", "value": "1"}]), ann)
    vacant = {"resourceType": "PractitionerRole", "id": "vacant"}
    for hours in ([], HOURS):
        await world.put(vacant | ({"availableTime": hours} if hours else {}), SYSTEM)
    await world.put(role(availableTime=HOURS), SYSTEM)
    assert await sees(world, ann)


WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TOMORROW = [{"allDay": True, "daysOfWeek": [WEEKDAYS[datetime.fromtimestamp(START / 1000 + 86_400, UTC).weekday()]]}]
NEXT_SHIFT = {
    "off hours": (role(availableTime=TOMORROW), {}),
    "before the role begins": (role(availableTime=HOURS, period={"start": day(1)}), {}),
    "before their place is theirs": (role(period={"start": day(1)}), {"performer": [ref("Organization/ward")]}),
}


@pytest.mark.parametrize("case", NEXT_SHIFT)
async def test_nobody_writes_what_counts_from_the_next_shift_on(world, case):
    """What gives its writer nothing at this hour and something at the next is marked, and gives them nothing then."""
    turn, named = NEXT_SHIFT[case]
    await world.put(turn, SYSTEM)
    await world.put(visit(status="finished", period={"start": day(-14), "end": day(-14)}), SYSTEM)
    body = order(**named) if named else visit(by=BOB, **THERE)
    made_ = await world.send(ann, f"POST /{body['resourceType']}", {k: v for k, v in body.items() if k != "id"})
    assert json.loads(made_.body)["meta"]["tag"] == [{"system": SELF_NAMED, "code": ANN}]
    world.clock.ms += 86_400_000
    assert not await sees(world, ann)
    await world.put(order(**named) if named else visit(by=BOB, **THERE), SYSTEM)
    assert await sees(world, ann), "what others write counts then"


async def test_nobody_returns_to_a_visit(world):
    """One that is over is not begun again without a mark, nor one that they left joined again."""
    left = visit(period={"start": day(-14)})
    left["participant"][0]["period"] = {"end": day(-10)}
    for before in (visit(status="finished", period={"start": day(-14), "end": day(-13)}), left):
        await world.put(before, SYSTEM)
        assert await sees(world, ann)
        again = await world.put(visit(period={"start": day(-14)}), ann)
        assert again["meta"]["tag"] == [{"system": SELF_NAMED, "code": ANN}]
        assert not await sees(world, ann)
        await world.ask(SYSTEM, Interaction.DELETE, "Encounter", "visit")


async def test_a_shift_is_not_made_a_visit_of_ones_own(world):
    """Who is on call sees who is there in that shift, and stays no longer by writing themselves in."""
    await world.put(role(availableTime=HOURS), SYSTEM)
    await world.put(visit(by=BOB, **THERE), SYSTEM)
    mine = visit(**THERE)
    mine["participant"][0]["period"] = {"start": day(13)}
    assert (await world.put(mine, ann))["meta"]["tag"] == [{"system": SELF_NAMED, "code": ANN}]
    await world.put(role(), SYSTEM)
    assert not await sees(world, ann)


async def test_who_is_no_person_writes_themselves_in_nowhere(world):
    """Nobody can be marked for an organisation: what gives it more than others gave it is refused, the rest is not."""
    unit = mint_principal(
        "unit",
        frozenset({Role.CLINICIAN}),
        parse_scopes("user/*.cruds"),
        organisations=frozenset({"Organization/ward"}),
    )
    await world.put(order(performer=[ref("Organization/ward")]), SYSTEM)
    assert await sees(world, unit)
    for body in (team(member="Organization/ward"), order(requester=ref("Organization/ward"))):
        with pytest.raises(Denied):
            await world.send(unit, f"POST /{body['resourceType']}", {k: v for k, v in body.items() if k != "id"})
    with pytest.raises(Denied):
        await world.put(chart(generalPractitioner=[ref("Organization/ward")]), unit)
    await world.put(order(performer=[ref("Organization/ward")], note=[{"text": "x"}]), unit)
    await world.send(unit, "POST /CareTeam", {k: v for k, v in team(member=BOB).items() if k != "id"})
    await world.put(order(status="revoked", performer=[ref("Organization/ward")]), SYSTEM)
    assert not await sees(world, unit)


async def test_what_names_a_caller_is_read_in_turns(world, monkeypatch):
    """However much names somebody in a record, it is opened a few at a time, with others' work between."""
    count, fetch, sizes, between = 2 * TURN + 3, world.vault.fetch, [], []
    bodies = [visit(f"v{n}") for n in range(count)]
    requests = [{"method": "PUT", "url": f"Encounter/{body['id']}"} for body in bodies]
    both = zip(bodies, requests, strict=True)
    await world.transact([{"resource": body, "request": request} for body, request in both], SYSTEM)

    async def counted(rows, *more):
        if sizes:
            asyncio.get_running_loop().call_soon(between.append, len(sizes))
        sizes.append(len(rows))
        return await fetch(rows, *more)

    monkeypatch.setattr(world.vault, "fetch", counted)
    assert len((await reasons(world, ann))[1]) == count
    assert sum(sizes) >= count
    assert max(sizes) <= TURN
    assert between


async def test_a_carer_is_not_treated_by_the_team_they_are_in(world):
    """A patient who is in another's team, or performs another's order, is nobody's patient by that."""
    carer = [{"member": ref("Patient/p")}, {"member": ref(ANN)}]
    await world.put(made("CareTeam", "theirs", "q", participant=carer), SYSTEM)
    theirs = made("ServiceRequest", "theirs", "q", code={"text": "x"}, performer=[ref("Patient/p"), ref(ANN)])
    await world.put(theirs, SYSTEM)
    assert await sees(world, ann, "Observation/other")
    assert not await sees(world, ann)


async def test_a_new_record_beside_an_old_one_is_no_way_round(world):
    """Opening a new record in the same act does not make what is said of a patient who is there unmarked."""
    await world.put(visit(), SYSTEM)
    urn = "urn:uuid:6b7c6f0e-8a53-4f0e-9c35-0a1a4f9d7d11"
    first = {"fullUrl": urn, "resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}}
    body = {name: value for name, value in appointment().items() if name != "id"}
    body["participant"] = [{"actor": ref(urn), "status": "accepted"}, *body["participant"]]
    second = {"resource": body, "request": {"method": "POST", "url": "Appointment"}}
    await world.transact([first, second], ann)
    assert await sees(world, ann)
    await world.put(visit(by=BOB), SYSTEM)
    assert not await sees(world, ann)


async def test_a_front_desk_names_others_and_not_themselves(world):
    """An appointment that the desk makes opens the record to the doctor in it; one with themselves to nobody."""
    nurse_and_desk = mint_principal(
        "two", frozenset({Role.NURSE, Role.FRONT_DESK}), parse_scopes("user/*.crus"), fhir_user="Practitioner/nurse"
    )
    with pytest.raises(MedlockError):
        await world.put(appointment(by="Practitioner/nurse"), nurse_and_desk)
    await world.put(appointment(), desk)
    assert await sees(world, ann)
    own = await world.put(appointment(by="Practitioner/desk"), desk)
    assert own["meta"]["tag"] == [{"system": SELF_NAMED, "code": "Practitioner/desk"}]


async def test_whoever_opens_a_new_record_may_treat_its_patient(world):
    """A new chart holds nobody's secrets yet: who opens it may name themselves in the same act, and only then."""
    made_ = await world.send(ann, "POST /Patient", {"resourceType": "Patient", "generalPractitioner": [ref(ANN)]})
    id_ = json.loads(made_.body)["id"]
    assert "tag" not in json.loads(made_.body)["meta"]
    assert await sees(world, ann, f"Patient/{id_}")
    blank = json.loads((await world.send(ann, "POST /Patient", {"resourceType": "Patient"})).body)["id"]
    assert not await sees(world, ann, f"Patient/{blank}")
    urn = "urn:uuid:6b7c6f0e-8a53-4f0e-9c35-0a1a4f9d7d11"
    first = {"fullUrl": urn, "resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}}
    body = {**visit(), "id": None, "subject": ref(urn)}
    second = {"resource": {k: v for k, v in body.items() if v}, "request": {"method": "POST", "url": "Encounter"}}
    both = (await world.transact([first, second], ann))["entry"]
    id_ = both[0]["response"]["location"].split("/")[1]
    assert await sees(world, ann, f"Patient/{id_}")
    assert not await sees(world, bob, f"Patient/{id_}")


async def test_an_erased_patient_is_nobodys(world):
    """After a shredding nothing is related to anything, and verification finds nothing wrong."""
    await world.put(visit(), SYSTEM)
    assert await sees(world, ann)
    await Shredder(world.vault, world.log, world.clock).shred(officer(), "p")
    assert not await sees(world, ann)
    assert await offline(world.directory).verify() == []


async def test_the_log_says_why(world):
    """For what was shown, by which resource; for what was not, that there was no relationship."""
    await world.put(visit(), SYSTEM)
    await world.put(team(), SYSTEM)
    await world.read(ann, "Observation/o")
    with pytest.raises(NotFound):
        await world.read(bob, "Observation/o")
    withheld, shown = [each.event for each in await world.log.find(AuditQuery(limit=2))]
    said = shown.basis.partition("relationship: ")[2]
    assert set(said.split(", ")) == {"encounter Encounter/visit", "care-team CareTeam/team"}
    assert "relationship: none" in withheld.reason


async def test_open_is_open(tmp_path):
    """Where the site asks for nothing, nobody is asked and nothing is marked."""
    world = await site(tmp_path / "open", asked=PERMISSIVE)
    assert await sees(world, ann)
    made_ = await world.put(team(), ann)
    assert "tag" not in made_["meta"]
    assert "relationship" not in (await world.log.find(AuditQuery(limit=1)))[0].event.basis
    await world.close()


def test_the_setting(tmp_path):
    """Open or required; anything else stops the start."""
    assert consent_site(Settings(tmp_path)).related is False
    assert consent_site(Settings(tmp_path, relationship="required")).related is True
    with pytest.raises(SetupError):
        consent_site(Settings(tmp_path, relationship="yes"))


# Why somebody has access --------------------------------------------------------------------------------------------


async def reasons(world, who, query=""):
    """Source, resource and end of every reason, and what the site asks."""
    shown = json.loads((await world.send(who, f"GET /Patient/p/$access-reasons{query}")).body)
    parts = {part["name"]: part["valueCode"] for part in shown["parameter"] if "valueCode" in part}
    told = [each["part"] for each in shown["parameter"] if each["name"] == "reason"]
    plain = [{part["name"]: next(v for k, v in part.items() if k != "name") for part in each} for each in told]
    return parts["relationship"], sorted(plain, key=lambda each: each["source"])


async def test_why_a_caller_has_access(world):
    """By which resource, and until when as things stand; who is not related gets the 404 of no such patient."""
    await world.put(visit(status="finished", period={"start": day(-2), "end": day(-1)}), SYSTEM)
    await world.put(team(), SYSTEM)
    asked_, found = await reasons(world, ann)
    assert asked_ == "required"
    assert found == [
        {"source": "care-team", "resource": ref("CareTeam/team")},
        {"source": "encounter", "resource": ref("Encounter/visit"), "until": f"{day(14)}T00:00:00.000Z"},
    ]
    with pytest.raises(NotFound):
        await reasons(world, bob)
    with pytest.raises(Denied):
        await reasons(world, ann, f"?practitioner={BOB}")


async def test_a_reason_names_what_may_be_read(world):
    """A lab, which reads no visit, learns that it is a visit; what a consent hides from a doctor is no reason told."""
    lab = staff("Practitioner/nurse", Role.LAB)
    await world.put(visit(by="Practitioner/nurse"), SYSTEM)
    assert (await reasons(world, lab))[1] == [{"source": "encounter"}]
    await world.put(visit("ours"), SYSTEM)
    await world.put(team(), SYSTEM)
    rules = {"type": "permit", "provision": [{"type": "deny", "class": ["CareTeam"]}]}
    await world.put(form.consent({"provision": rules}, 1), loader())
    assert [each["source"] for each in (await reasons(world, ann))[1]] == ["encounter"]


async def test_a_patient_asks_why_somebody_has_access(world):
    """By name of the practitioner: reasons for one, none for another; without a name there is nothing to say."""
    await world.put(visit(), SYSTEM)
    assert (await reasons(world, patient("p"), f"?practitioner={ANN}"))[1][0]["resource"] == ref("Encounter/visit")
    assert (await reasons(world, patient("p"), f"?practitioner={BOB}"))[1] == []
    for who, query in ((patient("p"), ""), (patient("p"), "?practitioner=Patient/p"), (ann, "?who=me")):
        with pytest.raises(BadRequest):
            await reasons(world, who, query)
    with pytest.raises(NotFound):
        await reasons(world, patient("q"), f"?practitioner={ANN}")


async def test_reasons_are_told_where_nothing_hangs_on_them(tmp_path):
    """Where the site is open the answer says so, and what the relationship would be."""
    world = await site(tmp_path / "open", asked=PERMISSIVE)
    assert await reasons(world, ann) == ("open", [])
    await world.put(visit(), SYSTEM)
    assert [each["source"] for each in (await reasons(world, ann))[1]] == ["encounter"]
    await world.close()
