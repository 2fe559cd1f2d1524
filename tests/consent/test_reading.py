"""Consents as they are recorded and read: what is refused, with which path, and what becomes of the unreadable."""

import copy

import pytest

from consent.form import HL7, PURPOSES, consent, purpose
from medlock.access.consent.book import Book
from medlock.access.consent.codes import Purposes, label_of
from medlock.access.consent.model import Ask, Facts
from medlock.access.consent.policy import URIS, Policy
from medlock.access.consent.reading import read
from medlock.access.consent.refusing import refusals
from medlock.access.consent.residual import residual
from medlock.access.consent.ruling import Ruling, Site

PLAIN = consent(
    {
        "provision": {
            "type": "permit",
            "purpose": ["TREAT"],
            "provision": [{"type": "deny", "actor": ["Practitioner/b"]}],
        }
    }
)
INNER = "Consent.provision.provision[0]"


def changed(**root):
    """The plain consent with other members in its root provision."""
    found = copy.deepcopy(PLAIN)
    found["provision"].update(root)
    return found


def inner(**members):
    """The plain consent with other members in its exception."""
    found = copy.deepcopy(PLAIN)
    found["provision"]["provision"][0].update(members)
    return found


def without(*path):
    """The plain consent without a member."""
    found = copy.deepcopy(PLAIN)
    place = found
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return found


SET_AS_SYSTEM = {"system": "http://hl7.org/fhir/ValueSet/security-labels", "code": "R"}
ROLE = {"coding": [{"system": f"{HL7}v3-RoleClass", "code": "AGNT"}]}
RECIPIENT = {"coding": [{"system": f"{HL7}v3-ParticipationType", "code": "IRCP"}]}
ACTOR = {"reference": {"reference": "Practitioner/b"}}
DEEPER = [{"type": "permit", "purpose": [purpose("TREAT")]}]
ALWAYS = {
    "ppc-1": (without("policy"), "Consent"),
    "no root type": (without("provision", "type"), "Consent.provision.type"),
    "no nested type": (without("provision", "provision", 0, "type"), f"{INNER}.type"),
    "a label of an unknown system": (changed(securityLabel=[SET_AS_SYSTEM]), "Consent.provision.securityLabel[0]"),
    "a label that is none": (inner(securityLabel=[{"system": f"{HL7}v3-Confidentiality", "code": "X"}]), f"{INNER}.securityLabel[0]"),
    "an actor of another server": (inner(actor=[{"role": RECIPIENT, "reference": {"reference": "https://else.example/Practitioner/1"}}]), f"{INNER}.actor[0].reference"),
    "an actor that is a device": (inner(actor=[{"role": RECIPIENT, "reference": {"reference": "Device/1"}}]), f"{INNER}.actor[0].reference"),
    "an actor in another role": (inner(actor=[{"role": ROLE, **ACTOR}]), f"{INNER}.actor[0].role"),
    "a period that ends before it starts": (changed(period={"start": "2026-02-01", "end": "2026-01-01"}), "Consent.provision.period"),
    "data of a period that ends before it starts": (inner(dataPeriod={"start": "2026-02-01", "end": "2026-01-01"}), f"{INNER}.dataPeriod"),
    "a purpose of an unknown system": (changed(purpose=[{"system": "https://else.example", "code": "X"}]), "Consent.provision.purpose[0]"),
    "a purpose that HL7 does not know": (changed(purpose=[{"system": f"{HL7}v3-ActReason", "code": "XXX"}]), "Consent.provision.purpose[0]"),
    "an empty period": (changed(period={"extension": []}), "Consent.provision.period"),
    "a modifier": (changed(modifierExtension=[{"url": "https://x.example"}]), "Consent.provision"),
    "a modifier of everything": (PLAIN | {"modifierExtension": [{"url": "https://x.example"}]}, "Consent"),
    "data of an unknown meaning": (inner(data=[{"meaning": "like", "reference": {"reference": "Observation/1"}}]), f"{INNER}.data[0].meaning"),
}  # fmt: skip
BEYOND_PCF = {
    "action": (inner(action=[{"coding": [{"system": f"{HL7}consentaction", "code": "disclose"}]}]), f"{INNER}.action"),
    "class": (changed(**{"class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Condition"}]}), "Consent.provision.class"),
    "code": (inner(code=[{"coding": [{"system": "http://loinc.org", "code": "1-8"}]}]), f"{INNER}.code"),
    "nesting": (inner(provision=DEEPER), f"{INNER}.provision[0]"),
}  # fmt: skip


def paths(resource, **how):
    """Where refusals point."""
    return {each.path for each in refusals(resource, PURPOSES, **how)}


