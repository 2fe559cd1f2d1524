"""Emergency access at the door: what it opens, for whom, how long, who is told, and what tells nothing."""

import json
import statistics
import time
from hashlib import sha256

import pytest
from msgspec.structs import replace as changed

from acceptance.verifier import offline
from consent import form
from medlock.access.consent.policy import Policy
from medlock.access.consent.ruling import Site
from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.scopes import parse_scopes
from medlock.audit.events import Action, Outcome
from medlock.audit.search import AuditQuery
from medlock.errors import BadRequest, Conflict, Denied, NotFound, Unprocessable
from medlock.fhir.options import ExportOptions, ExportPart
from medlock.fhir.question import Interaction
from medlock.identity.strength import StepUpNeeded
from medlock.records import emergencies
from medlock.records.glass import WINDOW_MS, Glass, Told, name_of
from medlock.records.glass_endings import GlassEndings
from medlock.records.shred import Shredder
from medlock.records.workdays import due
from medlock.store.tables import Batch, Table
from records.test_consents import LOADER, SCENARIOS, laid_out, observation, read_status
from records.world import ids, officer, open_world, patient

REASON = "Unconscious in the emergency room, medication unknown."
ONLY = Site(Policy.BREAK_GLASS_ONLY)
DAY = 86_400_000
# Nobody but in an emergency; and one that is withheld from a doctor even then.
EMERGENCY = form.consent({"provision": {"type": "deny", "provision": [{"type": "permit", "purpose": ["BTG"]}]}}, 1)
NEVER = form.consent({"provision": {"type": "deny"}}, 2) | {"patient": {"reference": "Patient/q"}}


def words(reason=REASON):
    """The input of $break-glass."""
    return {"resourceType": "Parameters", "parameter": [{"name": "reason", "valueString": reason}]}


def said(**values):
    """The input of an operation of the privacy officer."""
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": name, "valueString": value} for name, value in values.items()],
    }


def plain(disclosure):
    """What Parameters say, by name; of cases a list."""
    found = json.loads(disclosure.body).get("parameter", [])
    if all(each["name"] == "case" and "part" in each for each in found):
        return [_parts(each["part"]) for each in found]
    return _parts(found)


def _parts(parts):
    values = {}
    for each in parts:
        value = _parts(each["part"]) if "part" in each else next(v for k, v in each.items() if k != "name")
        if each["name"] in {"did", "resource", "role"}:
            values.setdefault(each["name"], []).append(value)
        else:
            values[each["name"]] = value
    return values


def proven(world, name="dr1", *, ago=0, grant="approval-1", acr="phr", role=Role.CLINICIAN, **more):
    """Somebody who works here, and proved who they are so long ago (ms)."""
    return mint_principal(
        f"account-{name}",
        frozenset({role}),
        parse_scopes(more.pop("scopes", "user/*.cruds")),
        client="app",
        fhir_user=f"Practitioner/{name}",
        acr=acr,
        auth_time=(world.clock.ms - ago) // 1_000,
        grant_id=grant,
        **more,
    )


async def broken(world, who, id_="p", reason=REASON):
    """The answer to $break-glass."""
    return plain(await world.send(who, f"POST /Patient/{id_}/$break-glass", words(reason)))


@pytest.fixture
def quick(monkeypatch):
    """Without the wait that hides how long the work takes."""
    monkeypatch.setattr(emergencies, "FLOOR_SECONDS", 0.001)


@pytest.fixture
async def world(tmp_path, store, quick):  # noqa: ARG001
    """A site where no record is open but in an emergency: two patients, one of them open to nobody at all."""
    if store:
        (tmp_path / "data.store").write_text(store)
    world = await open_world(tmp_path / "data", store=store, site=ONLY)
    for reference in ("Patient/p", "Patient/q", "Patient/r", "Practitioner/dr1", "Practitioner/dr2"):
        type_, _, id_ = reference.partition("/")
        await world.put({"resourceType": type_, "id": id_}, LOADER)
    for id_, of in (("o1", "p"), ("oq", "q"), ("or", "r")):
        await world.put(observation(id_, subject={"reference": f"Patient/{of}"}), LOADER)
    await world.put(observation("o2", focus=[{"reference": "Observation/or"}]), LOADER)
    await world.put(EMERGENCY, LOADER)
    await world.put(NEVER, LOADER)
    yield world
    await world.close()


