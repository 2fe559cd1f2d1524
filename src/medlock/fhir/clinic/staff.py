"""Who works at the clinic and where: the resources that every patient shares.

There are always the same posts, so a patient's record does not depend on how many patients are made; only the
people who hold the posts change with the seed.
"""

from __future__ import annotations

from typing import NamedTuple

from medlock.fhir.clinic import drugs
from medlock.fhir.clinic.chance import Chance
from medlock.fhir.clinic.names import draw_family, draw_heritage, draw_name
from medlock.fhir.clinic.places import Home, draw_home, draw_mail, draw_phone
from medlock.fhir.clinic.terms import CLINIC, Json, Term, hl7, reference, sct

STAFF_SYSTEM = CLINIC + "staff"
NUCC = "http://nucc.org/provider-taxonomy"


class Post(NamedTuple):
    """A kind of post: SNOMED CT specialty, NUCC code, what stands before and after the name, house, holders."""

    role: str
    specialty: Term
    nucc: str
    prefix: str
    degree: str
    house: str
    holders: int


POSTS = (
    Post("gp", sct("419772000", "Family practice"), "207Q00000X", "Dr.", "MD", "clinic", 8),
    Post("paediatrics", sct("394537008", "Pediatric specialty"), "208000000X", "Dr.", "MD", "clinic", 3),
    Post("nurse", sct("408443003", "General medical practice"), "163W00000X", "", "RN", "clinic", 4),
    Post("obstetrics", sct("394585009", "Obstetrics and gynecology"), "207V00000X", "Dr.", "MD", "hospital", 2),
    Post("psychiatry", sct("394587001", "Psychiatry"), "2084P0800X", "Dr.", "MD", "clinic", 2),
    Post("psychology", sct("394913002", "Psychotherapy"), "103T00000X", "", "PhD", "clinic", 2),
    Post("addiction", sct("394587001", "Psychiatry"), "207QA0401X", "Dr.", "MD", "harbour", 2),
    Post("infection", sct("394807007", "Infectious diseases"), "207RI0200X", "Dr.", "MD", "hospital", 1),
    Post("emergency", sct("394576009", "Accident and emergency"), "207P00000X", "Dr.", "MD", "hospital", 3),
    Post("medicine", sct("419192003", "Internal medicine"), "207R00000X", "Dr.", "DO", "hospital", 3),
    Post("surgery", sct("394609007", "General surgery"), "208600000X", "Dr.", "MD", "hospital", 2),
)

# key: (name, HL7 organization-type code and display, the house it is part of)
_ORGANISATIONS = {
    "clinic": ("Medlock Family Clinic", "prov", "Healthcare Provider", ""),
    "hospital": ("Saint Œngus Community Hospital", "prov", "Healthcare Provider", ""),
    "laboratory": ("Saint Œngus Hospital Laboratory", "dept", "Hospital Department", "hospital"),
    "harbour": ("Harbour Recovery Program", "dept", "Hospital Department", "clinic"),
    "payer-1": ("Evergreen Mutual Health Plan", "ins", "Insurance Company", ""),
    "payer-2": ("Three Rivers Public Assistance", "pay", "Payer", ""),
    "payer-3": ("Lantern & Sons Benefit Fund", "ins", "Insurance Company", ""),
}
# key: (name, HL7 v3-RoleCode and display, house)
_LOCATIONS = {
    "rooms": ("Consulting rooms", "OF", "Outpatient facility", "clinic"),
    "children": ("Children's rooms", "PEDC", "Pediatrics clinic", "clinic"),
    "mind": ("Quiet rooms, second floor", "PSYCHF", "Psychiatric care facility", "clinic"),
    "harbour": ("Harbour house", "SURF", "Substance use rehabilitation facility", "harbour"),
    "emergency": ("Emergency department", "ER", "Emergency room", "hospital"),
    "ward": ("Ward 4", "HU", "Hospital unit", "hospital"),
    "maternity": ("Maternity unit", "OB", "Obstetrics clinic", "hospital"),
}
PAYERS = ("payer-1", "payer-2", "payer-3")


class Clinician(NamedTuple):
    """One person who treats patients, as other resources point at them."""

    id: str
    role: str
    shown: str
    house: str

    @property
    def ref(self) -> Json:
        """Reference to the Practitioner."""
        return reference(f"Practitioner/{self.id}", self.shown)