def test_a_plain_consent_is_taken():
    """PCF's own form is refused by nothing."""
    assert paths(PLAIN) == set()


@pytest.mark.parametrize("name", ALWAYS)
def test_what_is_always_refused(name):
    """Each is refused at its own path, with the extension of R4 on or off, and denies everything once stored."""
    resource, path = ALWAYS[name]
    assert paths(resource) == paths(resource, extended=True) == {path}


CODES = {
    "invariant": ["ppc-1"],
    "required": ["no root type", "no nested type"],
    "value": ["a period that ends before it starts", "data of a period that ends before it starts", "an empty period"],
    "not-supported": [
        "a modifier",
        "a modifier of everything",
        "an actor of another server",
        "an actor that is a device",
    ],
    "code-invalid": [
        "a label of an unknown system",
        "a label that is none",
        "an actor in another role",
        "a purpose of an unknown system",
        "a purpose that HL7 does not know",
        "data of an unknown meaning",
    ],
}


def test_what_kind_of_fault_it_is():
    """Each in the code of FHIR's issue types (R4 issue-type)."""
    assert {name for names in CODES.values() for name in names} == set(ALWAYS)
    for code, names in CODES.items():
        for name in names:
            assert {each.code for each in refusals(ALWAYS[name][0], PURPOSES)} == {code}, name
    for resource, _ in BEYOND_PCF.values():
        assert {each.code for each in refusals(resource, PURPOSES)} == {"business-rule"}
    for wrong in (
        changed(**{"class": [{"system": "http://loinc.org", "code": "1-8"}]}),
        changed(**{"class": [{"system": "urn:ietf:rfc:3986", "code": "Condition"}]}),
        changed(**{"class": [{"system": "http://hl7.org/fhir/resource-types", "code": "https://x.example/p"}]}),
        changed(code=[{"text": "HIV"}]),
        changed(action=[{"coding": [{"system": f"{HL7}consentaction", "code": "sell"}]}]),
        changed(action=[{"coding": [{"system": "https://else.example", "code": "disclose"}]}]),
    ):
        assert {each.code for each in refusals(wrong, PURPOSES, extended=True)} == {"code-invalid"}


def test_a_class_by_the_address_of_a_profile():
    """It is taken, in the systems that name addresses."""
    for system in ("urn:ietf:rfc:3986", "http://hl7.org/fhir/structure-definition"):
        named = changed(**{"class": [{"system": system, "code": "https://x.example/StructureDefinition/note"}]})
        assert refusals(named, PURPOSES, extended=True) == []


def test_how_deep_rules_may_be_nested():
    """So deep are taken; one deeper is refused, and denies where it is stored."""
    for depth, code in ((8, set()), (9, {"too-costly"})):
        resource = copy.deepcopy(PLAIN)
        place = resource["provision"]
        for _ in range(depth):
            place["provision"] = [{"type": "permit", "purpose": [purpose("TREAT")]}]
            place = place["provision"][0]
        assert {each.code for each in refusals(resource, PURPOSES, extended=True)} == code
        assert bool(read(resource, PURPOSES).broken) is bool(code)


def test_a_moment_is_a_period():
    """One that starts and ends with the same day lasts that day; with the same second, that second."""
    for at in ("2026-02-01", "2026-02-01T10:00:00Z"):
        assert refusals(changed(period={"start": at, "end": at}), PURPOSES) == []


def test_whose_systems_scopes_and_policy_rules_are():
    """A code of the same name in another system is another thing."""
    scoped = PLAIN | {"scope": {"coding": [{"system": "https://else.example", "code": "patient-privacy"}]}}
    assert read(scoped) is None
    for rule in ({"system": "https://else.example", "code": "OPTIN"}, {"system": f"{HL7}v3-ActCode", "code": "ETH"}):
        resource = without("provision", "type") | {"policyRule": {"coding": [rule]}}
        assert paths(resource) == {"Consent.provision.type"}
    text = without("policy") | {"policyRule": {"coding": [{"system": f"{HL7}v3-ActCode", "code": "OPTIN"}]}}
    assert paths(text) == set()
    empty = changed(code=[{"coding": [{"system": "s"}]}])
    assert paths(empty, extended=True) == {"Consent.provision.code[0]"}


@pytest.mark.parametrize("name", BEYOND_PCF)
def test_what_pcf_does_not_have(name):
    """Action, class, code and deeper nesting are refused by default and taken when the site says so."""
    resource, path = BEYOND_PCF[name]
    assert paths(resource) == {path}
    assert paths(resource, extended=True) == set()


