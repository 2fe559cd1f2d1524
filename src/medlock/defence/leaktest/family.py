"""The family whose records are asked for: fixed, synthetic, and full of words that occur nowhere else.

Ann is the one whose record others try to see. Ben is her husband: he shares a household, an appointment and an
insurance with her, so a server that follows references without asking again tells him of her.
Cy is their child, Dot a stranger. A *canary* is a word that stands in one resource only; wherever it comes out, that
resource came out.

References are written as `Type/name`; `placed` puts the server's ids in their places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

SYSTEM = "https://leaktest.example/identifier"
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_TURNED = str.maketrans("abcdefghijklmnopqrstuvwxyz0123456789", "bcdefghijklmnopqrstuvwxyza1234567890")

_LETTERS = "bcdfghjklmnpqrstvwxz"


@dataclass(frozen=True, slots=True)
class Record:
    """One resource of the family: `owners` are the people in whose record it stands; none for shared ones."""

    name: str
    type: str
    owners: tuple[str, ...]
    body: Json = field(repr=False)

    @property
    def address(self) -> str:
        """Type/name, as references in the family write it."""
        return f"{self.type}/{self.name}"

    @property
    def canary(self) -> str:
        """The word that stands in this resource and in no other."""
        return canary(self.name)


def canary(of: str) -> str:
    """A word for something: the same every time, pronounceable by nobody, in no other text."""
    state = 2_166_136_261
    letters = []
    for byte in f"leaktest {of}".encode() + bytes(10):
        state = (state ^ byte) * 16_777_619 % 2**32
        letters.append(_LETTERS[(state >> 16) % len(_LETTERS)])
    return "zq" + "".join(letters[-10:])


def decoy(word: str) -> str:
    """A word of the same length and shape that stands for nothing: its last six letters and digits turned by one."""
    return word[:-6] + word[-6:].translate(_TURNED)


def _coded(system: str, code: str, text: str) -> Json:
    return {"coding": [{"system": system, "code": code}], "text": text}


def _patient(name: str, given: str, born: str, gender: str) -> Record:
    body = {
        "identifier": [{"system": SYSTEM, "value": canary(name)}],
        "name": [{"family": canary(f"{name} family"), "given": [given]}],
        "gender": gender,
        "birthDate": born,
        "telecom": [{"system": "phone", "value": f"+1 555 01{len(name)}{ord(name[0])}"}],
        "address": [{"line": [f"7 {canary(f'{name} street')} Road"], "city": "Nowhere", "postalCode": "00000"}],
        "managingOrganization": {"reference": "Organization/clinic"},
    }
    return Record(name, "Patient", (name,), body)


def _of(name: str, resource_type: str, owner: str, /, **body: Any) -> Record:
    """A record of one person, found again by its identifier."""
    return Record(name, resource_type, (owner,), {"identifier": [{"system": SYSTEM, "value": canary(name)}], **body})


def _observation(name: str, owner: str, code: str, value: float, **more: Any) -> Record:
    """A laboratory value that Dr Pell measured."""
    fields = {
        "status": "final",
        "category": [_coded("http://terminology.hl7.org/CodeSystem/observation-category", "laboratory", "Laboratory")],
        "code": _coded(LOINC, code, canary(f"{name} code")),
        "subject": {"reference": f"Patient/{owner}"},
        "effectiveDateTime": "2024-03-05T10:00:00Z",
        "performer": [{"reference": "Practitioner/pell"}],
        "valueQuantity": {"value": value, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"},
    }
    return _of(name, "Observation", owner, **(fields | more))


def _condition(name: str, owner: str, code: str, **more: Any) -> Record:
    fields = {
        "clinicalStatus": _coded("http://terminology.hl7.org/CodeSystem/condition-clinical", "active", "active"),
        "code": _coded(SNOMED, code, canary(f"{name} code")),
        "subject": {"reference": f"Patient/{owner}"},
        "recordedDate": "2024-02-01",
        "asserter": {"reference": "Practitioner/pell"},
    }
    return _of(name, "Condition", owner, **(fields | more))


def _shared() -> Iterator[Record]:
    """Who and what the clinic is made of: no secret of anybody."""
    for name, resource_type, body in (
        ("clinic", "Organization", {"name": "Leak Test Clinic"}),
        ("pell", "Practitioner", {"name": [{"family": "Pell", "given": ["Ira"]}]}),
        ("quine", "Practitioner", {"name": [{"family": "Quine", "given": ["Uma"]}]}),
        ("ward", "Location", {"name": "Leak Test Ward"}),
    ):
        yield Record(name, resource_type, (), {"identifier": [{"system": SYSTEM, "value": canary(name)}], **body})


def _people() -> Iterator[Record]:
    yield _patient("ann", "Ann", "1980-04-05", "female")
    yield _patient("ben", "Ben", "1979-06-07", "male")
    yield _patient("cy", "Cy", "2012-08-09", "male")
    yield _patient("dot", "Dot", "1955-10-11", "female")


def _anns() -> Iterator[Record]:
    """Ann's record: what is looked for."""
    ann = {"reference": "Patient/ann"}
    restricted = {"meta": {"security": [{"system": _CONFIDENTIALITY, "code": "R"}]}}
    yield _of(
        "ann-visit",
        "Encounter",
        "ann",
        status="finished",
        **{"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}},
        subject=ann,
        participant=[{"individual": {"reference": "Practitioner/pell"}}],
        period={"start": "2024-03-05T09:30:00Z", "end": "2024-03-05T10:30:00Z"},
        location=[{"location": {"reference": "Location/ward"}}],
        serviceProvider={"reference": "Organization/clinic"},
    )
    yield _condition("ann-hiv", "ann", "86406008", **restricted, encounter={"reference": "Encounter/ann-visit"})
    yield _condition("ann-asthma", "ann", "195967001")
    yield _observation("ann-glucose", "ann", "2339-0", 93.0, encounter={"reference": "Encounter/ann-visit"})
    yield _observation("ann-viral-load", "ann", "20447-9", 48_211.0, **restricted)
    yield _observation("ann-panel", "ann", "24323-8", 7.0, hasMember=[{"reference": "Observation/ann-glucose"}])


def _anns_papers() -> Iterator[Record]:
    """What was written about Ann."""
    ann = {"reference": "Patient/ann"}
    yield _of(
        "ann-report",
        "DiagnosticReport",
        "ann",
        status="final",
        code=_coded(LOINC, "24323-8", canary("ann-report code")),
        subject=ann,
        effectiveDateTime="2024-03-05",
        result=[{"reference": "Observation/ann-viral-load"}],
        conclusion=canary("ann-report conclusion"),
    )
    yield _of(
        "ann-note",
        "DocumentReference",
        "ann",
        status="current",
        type=_coded(LOINC, "11506-3", "Progress note"),
        subject=ann,
        date="2024-03-05T11:00:00Z",
        description=canary("ann-note text"),
        content=[{"attachment": {"contentType": "text/plain", "title": canary("ann-note title")}}],
    )
    yield _of(
        "ann-drug",
        "MedicationRequest",
        "ann",
        status="active",
        intent="order",
        medicationCodeableConcept=_coded(
            "http://www.nlm.nih.gov/research/umls/rxnorm", "1940261", canary("ann-drug c")
        ),
        subject=ann,
        authoredOn="2024-03-05",
        requester={"reference": "Practitioner/pell"},
    )
    yield _of(
        "ann-allergy",
        "AllergyIntolerance",
        "ann",
        clinicalStatus=_coded("http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "active", "active"),
        code=_coded(SNOMED, "91936005", canary("ann-allergy code")),
        patient=ann,
    )
    yield _of("ann-list", "List", "ann", status="current", mode="working", subject=ann, title=canary("ann-list title"))


def _everybody_elses() -> Iterator[Record]:
    yield _observation("ben-glucose", "ben", "2339-0", 101.0)
    yield _observation("ben-sodium", "ben", "2951-2", 140.0)
    yield _condition("ben-gout", "ben", "90560007")
    yield _observation("cy-weight", "cy", "29463-7", 40.0)
    yield _observation("dot-glucose", "dot", "2339-0", 88.0)


def _between() -> Iterator[Record]:
    """What stands in two people's records: each may see it, and through it nothing else of the other."""
    yield Record(
        "both-appointment",
        "Appointment",
        ("ann", "ben"),
        {
            "identifier": [{"system": SYSTEM, "value": canary("both-appointment")}],
            "status": "booked",
            "start": "2026-01-05T10:00:00Z",
            "end": "2026-01-05T10:30:00Z",
            "participant": [
                {"actor": {"reference": "Patient/ann"}, "status": "accepted"},
                {"actor": {"reference": "Patient/ben"}, "status": "accepted"},
                {"actor": {"reference": "Practitioner/pell"}, "status": "accepted"},
            ],
        },
    )
    yield Record(
        "both-coverage",
        "Coverage",
        ("ann", "ben"),
        {
            "identifier": [{"system": SYSTEM, "value": canary("both-coverage")}],
            "status": "active",
            "beneficiary": {"reference": "Patient/ann"},
            "subscriber": {"reference": "Patient/ben"},
            "payor": [{"reference": "Organization/clinic"}],
        },
    )


RECORDS: tuple[Record, ...] = (*_shared(), *_people(), *_anns(), *_anns_papers(), *_everybody_elses(), *_between())


def placed(body: Json, ids: Mapping[str, str]) -> Json:
    """A resource whose references hold the server's ids."""
    return {name: _placed(value, ids) for name, value in body.items()}


def _placed(value: Any, ids: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_placed(each, ids) for each in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("reference")
    if isinstance(reference, str) and reference.partition("/")[2] in ids:
        kind, _, name = reference.partition("/")
        return {**value, "reference": f"{kind}/{ids[name]}"}
    return placed(value, ids)