@pytest.mark.parametrize(
    "case",
    [each for each in SCENARIOS if each["id"] in {"A06", "A07", "F01", "F02", "F04", "F05"}],
    ids=lambda c: c["id"],
)
async def test_the_scenarios(case, tmp_path, monkeypatch, quick):  # noqa: ARG001
    """Those of an emergency at the door: who may, opens the record first; nobody sees it before, or without."""
    world = await open_world(tmp_path / "data", site=Site(Policy(case["default"]), form.PURPOSES, extended=True))
    await laid_out(world, case, monkeypatch)
    if case["id"] == "F02":  # who asks there is no member of the group
        await world.put({"resourceType": "Group", "id": "priv", "type": "practitioner", "actual": True}, LOADER)
    who = next(each for each in case["request"]["actor"] if each.startswith("Practitioner/")).partition("/")[2]
    world.clock.ms = world.clock.now_ms()
    caller = proven(world, who)
    assert not await read_status(world, caller, "Observation/o1")
    if "BTG" in case["request"]["purpose"]:
        allowed = case["request"].get("mayBTG") or case["id"] == "F02"
        await broken(world, caller) if allowed else None
    want = case["expect"] == "PERMIT"
    assert await read_status(world, caller, "Observation/o1") is want
    assert ids(await world.search(caller, "Observation", "_id=o1")) == ({"Observation/o1"} if want else set())
    await world.close()


async def test_it_opens_one_record_for_half_an_hour(world):
    """Of one patient, to one person, until it is over; every entry says so, and a search finds that record only."""
    who = proven(world)
    assert ids(await world.search(who, "Observation", "_sort=_id")) == set()
    told = await broken(world, who)
    assert told["patient"] == {"reference": "Patient/p"}
    assert ids(await world.search(who, "Observation", "_sort=_id")) == {"Observation/o1", "Observation/o2"}
    assert (await world.read(who, "Observation/o1"))["id"] == "o1"
    every = json.loads((await world.send(who, "GET /Patient/p/$everything")).body)
    assert {"Patient/p", "Observation/o1"} <= ids(every)
    for reference in ("Observation/oq", "Observation/or", "Patient/q"):
        assert not await read_status(world, who, reference)
    assert not await read_status(world, proven(world, "dr2"), "Observation/o1")
    events = [each.event for each in await world.log.find(AuditQuery(account=who.account, limit=500))]
    inside = [each for each in events if each.patient == "p" and each.action in {Action.READ, Action.EVERYTHING}]
    assert {each.purpose for each in inside} == {"BTG"}
    assert all(f"break-glass {told['case']}" in each.basis for each in inside)
    assert {each.purpose for each in events if not each.slot} == {"TREAT"}
    world.clock.ms += WINDOW_MS
    assert not await read_status(world, who, "Observation/o1")
    assert ids(await world.search(who, "Observation", "_sort=_id")) == set()


async def test_a_consent_that_denies_still_denies(world):
    """The answer is the same; nothing is seen that the patient denies to everybody."""
    who = proven(world)
    assert (await broken(world, who, "q"))["patient"] == {"reference": "Patient/q"}
    assert not await read_status(world, who, "Observation/oq")


async def test_without_consents_the_policy_decides(world):
    """A patient who said nothing, at a site that opens records in emergencies only."""
    who = proven(world, role=Role.NURSE, scopes="user/*.rs")
    assert not await read_status(world, who, "Observation/or")
    await broken(world, who, "r")
    assert await read_status(world, who, "Observation/or")
    assert not await read_status(world, who, "Observation/o1")


@pytest.mark.parametrize(
    "role", [Role.LAB, Role.FRONT_DESK, Role.PRIVACY_OFFICER, Role.RESEARCHER, Role.SECURITY_ADMIN]
)
async def test_who_may_not(world, role):
    """Other roles are refused, the same way whoever the patient is, and it is in the log."""
    who = proven(world, role=role, scopes="user/*.rs")
    for id_ in ("p", "nobody"):
        with pytest.raises(Denied):
            await broken(world, who, id_)
    events = [each.event for each in await world.log.find(AuditQuery(account=who.account))]
    assert [(each.action, each.outcome) for each in events] == [(Action.GLASS_ASK, Outcome.DENIED)] * 2


async def test_who_is_held_to_one_patient(world):
    """A launched app that is held to a patient opens that one and no other."""
    who = proven(world, patient="p", scopes="patient/*.rs")
    with pytest.raises(Denied):
        await broken(world, who, "r")
    await broken(world, who, "p")
    assert await read_status(world, who, "Observation/o1")


