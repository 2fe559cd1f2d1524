"""Clinical notes rendered from Synthea's records, with the place of every identifier known.

No open corpus of long English notes with identifiers exists, so we make one: a record's own names, addresses,
numbers, dates, clinicians and facilities in letters, summaries and progress notes of our own wording, between the
record's own conditions, drugs and findings. Reproducible from a seed. For training and for measuring, apart.
"""

from __future__ import annotations

import gzip
import json
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from text_corpora import DATA, Document, Gold

from medlock.deid.text.spans import Kind

SYNTHEA = Path("synthea")
Resource = dict[str, Any]
MONTHS = "January February March April May June July August September October November December".split()


@dataclass
class Page:
    """A text that grows, and remembers what in it identifies."""

    text: str = ""
    gold: list[Gold] = field(default_factory=list)

    def add(self, template: str, parts: dict[str, tuple[Kind, str]], plain: dict[str, str]) -> None:
        """A template with {names}: identifiers from `parts` are noted, `plain` is not."""
        for literal, name in _pieces(template):
            self.text += literal
            if name in parts:
                kind, value = parts[name]
                self.gold.append(Gold(len(self.text), len(self.text) + len(value), kind, str(kind)))
                self.text += value
            elif name:
                self.text += plain[name]


def _pieces(template: str) -> Iterator[tuple[str, str]]:
    for piece in template.split("{"):
        name, brace, rest = piece.partition("}")
        if brace:
            yield "", name
            yield rest, ""
        else:
            yield piece, ""


HEADERS = (
    (
        "DISCHARGE SUMMARY\nPatient: {name}\nMRN: {mrn}\nDOB: {birth}\nAdmitted: {d1}   Discharged: {d2}\nAttending: "
        "{doctor}\n\n"
    ),
    (
        "PATIENT NAME: {upper}\nMedical Record #: {mrn}    SSN: {ssn}\nAddress: {street}, {city}, {state} "
        "{zip}\nPhone: "
        "{phone}\n"
        "DATE OF SERVICE: {d1}\n\n"
    ),
    "{facility}\n{city}, {state}\n\n{d1}\n\nRe: {reversed}, date of birth {birth}\n\nDear Dr. {doclast},\n\n",
    "Progress note {d1}\n{first} {last} ({mrn}), seen at {facility}\n\n",
    "Telephone encounter. Caller: {relative} (sister), call back at {phone}. Regarding {title} {last}, DOB {birth}.\n",
    "ED NOTE\nArrival {d1}. Pt {last}, {first} {mi}\nPCP: {doctor}\nInsurance member ID {plan}\n\n",
)
BODIES = (
    (
        "{title} {last} is a {age}-year-old {sex} with a history of {c1} and {c2}. {He} was last seen on {d1} at "
        "{facility}.\n"
    ),
    "History of present illness: {first} reports worsening symptoms of {c1} since {d3}. {He} takes {m1}.\n",
    "The patient lives at {street} in {city} with {relative} and works night shifts. No falls reported.\n",
    "Past medical history: {c1}, {c2}. Medications: {m1}. Allergies: penicillin.\n",
    (
        "On examination {he} was alert. {o1}. {o2}. Heart regular, lungs clear, Babinski sign absent, Glasgow Coma "
        "Scale 15.\n"
    ),
    "Labs: {o1}; {o2}. WBC 7.4, Hgb 13.2 g/dL, platelets 250, INR 1.1. Framingham score was reviewed.\n",
    "Discussed the case with {doctor} by phone ({phone}) on {d2}; records were faxed from {facility}.\n",
    "ASSESSMENT: {c1}, stable. Continue {m1} 20 mg daily; recheck in 3 months. BP 128/76, HR 72, SpO2 98%.\n",
    "{relative}, {his} next of kin, can be reached at {phone} or {email}.\n",
    "She was transferred from {city} on {d3} after evaluation for possible Crohn's disease versus {c2}.\n",
    "Mr. and Mrs. {last} understand the plan. Driver's license {licence} was copied to the chart, account {account}.\n",
    "Plan: start metformin 500 mg BID, stop Coumadin, order MRI brain with contrast, refer to Cardiology and PT.\n",
    "Vitals: BP {v1}/{v2}, HR {v2}, RR {v3}, T 98.{v3}, O2 sat {v4}% on room air, Wt {v1} lb, pain {v5}/10.\n",
    "Na {v1}, K 4.{v5}, Cl {v4}, CO2 2{v5}, BUN {v3}, Cr 1.{v5}, WBC {v3},{v5}00, Plt {v1},000, AST {v2}.\n",
    "Foley removed. Strength {v5}/5 throughout, DTR 2+, CN II-XII intact. Echo EF {v2}%. CT: {v3} mm nodule, I10.\n",
    "Pathology: Gleason 7 (3+4), Breslow depth 1.2 mm, Her2 negative. TNM stage T2 N0 M0.\n",
)
VITALS = {"v1": (90, 180), "v2": (50, 99), "v3": (10, 30), "v4": (88, 101), "v5": (1, 10)}
FOOTERS = (
    "\nElectronically signed by {doctor} on {d2}\n",
    "\nDictated by: {doctor}\nTranscribed: {d2}\ncc: {doctor}, {facility}\n",
    "\nSincerely,\n\n{doctor}\n{facility}\nTel {phone}\n",
    "\nFollow-up appointment {d2} with Dr. {doclast}.\n",
)


