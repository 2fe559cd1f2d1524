"""Consents at the door: every scenario again on read, search, $everything and $export, and what is particular to it."""

import json
from pathlib import Path

import pytest
from consent import form
from consent.cases import CASES
from records.world import BASE, clinician, ids, open_world, patient

from medlock.access.consent.codes import labels_of
from medlock.access.consent.policy import Policy
from medlock.access.consent.ruling import Site
from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.scopes import parse_scopes
from medlock.errors import NotFound
from medlock.fhir.options import ExportOptions, ExportPart
from medlock.fhir.question import Interaction

FILE = Path("/work/shared/data/consent_scenarios.json")
SCENARIOS = json.loads(FILE.read_text()) if FILE.exists() else []
# What the door cannot be asked yet: an emergency (break-glass), several purposes, a fact that no resource can lack here.
HERE = [
    case
    for case in [*SCENARIOS, *CASES]
    if not case["request"].get("mayBTG") and len(case["request"].get("purpose", ())) < 2
]
SUBJECT = {"reference": "Patient/p"}
LOADER = clinician()
BLANK = {
    "Observation": {"status": "final", "code": {"text": "x"}, "subject": SUBJECT},
    "Condition": {"subject": SUBJECT, "code": {"text": "x"}},
    "MedicationRequest": {"status": "active", "intent": "order", "subject": SUBJECT},
}
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