@pytest.mark.parametrize(
    "reason",
    ["", " " * 40, "short", "aaaaaaaaaaaaaaaaaaaaaa", "ababababababababab", "1234567890123", "x" * 501, "a\u0000b" * 9],
)
async def test_a_reason_that_is_none(world, reason):
    """Refused for any patient with a sentence that says what to type, and written down."""
    who = proven(world)
    refusals = set()
    for id_ in ("p", "q", "nobody"):
        with pytest.raises((Unprocessable, BadRequest)) as told:
            await broken(world, who, id_, reason)
        refusals.add((type(told.value), str(told.value)))
    assert len(refusals) == 1
    assert not await read_status(world, who, "Observation/o1")


@pytest.mark.parametrize(("more", "ago"), [({}, 300_000), ({"acr": "aal2"}, 0), ({"acr": ""}, 0), ({}, -60_000)])
async def test_a_proof_that_is_stale_or_weak(world, more, ago):
    """Five minutes, by what cannot be phished, and not from the future: else prove it again, whoever the patient is."""
    who = proven(world, ago=ago, **more)
    for id_ in ("p", "q", "nobody"):
        with pytest.raises(StepUpNeeded):
            await broken(world, who, id_)
    assert not await read_status(world, who, "Observation/o1")
    events = [each.event for each in await world.log.find(AuditQuery(account=who.account, action=Action.GLASS_ASK))]
    assert [each.outcome for each in events] == [Outcome.FAILED] * 3


async def test_another_token_is_not_in_it(world):
    """The same person through another app, after another sign-in, or as another account."""
    await broken(world, proven(world))
    for other in (proven(world, grant="approval-2"), proven(world, grant=""), proven(world, "dr2")):
        assert not await read_status(world, other, "Observation/o1")
    assert await read_status(world, proven(world), "Observation/o1")


async def test_a_repeated_request_gives_nothing_more(world):
    """While it lasts the answer is the same one; once ended, only a new proof opens another."""
    who = proven(world)
    first = await broken(world, who)
    assert await broken(world, who) == first
    assert len(plain(await world.send(officer(), "GET /$break-glass-cases"))) == 1
    await world.send(who, "POST /Patient/p/$end-break-glass")
    with pytest.raises(StepUpNeeded):
        await broken(world, who)
    assert not await read_status(world, who, "Observation/o1")
    anew = proven(world)
    assert (await broken(world, anew))["case"] != first["case"]
    assert await read_status(world, anew, "Observation/o1")


async def test_its_holder_ends_it(world):
    """With any token of theirs; the answer is the same where nothing was open, and others end nothing."""
    who = proven(world)
    await broken(world, who)
    ended = plain(await world.send(proven(world, "dr2"), "POST /Patient/p/$end-break-glass"))
    assert await read_status(world, who, "Observation/o1")
    assert plain(await world.send(proven(world, grant="approval-2"), "POST /Patient/p/$end-break-glass")) == ended
    assert not await read_status(world, who, "Observation/o1")
    nothing = plain(await world.send(who, "POST /Patient/nobody/$end-break-glass"))
    assert nothing == {**ended, "patient": {"reference": "Patient/nobody"}}


async def test_the_account_ends_it(world):
    """What changes an account ends its accesses in the same commit, and the patient's log says when."""
    who = proven(world)
    told = await broken(world, who)
    await world.backend.commit(await GlassEndings(world.vault, world.log, world.clock).of_account(who.account))
    assert not await read_status(world, who, "Observation/o1")
    (case,) = plain(await world.send(officer(), f"GET /$break-glass-cases?case={told['case']}"))
    assert (case["access"], case["endedBy"]) == ("ended", "medlock")
    events = [each.event for each in await world.log.find(AuditQuery(action=Action.GLASS_END))]
    assert [(each.patient, each.purpose) for each in events] == [("p", "BTG")]
    assert await GlassEndings(world.vault, world.log, world.clock).of_account(who.account) == Batch()


async def test_clocks_that_differ(world):
    """A host whose clock is behind opens nothing rather than longer; seconds do not matter."""
    who = proven(world)
    await broken(world, who)
    now = world.clock.ms
    world.clock.ms = now - 4_000
    assert await read_status(world, who, "Observation/o1")
    world.clock.ms = now - 3_600_000
    assert not await read_status(world, who, "Observation/o1")
    world.clock.ms = now + WINDOW_MS
    assert not await read_status(world, who, "Observation/o1")


