"""The edges of each element: first and last moments, the lowest of several labels, what is inherited, what is kept."""

import pytest

from consent import form
from consent.cases import deny, permit
from consent.form import consent, facts, ruling
from medlock.access.consent.book import Book
from medlock.access.consent.model import Facts
from medlock.access.consent.policy import Policy
from medlock.access.consent.reading import read
from medlock.access.consent.ruling import Ruling, Site
from medlock.fhir.dates import interval

LOW, HIGH = interval("2022-01-01")[0], interval("2022-12-31")[1]
YEAR = {"start": "2022-01-01", "end": "2022-12-31"}
PROFILE = "https://x.example/StructureDefinition/note"


def made(*rules, request=None, policy="deny"):
    """A ruling over these root provisions."""
    asked = {"actor": ["Practitioner/dr1"], "purpose": ["TREAT"], "clinical": True} | (request or {})
    return ruling({"consents": [{"provision": each} for each in rules], "request": asked, "resource": {}}, policy)


def dated(authored=None, updated=None):
    """An observation of these moments."""
    return Facts("Observation", "o1", labels=facts({"type": "x"}).labels, authored=authored, updated=updated)


@pytest.mark.parametrize(
    ("authored", "updated", "permitted", "denied"),
    [
        ((LOW, LOW + 1), HIGH, True, True),
        ((HIGH - 1, HIGH), HIGH, True, True),
        ((LOW, HIGH), HIGH, True, True),
        ((LOW - 1, LOW), HIGH, False, False),
        ((HIGH, HIGH + 1), HIGH, False, False),
        ((LOW - 1, LOW + 1), HIGH, False, True),
        ((HIGH - 1, HIGH + 1), HIGH, False, True),
        ((LOW - 9, LOW - 8), LOW, False, True),
        ((LOW - 9, LOW - 8), LOW - 1, False, False),
        ((LOW - 9, LOW - 8), HIGH - 1, False, True),
        ((LOW - 9, LOW - 8), HIGH, False, False),
        ((LOW - 9, LOW - 8), None, False, False),
        ((LOW + 9, LOW + 10), None, True, True),
        (None, LOW, True, True),
        (None, LOW - 1, False, True),
        (None, HIGH - 1, True, True),
        (None, HIGH, False, True),
        (None, None, False, True),
    ],
)
def test_the_first_and_the_last_moment_of_data(authored, updated, permitted, denied):
    """A permit takes what lies wholly inside, a deny what touches; both ends are in."""
    given = dated(authored, updated)
    assert made(permit(dataPeriod=YEAR)).permits(given) is permitted
    assert made(permit(deny(dataPeriod=YEAR))).permits(given) is not denied


@pytest.mark.parametrize(
    ("now", "holds"),
    [("2021-12-31T23:59:59.999Z", False), ("2022-01-01T00:00:00Z", True), ("2022-12-31T23:59:59.999Z", True),
     ("2023-01-01T00:00:00Z", False)],
)  # fmt: skip
def test_the_first_and_the_last_moment_of_a_consent(now, holds):
    """Of a whole consent, and of an exception in it."""
    given = facts({"type": "Observation"})
    assert made(permit(period=YEAR), request={"time": now}).permits(given) is holds
    assert made(permit(deny(period=YEAR)), request={"time": now}).permits(given) is not holds


def test_the_lowest_of_several_levels_is_the_floor():
    """A deny of R and V takes R; of several sensitivities it takes what any of them covers."""
    given = facts({"type": "Observation", "labels": ["R"]})
    assert not made(permit(deny(securityLabel=["R", "V"]))).permits(given)
    assert not made(permit(deny(securityLabel=["PSY", "SUD"]))).permits(facts({"type": "x", "labels": ["ETHUD"]}))
    assert made(permit(deny(securityLabel=["V"]))).permits(given)


def test_one_purpose_that_is_not_known_makes_all_unsure():
    """A deny for another purpose may be meant; a permit is not used by it."""
    both = {"purpose": ["TREAT", "nobody-knows"]}
    given = facts({"type": "Observation"})
    assert not made(permit(deny(purpose=["HRESCH"])), request=both).permits(given)
    assert made(permit(deny(purpose=["HRESCH"]))).permits(given)


