"""De-identified exports: a researcher sees nothing else, and nothing in them says who anybody is."""

import asyncio

import orjson
import pytest

from deid_fhir.scanner import leaks, objects, secrets
from medlock.access.grant import Grant
from medlock.access.principal import Role
from medlock.deid.fhir.presets import PRESETS
from medlock.errors import Tampered
from medlock.fhir.address import ROUTES
from medlock.fhir.exporting import POLICIES
from medlock.fhir.question import EXPORTS
from medlock.records import exporting
from web.exporting import LATER, flat, place
from web.test_bulk import JSON, disclosed, group, observation, put
from web.test_walk import METHODS, request_for

NAME = "Zyxwvutsrq"
MARKS = (NAME, "1977-03-04", "555-0199", "Elm Street 7", "MRN-4711", "seen by Zyx", "zebra-1")


def marked(id_):
    """A patient full of marks."""
    return {
        "resourceType": "Patient",
        "id": id_,
        "name": [{"family": NAME}],
        "birthDate": "1977-03-04",
        "telecom": [{"system": "phone", "value": "555-0199"}],
        "address": [{"line": ["Elm Street 7"]}],
        "identifier": [{"system": "urn:x", "value": "MRN-4711"}],
    }


@pytest.fixture
async def study(tmp_path):
    """Twelve marked patients, each with a note; Groups of two and of all; a clinician and a researcher."""
    async with place(tmp_path) as site:
        site.dr = await site.token(Role.CLINICIAN, account="dr")
        names = [f"zebra-{number}" for number in range(12)]
        for each in names:
            await put(site, marked(each))
            await put(site, observation(f"o-{each}", each) | {"note": [{"text": "seen by Zyx"}]})
        await put(site, group("two", *names[:2]))
        await put(site, group("all", *names))
        site.rs = await site.token(Role.RESEARCHER, account="rs")
        yield site


async def test_nothing_in_the_clinic_is_left(tmp_path):
    """Of a synthetic clinic, an independent scanner finds no identifier in what a researcher exports."""
    async with place(tmp_path, patients=6) as site:
        dr, rs = await site.token(Role.CLINICIAN), await site.token(Role.RESEARCHER)
        before = await site.export(dr)
        coded = {each["code"] for each in objects(list(flat(before).values())) if isinstance(each.get("code"), str)}
        known = {each for each in secrets(list(flat(before).values())) if each[1] not in coded}
        assert len(known) > 300
        assert len(leaks(list(flat(before).values()), known)) > 300
        after = await site.export(rs)
        about = after.pop("Provenance-deid")
        assert {name: len(file) for name, file in after.items()} == {name: len(file) for name, file in before.items()}
        assert leaks(list(flat(after).values()), known) == set()
        targets = [each["reference"] for one in about for each in one["target"]]
        assert sorted(targets) == sorted(flat(after))
        assert not known & {(kind, text) for kind, text in leaks(about, known)}
        resources = flat(after)
        named = [each for one in resources.values() for each in _references(one)]
        assert len(named) > 500
        assert all(name in resources for name in named if name.startswith(("Patient/", "Encounter/")))
        assert all(one["meta"]["security"] for name, one in resources.items() if name.startswith("Patient/"))


