"""Consents at the door: every scenario again on read, search, $everything and $export, and what is particular to it."""

import json
import os
from pathlib import Path

import pytest

from acceptance.verifier import offline
from consent import form
from consent.cases import CASES
from medlock.access.consent.policy import Policy
from medlock.access.consent.ruling import PERMISSIVE, Site
from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.scopes import parse_scopes
from medlock.audit.search import AuditQuery
from medlock.errors import Denied, MedlockError, NotFound, SetupError, Unprocessable
from medlock.fhir.options import ExportOptions, ExportPart
from medlock.fhir.question import Interaction
from medlock.records.holders import PAGE, PARTS, page_name
from medlock.records.shred import Shredder
from medlock.records.site import consent_site
from medlock.records.verify_notes import NoteCheck
from medlock.settings import Settings
from medlock.store.tables import Batch, Table
from records.world import BASE, ids, officer, open_world, patient

FILE = Path("/work/shared/data/consent_scenarios.json")
SCENARIOS = json.loads(FILE.read_text()) if FILE.exists() else []
# What the door cannot be asked yet: an emergency (break-glass), several purposes, a fact that no resource can lack here.
ALL = [*SCENARIOS, *CASES] if os.environ.get("MEDLOCK_THOROUGH") else [*SCENARIOS, *CASES][::4]
SUBJECT = {"reference": "Patient/p"}
LOADER = mint_principal("system", frozenset({Role.BACKEND}), parse_scopes("system/*.cruds"))
BLANK = {
    "Observation": {"status": "final", "code": {"text": "x"}, "subject": SUBJECT},
    "Condition": {"subject": SUBJECT, "code": {"text": "x"}},
    "MedicationRequest": {"status": "active", "intent": "order", "subject": SUBJECT},
}
HERE = [
    case
    for case in ALL
    if not case["request"].get("mayBTG")
    and len(case["request"].get("purpose", ())) < 2
    and case["resource"]["type"] in BLANK
]
AUTHOR = {"Observation": lambda refs: {"performer": refs}, "Condition": lambda refs: {"recorder": refs[0]}}


def resource_of(case):
    """The resource of a case, as FHIR."""
    short = case["resource"]
    found = {"resourceType": short["type"], "id": short.get("id", "o1"), **BLANK[short["type"]]}
    if short.get("labels"):
        found["meta"] = {"security": [form.label(each) for each in short["labels"]]}
    if short.get("authored"):
        found["effectiveDateTime"] = short["authored"]
    if short.get("authors"):
        found |= AUTHOR[short["type"]]([{"reference": each} for each in short["authors"]])
    codings = [dict(zip(("system", "code"), each.split("|"), strict=True)) for each in short.get("codes", ())]
    name = "medicationCodeableConcept" if short["type"] == "MedicationRequest" else "code"
    if codings or name not in found:
        found[name] = {"coding": codings or [{"system": "urn:x", "code": "x"}]}
    if short.get("anyCodes"):
        any_ = [dict(zip(("system", "code"), each.split("|"), strict=True)) for each in short["anyCodes"]]
        found["category"] = [{"coding": any_}]
    for ref in short.get("refs", ()):
        if ref.startswith("Encounter/"):
            found["encounter"] = {"reference": ref}
        else:
            found["focus"] = [{"reference": ref}]
    return found


