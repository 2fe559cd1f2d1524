"""Consents, requests and resources in a short form, and the FHIR that each stands for."""

from datetime import datetime

from medlock.access.consent.book import Book
from medlock.access.consent.codes import LABELLED, Purposes, labels_of
from medlock.access.consent.model import Ask, Facts
from medlock.access.consent.policy import Policy
from medlock.access.consent.reading import read
from medlock.access.consent.ruling import Ruling, Site
from medlock.fhir.dates import interval

HL7 = "http://terminology.hl7.org/CodeSystem/"
PROJECTS = "https://clinic.example/projects"
PURPOSES = Purposes({f"{PROJECTS}|FooBar": "HRESCH"})
LEVELS = "U L M N R V".split()
NOW = "2026-06-01T10:00:00Z"


def ms(text):
    """A moment, in ms."""
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def purpose(code):
    """A purpose of use; those that start like names of projects are the site's own."""
    return {"system": PROJECTS if code == "FooBar" else f"{HL7}v3-ActReason", "code": code}


def label(name):
    """A label as a Coding; a pair says the system itself, C for confidentiality and S for sensitivity."""
    if isinstance(name, str):
        name = ("C" if name in LEVELS else "S", name)
    return {"system": HL7 + ("v3-Confidentiality" if name[0] == "C" else "v3-ActCode"), "code": name[1]}


def provision(short):
    """A provision from its short form."""
    found = {key: short[key] for key in ("type", "period", "dataPeriod") if key in short}
    if "actor" in short:
        role = {"coding": [{"system": f"{HL7}v3-ParticipationType", "code": "IRCP"}]}
        found["actor"] = [{"role": role, "reference": {"reference": each}} for each in short["actor"]]
    if "purpose" in short:
        found["purpose"] = [purpose(each) for each in short["purpose"]]
    if "action" in short:
        found["action"] = [{"coding": [{"system": f"{HL7}consentaction", "code": each}]} for each in short["action"]]
    if "class" in short:
        found["class"] = [{"system": "http://hl7.org/fhir/resource-types", "code": each} for each in short["class"]]
    if "code" in short:
        pairs = [each.split("|") for each in short["code"]]
        found["code"] = [{"coding": [{"system": system, "code": code}]} for system, code in pairs]
    if "data" in short:
        found["data"] = [
            {"meaning": each["meaning"], "reference": {"reference": each["ref"]}} for each in short["data"]
        ]
    if "securityLabel" in short:
        found["securityLabel"] = [label(each) for each in short["securityLabel"]]
    if "provision" in short:
        found["provision"] = [provision(each) for each in short["provision"]]
    return found


def consent(short, number=0):
    """A Consent from its short form."""
    return {
        "resourceType": "Consent",
        "id": f"c{number}",
        "status": short.get("status", "active"),
        "scope": {"coding": [{"system": f"{HL7}consentscope", "code": short.get("scope", "patient-privacy")}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{short.get('patient', 'p')}"},
        "policy": [{"uri": "https://clinic.example/policy"}],
        "provision": provision(short["provision"]),
    }


def ask(short):
    """The request of a case."""
    actors = frozenset(short.get("actor", ()))
    return Ask(
        actors=actors,
        purposes=frozenset(f"{PROJECTS}|FooBar" if each == "FooBar" else each for each in short.get("purpose", ())),
        action=short.get("action", "access"),
        now=ms(short.get("time", NOW)),
        own=frozenset(each.removeprefix("Patient/") for each in actors if each.startswith("Patient/")),
        may_break_glass=short.get("mayBTG", False),
        clinical=short.get("clinical", False),
        records_consents=short.get("records", False),
    )


def facts(short):
    """The resource of a case."""
    texts = [f"{each['system']}|{each['code']}" for each in map(label, short.get("labels", ()))]
    updated = short.get("updated")
    authors = short.get("authors", ())
    return Facts(
        short["type"],
        short.get("id", "o1"),
        labels=labels_of((*texts, LABELLED)) if short.get("labelled", True) else None,
        codes=frozenset(short.get("codes", ())),
        any_codes=frozenset(short.get("anyCodes", ())),
        authored=interval(short["authored"]) if short.get("authored") else None,
        updated=interval(updated)[0] if updated else None,
        authors=None if authors is None else frozenset(authors),
        references=frozenset(short.get("refs", ())),
    )


def ruling(case, policy=None):
    """The engine, ready for the resource of a case."""
    found = [read(consent(each, number), PURPOSES) for number, each in enumerate(case["consents"])]
    book = Book(case["resource"].get("patient", "p"), [each for each in found if each is not None], case.get("links"))
    return Ruling(book, ask(case["request"]), Site(Policy(policy or case["default"]), PURPOSES))


def decided(case):
    """What the engine decides in a case."""
    return ruling(case).decide(facts(case["resource"]))
