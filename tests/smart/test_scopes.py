"""Scopes at the running program over HTTPS, row by row (SMART App Launch 2.2, "Scopes"; US Core granular scopes).

Where this server is stricter than a row: a patch needs r beside u (X-S15), since its tests and its answer tell what is in
the resource; and who cannot see all ids cannot choose one (an upsert is then 404). docs/scopes.md gives the reasons.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import pytest

from medlock.access.principal import Role
from medlock.app import open_app
from medlock.fhir.question import Interaction, Question
from medlock.oauth.requests import TokenRequest
from medlock.settings import Settings
from web.running import environment, running

CONDITION = "http://terminology.hl7.org/CodeSystem/condition-category|encounter-diagnosis"
CONCERN = "http://hl7.org/fhir/us/core/CodeSystem/condition-category|health-concern"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
CATEGORIES = ("laboratory", "social-history", "vital-signs", "survey")
GROUP_1 = (
    f"patient/Condition.rs?category={CONDITION}",
    f"patient/Condition.rs?category={CONCERN}",
    f"patient/Observation.rs?category={CATEGORY}|laboratory",
    f"patient/Observation.rs?category={CATEGORY}|social-history",
)
HELD = {
    "group 1": " ".join((*GROUP_1, "patient/Patient.rs")),
    "laboratory": f"patient/Observation.cruds?category={CATEGORY}|laboratory",
    "read only": "patient/Observation.r patient/Patient.rs",
    "search only": "patient/Observation.s",
    "update only": "patient/Observation.u",
    "everything": "patient/*.cruds",
    "everything to read": "patient/*.rs",
    "version 1": "patient/Observation.read patient/Condition.write patient/Encounter.*",
}
FREE = {
    "upsert": "user/Observation.u",
    "narrow": "user/Observation.rs user/Patient.rs",
    "wide": "user/*.rs",
    "too much": "user/*.cruds",
}


def coded(system_and_code):
    """A concept."""
    system, _, code = system_and_code.rpartition("|")
    return {"coding": [{"system": system, "code": code}]}


def clinic():
    """Ann's and Bob's records: an observation of each category for each of two codes, and conditions."""
    for who in ("ann", "bob"):
        subject = {"subject": {"reference": f"Patient/{who}"}}
        yield {"resourceType": "Patient", "id": who, "name": [{"family": who}]}
        for category, code in product(CATEGORIES, ("1-1", "2-2")):
            made = {"resourceType": "Observation", "id": f"{who}-{category}-{code}", "status": "final"} | subject
            yield made | {"category": [coded(f"{CATEGORY}|{category}")], "code": coded(f"http://loinc.org|{code}")}
        for name, category in (
            ("d", CONDITION),
            ("h", CONCERN),
            ("p", CONDITION.replace("encounter-diagnosis", "problem-list-item")),
        ):
            made = {"resourceType": "Condition", "id": f"{who}-{name}"} | subject
            yield made | {"category": [coded(category)], "code": {"text": "x"}}
    link = {"link": [{"other": {"reference": "Patient/ann"}, "type": "replaced-by"}]}
    yield {"resourceType": "Patient", "id": "old-ann"} | link
    yield {"resourceType": "Condition", "id": "old-d", "subject": {"reference": "Patient/old-ann"}}
    yield {"resourceType": "Practitioner", "id": "pract", "active": True}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The program over a filled directory, and for each name above a client with such a token."""
    directory = tmp_path_factory.mktemp("scopes") / "data"
    secrets = fill(directory)
    with running(directory) as server, ExitStack() as stack:
        yield {name: stack.enter_context(server.client(secret)) for name, secret in secrets.items()}, server


def fill(directory):
    """Resources and tokens, by a program of its own; the secrets."""
    passphrase = Path(environment(directory)["MEDLOCK_PASSPHRASE_FILE"])

    async def work():
        async with open_app(Settings(directory, passphrase), create=True) as app:
            asked = TokenRequest(Role.CLINICIAN, "test", "user/*.cruds")
            who = await app.tokens.authenticate((await app.tokens.create(asked)).secret)
            for each in clinic():
                body = json.dumps(each).encode()
                await app.records.door.answer(
                    who, Question(Interaction.UPDATE, each["resourceType"], each["id"], body=body)
                )
            held = {name: TokenRequest(Role.CLINICIAN, "test", text, patient="ann") for name, text in HELD.items()}
            free = {name: TokenRequest(Role.CLINICIAN, "test", text) for name, text in FREE.items()}
            desk = {"few rights": TokenRequest(Role.FRONT_DESK, "test", "user/*.cruds")}
            made = {name: await app.tokens.create(request) for name, request in (held | free | desk).items()}
            return {name: token.secret for name, token in made.items()}

    return asyncio.run(work())