ACTING = {"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}, "status": "finished"}
OTHERS = {
    "Encounter": {**ACTING, "subject": SUBJECT},
    "Observation": BLANK["Observation"],
    "DiagnosticReport": {"status": "final", "code": {"text": "x"}, "subject": SUBJECT},
    "Group": {"type": "practitioner", "actual": True},
    "PractitionerRole": {"active": True},
    "Organization": {"name": "x"},
}


def named_in(case):
    """Everything that consents, request and resource refer to, so that references lead somewhere."""
    found = set(case["request"].get("actor", ())) | set(case["resource"].get("refs", ()))
    found |= set(case["resource"].get("authors") or ())
    waiting = [each["provision"] for each in case["consents"]]
    while waiting:
        rule = waiting.pop()
        waiting += rule.get("provision", ())
        found |= set(rule.get("actor", ())) | {each["ref"] for each in rule.get("data", ())}
    found |= {f"Patient/{each.get('patient', 'p')}" for each in case["consents"]} | {"Patient/p"}
    own = f"{case['resource']['type']}/{case['resource'].get('id', 'o1')}"
    return sorted(found - {own}, key=lambda each: (each.startswith("Group"), not each.startswith("Patient"), each))


def caller(case):
    """Who asks in a case. Roles and groups are found in the store; organisations come with the account."""
    actors = case["request"].get("actor", ())
    own = [each.partition("/")[2] for each in actors if each.startswith("Patient/")]
    purpose = (*case["request"].get("purpose", ()), "")[0]
    purpose = f"{form.PROJECTS}|FooBar" if purpose == "FooBar" else purpose
    if own:
        return mint_principal(
            "p", frozenset({Role.PATIENT}), parse_scopes("patient/*.rs"), patient=own[0], purpose=purpose
        )
    role = Role.CLINICIAN if case["request"].get("clinical") or case["default"] != "basic-normal" else Role.BACKEND
    return mint_principal(
        "dr",
        frozenset({role}),
        parse_scopes("user/*.cruds system/*.cruds"),
        purpose=purpose,
        organisations=frozenset(each for each in actors if each.startswith("Organization/")),
        fhir_user=next((each for each in actors if each.startswith("Practitioner/")), ""),
    )


async def laid_out(world, case, monkeypatch):
    """Everything of a case in the store; the time is the case's."""
    for reference in named_in(case):
        type_, _, id_ = reference.partition("/")
        more = dict(OTHERS.get(type_, {}))
        if type_ == "Group":
            more["member"] = [
                {"entity": {"reference": each}} for each in case["request"]["actor"] if each.startswith("Practitioner/")
            ]
        await world.put({"resourceType": type_, "id": id_, **more}, LOADER)
    if case["resource"].get("updated"):
        world.clock.ms = form.ms(f"{case['resource']['updated']}T12:00:00+00:00")
    with monkeypatch.context() as patch:
        if not case["resource"].get("labelled", True):
            patch.setattr("medlock.records.write.label", lambda *_: None)
        await world.put(resource_of(case), LOADER)
    given = [form.consent(short, number) for number, short in enumerate(case["consents"])]
    requests = [{"method": "PUT", "url": f"Consent/{each['id']}"} for each in given]
    await world.transact([{"resource": r, "request": q} for r, q in zip(given, requests, strict=True)], LOADER)
    moment = form.ms(case["request"].get("time", form.NOW))
    monkeypatch.setattr(type(world.clock), "now_ms", lambda _: moment)


async def exported(world, who, type_):
    """Ids of one type in an export of all patients."""
    found, part = set(), ExportPart(type_)
    while True:
        options = ExportOptions(types=frozenset({type_}), part=part)
        shown = await world.ask(who, Interaction.EXPORT, "Patient", options=options)
        found |= {json.loads(line)["id"] for line in shown.body.splitlines()}
        if not shown.after:
            return found
        slot, _, rid = shown.after.partition(".")
        part = ExportPart(type_, int(slot), int(rid))


async def read_status(world, who, reference):
    """Whether a read shows it."""
    try:
        await world.read(who, reference)
    except NotFound:
        return False
    return True


@pytest.mark.parametrize("case", HERE, ids=lambda case: case["id"])
async def test_a_scenario_on_every_path(case, tmp_path, monkeypatch):
    """Read, search with total, count, $everything and, for what is disclosed, $export say the same as the engine."""
    site = Site(Policy(case["default"]), form.PURPOSES, extended=True)
    world = await open_world(tmp_path / "data", site=site)
    await laid_out(world, case, monkeypatch)
    who, want = caller(case), case["expect"] == "PERMIT"
    type_, id_ = case["resource"]["type"], case["resource"].get("id", "o1")
    if case["request"].get("action", "access") == "disclose":
        assert (id_ in await exported(world, who, type_)) is want
        await world.close()
        return
    assert await read_status(world, who, f"{type_}/{id_}") is want
    found = await world.search(who, type_, f"_id={id_}&subject=Patient/p")
    assert (f"{type_}/{id_}" in ids(found), found["total"]) == (want, int(want))
    count = await world.search(who, type_, f"_id={id_}&_summary=count")
    assert count["total"] == int(want)
    if await read_status(world, who, "Patient/p"):
        every = json.loads((await world.send(who, "GET /Patient/p/$everything?_count=1000")).body)
        assert (f"{type_}/{id_}" in ids(every)) is want
        assert every["total"] == len([e for e in every["entry"] if e["search"]["mode"] == "match"])
    if not any("action" in json.dumps(each) for each in case["consents"]) and Role.PATIENT not in who.roles:
        assert (id_ in await exported(world, who, type_)) is want
    await world.close()


ANN, BOB = "Practitioner/ann", "Practitioner/bob"
EXCEPT_BOB = form.consent({"provision": {"type": "permit", "provision": [{"type": "deny", "actor": [BOB]}]}}, 1)
NOT_HIV = form.consent({"provision": {"type": "permit", "provision": [{"type": "deny", "securityLabel": ["HIV"]}]}}, 2)
EVERYBODY = form.consent({"provision": {"type": "permit"}}, 3)


def doctor(reference, **more):
    """A clinician who treats."""
    scopes = parse_scopes("user/*.cruds")
    return mint_principal(reference, frozenset({Role.CLINICIAN}), scopes, fhir_user=reference, **more)


ann, bob = doctor(ANN), doctor(BOB)
recorder = mint_principal("desk", frozenset({Role.CONSENT_RECORDER}), parse_scopes("user/*.crus"), purpose="PATADMIN")


def observation(id_, **more):
    """A finding of patient p."""
    return {"resourceType": "Observation", "id": id_, **BLANK["Observation"], **more}


HIV = {"code": {"coding": [{"system": "http://loinc.org", "code": "56888-1"}]}}


@pytest.fixture
async def world(tmp_path):
    """A site that permits, with two doctors, two patients, and something that is sensitive."""
    world = await open_world(tmp_path / "data")
    for reference in ("Patient/p", "Patient/q", ANN, BOB):
        type_, _, id_ = reference.partition("/")
        await world.put({"resourceType": type_, "id": id_})
    for each in (observation("o1"), observation("o2"), observation("hiv", **HIV)):
        await world.put(each)
    await world.put(observation("other", subject={"reference": "Patient/q"}))
    yield world
    await world.close()


async def refusal(world, who, line):
    """How a request was refused, as its caller sees it."""
    with pytest.raises(MedlockError) as told:
        await world.send(who, line)
    return type(told.value), str(told.value), told.value.problems


async def test_what_is_denied_looks_like_what_is_missing(world):
    """Read, vread, history and $everything: the same error, words and problems as for an id that never was."""
    await world.put(EXCEPT_BOB, recorder)
    for line in (
        "/Observation/{}",
        "/Observation/{}/_history/1",
        "/Observation/{}/_history",
        "/Patient/{}/$everything",
    ):
        there = "p" if "Patient" in line else "o1"
        assert await refusal(world, bob, f"GET {line.format(there)}") == await refusal(
            world, bob, f"GET {line.format('nobody')}"
        )
        assert (await world.send(ann, f"GET {line.format(there)}")).status == 200


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("Observation?_sort=_id", {"Observation/other"}),
        ("Observation?subject=Patient/p", set()),
        ("Observation?_id=o1,other", {"Observation/other"}),
        ("Observation?_has:Provenance:target:_id=x", set()),
        ("Observation?subject:Patient._id=p", set()),
        ("Observation?_elements=status&_count=5", {"Observation/other"}),
        ("Patient", {"Patient/q"}),
        ("Patient?_id=p", set()),
        ("Patient?_has:Observation:subject:_id=o1", set()),
        ("Patient?_revinclude=Observation:subject", {"Patient/q", "Observation/other"}),
        ("Observation?_id=o1&_include=Observation:subject", set()),
        ("?_type=Patient,Observation", {"Patient/q", "Observation/other"}),
    ],
)
async def test_no_search_tells(world, query, shown):
    """Totals, counts, chains, _has, includes and paging leave out what a doctor is denied; another doctor sees it all."""
    await world.put(EXCEPT_BOB, recorder)
    found = json.loads((await world.send(bob, f"GET /{query}")).body)
    assert ids(found) == shown
    assert found["total"] == len([each for each in found.get("entry", []) if each["search"]["mode"] == "match"])
    counted = json.loads((await world.send(bob, f"GET /{query}{'&' if '?' in query else '?'}_summary=count")).body)
    assert counted["total"] == found["total"]
    everything = ids(json.loads((await world.send(ann, f"GET /{query}")).body))
    assert shown < everything or "Provenance" in query