class Staff:
    """The clinic's own people and places: `resources` in loading order, and who to ask for a role."""

    def __init__(self, seed: int) -> None:
        chance = Chance(seed, "staff")
        home = draw_home(chance)
        self._by_role: dict[str, list[Clinician]] = {}
        self.resources = [*_organisations(chance, home), *_locations(home), *drugs.medications()]
        for post in POSTS:
            for _ in range(post.holders):
                self._employ(chance, post)

    def _employ(self, chance: Chance, post: Post) -> None:
        number = sum(map(len, self._by_role.values())) + 1
        practitioner = _practitioner(chance, post, number)
        shown = practitioner["name"][0]["text"]
        clinician = Clinician(practitioner["id"], post.role, shown, post.house)
        self._by_role.setdefault(post.role, []).append(clinician)
        self.resources += [practitioner, _practitioner_role(post, clinician, number)]

    def who(self, chance: Chance, role: str) -> Clinician:
        """Someone who holds this post."""
        return chance.pick(self._by_role[role])


def organisation(key: str) -> Json:
    """Reference to one of the clinic's organisations."""
    return reference(f"Organization/{key}", _ORGANISATIONS[key][0])


def location(key: str) -> Json:
    """Reference to one of the clinic's places."""
    return reference(f"Location/{key}", _LOCATIONS[key][0])


def house_of(place: str) -> str:
    """The organisation that runs a place."""
    return _LOCATIONS[place][3]


def _organisations(chance: Chance, home: Home) -> list[Json]:
    return [_organisation(chance, home, key) for key in _ORGANISATIONS]


def _organisation(chance: Chance, home: Home, key: str) -> Json:
    name, code, display, parent = _ORGANISATIONS[key]
    resource: Json = {
        "resourceType": "Organization",
        "id": key,
        "identifier": [{"system": CLINIC + "organization", "value": key}],
        "active": True,
        "type": [hl7("organization-type", code, display)],
        "name": name,
        "telecom": [{"system": "phone", "value": draw_phone(chance, home.town.area), "use": "work"}],
        "address": [_work_address(home)],
    }
    return resource | ({"partOf": organisation(parent)} if parent else {})


def _work_address(home: Home) -> Json:
    return {
        "line": [home.line],
        "city": home.town.name,
        "state": home.town.state,
        "postalCode": home.postal,
        "country": "US",
    }


def _locations(home: Home) -> list[Json]:
    return [
        {
            "resourceType": "Location",
            "id": key,
            "identifier": [{"system": CLINIC + "location", "value": key}],
            "status": "active",
            "name": name,
            "mode": "instance",
            "type": [hl7("v3-RoleCode", code, display)],
            "address": _work_address(home),
            "managingOrganization": organisation(house),
        }
        for key, (name, code, display, house) in _LOCATIONS.items()
    ]


def _practitioner(chance: Chance, post: Post, number: int) -> Json:
    heritage, sex = draw_heritage(chance), chance.pick(("female", "male"))
    name = draw_name(chance, heritage, sex, 30, draw_family(chance, heritage))
    # National provider identifiers begin with 1 or 2; these begin with 9 and so belong to nobody.
    npi = f"99999{number:05d}"
    words = (post.prefix, *name.given, name.family)
    human = {"use": "official", "text": f"{' '.join(filter(None, words))}, {post.degree}", "given": list(name.given)}
    human |= {"family": name.family} if name.family else {}
    human |= {"prefix": [post.prefix]} if post.prefix else {}
    return {
        "resourceType": "Practitioner",
        "id": f"staff-{number:04d}",
        "identifier": [
            {"use": "official", "system": STAFF_SYSTEM, "value": f"N{number:04d}"},
            {"system": "http://hl7.org/fhir/sid/us-npi", "value": npi},
        ],
        "active": True,
        "name": [human | {"suffix": [post.degree]}],
        "telecom": [{"system": "email", "value": draw_mail(chance, name.given[0], name.family, number), "use": "work"}],
        "gender": sex,
        "qualification": [{"code": {"text": post.degree}}],
    }


def _practitioner_role(post: Post, clinician: Clinician, number: int) -> Json:
    return {
        "resourceType": "PractitionerRole",
        "id": f"role-{number:04d}",
        "active": True,
        "practitioner": clinician.ref,
        "organization": organisation(post.house),
        "code": [{"coding": [{"system": NUCC, "code": post.nucc}], "text": post.specialty.display}],
        "specialty": [post.specialty.concept()],
    }