def ids(answer):
    """Ids of the matches in a searchset."""
    assert answer.status_code == 200, answer.text
    return {each["resource"]["id"] for each in answer.json().get("entry", []) if each["search"]["mode"] == "match"}


IN_GROUP_1 = {f"ann-{category}-{code}" for category, code in product(("laboratory", "social-history"), ("1-1", "2-2"))}


@pytest.mark.parametrize(
    "query",
    ["", "patient=ann", "patient=ann&code=http://loinc.org|1-1", "patient=ann&status=final", "code=1-1,2-2",
     f"patient=ann&category={CATEGORY}|laboratory", f"category={CATEGORY}|survey", "patient=ann&_sort=-date&_count=50",
     "patient=ann&_lastUpdated=ge2020-01-01", "patient=bob", "_id=ann-survey-1-1,ann-laboratory-1-1"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_s_03_s_04_s_08_a_search_finds_the_union_and_nothing_else(site, query, method):
    """S-03, S-04, S-08: none missing, none extra, by GET and POST, with exact totals."""
    clients, _ = site
    everything, narrow = clients["everything"], clients["group 1"]

    def ask(client):
        if method == "GET":
            return client.get("Observation", params=query)
        return client.post(
            "Observation/_search", content=query, headers={"content-type": "application/x-www-form-urlencoded"}
        )

    found = ask(narrow)
    assert ids(found) == ids(ask(everything)) & IN_GROUP_1
    assert found.json()["total"] == len(ids(found))
    conditions = ids(narrow.get("Condition", params="patient=ann"))
    assert conditions == {"ann-d", "ann-h"}


def test_s_06_x_s11_what_does_not_match_is_not_there(site):
    """S-06, X-S11: read, HEAD, vread and history of what no scope means are those of an id that never was."""
    narrow = site[0]["group 1"]
    for tail in ("", "/_history", "/_history/1"):
        assert narrow.get(f"Observation/ann-laboratory-1-1{tail}").status_code == 200
        hidden, nobody = (narrow.get(f"Observation/ann-{each}-1-1{tail}") for each in ("survey", "sorvey"))
        assert hidden.status_code == nobody.status_code == 404
        assert hidden.json() == nobody.json()
        assert hidden.json()["resourceType"] == "OperationOutcome"
    assert narrow.head("Observation/ann-survey-1-1").status_code == 404


def test_x_s12_reading_is_not_searching(site):
    """X-S12: with r a search is 403, with s a read is."""
    clients, _ = site
    assert clients["read only"].get("Observation/ann-survey-1-1").status_code == 200
    assert clients["read only"].get("Observation", params="patient=ann").status_code == 403
    assert clients["read only"].get("Observation/_history").status_code == 403
    assert clients["search only"].get("Observation", params="patient=ann").status_code == 200
    assert clients["search only"].get("Observation/ann-survey-1-1").status_code == 403


def test_x_s15_u_updates_and_creates_but_does_not_delete(site):
    """X-S15: an update and an upsert with u alone; a delete is 403."""
    clients, _ = site
    sent = next(each for each in clinic() if each["id"] == "ann-vital-signs-1-1")
    for client in (clients["update only"], clients["upsert"]):
        assert client.put(f"Observation/{sent['id']}", json=sent).status_code == 200
        assert client.delete(f"Observation/{sent['id']}").status_code == 403
    assert clients["upsert"].put("Observation/chosen", json=sent | {"id": "chosen"}).status_code == 201
    assert clients["everything"].delete("Observation/chosen").status_code == 204
    refused = clients["update only"].put("Observation/free", json=sent | {"id": "free"})
    other = clients["update only"].put("Observation/bob-survey-1-1", json=sent | {"id": "bob-survey-1-1"})
    assert (refused.status_code, refused.json()) == (
        other.status_code,
        other.json(),
    )  # else it tells whose ids there are


def test_x_s16_x_s17_writes_stay_within_the_category(site):
    """X-S16, X-S17: nothing is created outside, and nothing moved out of or into the category."""
    narrow = site[0]["laboratory"]
    lab = next(each for each in clinic() if each["id"] == "ann-laboratory-1-1")
    survey = next(each for each in clinic() if each["id"] == "ann-survey-1-1")
    created = narrow.post("Observation", json={name: value for name, value in lab.items() if name != "id"})
    assert created.status_code == 201
    assert narrow.delete(f"Observation/{created.json()['id']}").status_code == 204
    outside = {name: value for name, value in survey.items() if name != "id"}
    assert narrow.post("Observation", json=outside).status_code == 403
    assert narrow.put(f"Observation/{lab['id']}", json=survey | {"id": lab["id"]}).status_code == 403
    into, nobody = (
        narrow.put(f"Observation/{id_}", json=lab | {"id": id_}) for id_ in (survey["id"], "ann-sorvey-1-1")
    )
    assert into.status_code == nobody.status_code == 404
    assert into.json() == nobody.json()


@pytest.mark.parametrize("name", ["everything", "everything to read", "group 1"])
def test_x_s18_another_patient_is_not_there(site, name):
    """X-S18: by id, by search, in a list of ids and by reference: not found, or empty."""
    client = site[0][name]
    assert client.get("Observation/bob-laboratory-1-1").status_code == 404
    for query in (
        "patient=bob",
        "subject=Patient/bob",
        "_id=bob-laboratory-1-1",
        "patient=ann,bob&_id=bob-laboratory-1-1",
    ):
        assert ids(client.get("Observation", params=query)) == set(), query
    assert ids(client.get("Observation", params="_id=bob-laboratory-1-1,ann-laboratory-1-1")) == {"ann-laboratory-1-1"}
    assert client.get("Patient/bob").status_code == 404
    assert client.get("Patient/bob/$everything").status_code in {403, 404}
    assert ids(client.get("Patient")) == {"ann"}


def test_x_s18_a_reference_to_another_patient_is_refused(site):
    """X-S18: what is written may not name another's record."""
    client = site[0]["everything"]
    pointing = next(each for each in clinic() if each["id"] == "ann-survey-1-1")
    for target in ("Observation/bob-survey-1-1", "Observation/nobody"):
        refused = client.post("Observation", json=pointing | {"hasMember": [{"reference": target}]})
        assert refused.status_code == 422
        assert "does not lead to" in refused.text


def test_x_s20_scopes_add_nothing_to_a_persons_rights(site):
    """X-S20: user/*.cruds in the hands of the front desk reads no clinical record."""
    desk = site[0]["few rights"]
    assert desk.get("Patient/ann").status_code == 200
    assert desk.get("Observation/ann-survey-1-1").status_code == 403
    assert desk.get("Observation", params="patient=ann").status_code == 403
    assert desk.delete("Patient/ann").status_code == 403


def test_x_s21_bundles_are_decided_entry_by_entry(site):
    """X-S21: in a batch each entry by itself; a transaction is refused whole and writes nothing."""
    narrow = site[0]["laboratory"]
    lab = next(each for each in clinic() if each["id"] == "ann-laboratory-2-2")
    allowed = {"request": {"method": "PUT", "url": f"Observation/{lab['id']}"}, "resource": lab | {"status": "amended"}}
    denied = {"request": {"method": "GET", "url": "Condition/ann-d"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [allowed, denied]}
    assert narrow.post("", json=bundle).status_code == 403
    assert narrow.get(f"Observation/{lab['id']}").json()["status"] == "final"
    answers = narrow.post("", json=bundle | {"type": "batch"}).json()["entry"]
    assert [each["response"]["status"][:3] for each in answers] == ["200", "403"]


def test_x_s22_the_whole_server_needs_a_scope_on_every_type(site):
    """X-S22: a system-level search or history is 403 without `*.s`."""
    clients, _ = site
    for path in ("?_type=Observation", "_history"):
        assert clients["narrow"].get(path).status_code == 403
        assert clients["wide"].get(path).status_code == 200


def test_x_s24_a_star_is_every_type_of_the_record(site):
    """X-S24, T-24: patient/*.rs reads and searches every type of the compartment, and shared ones that name nobody."""
    client = site[0]["everything to read"]
    interactions = client.get("metadata").json()["rest"][0]["resource"]
    types = {each["type"] for each in interactions}
    assert {"Observation", "Condition", "Coverage", "Task"} <= types
    refused = {type_ for type_ in types if client.get(type_, params="_count=1").status_code != 200}
    assert refused.isdisjoint(
        {"Observation", "Condition", "MedicationRequest", "Procedure", "Coverage", "Device", "Patient"}
    )
    assert client.get("Practitioner/pract").status_code == 200
    assert client.put("Practitioner/pract", json={"resourceType": "Practitioner", "id": "pract"}).status_code == 403


def test_t_26_words_of_the_first_version(site):
    """T-26: .read is rs, .write is cud, .* is all."""
    client = site[0]["version 1"]
    assert client.get("Observation", params="patient=ann").status_code == 200
    assert client.delete("Observation/ann-survey-1-1").status_code == 403
    assert client.get("Condition/ann-d").status_code == 403
    made = {"resourceType": "Condition", "subject": {"reference": "Patient/ann"}, "code": {"text": "y"}}
    created = client.post("Condition", json=made)
    assert created.status_code == 201
    assert (
        client.delete(created.headers["location"].partition("/fhir/")[2].partition("/_history")[0]).status_code == 204
    )
    assert client.get("Encounter", params="patient=ann").status_code == 200


def test_x_s25_a_merged_record_stays_a_record_of_its_own(site):
    """X-S25: Patient.link does not widen a launch: what was not moved to the patient in context is not theirs."""
    client = site[0]["everything to read"]
    assert client.get("Condition/old-d").status_code == 404
    assert client.get("Patient/old-ann").status_code == 404
    assert "old-d" not in ids(client.get("Condition", params="patient=ann,old-ann"))


def test_x_s29_a_token_in_the_address_is_refused(site):
    """X-S29: an access token in a query string is no credential."""
    clients, server = site
    secret = clients["everything"].headers["authorization"].removeprefix("Bearer ")
    with server.client() as stranger:
        assert stranger.get("Patient/ann", params={"access_token": secret}).status_code in {400, 401}


async def test_s_01_s_07_granular_scopes_are_given_back_as_they_were_written(world):
    """S-01, S-07: literal strings in the token answer; a wide scope asked for can be granted as granular ones."""
    app = await world.register()
    asked = " ".join(("launch/patient", *GROUP_1))
    given = (await world.tokens_for(app, asked))["scope"].split()
    assert set(GROUP_1) <= set(given)
    assert not [
        each for each in given if each.startswith(("patient/Condition", "patient/Observation")) and "?" not in each
    ]
    assert not [each for each in given if "*" in each.partition("?")[0]]
    wide = "launch/patient patient/Condition.rs patient/Observation.rs patient/Patient.rs"
    chosen = (*GROUP_1, "patient/Patient.rs")
    found = await world.redeem(app, (await world.approve(app, wide, scopes=chosen))["code"])
    assert set(found.json()["scope"].split()) >= set(chosen)


async def test_a_refresh_may_narrow_a_granular_scope_and_never_widen_it(world):
    """X-R10: part of a granular scope may be asked for; the whole type, another category or more letters may not."""
    app = await world.register()
    granted = f"patient/Observation.rs?category={CATEGORY}|laboratory"
    got = await world.tokens_for(app, f"launch/patient offline_access {granted}")
    for wider in ("patient/Observation.rs", f"patient/Observation.rs?category={CATEGORY}|survey", "patient/*.rs",
                  f"patient/Observation.cruds?category={CATEGORY}|laboratory",
                  f"patient/Observation.rs?category={CATEGORY}|laboratory,{CATEGORY}|survey"):  # fmt: skip
        refused = await world.refresh(app, got["refresh_token"], scope=wider)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")
    narrower = f"patient/Observation.r?category={CATEGORY}|laboratory&status=final"
    done = await world.refresh(app, got["refresh_token"], scope=narrower)
    assert done.json()["scope"] == narrower