async def test_labels_filter_without_bodies(world):
    """A denied label is gone from pages, totals and $everything; what is not labelled so is there."""
    await world.put(NOT_HIV, recorder)
    found = await world.search(ann, "Observation", "patient=p&_sort=_id")
    assert (ids(found), found["total"]) == ({"Observation/o1", "Observation/o2"}, 2)
    every = json.loads((await world.send(ann, "GET /Patient/p/$everything")).body)
    assert "Observation/hiv" not in ids(every)
    assert "Consent/c2" not in ids(every)  # it speaks of what is hidden
    assert {"Patient/p", "Observation/o1"} <= ids(every)


async def test_a_change_acts_on_the_next_request_of_every_process(world, tmp_path):
    """Given, changed, taken away: by one process, seen by another at its next request, caches warm."""
    other = await open_world(tmp_path / "data")
    assert await read_status(other, bob, "Observation/o1")
    await world.put(EXCEPT_BOB, recorder)
    assert not await read_status(other, bob, "Observation/o1")
    assert not ids(await other.search(bob, "Observation", "patient=p"))
    await world.put({**EXCEPT_BOB, "status": "inactive"}, LOADER)
    assert await read_status(other, bob, "Observation/o1")
    await world.put(EXCEPT_BOB, LOADER)
    assert not await read_status(other, bob, "Observation/o1")
    await world.ask(LOADER, Interaction.DELETE, "Consent", "c1")
    assert await read_status(other, bob, "Observation/o1")
    await other.close()


async def test_the_next_page_is_decided_again(world):
    """A page link gives nothing that a consent has taken since."""
    first = json.loads((await world.send(bob, "GET /Observation?patient=p&_count=1")).body)
    link = next(each["url"] for each in first["link"] if each["relation"] == "next").removeprefix(BASE)
    await world.put(EXCEPT_BOB, recorder)
    assert not ids(json.loads((await world.send(bob, f"GET {link}")).body))


