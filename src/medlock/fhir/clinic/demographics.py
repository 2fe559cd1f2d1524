"""Who the patient is: Patient, the RelatedPersons who care for them, and their Coverage."""

from __future__ import annotations

from medlock.fhir.clinic.chart import Chart
from medlock.fhir.clinic.heritages import LANGUAGES, RACES
from medlock.fhir.clinic.people import Bond, Person
from medlock.fhir.clinic.staff import PAYERS, organisation
from medlock.fhir.clinic.terms import CLINIC, HL7, US_CORE, Json, at, hl7, reference

MRN = CLINIC + "mrn"
_OMB = "urn:oid:2.16.840.1.113883.6.238"
_ROLES = {
    "NMTH": "natural mother",
    "NFTH": "natural father",
    "SPS": "spouse",
    "CHILD": "child",
    "GUARD": "guardian",
}


def write(chart: Chart) -> None:
    """Write the patient, those who look after them, and who pays."""
    chart.resources.append(_patient(chart))
    for bond in chart.household.bonds:
        if bond.ward is chart.person:
            chart.add("RelatedPerson", _related(chart, bond))
    chart.add("Coverage", _coverage(chart))


def _patient(chart: Chart) -> Json:
    person = chart.person
    fields: Json = {
        "resourceType": "Patient",
        "id": person.id,
        "meta": {"tag": [{"system": CLINIC + "tags", "code": "synthetic"}]},
        "text": _narrative(person),
        "extension": _extensions(person),
        "identifier": _identifiers(chart),
        "active": True,
        "name": person.name.human_names(),
        "telecom": _telecom(chart),
        "gender": person.gender,
        "birthDate": person.born.isoformat(),
    }
    fields |= {"deceasedDateTime": at(person.died, chart.chance.between(0, 23)).isoformat()} if person.died else {}
    fields["address"] = [chart.household.home.address(moved_in=chart.since.isoformat())]
    fields |= _marriage(chart)
    fields |= {"multipleBirthInteger": person.twin} if person.twin else {}
    return fields | _contacts(chart) | _care(chart)


def _narrative(person: Person) -> Json:
    shown = person.name.shown.replace("&", "&amp;").replace("<", "&lt;")
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{shown}, born {person.born.isoformat()}</p></div>'
    return {"status": "generated", "div": div}


def _extensions(person: Person) -> list[Json]:
    heritage = person.heritage
    ethnicity = ("2135-2", "Hispanic or Latino") if heritage.hispanic else ("2186-5", "Not Hispanic or Latino")
    return [
        _category("race", heritage.race, RACES[heritage.race]),
        _category("ethnicity", *ethnicity),
        {"url": US_CORE + "birthsex", "valueCode": "F" if person.female else "M"},
    ]


def _category(kind: str, code: str, display: str) -> Json:
    coding = {"system": _OMB, "code": code, "display": display}
    parts = [{"url": "ombCategory", "valueCoding": coding}, {"url": "text", "valueString": display}]
    return {"extension": parts, "url": US_CORE + kind}


def _identifiers(chart: Chart) -> list[Json]:
    """The clinic's record number and, for many, a social security number from a range never issued (999-10 to 49)."""
    number = chart.person.number
    record: Json = {
        "use": "usual",
        "type": hl7("v2-0203", "MR", "Medical record number"),
        "system": MRN,
        "value": f"M-{number * 37 % 1_000_000:06d}-{number % 97:02d}",
        "assigner": organisation("clinic"),
    }
    if not chart.chance.happens(0.7):
        return [record]
    social = f"999-{chart.chance.between(10, 49)}-{chart.chance.digits(4)}"
    kind = hl7("v2-0203", "SS", "Social Security number")
    return [record, {"use": "official", "type": kind, "system": "http://hl7.org/fhir/sid/us-ssn", "value": social}]


def _telecom(chart: Chart) -> list[Json]:
    person = chart.person
    landline = {"system": "phone", "value": chart.household.home.phone, "use": "home"}
    if person.age(chart.today) < 14:
        return [landline]
    mobile = {"system": "phone", "value": person.mobile, "use": "mobile", "rank": 1}
    return [mobile, landline, {"system": "email", "value": person.mail}]


def _marriage(chart: Chart) -> Json:
    age = chart.person.age(chart.today)
    if age < 18:
        return {}
    kind = chart.household.kind
    together = kind in {"couple", "family", "elders"} or (kind == "three" and age < 60)
    odds = (("M", 8), ("U", 1)) if together else (("S", 6), ("D", 2), ("W", 0.05 * age))
    code = chart.chance.weighted(odds)
    shown = {"M": "Married", "U": "unmarried", "S": "Never Married", "D": "Divorced", "W": "Widowed"}
    return {"maritalStatus": hl7("v3-MaritalStatus", code, shown[code])}


def _contacts(chart: Chart) -> Json:
    """Somebody of the household to call, with the same telephone."""
    others = [person for person in chart.household.people if person is not chart.person]
    adults = [person for person in others if person.age(chart.today) >= 18 and not person.died]
    if not adults:
        return {}
    contact = chart.chance.pick(adults)
    return {
        "contact": [
            {
                "relationship": [hl7("v2-0131", "C", "Emergency Contact")],
                "name": contact.name.human_names()[0],
                "telecom": [{"system": "phone", "value": contact.mobile, "use": "mobile"}],
                "gender": contact.gender,
            }
        ]
    }


def _care(chart: Chart) -> Json:
    """Language, the doctor, and the clinic that keeps the record."""
    spoken = chart.person.heritage.language
    language = spoken if chart.chance.happens(0.7) else "en-US"
    concept = {"coding": [{"system": "urn:ietf:bcp:47", "code": language, "display": LANGUAGES[language]}]}
    return {
        "communication": [{"language": concept, "preferred": True}],
        "generalPractitioner": [chart.doctor.ref],
        "managingOrganization": organisation("clinic"),
    }


def _related(chart: Chart, bond: Bond) -> Json:
    adult = bond.adult
    return {
        "identifier": [{"system": MRN, "value": f"M-{adult.number * 37 % 1_000_000:06d}-{adult.number % 97:02d}"}],
        "active": True,
        "patient": chart.me,
        "relationship": [hl7("v3-RoleCode", bond.role, _ROLES[bond.role])],
        "name": adult.name.human_names()[:1],
        "telecom": [{"system": "phone", "value": adult.mobile, "use": "mobile"}],
        "gender": adult.gender,
        "birthDate": adult.born.isoformat(),
        "address": [chart.household.home.address(moved_in=chart.since.isoformat())],
    }


def _coverage(chart: Chart) -> Json:
    """The insurance: children are covered by the first adult of the household, so it names two patients."""
    person, chance = chart.person, chart.chance
    head = chart.household.people[0] if person.age(chart.today) < 21 else person
    relation = "self" if head is person else "child"
    payer = PAYERS[head.number % len(PAYERS)]
    return {
        "identifier": [{"system": CLINIC + "member", "value": f"MEM{chance.digits(9)}"}],
        "status": "active",
        "type": hl7("v3-ActCode", "EHCPOL", "extended healthcare"),
        "subscriber": reference(head.ref),
        "subscriberId": f"SUB{head.number * 7919 % 10**8:08d}",
        "beneficiary": chart.me,
        "relationship": {"coding": [{"system": HL7 + "subscriber-relationship", "code": relation}]},
        "period": {"start": chart.since.replace(month=1, day=1).isoformat()},
        "payor": [organisation(payer)],
        "class": [
            {"type": hl7("coverage-class", "plan", "Plan"), "value": f"P{chance.between(10, 99)}", "name": "Standard"}
        ],
    }