async def test_where_a_relationship_is_asked_for(tmp_path, quick):  # noqa: ARG001
    """Nobody who does not treat a patient sees them; in an emergency they do, and say so; an export still does not."""
    world = await open_world(tmp_path / "data", site=Site(Policy.PERMIT_ALL, related=True))
    for id_ in ("p", "r"):
        await world.put({"resourceType": "Patient", "id": id_}, LOADER)
        await world.put(observation(f"o{id_}", subject={"reference": f"Patient/{id_}"}), LOADER)
    who = proven(world)
    assert not await read_status(world, who, "Observation/op")
    told = await broken(world, who)
    assert ids(await world.search(who, "Observation", "_sort=_id")) == {"Observation/op"}
    assert ids(await world.search(who, "Patient", "_sort=_id")) == {"Patient/p"}
    assert await read_status(world, who, "Observation/op")
    reasons = json.loads((await world.send(who, "GET /Patient/p/$access-reasons")).body)["parameter"]
    assert [each["part"] for each in reasons if each["name"] == "reason"] == [
        [{"name": "source", "valueCode": "break-glass"}]
    ]
    (event, *_) = await world.log.find(AuditQuery(account=who.account, action=Action.READ, outcome=Outcome.SUCCESS))
    assert f"relationship: break-glass {told['case']}" in event.event.basis
    part = ExportOptions(types=frozenset({"Observation"}), job="j", part=ExportPart("Observation"))
    assert (await world.ask(who, Interaction.EXPORT, "Patient", options=part)).body == b""
    await world.send(who, "POST /Patient/p/$end-break-glass")
    assert ids(await world.search(who, "Observation", "_sort=_id")) == set()
    await world.close()


async def test_exports_are_not_opened(world):
    """What takes data out sees the record as it was; so do the entries of the log."""
    who = proven(world)
    await broken(world, who)
    part = ExportOptions(types=frozenset({"Observation"}), job="j", part=ExportPart("Observation"))
    shown = await world.ask(who, Interaction.EXPORT, "Patient", options=part)
    assert shown.body == b""
    (event,) = await world.log.find(AuditQuery(account=who.account, action=Action.EXPORT))
    assert event.event.purpose == "TREAT"


async def test_bundles(world):
    """Each entry by itself: the patient's are opened, others' are not; nothing is opened from inside one."""
    who = proven(world)
    await broken(world, who)
    entries = [{"request": {"method": "GET", "url": f"Observation/{each}"}} for each in ("o1", "oq", "or")]
    batch = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    found = json.loads((await world.send(who, "POST /", batch)).body)["entry"]
    assert [each["response"]["status"] for each in found] == ["200", "404", "404"]
    smuggled = {
        "fullUrl": "urn:uuid:1",
        "resource": words(),
        "request": {"method": "POST", "url": "Patient/r/$break-glass"},
    }
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [smuggled]}
    assert json.loads((await world.send(who, "POST /", batch)).body)["entry"][0]["response"]["status"] == "400"
    assert not await read_status(world, who, "Observation/or")


async def test_others_are_not_reached_through_it(world):
    """Includes, chains and references from an opened record lead to nobody else's."""
    who = proven(world)
    await broken(world, who)
    assert ids(await world.search(who, "Observation", "_id=o2&_include=Observation:focus")) == {"Observation/o2"}
    assert ids(await world.search(who, "Observation", "focus:Observation.code=x")) == set()
    assert ids(await world.search(who, "Observation", "subject:Patient._id=q")) == set()
    with pytest.raises(NotFound):
        await world.send(who, "GET /Patient/q/$everything")


async def test_the_patient_sees_it_at_once(world):
    """In their own log: who, why, and what was found of it; nobody else's patient does."""
    who = proven(world)
    told = await broken(world, who)
    shown = await world.search(patient("p"), "AuditEvent", "patient=Patient/p&subtype=110127")
    (event,) = [each["resource"] for each in shown["entry"]]
    assert event["subtype"][0]["display"] == "Emergency Override Started"
    assert event["agent"][0]["altId"] == who.account
    assert event["agent"][0]["purposeOfUse"][0]["coding"][0]["code"] == "BTG"
    assert REASON in json.dumps(event)
    assert told["case"] in json.dumps(event)
    assert (await world.search(patient("r"), "AuditEvent", "subtype=110127")).get("entry", []) == []