async def test_writes_are_bound_too(world):
    """Who is denied can neither change, patch, delete nor refer to what is hidden; words are those for what is missing."""
    await world.put(EXCEPT_BOB, recorder)
    for send in (
        world.send(bob, "PUT /Observation/o1", observation("o1")),
        world.send(bob, "DELETE /Observation/o1"),
        world.send(bob, "PATCH /Observation/o1", b"[]", content_type="application/json-patch+json"),
        world.send(bob, "POST /Observation", observation("new")),
    ):
        with pytest.raises((NotFound, Denied, Unprocessable)):
            await send
    made = await world.send(bob, "POST /Observation", observation("x", subject={"reference": "Patient/q"}))
    assert made.status == 201
    bundle = [{"request": {"method": "GET", "url": "Observation?patient=p"}}]
    found = (await world.transact(bundle, bob))["entry"][0]["resource"]
    assert found["total"] == 0


VISIT = {
    "resourceType": "Encounter",
    "id": "visit",
    "status": "finished",
    "subject": SUBJECT,
    "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
}
NOTE = {
    "resourceType": "DocumentReference",
    "status": "current",
    "subject": SUBJECT,
    "content": [{"attachment": {"contentType": "text/plain", "data": "SGVsbG8="}}],
    "context": {"encounter": [{"reference": "Encounter/visit"}]},
}


@pytest.mark.parametrize("line", ["POST /DocumentReference", "PUT /DocumentReference/note", "PATCH"])
async def test_what_is_written_does_not_tell_of_its_episode(world, line):
    """A note gets the label of what is hidden in its episode; its writer is not shown which one it is."""
    body, more = {**NOTE, "id": "note"}, {}
    if line == "PATCH":
        await world.put({**body, "context": {}} | {"context": {"period": {"start": "2020"}}}, ann)
        body = json.dumps([{"op": "add", "path": "/context/encounter", "value": NOTE["context"]["encounter"]}]).encode()
        line, more = "PATCH /DocumentReference/note", {"content_type": "application/json-patch+json"}
    await world.put(VISIT)
    await world.put(observation("hiv", encounter=NOTE["context"]["encounter"][0], **HIV))
    await world.put(NOT_HIV, recorder)
    shown = await world.send(ann, line, body, **more)
    assert (shown.status in {200, 201}, shown.body) == (True, b"")
    assert "DocumentReference" not in str(ids(await world.search(ann, "DocumentReference", "patient=p")))
    own = await world.search(patient("p"), "DocumentReference", "")
    assert "HIV" in json.dumps(own["entry"][0]["resource"]["meta"]["security"])


@pytest.mark.parametrize("way", ["json", "raw", "pieces", "together"])
async def test_a_binary_is_as_sensitive_as_its_context(world, way):
    """The content of a document that is hidden is hidden as well: from a read, $everything, search and history."""
    note = {name: value for name, value in NOTE.items() if name != "context"}
    note |= {"id": "note", "meta": {"security": [form.label("HIV")]}}
    file = {"resourceType": "Binary", "id": "b", "contentType": "text/plain", "data": "SGVsbG8="}
    file["securityContext"] = {"reference": "DocumentReference/note"}
    requests = [{"method": "PUT", "url": url} for url in ("Binary/b", "DocumentReference/note")]
    if way == "together":
        entries = [{"request": each, "resource": body} for each, body in zip(requests, (file, note), strict=True)]
        await world.transact(entries)
    else:
        await world.put(note)
    if way == "json":
        await world.put(file)
    elif way == "raw":
        await world.send(ann, "PUT /Binary/b", b"x", content_type="image/png", x_security_context=note_of(note))
    elif way == "pieces":
        await world.bring("PUT /Binary/b", bytes(2_000_000), x_security_context=note_of(note))
    await world.put(EVERYBODY, recorder)
    assert "Binary/b" in ids(json.loads((await world.send(ann, "GET /Patient/p/$everything")).body))
    await world.put(NOT_HIV, recorder)
    assert "Binary/b" not in ids(json.loads((await world.send(ann, "GET /Patient/p/$everything")).body))
    assert not ids(await world.search(ann, "Binary", ""))
    for line in ("GET /Binary/b", "GET /Binary/b/_history", "GET /Binary/b/_history/1"):
        assert (await refusal(world, ann, line))[0] is NotFound


