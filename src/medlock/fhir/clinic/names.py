"""How a person is called: a name drawn from the stock of a heritage, and how FHIR writes it."""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

from medlock.fhir.clinic.chance import Chance
from medlock.fhir.clinic.heritages import HERITAGES, Heritage
from medlock.fhir.clinic.terms import Json

_SUFFIXES = ("Jr.", "Sr.", "II", "III", "Esq.")


class Name(NamedTuple):
    """One person's name; `family` is "" for people with one name only, `maiden` for those who kept theirs."""

    family: str
    given: tuple[str, ...]
    prefix: str
    suffix: str = ""
    maiden: str = ""
    native: str = ""

    @property
    def shown(self) -> str:
        """How the name is written on a letter."""
        words = (self.prefix, *self.given, self.family, self.suffix)
        return " ".join(word for word in words if word)

    def human_names(self) -> list[Json]:
        """The name as FHIR HumanNames: official first, then native script, then maiden."""
        official: Json = {"use": "official", "text": self.shown}
        official |= {"family": self.family} if self.family else {}
        official |= {"given": list(self.given)}
        official |= {"prefix": [self.prefix]} if self.prefix else {}
        official |= {"suffix": [self.suffix]} if self.suffix else {}
        native = [{"use": "usual", "text": self.native}] if self.native else []
        maiden = [{"use": "maiden", "family": self.maiden, "given": list(self.given)}] if self.maiden else []
        return [official, *native, *maiden]


def draw_heritage(chance: Chance) -> Heritage:
    """A heritage in proportion to its share."""
    return chance.weighted([(heritage, heritage.share) for heritage in HERITAGES])


def draw_family(chance: Chance, heritage: Heritage) -> str:
    """A family name, or "" where people have one name only."""
    family = chance.pick(heritage.families)
    return "" if family == "-" else family


def draw_name(
    chance: Chance, heritage: Heritage, sex: str, age: int, family: str, *, taken: Container[str] = ()
) -> Name:
    """A full name; grown women sometimes carry a maiden name, men a suffix, and some sign in their own script.

    Given names in `taken` (those of the household) are avoided while others are left.
    """
    every = heritage.women if sex == "female" else heritage.men
    stock = [given for given in every if given not in taken] or every
    given = tuple(chance.some(stock, 2 if family and chance.happens(0.4) else 1))
    prefix = "" if age < 18 else ("Ms." if sex == "female" else "Mr.")
    adult = age >= 25 and bool(family)
    suffix = chance.pick(_SUFFIXES) if adult and sex == "male" and chance.happens(0.06) else ""
    maiden = draw_family(chance, heritage) if adult and sex == "female" and chance.happens(0.25) else ""
    native = _native(heritage, given[0], family)
    return Name(family, given, prefix, suffix, "" if maiden == family else maiden, native)


def _native(heritage: Heritage, given: str, family: str) -> str:
    written = [heritage.native.get(part, "") for part in (family, given)]
    if not all(written):
        return ""
    return "".join(written) if heritage.language == "zh" else " ".join(reversed(written))