async def test_the_queue(world):
    """What the privacy officer sees: every case with its deadline; overdue ones and frequent openers by name."""
    told = [
        await broken(world, proven(world, grant=f"approval-{n}"), id_)
        for n, id_ in enumerate(("p", "q", "r", "nobody"))
    ]
    cases = plain(await world.send(officer(), "GET /$break-glass-cases?status=open"))
    assert [each["id"] for each in cases] == [each["case"] for each in reversed(told)]
    assert [each["often"] for each in cases] == [True, False, False, False]
    assert [each["patient"]["reference"] for each in cases][-1] == "Patient/p"
    assert {each["reason"] for each in cases} == {REASON}
    assert {each["person"]["reference"] for each in cases} == {"Practitioner/dr1"}
    assert plain(await world.send(officer(), "GET /$break-glass-cases?status=overdue")) == []
    world.clock.ms += 9 * DAY
    late = plain(await world.send(officer(), "GET /$break-glass-cases?status=overdue"))
    assert {each["status"] for each in late} == {"overdue"}
    assert len(late) == 4
    for who in (proven(world), patient("p"), LOADER):
        with pytest.raises(Denied):
            await world.send(who, "GET /$break-glass-cases")


async def test_a_review(world):
    """Once, by somebody else, with words where it was not justified; it ends the access, and the patient sees it."""
    who = proven(world)
    told = await broken(world, who)
    await world.read(who, "Observation/o1")
    judged = {"case": told["case"], "outcome": "not-justified"}
    with pytest.raises(Unprocessable):
        await world.send(officer(), "POST /$review-break-glass", said(**judged))
    (case,) = plain(
        await world.send(officer(), "POST /$review-break-glass", said(**judged, note="No emergency on that day."))
    )
    assert (case["status"], case["outcome"], case["access"]) == ("reviewed", "not-justified", "ended")
    assert ["Observation/o1/_history/1"] in [[r["reference"] for r in each.get("resource", [])] for each in case["did"]]
    assert not await read_status(world, who, "Observation/o1")
    with pytest.raises(Conflict):
        await world.send(officer(), "POST /$review-break-glass", said(case=told["case"], outcome="justified"))
    shown = json.dumps(await world.search(patient("p"), "AuditEvent", "patient=Patient/p"))
    assert "not-justified No emergency on that day." in shown
    assert plain(await world.send(officer(), "GET /$break-glass-cases?status=open")) == []
    looks = await world.log.find(AuditQuery(account="officer", action=Action.GLASS_CASES))
    assert {each.event.patient for each in looks} == {""}  # the queue, which is about nobody in particular
    await world.send(officer(), f"GET /$break-glass-cases?case={told['case']}")
    (look, *_) = await world.log.find(AuditQuery(account="officer", action=Action.GLASS_CASES))
    assert look.event.patient == "p"
    own = mint_principal(who.account, frozenset({Role.PRIVACY_OFFICER}), parse_scopes("user/AuditEvent.rs"))
    again = await broken(world, proven(world), "r")
    with pytest.raises(Denied):
        await world.send(own, "POST /$review-break-glass", said(case=again["case"], outcome="justified"))


async def test_the_officer_ends_one(world):
    """By its case; a second time changes nothing, and one that is not there is not found."""
    who = proven(world)
    told = await broken(world, who)
    (case,) = plain(await world.send(officer(), "POST /$end-break-glass", said(case=told["case"])))
    assert case["access"] == "ended"
    assert not await read_status(world, who, "Observation/o1")
    assert (
        plain(await world.send(officer(), "POST /$end-break-glass", said(case=told["case"])))[0]["ended"]
        == case["ended"]
    )
    for other in ("0" * 16, "x", "btg", "7" + "f" * 15, told["case"].upper() + "0"):
        with pytest.raises(NotFound):
            await world.send(officer(), "POST /$end-break-glass", said(case=other))