@pytest.mark.parametrize("way", ["short", "long", "address", "together", "later"])
async def test_what_is_attached_is_as_sensitive_as_the_document(world, way):
    """A content that came first, as the patient's, is labelled by the document that attaches it, and stays so."""
    size = 2_000_000 if way == "long" else 100
    await world.bring("PUT /Binary/b", bytes(size), x_security_context="Patient/p")
    url = f"{BASE}/Binary/b/_history/1" if way == "address" else "Binary/b"
    note = {name: value for name, value in NOTE.items() if name != "context"} | {"id": "note"}
    note |= {"content": [{"attachment": {"url": url}}], "meta": {"security": [form.label("HIV")]}}
    if way == "later":  # sensitive by its episode, which is so only afterwards
        await world.put(VISIT)
        del note["meta"]
        await world.put({**note, "context": NOTE["context"]})
        await world.put(observation("hiv", encounter=NOTE["context"]["encounter"][0], **HIV))
    elif way == "together":
        await world.transact([{"request": {"method": "PUT", "url": note_of(note)}, "resource": note}])
    else:
        await world.put(note)
    await world.put(NOT_HIV, recorder)
    for _ in range(2):
        assert "Binary/b" not in ids(json.loads((await world.send(ann, "GET /Patient/p/$everything")).body))
        for line in ("GET /Binary/b", "GET /Binary/b/_history/1"):
            assert (await refusal(world, ann, line))[0] is NotFound
        shown = await world.send(patient("p", "patient/*.rs"), "GET /Binary/b", accept="video/mp4")
        assert shown.outflow is None or shown.outflow.size == size
        if way == "short":
            own = patient("p", "patient/Consent.crus")
            await world.put({**NOT_HIV, "status": "inactive"}, own)
            await world.bring("PUT /Binary/b", bytes(size), x_security_context="Patient/p")
            await world.put(NOT_HIV, own)
    assert await offline(world.directory).verify() == []
    await Shredder(world.vault, world.log, world.clock).shred(officer(), "p")  # two versions may name one content
    assert await offline(world.directory).verify() == []


def note_of(resource):
    """Its reference."""
    return f"{resource['resourceType']}/{resource['id']}"


async def test_a_consent_that_hides_something_is_not_shown(world):
    """To whom it leaves a part: no read, search, total, history, $everything or export tells that it is there."""
    one = {"type": "deny", "data": [{"meaning": "instance", "ref": "Observation/o1"}]}
    await world.put(form.consent({"provision": {"type": "permit", "provision": [one | {"actor": [BOB]}]}}, 1), recorder)
    missing = await refusal(world, bob, "GET /Consent/nobody")
    assert await refusal(world, bob, "GET /Consent/c1") == missing
    assert await refusal(world, bob, "GET /Consent/c1/_history") == await refusal(
        world, bob, "GET /Consent/c9/_history"
    )
    found = await world.search(bob, "Consent", "patient=p")
    assert (ids(found), found["total"]) == (set(), 0)
    assert not ids(json.loads((await world.send(bob, "GET /Patient?_has:Consent:patient:status=active")).body))
    assert "Consent/c1" not in ids(json.loads((await world.send(bob, "GET /Patient/p/$everything")).body))
    assert "c1" not in await exported(world, bob, "Consent")
    assert ids(await world.search(bob, "Observation", "patient=p")) == {"Observation/o2", "Observation/hiv"}
    for who in (ann, recorder, patient("p")):
        assert await read_status(world, who, "Consent/c1")
    await world.put(EXCEPT_BOB, recorder)
    assert await read_status(world, ann, "Consent/c1")


async def test_a_record_that_something_has_left(world):
    """What went to another patient's record stands in the way of no question, where consents look into bodies."""
    dated = {"type": "deny", "dataPeriod": {"end": "2001-01-01"}}
    await world.put(form.consent({"provision": {"type": "permit", "provision": [dated]}}, 1), recorder)
    await world.put(observation("moved", effectiveDateTime="2020-01-01"))
    await world.put(observation("moved", effectiveDateTime="2020-01-01", subject={"reference": "Patient/q"}))
    every = json.loads((await world.send(ann, "GET /Patient/p/$everything")).body)
    assert "Patient/p" in ids(every)
    assert "Observation/moved" not in ids(every)
    assert "Observation/moved" in ids(json.loads((await world.send(ann, "GET /Patient/q/$everything")).body))


async def test_the_patient_sees_everything(world):
    """A consent that denies everybody does not deny its patient."""
    await world.put(form.consent({"provision": {"type": "deny"}}, 4), recorder)
    assert await read_status(world, patient("p"), "Observation/o1")
    assert "Consent/c4" in ids(await world.search(patient("p"), "Consent", ""))
    assert not await read_status(world, ann, "Observation/o1")


async def test_the_owners_consent_binds_where_two_patients_meet(world):
    """A resource of two patients: its owner's consent counts through either record."""
    await world.put(observation("both", performer=[{"reference": "Patient/q"}]))
    assert "Observation/both" in ids(await world.search(bob, "Observation", "performer=Patient/q"))
    await world.put(EXCEPT_BOB, recorder)
    found = await world.search(bob, "Observation", "performer=Patient/q")
    assert (ids(found), found["total"]) == (set(), 0)
    assert not await read_status(world, bob, "Observation/both")


async def test_the_log_says_which_provisions_spoke(world):
    """Privately: the basis of the entry names consents and paths, for what was shown and for what was withheld."""
    await world.put(EXCEPT_BOB, recorder)
    await world.read(ann, "Observation/o1")
    await refusal(world, bob, "GET /Observation/o1")
    withheld, shown = [each.event for each in await world.log.find(AuditQuery(limit=2))]
    assert "Consent/c1 provision" in shown.basis
    assert "Consent/c1 provision.provision[0]" in withheld.reason


