"""Invented addresses, and telephone numbers and mail names that nobody can own.

Telephones come from ranges set aside for fiction: 555-0100 to 555-0199 in the North American plan, and the Ofcom
drama ranges for a few people with a British mobile. Mail goes to the reserved top-level name `example` (RFC 2606).
"""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

from medlock.fhir.clinic.chance import Chance
from medlock.fhir.clinic.terms import Json

# Letters that no decomposition takes apart.
_ASCII = str.maketrans({"Đ": "D", "đ": "d", "Ł": "L", "ł": "l", "Ø": "O", "ø": "o", "ß": "ss"})


class Town(NamedTuple):
    """A town that is on no map; `zip3` is the first three digits of its postal codes."""

    name: str
    state: str
    zip3: str
    area: str


TOWNS = (
    Town("Alder Crossing", "VT", "057", "802"),
    Town("Brackwater", "ME", "046", "207"),
    Town("Cinder Mills", "PA", "178", "570"),
    Town("Dunlow Springs", "WV", "258", "304"),
    Town("East Farrowdale", "NY", "128", "518"),
    Town("Fort Hesper", "VT", "058", "802"),
    Town("Gull Harbor", "MA", "025", "508"),
    Town("Harrow's End", "NH", "034", "603"),
    Town("Isle au Brume", "ME", "045", "207"),
    Town("Saint-Évariste", "VT", "059", "802"),
    Town("Ørsted Prairie", "MN", "562", "320"),
)
_STREETS = (
    "Applewhite Lane",
    "Béchard Road",
    "Cooper's Yard",
    "Dovecote Street",
    "Embankment Terrace",
    "Foxglove Close",
    "Granite Quarry Road",
    "Hopkiln Avenue",
    "Ironmonger Row",
    "Juniper Hollow",
    "Millrace Walk",
    "Old Tannery Way",
    "Paper Mill Boulevard",
    "Quince Orchard Drive",
    "Rue des Érables",
    "Saltmarsh Causeway",
    "Thimble Court",
    "Upper Weir Road",
)
_MAIL = ("mail.example", "post.example", "family.example", "inbox.example", "brevkasse.example")


class Home(NamedTuple):
    """Where a household lives, and its landline."""

    town: Town
    line: str
    unit: str
    postal: str
    phone: str

    def address(self, *, moved_in: str) -> Json:
        """The FHIR Address of the household."""
        lines = [self.line, *([self.unit] if self.unit else [])]
        return {
            "use": "home",
            "type": "both",
            "text": f"{', '.join(lines)}, {self.town.name}, {self.town.state} {self.postal}",
            "line": lines,
            "city": self.town.name,
            "state": self.town.state,
            "postalCode": self.postal,
            "country": "US",
            "period": {"start": moved_in},
        }


def draw_home(chance: Chance) -> Home:
    """A household's address."""
    town = chance.pick(TOWNS)
    line = f"{chance.between(1, 2400)} {chance.pick(_STREETS)}"
    unit = f"Apt {chance.between(1, 40)}{chance.pick('ABCD')}" if chance.happens(0.3) else ""
    return Home(town, line, unit, town.zip3 + chance.digits(2), draw_phone(chance, town.area))


def draw_phone(chance: Chance, area: str) -> str:
    """A number of the fiction range of an area."""
    return f"+1-{area}-555-01{chance.digits(2)}"


def draw_mobile(chance: Chance, area: str) -> str:
    """A mobile number: mostly local, sometimes of Ofcom's drama range."""
    if chance.happens(0.03):
        return f"+44 7700 900{chance.digits(3)}"
    return draw_phone(chance, area)


def draw_mail(chance: Chance, given: str, family: str, number: int) -> str:
    """A mail address made from a name, in ASCII, unique by the person's number."""
    plain = unicodedata.normalize("NFKD", f"{given}.{family}" if family else given).translate(_ASCII)
    kept = "".join(letter for letter in plain.lower() if letter.isascii() and (letter.isalnum() or letter == "."))
    return f"{kept.strip('.') or 'patient'}{number}@{chance.pick(_MAIL)}"