def notes(data: Path = DATA, each: int = 12, seed: int = 7) -> Iterator[Document]:
    """So many notes for each record, in order of the file names."""
    for path in sorted((data / SYNTHEA).glob("*.json.gz")):
        bundle = json.loads(gzip.decompress(path.read_bytes()))
        record: dict[str, list[Resource]] = defaultdict(list)
        for entry in bundle["entry"]:
            record[entry["resource"]["resourceType"]].append(entry["resource"])
        for number in range(each):
            rng = random.Random(f"{seed}/{path.name}/{number}")  # noqa: S311 - reproducible, not secret
            yield _note(record, rng, f"{path.name.split('.')[0]}/{number}")


def _note(record: dict[str, list[Resource]], rng: random.Random, name: str) -> Document:
    parts, plain = identifiers(record, rng), _findings(record, rng)
    page = Page()
    for template in (rng.choice(HEADERS), *rng.sample(BODIES, rng.randint(4, 8)), rng.choice(FOOTERS)):
        page.add(template, parts, plain)
    return Document(name, page.text, tuple(page.gold))


def identifiers(record: dict[str, list[Resource]], rng: random.Random) -> dict[str, tuple[Kind, str]]:
    """The identifiers of a record, each in one of the spellings that notes use."""
    patient = record["Patient"][0]
    human, address = patient["name"][0], patient["address"][0]
    first, last = human["given"][0].rstrip("0123456789"), human["family"].rstrip("0123456789")
    numbers = {
        coding["code"]: item["value"]
        for item in patient["identifier"]
        for coding in item.get("type", {}).get("coding", ())
    }
    doctor = _doctor(record, rng)
    encounter = [item["period"]["start"][:10] for item in record["Encounter"]]
    days = [_date(rng, rng.choice(encounter)) for _ in range(3)]
    mother = next(
        (item["valueString"] for item in patient["extension"] if item["url"].endswith("MaidenName")), f"Rita {last}"
    )
    names = {"name": f"{first} {last}", "upper": f"{first} {last}".upper(), "reversed": f"{last}, {first}"}
    names |= {
        "first": first,
        "last": last,
        "relative": mother,
        "doctor": doctor,
        "doclast": doctor.split()[-1],
        "mi": rng.choice("ABCDEFGHJKLM"),
    }
    strings = {
        Kind.NAME: names,
        Kind.DATE: {"birth": _date(rng, patient["birthDate"]), "d1": days[0], "d2": days[1], "d3": days[2]},
        Kind.STREET: {"street": address["line"][0]},
        Kind.PLACE: {"city": address["city"]},
        Kind.ZIP: {"zip": address.get("postalCode", "02139")},
        Kind.HOSPITAL: {
            "facility": rng.choice(record["Organization"])["name"].title()
            if record["Organization"]
            else "Lakeside Clinic"
        },
        Kind.MRN: {"mrn": rng.choice([numbers["MR"][:8], str(rng.randrange(10**6, 10**8))])},
        Kind.SSN: {"ssn": numbers.get("SS", "999-12-3456")},
        Kind.LICENCE: {"licence": numbers.get("DL", f"S{rng.randrange(10**7, 10**8)}")},
        Kind.PLAN: {"plan": f"{rng.choice(['XQH', 'WGT', 'H'])}{rng.randrange(10**8, 10**9)}"},
        Kind.ACCOUNT: {"account": str(rng.randrange(10**9, 10**10))},
        Kind.PHONE: {"phone": _phone(rng, patient["telecom"][0]["value"])},
        Kind.EMAIL: {"email": f"{first}.{last}{rng.randrange(99)}@example.org".lower()},
    }
    return {name: (kind, value) for kind, values in strings.items() for name, value in values.items()}