async def test_a_consent_that_cannot_be_enforced_is_refused(world):
    """422 with the place of the fault, alone and inside a transaction; PCF's own form only, unless the site says more."""
    wrong = json.loads(json.dumps(EVERYBODY))
    wrong["provision"]["class"] = [{"system": "http://hl7.org/fhir/resource-types", "code": "Condition"}]
    with pytest.raises(Unprocessable) as told:
        await world.put(wrong, recorder)
    assert [each.path for each in told.value.problems] == ["Consent.provision.class"]
    entry = {"resource": wrong, "request": {"method": "PUT", "url": "Consent/c3"}}
    with pytest.raises(Unprocessable) as told:
        await world.transact([entry], recorder)
    assert [each.path for each in told.value.problems] == ["Bundle.entry[0].resource.provision.class"]
    missing = form.consent({"provision": {"type": "permit", "actor": ["Practitioner/nobody"]}}, 5)
    with pytest.raises(Unprocessable):
        await world.put(missing, recorder)


async def test_who_may_record_what_a_patient_decided(world):
    """The patient, or who has that task; said by the patient, or by who stands in for them; never by a clinician."""
    said = {**EVERYBODY, "performer": [{"reference": "Patient/p"}]}
    with pytest.raises(Denied):
        await world.put(said, ann)
    with pytest.raises(Denied):
        await world.put({**said, "performer": [{"reference": ANN}]}, recorder)
    related = {"resourceType": "RelatedPerson", "id": "r", "patient": {"reference": "Patient/q"}}
    await world.put(related)
    with pytest.raises(Denied):
        await world.put({**said, "performer": [{"reference": "RelatedPerson/r"}]}, recorder)
    await world.put({**related, "patient": {"reference": "Patient/p"}})
    await world.put({**said, "performer": [{"reference": "RelatedPerson/r"}]}, recorder)
    own = patient("p", "patient/Consent.crus")
    made = await world.send(own, "POST /Consent", {name: value for name, value in said.items() if name != "id"})
    assert made.status == 201
    other = patient("q", "patient/Consent.crus")
    with pytest.raises((Denied, Unprocessable)):
        await world.send(other, "POST /Consent", {name: value for name, value in said.items() if name != "id"})


async def test_what_was_entered_in_error_stays_so(world):
    """It is not made active again; a new one is recorded."""
    await world.put(EVERYBODY, recorder)
    await world.put({**EVERYBODY, "status": "entered-in-error"}, recorder)
    with pytest.raises(Unprocessable) as told:
        await world.put(EVERYBODY, recorder)
    assert [each.path for each in told.value.problems] == ["Consent.status"]


async def test_teams_and_groups_are_those_of_now(world):
    """A consent for a role's organisation and a group: who leaves them is out at the next request."""
    role = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": ANN}}
    await world.put({"resourceType": "Organization", "id": "org", "name": "x"})
    await world.put({**role, "organization": {"reference": "Organization/org"}})
    rules = {"type": "deny", "provision": [{"type": "permit", "actor": ["Organization/org"]}]}
    await world.put(form.consent({"provision": rules}, 6), recorder)
    assert await read_status(world, ann, "Observation/o1")
    assert not await read_status(world, bob, "Observation/o1")
    await world.put({**role, "active": False, "organization": {"reference": "Organization/org"}})
    assert not await read_status(world, ann, "Observation/o1")


ORG = {"reference": "Organization/org"}


TEAM = [{"member": {"reference": BOB}}]
MEMBER = [{"entity": {"reference": BOB}}]
JOINING = {
    "PractitionerRole": ({}, {"practitioner": {"reference": BOB}, "organization": ORG}),
    "CareTeam": ({"name": "x"}, {"participant": TEAM}),
    "Group": ({"type": "practitioner", "actual": True}, {"member": MEMBER}),
}


async def join(world, way, body, added):
    """Bob writes a role, team or group with himself in it, one way or another."""
    reference = note_of(body)
    if way == "transaction":
        await world.transact([{"request": {"method": "PUT", "url": reference}, "resource": body}], bob)
    elif way == "PATCH":
        patch = [{"op": "add", "path": f"/{name}", "value": value} for name, value in added.items()]
        data, kind = json.dumps(patch).encode(), "application/json-patch+json"
        await world.send(bob, f"PATCH /{reference}", data, content_type=kind)
    else:
        await world.send(bob, f"{way} /{body['resourceType'] if way == 'POST' else reference}", body)


@pytest.mark.parametrize(
    ("kind", "way"),
    [
        *(("PractitionerRole", way) for way in ("PUT", "POST", "transaction")),
        *((kind, way) for kind in ("CareTeam", "Group") for way in ("PUT", "PATCH", "transaction")),
    ],
)
async def test_nobody_appoints_themselves(world, kind, way):
    """Who may write roles, teams and groups does not write themselves into one that a consent lets see."""
    await world.put({"resourceType": "Organization", "id": "org", "name": "x"})
    empty, joined = JOINING[kind]
    if empty:
        await world.put({"resourceType": kind, "id": "t", **empty})
    actor = "Organization/org" if kind == "PractitionerRole" else f"{kind}/t"
    rules = {"type": "deny", "provision": [{"type": "permit", "actor": [actor]}]}
    await world.put(form.consent({"provision": rules}, 6), recorder)
    body = {"resourceType": kind, "id": "t", **empty, **joined}
    with pytest.raises(Denied):
        await join(world, way, body, joined)
    assert not await read_status(world, bob, "Observation/o1")
    await world.put(body)
    assert await read_status(world, bob, "Observation/o1")