async def test_two_at_once(tmp_path, quick):  # noqa: ARG001
    """Two processes on one store: each opening has a case of its own, and either sees what the other opened and ended."""
    one = await open_world(tmp_path / "data", site=ONLY)
    for id_ in ("p", "r"):
        await one.put({"resourceType": "Patient", "id": id_}, LOADER)
        await one.put(observation(f"o{id_}", subject={"reference": f"Patient/{id_}"}), LOADER)
    two = await open_world(tmp_path / "data", site=ONLY)
    two.clock.ms = one.clock.ms
    who = proven(one)
    first, second = await broken(one, who, "p"), await broken(two, who, "r")
    assert first["case"] != second["case"]
    assert await read_status(two, who, "Observation/op")
    assert await read_status(one, who, "Observation/or")
    await two.send(who, "POST /Patient/p/$end-break-glass")
    assert not await read_status(one, who, "Observation/op")
    await one.close()
    await two.close()


async def test_an_erased_patient(world):
    """Who did it, when, and what was found stays; whose record it was and why went with the key."""
    told = await broken(world, proven(world), "r")
    await Shredder(world.vault, world.log, world.clock).shred(officer(), "r")
    (case,) = plain(await world.send(officer(), f"GET /$break-glass-cases?case={told['case']}"))
    assert "patient" not in case
    assert (case["reason"], case["account"]) == ("erased with the patient's record", "account-dr1")
    (case,) = plain(
        await world.send(officer(), "POST /$review-break-glass", said(case=told["case"], outcome="justified"))
    )
    assert case["status"] == "reviewed"


async def test_nothing_of_it_lies_open(world):
    """No row has the reason, a name or an id in clear, and notes do not tell by their length how long a reason is."""
    await broken(world, proven(world), "p", "A bad fall")
    await broken(
        world, proven(world, grant="other"), "r", "Something much longer, which says a lot about everything: " * 6
    )
    rows = await world.backend.scan(Table.JOB, None, 1_000)
    for clear in (b"A bad fall", b"account-dr1", b"Practitioner/dr1", b"Patient/p"):
        assert not any(clear in row for _, row in rows)
    notes = {world.vault.notes.open(key, row)[0]: len(row) for key, row in rows}
    assert notes[name_of(b"open", 1)] == notes[name_of(b"open", 2)]


async def test_verify_misses_a_case(world, tmp_path):
    """A row that is deleted, or put there, behind medlock's back is named."""
    told = await broken(world, proven(world))
    await world.send(officer(), "POST /$review-break-glass", said(case=told["case"], outcome="justified"))
    assert await offline(tmp_path / "data").verify() == []
    for kind in (b"open", b"verdict"):
        key = world.vault.notes.key(name_of(kind, 1))
        row = await world.backend.get(Table.JOB, key)
        await world.backend.commit(Batch(deletes=[(Table.JOB, key)]))
        assert [(each.key, each.kind) for each in await offline(tmp_path / "data").verify()] == [(key, "deleted")]
        await world.backend.commit(Batch(puts=[(Table.JOB, key, row)]))
    await world.backend.commit(Batch(puts=[world.vault.notes.seal(name_of(b"end", 1), b"x")]))
    assert [each.kind for each in await offline(tmp_path / "data").verify()] == ["inserted"]


async def test_no_distinguisher(tmp_path):
    """A record that hides something, one that hides nothing, one that is not there: the same answer in the same time."""
    world = await open_world(tmp_path / "data", site=ONLY)
    for id_ in ("hides", "shows"):
        await world.put({"resourceType": "Patient", "id": id_}, LOADER)
    await world.put(EMERGENCY | {"patient": {"reference": "Patient/hides"}}, LOADER)
    shapes, times = set(), {id_: [] for id_ in ("hides", "shows", "nobody")}
    for turn in range(4):
        for id_, taken in times.items():
            who = proven(world, grant=f"{id_}{turn}")
            begun = time.perf_counter()
            shown = await world.send(who, f"POST /Patient/{id_}/$break-glass", words())
            taken.append(time.perf_counter() - begun)
            told = plain(shown)
            assert told.pop("patient") == {"reference": f"Patient/{id_}"}
            body = (
                shown.body.replace(id_.encode(), b"")
                .replace(told["case"].encode(), b"")
                .replace(told["until"].encode(), b"")
            )
            shapes.add((shown.status, body, shown.version, shown.updated, shown.location, tuple(told)))
    assert len(shapes) == 1
    medians = [statistics.median(each) % emergencies.FLOOR_SECONDS for each in times.values()]
    assert max(medians) - min(medians) < 0.01, times
    await world.close()


