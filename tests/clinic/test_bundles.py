"""The bundles load in order, by themselves, and twice without doubling anything."""

from __future__ import annotations

import re
from datetime import date

import pytest

from medlock.fhir.clinic import clinic
from medlock.fhir.validate import validate

_TODAY = date(2026, 11, 23)


def _references(value):
    if isinstance(value, dict):
        found = value.get("reference")
        yield from [found] if isinstance(found, str) else []
        value = list(value.values())
    for item in value if isinstance(value, list) else []:
        yield from _references(item)


def _empties(value):
    if isinstance(value, dict | list):
        yield from [value] if not value else []
        for item in value.values() if isinstance(value, dict) else value:
            yield from _empties(item)
    elif value is None or (isinstance(value, str) and not value.strip()):
        yield value


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_resource_is_valid_r4(seed):
    """The server's own validator finds nothing wrong with any resource."""
    problems = [
        (entry["fullUrl"], problem.path, problem.text)
        for bundle in clinic(seed, 60, today=_TODAY)
        for entry in bundle["entry"]
        for problem in validate(entry["resource"])
    ]
    assert problems == []


def test_the_bundle_itself_is_valid(bundles):
    """The transaction Bundles are valid resources too (their small ones are tried whole)."""
    smallest = min(bundles, key=lambda bundle: len(bundle["entry"]))
    assert validate(smallest) == []


def test_every_reference_leads_to_something_loaded_before_or_with_it(bundles):
    """No bundle refers to a later one, so loading in order never meets a dangling reference."""
    known = set()
    for bundle in bundles:
        known |= {entry["request"]["url"] for entry in bundle["entry"]}
        assert set(_references(bundle)) <= known


def test_every_entry_is_a_put_to_its_own_id(bundles):
    """PUT with ids that the seed decides makes a second load change nothing; no id occurs twice."""
    urls = []
    for bundle in bundles:
        for entry in bundle["entry"]:
            resource, request = entry["resource"], entry["request"]
            assert request == {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}
            assert entry["fullUrl"].endswith("/" + request["url"])
            assert re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", resource["id"])
            urls.append(request["url"])
    assert len(set(urls)) == len(urls)


def test_shared_resources_come_first_and_households_after(bundles):
    """The first bundle holds no patient data, each later one a whole household."""
    shared = {entry["resource"]["resourceType"] for entry in bundles[0]["entry"]}
    assert shared == {"Organization", "Location", "Practitioner", "PractitionerRole", "Medication"}
    for bundle in bundles[1:]:
        kinds = {entry["resource"]["resourceType"] for entry in bundle["entry"]}
        assert "Patient" in kinds
        assert not kinds & shared


@pytest.mark.parametrize("patients", [0, 1, 7, 100])
def test_exactly_as_many_patients_as_asked(patients):
    """The last household is cut short rather than making one patient too many."""
    made = [
        entry["resource"]["id"]
        for bundle in clinic(3, patients, today=_TODAY)
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "Patient"
    ]
    assert made == [f"demo-{number:05d}" for number in range(1, patients + 1)]


def test_nothing_is_empty_and_everything_is_tagged(resources):
    """No empty array, object or string anywhere; every resource says that it is made up."""
    assert list(_empties(resources)) == []
    assert all(resource["meta"]["tag"][0]["code"] == "synthetic" for resource in resources)


def test_a_chart_has_a_realistic_size(resources):
    """60 to 160 resources a patient on average, as a small practice has."""
    patients = sum(resource["resourceType"] == "Patient" for resource in resources)
    assert 60 <= len(resources) / patients <= 160


def test_no_two_resources_share_a_part(bundles):
    """Bundles may be changed in place (a transaction rewrites references) without changing a neighbour."""
    seen: dict[int, object] = {}
    for bundle in bundles[:6]:
        for entry in bundle["entry"]:
            for part in _parts(entry["resource"]):
                assert id(part) not in seen
                seen[id(part)] = part


def _parts(value):
    if isinstance(value, dict | list):
        yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from _parts(item)