@pytest.mark.parametrize("kind", ["CareTeam", "Group"])
async def test_a_team_within_a_team_counts(world, kind):
    """A deny for a team is one for the teams inside; they may name each other; nobody puts their own inside."""
    empty, joined = JOINING[kind]
    inner = {"resourceType": kind, "id": "inner", **empty, **joined}
    outer = {"resourceType": kind, "id": "t", **empty}
    held = {"participant": [{"member": {"reference": "CareTeam/inner"}}]}
    nested = held if kind == "CareTeam" else {"member": [{"entity": {"reference": "Group/inner"}}]}
    for each in (inner, outer):
        await world.put(each)
    rules = {"type": "permit", "provision": [{"type": "deny", "actor": [f"{kind}/t"]}]}
    await world.put(form.consent({"provision": rules}, 6), recorder)
    assert await read_status(world, bob, "Observation/o1")
    with pytest.raises(Denied):
        await world.put({**outer, **nested}, bob)
    await world.put({**outer, **nested})
    assert not await read_status(world, bob, "Observation/o1")
    assert await read_status(world, ann, "Observation/o1")
    circle = json.dumps(nested).replace("inner", "t")
    await world.put({"resourceType": kind, "id": "inner", **empty, **json.loads(circle)})
    assert await read_status(world, bob, "Observation/o1")


async def test_a_group_that_names_nobody_denies(world):
    """Who is meant by a description cannot be told, so a consent that names it opens nothing to anybody."""
    like = [{"code": {"text": "x"}, "valueBoolean": True, "exclude": False}]
    group = {"resourceType": "Group", "id": "g", "type": "practitioner", "actual": True}
    await world.put(group)
    rules = {"type": "permit", "provision": [{"type": "deny", "actor": ["Group/g"]}]}
    await world.put(form.consent({"provision": rules}, 6), recorder)
    assert await read_status(world, bob, "Observation/o1")
    await world.put({**group, "actual": False, "characteristic": like})
    assert not await read_status(world, bob, "Observation/o1")
    assert not ids(await world.search(bob, "Observation", "patient=p"))
    assert await read_status(world, patient("p"), "Observation/o1")


@pytest.mark.parametrize("kind", ["PractitionerRole", "CareTeam", "Group"])
async def test_nobody_leaves_what_is_denied(world, kind):
    """Nor out of one that a consent denies: by a deletion alone or in a transaction, by ending it, by leaving it."""
    await world.put({"resourceType": "Organization", "id": "org", "name": "x"})
    empty, joined = JOINING[kind]
    body = {"resourceType": kind, "id": "t", **empty, **joined}
    await world.put(body)
    actor = "Organization/org" if kind == "PractitionerRole" else f"{kind}/t"
    rules = {"type": "permit", "provision": [{"type": "deny", "actor": [actor]}]}
    await world.put(form.consent({"provision": rules}, 6), recorder)
    ended = {"status": "inactive"} if kind == "CareTeam" else {"active": False}
    for send in (
        lambda: world.send(bob, f"DELETE /{kind}/t"),
        lambda: world.transact([{"request": {"method": "DELETE", "url": f"{kind}/t"}}], bob),
        lambda: world.put({**body, **ended}, bob),
        lambda: world.put({"resourceType": kind, "id": "t", **empty}, bob),
    ):
        with pytest.raises(Denied):
            await send()
        assert not await read_status(world, bob, "Observation/o1")
    await world.put({**body, **ended})
    assert await read_status(world, bob, "Observation/o1")


PAST = {"period": {"end": "2001-01-01"}}


def joined_for(kind, more, reference=BOB):
    """Bob, or whoever answers for him, in a role, team or group for a time."""
    empty, _ = JOINING[kind]
    where, who = {"CareTeam": ("participant", "member"), "Group": ("member", "entity")}.get(kind, ("", ""))
    if kind == "PractitionerRole":
        return {"resourceType": kind, "id": "t", "practitioner": {"reference": reference}, "organization": ORG, **more}
    return {"resourceType": kind, "id": "t", **empty, where: [{who: {"reference": reference}, **more}]}


