"""What people guard most is there, is labelled, and does not leak into what is not labelled."""

from __future__ import annotations

import base64

import pytest

_ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_SENSITIVE = {
    "370143000": "PSY",
    "21897009": "PSY",
    "47505003": "PSY",
    "13746004": "PSY",
    "58214004": "PSY",
    "7200002": "ETH",
    "75544000": "SUD",
    "86406008": "HIV",
    "240589008": "STD",
    "706893006": "SDV",
    "17369002": "SEX",
}


def _labels(resource, system=_ACT):
    return {label["code"] for label in resource["meta"].get("security", []) if label["system"] == system}


@pytest.fixture(scope="module")
def labelled(resources):
    """The resources with a sensitivity label."""
    return [resource for resource in resources if _labels(resource)]


def test_every_class_of_sensitive_data_occurs(labelled):
    """Mental health, therapy notes, alcohol, drugs, HIV, sexual and reproductive health, and violence at home."""
    seen = set().union(*map(_labels, labelled))
    assert {"PSY", "PSYTHPN", "ETH", "SUD", "STD", "SEX"} <= seen
    assert seen & {"HIV", "SDV"}


def test_a_label_comes_with_its_confidentiality(labelled):
    """Sensitive means R; therapy notes are V (45 CFR 164.501)."""
    for resource in labelled:
        level = "V" if "PSYTHPN" in _labels(resource) else "R"
        assert _labels(resource, _CONFIDENTIALITY) == {level}


def test_sensitive_codes_stand_only_under_their_label(resources):
    """Whatever codes or cites a sensitive diagnosis carries the label of that diagnosis."""
    found = 0
    for resource in resources:
        text = str([resource.get(name) for name in ("code", "reasonCode")])
        for code, label in _SENSITIVE.items():
            if f"'{code}'" in text:
                assert label in _labels(resource), resource["id"]
                found += 1
    assert found > 30


def test_what_points_at_labelled_resources_is_labelled(resources, by_reference):
    """Encounter, problem and note references never lead from open to restricted resources."""
    for resource in resources:
        if not _labels(resource):
            for target in _targets(resource):
                assert not _labels(by_reference[target]), resource["id"]


def _targets(value):
    if isinstance(value, dict):
        found = value.get("reference")
        yield from [found] if isinstance(found, str) else []
        value = list(value.values())
    for item in value if isinstance(value, list) else []:
        yield from _targets(item)


def test_notes_are_readable_and_tell_of_the_patient(kind, by_reference):
    """A note decodes to text of the stated size that names its patient and author."""
    notes = kind("DocumentReference")
    assert len(notes) > 300
    for document in notes:
        attachment = document["content"][0]["attachment"]
        data = base64.b64decode(attachment["data"], validate=True)
        assert len(data) == attachment["size"]
        text = data.decode()
        assert by_reference[document["subject"]["reference"]]["name"][0]["text"] in text
        assert document["author"][0]["display"] in text


def test_open_notes_do_not_mention_guarded_problems(kind):
    """The problem list in an unlabelled note leaves out what is labelled."""
    words = ("depressive", "anxiety", "posttraumatic", "bipolar", "schizophrenia", "alcoholism", "opioid", "HIV")
    for document in kind("DocumentReference"):
        if not _labels(document):
            text = base64.b64decode(document["content"][0]["attachment"]["data"]).decode()
            assert not [word for word in words if word.lower() in text.lower()]


def test_consents_permit_with_one_exception(kind):
    """Each Consent permits treatment, payment and operations, and denies either labels or one recipient."""
    consents = kind("Consent")
    exceptions = [consent["provision"]["provision"][0] for consent in consents]
    assert len(consents) > 10
    assert {consent["provision"]["type"] for consent in consents} == {"permit"}
    assert {exception["type"] for exception in exceptions} == {"deny"}
    assert any("securityLabel" in exception for exception in exceptions)
    assert any("actor" in exception for exception in exceptions)
