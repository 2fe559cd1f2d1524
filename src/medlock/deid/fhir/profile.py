"""What a preset decides, in words of the law rather than of FHIR: dates, places, people, numbers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from medlock.deid.fhir.rules import Rule


class Dates(StrEnum):
    """What becomes of dates."""

    YEAR = "year"  # the year alone; none that tells an age over 89
    SHIFT = "shift"  # moved by days drawn per patient: every interval stays exact
    KEEP = "keep"


class Places(StrEnum):
    """What becomes of addresses."""

    STATE = "state"  # state, country, three digits of the ZIP code
    TOWN = "town"  # also town, district and the whole postal code
    SURROGATE = "surrogate"  # an invented address; state and country stay


class People(StrEnum):
    """What becomes of names, contacts and identifiers."""

    DROP = "drop"
    SURROGATE = "surrogate"  # invented, of the same form, always the same for the same


@dataclass(frozen=True)
class Profile:
    """A preset. `rules` come before the guards by datatype and can allow or forbid more."""

    name: str
    basis: str
    dates: Dates
    places: Places
    people: People
    cap_ages: bool = True
    weeks: bool = False
    rules: tuple[Rule, ...] = ()
    systems: frozenset[str] = frozenset()
    extensions: frozenset[str] = frozenset()