@pytest.mark.parametrize("kind", ["PractitionerRole", "CareTeam", "Group"])
async def test_nobody_gives_themselves_another_time(world, kind):
    """Who is in for a time answers to it for that time, and does not write another one; others do. Colleagues come in."""
    await world.put({"resourceType": "Organization", "id": "org", "name": "x"})
    await world.put(joined_for(kind, PAST))
    actor = "Organization/org" if kind == "PractitionerRole" else f"{kind}/t"
    rules = {"type": "deny", "provision": [{"type": "permit", "actor": [actor]}]}
    await world.put(form.consent({"provision": rules}, 6), recorder)
    for body in (
        joined_for(kind, {}),
        joined_for(kind, {"period": {"start": "2001-01-01"}}),
        joined_for(kind, {}, BOB + "/_history/1"),
    ):
        with pytest.raises(Denied):
            await world.put(body, bob)
        assert not await read_status(world, bob, "Observation/o1")
    if kind != "PractitionerRole":
        more, name = joined_for(kind, PAST), "participant" if kind == "CareTeam" else "member"
        more[name] += joined_for(kind, {"period": {"start": "2001-01-01"}}, "Practitioner/ann")[name]
        await world.put(more, bob)
    await world.put(joined_for(kind, {}))
    assert await read_status(world, bob, "Observation/o1")


async def test_the_list_of_who_has_consents_is_made_again(world):
    """Taken away, it opens nothing: it is made from the indexes. And verification finds nothing wrong with it."""
    await world.put(EXCEPT_BOB, recorder)
    keys = world.vault.holders._keys
    await world.backend.commit(Batch(deletes=[(Table.JOB, key) for key in keys]))
    assert not await read_status(world, bob, "Observation/o1")
    assert not ids(await world.search(bob, "Patient", "_id=p"))


async def test_a_long_list_goes_on_to_further_pages(world):
    """However many records have consents: each is on the list, once, and the last page has room."""
    holders = world.vault.holders
    slots = [7 + PARTS * n for n in range(3 * PAGE + 5)]
    for some in (slots[:1], slots[1 : PAGE - 1], slots[PAGE - 1 : PAGE + 1], slots[PAGE:]):
        batch = Batch()
        await holders.add(some, batch)
        await world.backend.commit(batch)
    assert set(slots) <= await holders.all()
    held = [await holders.holds(slot) for slot in (slots[0], slots[-1], slots[-1] + PARTS)]
    assert held == [(True, False), (True, False), (False, False)]
    other = await open_world(world.directory)
    assert await other.vault.holders.all() == await holders.all()
    await other.close()


async def test_an_old_list_is_found(world):
    """A part of the list that was put back to what it was before the first consent: verification names it."""
    await world.put(EXCEPT_BOB, recorder)
    slot = await world.vault.patient_slot("p")
    key = world.vault.notes.key(page_name(slot))
    check = NoteCheck(world.vault)
    await check.read()
    assert check.unlisted(slot) is None
    await world.backend.commit(Batch(puts=[world.vault.notes.seal(page_name(slot), b"", 512)]))
    await check.read()
    assert check.unlisted(slot).key == key


async def test_a_page_that_is_gone_is_found(world):
    """One part of the list, or a further page of one, taken away: verification names it; all of them together is none."""
    holders, notes = world.vault.holders, world.vault.notes
    batch = Batch()
    await holders.add([7 + PARTS * n for n in range(PAGE + 5)], batch)
    await world.backend.commit(batch)
    for gone in (notes.key(page_name(3)), notes.key(page_name(7, 1))):
        row = await world.backend.get(Table.JOB, gone)
        await world.backend.commit(Batch(deletes=[(Table.JOB, gone)]))
        check = NoteCheck(world.vault)
        await check.read()
        assert [each.key for each in check.gone_pages()] == [gone]
        await world.backend.commit(Batch(inserts=[(Table.JOB, gone, row)]))
    check = NoteCheck(world.vault)
    await check.read()
    assert not list(check.gone_pages())


@pytest.mark.parametrize(
    ("name", "value"), [("consent_policy", "nobody"), ("consent_r4", "yes"), ("consent_purposes", "x")]
)
def test_wrong_settings_stop_the_start(name, value):
    """A policy that is none is never taken for another one."""
    with pytest.raises(SetupError):
        consent_site(Settings(Path("x"), **{name: value}))


def test_settings_make_the_site():
    """Policy, the site's own purposes, and R4 as a whole."""
    given = Settings(
        Path("x"), consent_policy="deny", consent_purposes=f"{form.PROJECTS}|FooBar=HRESCH", consent_r4="on"
    )
    assert consent_site(given) == Site(Policy.DENY, form.PURPOSES, extended=True)


async def test_consents_that_are_erased_meanwhile_deny(tmp_path, monkeypatch):
    """A record that held consents, and is gone when they are looked up, is nobody's to see: not the site's default."""
    world = await open_world(tmp_path / "data", site=PERMISSIVE)
    await world.put({"resourceType": "Patient", "id": "p"}, LOADER)
    await world.put(observation("o"), LOADER)
    await world.put(EVERYBODY, LOADER)
    assert await read_status(world, ann, "Observation/o")
    slot, opened = await world.vault.any_slot("p"), world.vault.capsules.open

    async def erased(asked):
        if asked == slot:
            raise NotFound("gone", reason="erased")
        return await opened(asked)

    monkeypatch.setattr(world.vault.capsules, "open", erased)
    for reference in ("Observation/o", "Patient/p"):
        assert not await read_status(world, ann, reference)
    assert not ids(await world.search(ann, "Patient", ""))
    await world.close()
