"""The searches that US Core and its test kit ask for, over HTTP, against a naive second implementation of search.

Each is asked as the kit asks it: by GET and as POST _search, with `patient=id` and `patient=Patient/id`, tokens with
their system, several statuses with commas, dates with each comparator, and with the Provenance of what was found.
"""

from datetime import datetime, timedelta

import pytest

from clients.conftest import patient_of
from fhir_search import oracle
from fhir_search.definitions import definitions, select
from fhir_search.readings import texts, tokens

COMBINATIONS = {
    "AllergyIntolerance": ["patient", "patient clinical-status"],
    "CarePlan": ["patient category", "patient category status", "patient status"],
    "CareTeam": ["patient status"],
    "Condition": [
        "patient",
        "patient category",
        "patient clinical-status",
        "patient category clinical-status",
        "patient code",
        "patient encounter",
        "patient onset-date",
        "patient recorded-date",
    ],
    "Coverage": ["patient"],
    "DiagnosticReport": ["patient", "patient category", "patient code", "patient category date", "patient status"],
    "DocumentReference": [
        "_id",
        "patient",
        "patient category",
        "patient category date",
        "patient type",
        "patient status",
    ],
    "Encounter": ["_id", "patient", "identifier", "patient class", "patient date", "patient status", "patient type"],
    "Goal": ["patient", "patient lifecycle-status"],
    "Immunization": ["patient", "patient status", "patient date"],
    "Location": ["name", "address", "address-city", "address-state", "address-postalcode"],
    "MedicationRequest": ["patient intent", "patient intent status", "patient intent authoredon", "patient encounter"],
    "Observation": [
        "patient",
        "patient category",
        "patient category date",
        "patient category status",
        "patient code",
        "patient code date",
    ],
    "Organization": ["name", "address"],
    "Patient": ["_id", "identifier", "name", "birthdate name", "gender name", "family", "given", "birthdate family"],
    "Practitioner": ["_id", "name", "identifier"],
    "PractitionerRole": ["specialty", "practitioner"],
    "Procedure": ["patient", "patient date", "patient status", "patient code date"],
    "Provenance": ["target"],
    "RelatedPerson": ["_id", "patient", "name"],
}
ASKED = [(type_, names.split()) for type_, asked in COMBINATIONS.items() for names in asked]
ALL = ("_count", "1000")


@pytest.fixture(scope="module")
def http(small_clinic):
    with small_clinic.server.client(small_clinic.token) as client:
        yield client


def searched(http, type_, params, *, post=False):
    """The Bundle of a search."""
    asked = [*params, ALL]
    answer = http.post(f"{type_}/_search", data=dict(asked)) if post else http.get(type_, params=asked)
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert {link["relation"] for link in bundle["link"]} == {"self"}
    return bundle


def matches(bundle):
    """Ids of the matches; the total counts exactly them."""
    found = [each["resource"]["id"] for each in bundle.get("entry", []) if each["search"]["mode"] == "match"]
    assert bundle["total"] == len(found) == len(set(found))
    return set(found)


def values_of(resource, name):
    """What a resource says under a search parameter, each as one would type it."""
    definition = definitions().parameter(resource["resourceType"], name)
    for node in select(resource, definition["expression"]):
        if definition["type"] == "token":
            yield from (f"{system}|{code}" if system else code for system, code in tokens(node))
        elif definition["type"] == "date":
            yield str(node.value.get("start") if isinstance(node.value, dict) else node.value)[:10]
        elif definition["type"] == "reference":
            yield node.value["reference"]
        else:
            yield from texts(node)


def params_of(resource, names):
    """Parameters under which this resource is found; None when it lacks one."""
    params = [(name, next(iter(values_of(resource, name)), "")) for name in names]
    return params if all(value for _, value in params) else None


def sample(clinic, type_, names):
    """Parameters taken from the first resource of a type that has a value for each."""
    every = (each for each in clinic.loaded.values() if each["resourceType"] == type_)
    return next(params for each in every if (params := params_of(each, names)))


@pytest.mark.parametrize(("type_", "names"), ASKED, ids=[f"{type_}?{'&'.join(names)}" for type_, names in ASKED])
def test_each_combination(http, small_clinic, type_, names):
    """GET, POST and both spellings of the patient find exactly what the naive search finds, and something."""
    params = sample(small_clinic, type_, names)
    expected = {each["id"] for each in oracle.search(list(small_clinic.loaded.values()), type_, params)}
    assert expected
    bare = [(name, value.removeprefix("Patient/") if name == "patient" else value) for name, value in params]
    assert matches(searched(http, type_, params)) == expected
    assert matches(searched(http, type_, bare)) == expected
    assert matches(searched(http, type_, bare, post=True)) == expected
    assert matches(searched(http, type_, params, post=True)) == expected


@pytest.mark.parametrize("prefix", ["", "eq", "ne", "gt", "ge", "lt", "le", "sa", "eb"])
@pytest.mark.parametrize(
    ("type_", "names"),
    [
        ("Observation", ["patient", "category", "date"]),
        ("Encounter", ["patient", "date"]),
        ("Condition", ["patient", "onset-date"]),
        ("MedicationRequest", ["patient", "intent", "authoredon"]),
        ("Patient", ["birthdate"]),
    ],
)
def test_date_comparators(http, small_clinic, type_, names, prefix):
    """Each comparator on a date finds what the naive search finds; two of them make a range."""
    *others, (name, date) = sample(small_clinic, type_, names)
    params = [*others, (name, prefix + date)]
    loaded = list(small_clinic.loaded.values())
    assert matches(searched(http, type_, params)) == {each["id"] for each in oracle.search(loaded, type_, params)}
    if prefix in {"ge", "gt"}:
        params.append((name, f"le{int(date[:4]) + 1}"))
        assert matches(searched(http, type_, params)) == {each["id"] for each in oracle.search(loaded, type_, params)}