def test_labels_are_inherited_over_a_rule_that_says_nothing_of_them():
    """From the nearest rule above that does: what binds the root binds what stands two below it."""
    rules = permit(permit(permit(purpose=["HPAYMT"]), actor=["Practitioner/dr1"]), securityLabel=["N"])
    paying = {"purpose": ["HPAYMT"]}
    assert made(rules, request=paying).permits(facts({"type": "Observation"}))
    assert not made(rules, request=paying).permits(facts({"type": "Observation", "labels": ["R"]}))


def test_an_unknown_author_among_other_data():
    """A deny that names an author beside something else holds of what nobody knows who wrote."""
    data = [{"meaning": "instance", "ref": "Observation/x"}, {"meaning": "authoredby", "ref": "Practitioner/bob"}]
    rules = permit(deny(data=data))
    assert not made(rules).permits(facts({"type": "Observation", "authors": None}))
    assert made(rules).permits(facts({"type": "Observation", "authors": ["Practitioner/al"]}))


@pytest.mark.parametrize("meaning", ["related", "dependents"])
def test_a_deny_reaches_what_is_referred_to(meaning):
    """Of a report that is denied with what belongs to it, the finding that it refers to."""
    rules = permit(deny(data=[{"meaning": meaning, "ref": "DiagnosticReport/r"}]))
    case = {"consents": [{"provision": rules}], "request": {"actor": ["Practitioner/dr1"], "purpose": ["TREAT"]}}
    case |= {"resource": {}, "links": {"DiagnosticReport/r": frozenset({"Observation/o1"})}}
    assert not ruling(case, "deny").permits(facts({"type": "Observation", "id": "o1"}))
    assert ruling(case, "deny").permits(facts({"type": "Observation", "id": "o2"}))
    case["consents"] = [{"provision": permit(data=[{"meaning": meaning, "ref": "DiagnosticReport/r"}])}]
    assert ruling(case, "deny").permits(facts({"type": "Observation", "id": "o1"})) is (meaning == "related")


def profiled(*classes):
    """A consent that denies these classes."""
    short = consent({"provision": {"type": "permit"}})
    systems = ["http://hl7.org/fhir/resource-types", "urn:ietf:rfc:3986"]
    listed = [{"system": systems["/" in each], "code": each} for each in classes]
    short["provision"]["provision"] = [{"type": "deny", "class": listed}]
    ask = form.ask({"actor": ["Practitioner/dr1"], "purpose": ["TREAT"]})
    return Ruling(Book("p", [read(short)]), ask, Site(Policy.DENY))


def test_a_class_by_its_profile():
    """What has the profile, of whatever type; and the body must be looked at to know, of every type."""
    found = profiled(PROFILE)
    assert not found.permits(Facts("Observation", profiles=frozenset({"https://y.example/z", PROFILE})))
    assert found.permits(Facts("Observation", profiles=frozenset({"https://y.example/z"})))
    assert found.needs_body("Observation")
    assert found.looks_inside
    both = profiled("Condition", PROFILE)
    assert not both.permits(Facts("Condition"))
    assert not both.permits(Facts("Condition", profiles=frozenset({"https://y.example/z"})))
    assert both.needs_body("Observation")


def test_when_bodies_need_not_be_opened():
    """Where types and labels decide; where codes of another type are asked about; and never for the patient."""
    assert not profiled("Condition").needs_body("Condition")
    labelled = made(permit(deny(securityLabel=["R"])))
    assert not labelled.needs_body("Observation")
    assert labelled.needs_body("Provenance")  # it may tell of a consent that is hidden
    assert not made(permit(purpose=["TREAT"])).looks_inside
    assert not made(permit(securityLabel=["N"])).needs_body("Observation")
    coded = made(permit(deny(code=["s|1"]) | {"class": ["Condition"]}))
    assert coded.looks_inside
    assert coded.needs_body("Condition")
    elsewhere = made(permit(deny(code=["s|1"]), actor=["Practitioner/x"]), request={"actor": ["Practitioner/y"]})
    assert elsewhere.needs_body("Observation")
    over = made(permit(deny(code=["s|1"], purpose=["HRESCH"])))
    assert not over.looks_inside
    assert not made(deny(code=["s|1"]), request={"actor": ["Patient/p"]}).needs_body("Observation")
