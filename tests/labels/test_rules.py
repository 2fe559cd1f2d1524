"""The value sets that make a resource sensitive, and what is added to one."""

import pytest

from medlock.access.consent.codes import LABELLED, RESTRICTED, label_of, labels_of
from medlock.access.labels.labelling import called_for, missing, sealed
from medlock.access.labels.rules import sensitivities, shipped

ICD, SCT = "http://hl7.org/fhir/sid/icd-10-cm", "http://snomed.info/sct"
ACT, CONF = (
    "http://terminology.hl7.org/CodeSystem/v3-ActCode",
    "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
)


@pytest.mark.parametrize(
    ("system", "code", "labels"),
    [
        (ICD, "F10.20", {"ETHUD"}),
        (ICD, "F11.20", {"OPIOIDUD"}),
        (ICD, "F14.10", {"ETH", "SUD"}),
        (ICD, "F33.1", {"PSY"}),
        (ICD, "B20", {"HIV"}),
        (ICD, "A53.9", {"STD"}),
        (ICD, "Z30.9", {"SEX"}),
        (ICD, "Z15.01", {"GDIS"}),
        (ICD, "T74.11XA", {"SDV"}),
        ("http://hl7.org/fhir/sid/icd-10", "F10", {"ETHUD"}),
        (SCT, "86406008", {"HIV"}),
        ("http://loinc.org", "56888-1", {"HIV"}),
        ("http://www.whocc.no/atc", "N06AB06", {"PSY"}),
        (ICD, "F17.210", set()),
        (ICD, "I10", set()),
        (ICD, "Z30", {"SEX"}),
        (SCT, "F10.20", set()),
        ("", "86406008", set()),
    ],
)
def test_codes(system, code, labels):
    """A code calls for labels in its own system only; whole codes and beginnings alike; tobacco and the rest for none."""
    assert sensitivities([(system, code)]) == labels


def test_every_set_has_a_source_and_labels_that_consents_know():
    """What is shipped says where it is from, and labels with sensitivities of v3-ActCode that a consent can name."""
    for each in shipped().sets:
        assert len(each.source) > 20
        assert all(label_of(ACT, label) for label in each.labels), each.name
        assert any(each.codes(family) for family in ("icd", "snomed", "loinc"))


def test_what_is_added():
    """Sensitivities, R, and for substance use the refrain with the law as the basis; nothing twice."""
    added = missing([], {"ETHUD"})
    assert [each["code"] for each in added] == ["ETHUD", "NORDSCLCD", "R"]
    assert added[-1]["extension"][0]["valueCoding"]["code"] == "42CFRPart2"
    texts = [f"{each['system']}|{each['code']}" for each in added]
    assert missing(texts, {"ETHUD"}) == []
    assert missing([f"{ACT}|HIV", f"{CONF}|V"], {"HIV"}) == []
    assert missing([], set()) == []


def test_sealed_labels_say_that_they_were_looked_for():
    """A resource that was looked at and is not sensitive is normal; one that was not looked at is unknown."""
    assert labels_of(sealed((), ())).level < RESTRICTED
    assert labels_of(sealed((), missing([], {"HIV"}))).level == RESTRICTED
    assert labels_of((f"{CONF}|N",)) is None
    assert sealed((LABELLED,), ()) == (LABELLED,)


def test_a_consent_is_as_sensitive_as_what_it_speaks_of():
    """Who may not see HIV data may not see that there is something to say about them."""
    rule = {"type": "deny", "securityLabel": [{"system": ACT, "code": "HIV"}]}
    assert called_for({"resourceType": "Consent", "provision": {"type": "permit", "provision": [rule]}}) == {"HIV"}
    assert called_for({"resourceType": "Basic", "code": {"coding": [{"system": ACT, "code": "HIV"}]}}) == set()


def test_a_code_anywhere_counts_but_in_meta():
    """Contained resources and extensions too; a tag is about the record, not about the patient."""
    coding = {"system": ICD, "code": "B20"}
    inner = {"resourceType": "Condition", "code": {"coding": [coding]}}
    assert called_for({"resourceType": "Observation", "contained": [inner]}) == {"HIV"}
    assert called_for({"resourceType": "Observation", "meta": {"tag": [coding]}}) == set()