@pytest.mark.parametrize(
    ("type_", "name", "values"),
    [
        ("Observation", "status", "final,amended,registered"),
        ("MedicationRequest", "status", "active,completed,stopped"),
        ("Immunization", "status", "completed,not-done"),
        ("Encounter", "status", "finished,planned"),
        ("Condition", "clinical-status", "active,resolved,remission"),
        ("DocumentReference", "status", "current,superseded"),
        ("Procedure", "status", "completed,in-progress"),
        ("DiagnosticReport", "status", "final,preliminary"),
    ],
)
def test_statuses_with_commas(http, type_, name, values):
    """Values with commas are or-ed: the union of what each finds alone."""
    found = {value: matches(searched(http, type_, [(name, value)])) for value in values.split(",")}
    assert matches(searched(http, type_, [(name, values)])) == set().union(*found.values()) != set()


def test_provenance_of_what_was_found(http, small_clinic):
    """_revinclude=Provenance:target brings the Provenance of each match, and of nothing else."""
    every = (small_clinic.loaded[f"Provenance/{id_}"] for id_ in small_clinic.of("Provenance"))
    told = {each["target"][0]["reference"]: each["id"] for each in every}
    assert told
    for target, provenance in told.items():
        type_, _, id_ = target.partition("/")
        patient = patient_of(small_clinic.loaded[target])
        params = [("patient", patient)] if patient else [("_id", id_)]
        entries = searched(http, type_, [*params, ("_revinclude", "Provenance:target")])["entry"]
        included = {each["resource"]["id"] for each in entries if each["search"]["mode"] == "include"}
        found = {f"{type_}/{each['resource']['id']}" for each in entries if each["search"]["mode"] == "match"}
        assert included == {id_ for about, id_ in told.items() if about in found}
        assert provenance in included


def test_medication_of_a_request(http, small_clinic):
    """_include=MedicationRequest:medication brings the Medication that is named by reference."""
    named = {
        each["medicationReference"]["reference"]
        for each in small_clinic.loaded.values()
        if "medicationReference" in each
    }
    bundle = searched(http, "MedicationRequest", [("_include", "MedicationRequest:medication")])
    included = [each["resource"] for each in bundle["entry"] if each["search"]["mode"] == "include"]
    assert {f"Medication/{each['id']}" for each in included} == named != set()


def test_every_reference_resolves(http):
    """What a read resource refers to on this server can be read (the kit's reference resolution)."""
    for type_ in ("Observation", "MedicationRequest", "Encounter", "Condition"):
        shown = http.get(type_, params={"_count": "1"}).json()["entry"][0]["resource"]
        references = {value["reference"] for value in walk(shown) if isinstance(value, dict) and "reference" in value}
        for reference in references:
            assert http.get(reference).status_code == 200


def walk(value):
    """Every value inside a value."""
    yield value
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inside:
        yield from walk(each)


def test_several_ids_and_instants(http, small_clinic):
    """_id takes a list, and _lastUpdated the instants that meta shows."""
    ids = sorted(small_clinic.of("Patient"))[:3]
    bundle = searched(http, "Patient", [("_id", ",".join(ids))])
    assert matches(bundle) == set(ids)
    at = bundle["entry"][0]["resource"]["meta"]["lastUpdated"]
    assert bundle["entry"][0]["resource"]["id"] in matches(searched(http, "Patient", [("_lastUpdated", at)]))
    later = (datetime.fromisoformat(at) + timedelta(days=1)).isoformat()
    assert matches(searched(http, "Patient", [("_lastUpdated", f"gt{later}")])) == set()


def test_chains_compartments_and_several_types(http, small_clinic):
    """The address forms beside [type]?…, over HTTP: chains, a patient's compartment, the system; GET and POST alike."""
    patient = small_clinic.patient
    family = small_clinic.loaded[f"Patient/{patient}"]["name"][0]["family"]
    mine = small_clinic.of("Observation", patient)
    assert mine <= matches(searched(http, "Observation", [("subject:Patient.family", family)]))
    assert matches(searched(http, f"Patient/{patient}/Observation", [])) == mine
    assert matches(searched(http, f"Patient/{patient}/Observation", [], post=True)) == mine
    asked = [("_type", "Observation,Encounter"), ("patient", patient)]
    assert matches(searched(http, "", asked)) == mine | small_clinic.of("Encounter", patient)
    answer = http.post("_search", data=dict([*asked, ALL]))
    assert matches(answer.json()) == mine | small_clinic.of("Encounter", patient)
    whole = matches(searched(http, f"Patient/{patient}/*", []))
    assert mine | {patient} <= whole
    assert matches(http.post(f"Patient/{patient}/_search", data=dict([ALL])).json()) == whole


def test_what_is_refused_says_why(http):
    """A refusal is an OperationOutcome with its code, which names the parameter and gives the reason."""
    for asked, code in (
        ({"_filter": "name eq x"}, "not-supported"),
        ({"gender:in": "http://x.example/vs"}, "value"),
        (
            {"_has:Observation:patient:_has:Provenance:target:_has:Provenance:entity:_has:List:item:_id": "x"},
            "too-costly",
        ),
    ):
        answer = http.get("Patient", params=asked)
        (issue,) = answer.json()["issue"]
        assert (answer.status_code, issue["code"]) == (400, code)
        assert next(iter(asked)) in str(issue)