@pytest.mark.parametrize(
    ("begun", "days", "end"),
    [
        ("2026-11-23T10:00:00+00:00", 2, "2026-11-26T00:00:00+00:00"),  # Monday
        ("2026-11-26T23:59:59+00:00", 2, "2026-12-01T00:00:00+00:00"),  # Thursday: Friday, Monday
        ("2026-11-28T10:00:00+00:00", 2, "2026-12-02T00:00:00+00:00"),  # Saturday: Monday, Tuesday
        ("2026-11-27T10:00:00+00:00", 1, "2026-12-01T00:00:00+00:00"),  # Friday: Monday
    ],
)
def test_working_days(begun, days, end):
    """The end of the so-manieth working day after that of the opening."""
    assert due(form.ms(begun), days) == form.ms(end)


async def test_a_sealed_part_opens_for_its_own_patient_only(world):
    """Moved to another record's opening it does not open, and is told as what was erased."""
    glass = Glass(world.vault)
    slot, other = await world.vault.any_slot("p"), await world.vault.any_slot("r")
    told = await broken(world, proven(world))
    case = await glass.case(told["case"])
    assert case.told == Told("p", REASON)
    assert case.opened.slot == slot
    assert glass._told(changed(case.opened, slot=other)) is None
    assert glass._told(changed(case.opened, sealed=b"x")) is None


async def test_a_case_leaves_nothing_out(world, monkeypatch):
    """Requests without number push none out: what is repeated stands there once, with how often and when last."""
    monkeypatch.setattr(emergencies, "_PAGE", 4)
    who = proven(world)
    told = await broken(world, who)
    await world.read(who, "Observation/o1")
    for _ in range(11):
        await world.read(who, "Patient/p")
    (case,) = plain(await world.send(officer(), f"GET /$break-glass-cases?case={told['case']}"))
    done = {tuple(r["reference"] for r in each["resource"]): each for each in case["did"]}
    assert "times" not in done["Observation/o1/_history/1",]
    chart = done["Patient/p/_history/1",]
    assert (chart["times"], chart["at"] < chart["last"]) == (11, True)


async def test_one_proof_opens_three(world):
    """Whoever the fourth is; those that are open stay, and a proof of now opens more."""
    who = proven(world)
    for id_ in ("p", "r", "nobody"):
        await broken(world, who, id_)
    for id_ in ("q", "nobody-else"):
        with pytest.raises(StepUpNeeded):
            await broken(world, who, id_)
    await broken(world, who, "p")
    assert await read_status(world, who, "Observation/o1")
    await broken(world, proven(world), "q")


async def test_a_transaction_that_starts_over(tmp_path, quick):  # noqa: ARG001
    """A read in it that reaches unknown patients forgets nothing of the emergency in which the rest is written."""
    world = await open_world(tmp_path / "data", site=Site(Policy.PERMIT_ALL, related=True))
    for reference in ("Patient/p", "Patient/x", "Patient/y", "Practitioner/dr1"):
        type_, _, id_ = reference.partition("/")
        await world.put({"resourceType": type_, "id": id_}, LOADER)
    people = [{"actor": {"reference": f"Patient/{id_}"}, "status": "accepted"} for id_ in ("y", "x")]
    await world.put({"resourceType": "Appointment", "id": "a", "status": "proposed", "participant": people}, LOADER)
    who = proven(world)
    told = await broken(world, who)
    made = {key: value for key, value in observation("").items() if key not in {"id", "hasMember"}}
    entries = [
        {"resource": made, "request": {"method": "POST", "url": "Observation"}},
        {"request": {"method": "GET", "url": "Appointment?patient=x"}},
    ]
    await world.send(who, "POST /", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    found = await world.log.find(AuditQuery(account=who.account, action=Action.TRANSACTION))
    assert {each.event.purpose for each in found if each.event.patient == "p"} == {"BTG"}
    (case,) = plain(await world.send(officer(), f"GET /$break-glass-cases?case={told['case']}"))
    assert Action.TRANSACTION in {each["act"] for each in case["did"]}
    await world.close()


async def test_a_persons_row_says_of_nobody_who_it_was(world):
    """What stays of an id until they open another record is a digest under a key of the store: nobody else can try ids."""
    await broken(world, proven(world))
    _, recent = await Glass(world.vault).recent("account-dr1")
    assert recent.windows[0].patient == Glass(world.vault).digest("p") != Glass(world.vault).digest("q")
    assert recent.windows[0].patient != sha256(b"Patient/p").digest()[:16]