@pytest.mark.parametrize("extended", [False, True])
def test_what_needs_a_system_that_is_known(extended):
    """In classes and codes too, what cannot be compared is refused."""
    kind = changed(**{"class": [{"system": "http://loinc.org", "code": "1-8"}]})
    text = changed(code=[{"text": "HIV"}])
    act = changed(action=[{"coding": [{"system": f"{HL7}consentaction", "code": "sell"}]}])
    assert "Consent.provision.class[0]" in paths(kind, extended=extended)
    assert "Consent.provision.code[0]" in paths(text, extended=extended)
    assert "Consent.provision.action[0]" in paths(act, extended=extended)


def test_a_policy_rule_says_what_the_root_is():
    """OPTIN and OPTOUT stand for the root's type (R4 forbids one there, PCF demands it)."""
    for code, deny in (("OPTIN", False), ("OPTOUT", True)):
        rule = {"coding": [{"system": f"{HL7}v3-ActCode", "code": code}]}
        resource = without("provision", "type") | {"policyRule": rule}
        assert paths(resource) == set()
        assert read(resource).root.deny is deny


def test_what_is_not_enforced_is_not_asked():
    """Another scope, or entered in error: neither refused nor read."""
    directive = consent({"scope": "adr", "provision": {}})
    mistaken = without("policy") | {"status": "entered-in-error"}
    assert paths(directive) == paths(mistaken) == set()
    assert read(directive) is read(mistaken) is None


@pytest.mark.parametrize("name", [name for name in ALWAYS if name not in {"ppc-1", "an actor in another role"}])
def test_a_stored_consent_that_cannot_be_read_denies_everything(name):
    """Nobody can tell what it forbids: it denies, in a site that permits, and the decision names it."""
    found = read(ALWAYS[name][0], PURPOSES)
    ruling = Ruling(Book("p", [found]), Ask(purposes=frozenset({"TREAT"})), Site(Policy.PERMIT_ALL))
    assert found.broken
    decision = ruling.decide(Facts("Observation", "o"))
    assert not decision.permit
    assert decision.rules == ("Consent/c0 (unreadable)",)


@pytest.mark.parametrize("broken", [{"provision": 7}, {"provision": {"type": "permit", "actor": [7]}}, {"patient": 7}, {"provision": {"type": "permit", "period": {"start": "soon"}}}])  # fmt: skip
def test_a_consent_of_no_form_denies_everything(broken):
    """Even one that no validator would let in, whosever it is, denies for the patient whose record it was found in."""
    found = read(PLAIN | broken)
    ruling = Ruling(Book("p", [found]), Ask(), Site(Policy.PERMIT_ALL))
    assert not ruling.permits(Facts("Observation", "o"))


def test_former_names_of_systems():
    """The systems as STU3 named them mean the same."""
    assert label_of("http://hl7.org/fhir/v3/Confidentiality", "R") == label_of(f"{HL7}v3-Confidentiality", "R")
    assert label_of("http://hl7.org/fhir/v3/ActCode", "HIV") == label_of(f"{HL7}v3-Confidentiality", "HIV")


def test_an_unregistered_project_is_unknown():
    """The site's own purposes are those that it registered."""
    resource = changed(purpose=[purpose("FooBar")])
    assert not refusals(resource, PURPOSES)
    assert refusals(resource, Purposes())


def test_policies_have_the_addresses_of_pcf():
    """ITI PCF 53.2.1."""
    assert URIS[Policy.BASIC_NORMAL] == "https://profiles.ihe.net/ITI/PCF/Policy-basic-normal"
    assert URIS[Policy.PERMIT_ALL] == "https://profiles.ihe.net/ITI/PCF/Policy-all-normal"


def test_residual_rules():
    """What is left of a consent for a request, as PCF writes it: the rule for others is not in it."""
    root = {"type": "permit", "purpose": ["TREAT"], "securityLabel": ["N"], "provision": [
        {"type": "deny", "actor": ["Practitioner/b"]},
        {"type": "permit", "actor": ["Practitioner/a"], "securityLabel": ["R"], "data": [{"meaning": "related", "ref": "Encounter/e"}]},
        {"type": "deny", "dataPeriod": {"start": "1970-01-01", "end": "1970-01-01"}},
    ]}  # fmt: skip
    asked = Ask(frozenset({"Practitioner/a"}), frozenset({"TREAT"}))
    rules = residual(Ruling(Book("p", [read(consent({"provision": root}))]), asked, Site()))
    assert [(each.type, each.path, each.labels) for each in rules] == [
        ("permit", "provision", ("N",)),
        ("permit", "provision.provision[1]", ("R",)),
        ("forbid", "provision.provision[2]", None),
    ]
    assert rules[1].data == ("related Encounter/e",)
    assert rules[2].period == (0, 86_400_000)