def _references(tree):
    if isinstance(tree, dict):
        if isinstance(tree.get("reference"), str):
            yield tree["reference"]
        for value in tree.values():
            yield from _references(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _references(value)


async def test_no_route_gives_a_researcher_an_identified_byte(study):
    """Each route and method as a researcher asks it, of what is there: no answer holds a mark, and all is refused but exports."""
    for template in ROUTES:
        for method in METHODS:
            path, more, body = request_for(template, method)
            for there in ("zebra-1", "all"):
                answer = await study.client.request(
                    method,
                    path.replace("p1", there),
                    headers=study.rs | more,
                    content=body.replace(b"p1", there.encode()),
                )
                assert not [mark for mark in MARKS if mark in answer.text], (template, method)
                declared = ROUTES[template].get("GET" if method == "HEAD" else method)
                if declared not in EXPORTS:
                    assert answer.status_code in {403, 405}, (template, method, answer.text)
                elif answer.status_code == 202:
                    await study.client.delete(answer.headers["content-location"], headers=study.rs)
    for path in ("Patient", "Patient/zebra-1", "Patient?_summary=count", "AuditEvent", "Group/all", "Group",
                 "Practitioner", "CodeSystem", "Patient/zebra-1/$everything"):  # fmt: skip
        for headers in (study.rs, study.rs | LATER):
            answer = await study.client.get(path, headers=headers)
            if answer.status_code == 202:
                answer = await _waited(study, answer.headers["content-location"])
                assert answer.json()["entry"][0]["response"]["status"] == "403"
            else:
                assert answer.status_code == 403
            assert not [mark for mark in MARKS if mark in answer.text]
    for entry in ("Patient/zebra-1", "$export", "Group/all/$export"):
        bundle = {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": entry}}]}
        answer = await study.client.post("", content=orjson.dumps(bundle), headers=study.rs | JSON)
        assert answer.json()["entry"][0]["response"]["status"][:3] in {"403", "400"}
        assert not [mark for mark in MARKS if mark in answer.text]


async def _waited(study, where):
    for _ in range(10_000):
        answer = await study.client.get(where, headers=study.rs)
        if answer.status_code != 202:
            return answer
        await asyncio.sleep(0.001)
    raise AssertionError("it never came")


async def test_what_a_researcher_gets(study):
    """Everything, marked as de-identified, written down under each patient; no mark in any file."""
    found = await study.export(study.rs)
    assert not [mark for mark in MARKS if mark in orjson.dumps(found).decode()]
    assert {name: len(file) for name, file in found.items()} == {
        "Group": 2, "Observation": 12, "Patient": 12, "Provenance-deid": 1,
    }  # fmt: skip
    log = await disclosed(study)
    assert set(log) == {*map("Patient/zebra-{}".format, range(12)), *map("Observation/o-zebra-{}".format, range(12)),
                        "Group/two", "Group/all"}  # fmt: skip
    event = log["Patient/zebra-3"]
    assert (event.account, event.patient, event.purpose) == ("rs", "zebra-3", "HRESCH")
    assert "_deid=safe-harbor" in event.query


@pytest.mark.parametrize(
    "query",
    [
        "_since=2020-01-01T00:00:00Z",
        "_typeFilter=Patient?family=Zyxwvutsrq",
        "_type=Binary",
        "_type=Patient,AuditEvent",
    ],
)
async def test_a_researcher_chooses_by_nothing_that_tells(study, query):
    """When a record changed, what it says, and types beyond the table are not theirs to ask with."""
    for path in ("$export", "Patient/$export", "$anonymize", "Group/all/$export"):
        answer = await study.client.get(f"{path}?{query}", headers=study.rs | LATER)
        assert answer.status_code == 403, path


async def test_a_researcher_gets_no_small_group_and_no_single_patient(study):
    """A Group of two is as if it were not there, one of twelve is exported; a token held to a patient gives nothing."""
    answer = await study.client.get("Group/two/$export", headers=study.rs | LATER)
    missing = await study.client.get("Group/none/$export", headers=study.rs | LATER)
    assert (answer.status_code, answer.json()) == (404, missing.json())
    await put(study, {"resourceType": "Group", "id": "kind", "type": "person", "actual": False})
    answer = await study.client.get("Group/kind/$export", headers=study.rs | LATER)
    assert (answer.status_code, answer.json()) == (404, missing.json())
    found = await study.export(study.rs, "Group/all/$export")
    assert len(found["Patient"]) == 12
    held = await study.token(Role.RESEARCHER, patient="zebra-1")
    assert (await study.client.get("$export", headers=held | LATER)).status_code == 403


async def test_the_operations_of_darts(study):
    """Safe Harbor by policy, anonymised under a key of its own, pseudonymised with dates that move."""
    safe = await study.export(study.dr, "$de-identify?policy=HHS_SAFE_HARBOR_DETERMINISTIC_METHOD")
    again = await study.export(study.rs)
    assert {each["id"] for each in safe["Patient"]} == {each["id"] for each in again["Patient"]}
    first, second = await study.export(study.rs, "$anonymize"), await study.export(study.dr, "Patient/$anonymize")
    drawn = [{each["id"] for each in found["Patient"]} for found in (safe, first, second)]
    assert len(frozenset().union(*drawn)) == 36
    assert {each["subject"]["reference"].partition("/")[2] for each in first["Observation"]} == drawn[1]
    invented = await study.export(study.dr, "Group/all/$pseudonymize")
    assert all(each["name"][0]["family"] != NAME for each in invented["Patient"])
    assert all(len(each["birthDate"]) == 10 and each["birthDate"] != "1977-03-04" for each in invented["Patient"])
    limited = await study.export(study.dr, "$de-identify?policy=limited&_type=Patient")
    assert {each["birthDate"] for each in limited["Patient"]} == {"1977-03-04"}
    for found in (first, second, invented):
        assert not [mark for mark in (*MARKS[:1], *MARKS[2:]) if mark in orjson.dumps(found).decode()]
    assert not study.app.records.projects._engines


async def test_what_operations_refuse(study):
    """No policy, an unknown one, an expert's; a key or data of the caller's; a researcher any preset but theirs."""
    for query in ("", "policy=none", "policy=HHS_EXPERT_DETERMINATION_METHOD"):
        answer = await study.client.get(f"$de-identify?{query}", headers=study.dr | LATER)
        assert answer.status_code == 400
    for query in ("key=secret", "algorithm=SHA256", "policy=gdpr"):
        assert (await study.client.get(f"$pseudonymize?{query}", headers=study.dr | LATER)).status_code == 400
    data = {"resourceType": "Parameters", "parameter": [
        {"name": "identifiableData", "resource": {"resourceType": "Bundle", "type": "collection"}}]}  # fmt: skip
    answer = await study.client.post("$anonymize", content=orjson.dumps(data), headers=study.dr | JSON | LATER)
    assert answer.status_code == 400
    for path in ("$pseudonymize", "$de-identify?policy=limited", "Group/all/$de-identify?policy=gdpr"):
        assert (await study.client.get(path, headers=study.rs | LATER)).status_code == 403


@pytest.mark.parametrize("how", ["known", "clean"])
async def test_prose_is_cleaned_of_what_the_store_knows(tmp_path, how):
    """A note keeps what it says and loses whom it names, also when only a type that is not exported names them."""
    async with place(tmp_path, deid_text=how) as site:
        site.dr = await site.token(Role.CLINICIAN)
        for each in ("zebra-1", "zebra-2"):
            await put(site, marked(each))
        await put(site, {"resourceType": "Practitioner", "id": "doc", "name": [{"family": "Quimbleton"}]})
        kin = {"resourceType": "RelatedPerson", "id": "kin", "patient": {"reference": "Patient/zebra-1"}}
        await put(site, kin | {"name": [{"family": "Fotheringay"}]})
        text = f"Weight stable; {NAME} came with Fotheringay, seen by Quimbleton, MRN-4711."
        await put(site, observation("o-1", "zebra-1") | {"note": [{"text": text}]})
        await put(site, observation("o-2", "zebra-2") | {"note": [{"text": "Weight stable."}]})
        rs = await site.token(Role.RESEARCHER)
        for path in ("$export?_type=Observation", "$anonymize?_type=Observation", "$export"):
            found = await site.export(rs, path)
            notes = sorted(each["note"][0]["text"] for each in found["Observation"])
            assert notes[0].startswith("Weight stable")
            assert not [w for w in (NAME, "Fotheringay", "Quimbleton", "4711") if w in orjson.dumps(found).decode()]
            assert len(notes[1]) > len("Weight stable; came with")


async def test_nothing_is_left_in_notes_of_the_clinic(tmp_path):
    """With prose cleaned, the independent scanner finds nothing in a synthetic clinic's notes either."""
    async with place(tmp_path, patients=3, deid_text="clean") as site:
        dr, rs = await site.token(Role.CLINICIAN), await site.token(Role.RESEARCHER)
        before = list(flat(await site.export(dr)).values())
        coded = {each["code"] for each in objects(before) if isinstance(each.get("code"), str)}
        places = [each["id"] for each in before if each["resourceType"] in {"Location", "Organization"}]
        words = {each for each in places if each.isalpha()}  # the clinic calls them hospital, ward: notes do as well
        known = {each for each in secrets(before) if each[1] not in coded | words}
        after = await site.export(rs)
        del after["Provenance-deid"]
        assert leaks(list(flat(after).values()), known) == set()
        assert any("attachment" in str(each) and "data" in str(each) for each in after["DocumentReference"])


async def test_without_a_project_there_is_only_anonymisation(tmp_path):
    """No key file: nothing is pseudonymised for anybody, and a researcher's $export is refused, not given as it is."""
    async with place(tmp_path, deid_key_file=None) as site:
        site.dr = await site.token(Role.CLINICIAN)
        await put(site, marked("zebra-1"))
        rs = await site.token(Role.RESEARCHER)
        for headers, path in ((rs, "$export"), (rs, "Patient/$export"), (site.dr, "$pseudonymize"),
                              (site.dr, "$de-identify?policy=safe-harbor")):  # fmt: skip
            answer = await site.client.get(path, headers=headers | LATER)
            assert answer.status_code == 400
            assert "MEDLOCK_DEID_KEY_FILE" in answer.text
        assert len((await site.export(rs, "$anonymize"))["Patient"]) == 1


async def test_a_path_that_forgets_to_deidentify_is_stopped(study, monkeypatch):
    """If the step were left out, the door would not release what a Grant of nothing else covers."""
    where = await study.begin(study.rs, "$export?_type=Patient")
    file = (await study.manifest(study.rs, where))["output"][0]["url"]
    whole = exporting.Finding
    monkeypatch.setattr(exporting, "Finding", lambda *parts, **more: whole(*parts, **(more | {"deidentified": False})))
    answer = await study.client.get(file, headers=study.rs)
    assert answer.status_code == Tampered.http_status
    assert NAME not in answer.text
    study.lines.clear()


def test_policies_are_the_presets():
    """Each policy leads to a preset that there is, and each preset can be asked for by its name."""
    assert set(POLICIES.values()) == set(PRESETS)
    assert all(POLICIES[name] == name for name in PRESETS)
    assert "deidentified" in Grant.__struct_fields__


async def test_a_large_content_is_in_no_deidentified_export(study):
    """What lies in chunks beside a Binary stays there; the researcher who asks for it by its address is refused."""
    headers = {"content-type": "text/plain", "x-security-context": "Patient/zebra-1"}
    written = await study.client.put("Binary/scan", content=NAME.encode() * 150_000, headers=study.dr | headers)
    assert written.status_code == 201
    asked = [(study.rs, "$export"), (study.rs, "$anonymize"), (study.dr, "$de-identify?policy=safe-harbor")]
    for who, path in asked:
        found = await study.export(who, path)
        assert all("data" not in each for each in found.get("Binary", []))
        assert NAME not in orjson.dumps(found).decode()
    for accept in ("*/*", "application/fhir+json"):
        refused = await study.client.get("Binary/scan", headers=study.rs | {"accept": accept})
        assert refused.status_code == 403
    whole = (await study.export(study.dr))["Binary"]
    assert len(whole[0]["data"]) == len(NAME) * 150_000 // 3 * 4