def _doctor(record: dict[str, list[Resource]], rng: random.Random) -> str:
    human = (
        rng.choice(record["Practitioner"])["name"][0]
        if record["Practitioner"]
        else {"given": ["Ann"], "family": "Weber"}
    )
    return f"{human['given'][0].rstrip('0123456789')} {human['family'].rstrip('0123456789')}"


def _findings(record: dict[str, list[Resource]], rng: random.Random) -> dict[str, str]:
    def some(kind: str, path: str, other: str) -> str:
        listed = [item[path]["text"] for item in record[kind] if path in item and "text" in item[path]]
        return rng.choice(listed) if listed else other

    def value(other: str) -> str:
        listed = [item for item in record["Observation"] if "valueQuantity" in item]
        if not listed:
            return other
        item = rng.choice(listed)
        return f"{item['code']['text']} {item['valueQuantity']['value']:.1f} {item['valueQuantity']['unit']}"

    male = record["Patient"][0]["gender"] == "male"
    plain = {"c1": some("Condition", "code", "hypertension").lower(), "c2": some("Condition", "code", "asthma").lower()}
    plain |= {
        "m1": some("MedicationRequest", "medicationCodeableConcept", "lisinopril"),
        "o1": value("BMI 27"),
        "o2": value("A1c 6"),
    }
    plain |= {"He": "He" if male else "She", "he": "he" if male else "she", "his": "his" if male else "her"}
    plain |= {
        "sex": rng.choice(["man", "male"]) if male else rng.choice(["woman", "female"]),
        "title": "Mr." if male else "Ms.",
    }
    plain |= {name: str(rng.randrange(*span)) for name, span in VITALS.items()}
    return plain | {"state": record["Patient"][0]["address"][0]["state"], "age": str(rng.randrange(20, 89))}


def _date(rng: random.Random, iso: str) -> str:
    day = date.fromisoformat(iso)
    month = MONTHS[day.month - 1]
    return rng.choice(
        [
            *(
                iso,
                f"{day.month}/{day.day}/{day.year}",
                f"{day.month:02d}/{day.day:02d}/{day.year}",
                f"{day.month}/{day.day}/{day.year % 100:02d}",
            ),
            *(f"{month} {day.day}, {day.year}", f"{month[:3]} {day.day} {day.year}", f"{day.day} {month} {day.year}"),
            *(f"{day.day:02d}-{month[:3].upper()}-{day.year}", f"{month} {day.day}"),
        ]
    )


def _phone(rng: random.Random, phone: str) -> str:
    digits = "".join(each for each in phone if each.isdigit())[-10:].rjust(10, "5")
    area, middle, rest = digits[:3], digits[3:6], digits[6:]
    return rng.choice(
        [
            f"{area}-{middle}-{rest}",
            f"({area}) {middle}-{rest}",
            f"{area}.{middle}.{rest}",
            f"+1 {area} {middle} {rest}",
        ]
    )
