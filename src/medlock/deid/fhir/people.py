"""Invented people and addresses that stand in for real ones: the same for the same, in form and in gender.

A name becomes a name of the same gender, an initial an initial, capitals stay capitals; a telephone number becomes a
number written the same way; a number of an identifier one of the same form. All come from the project's key. Names
are drawn from the stock of the demo clinic, which is of nobody in particular, and may repeat; numbers never do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from medlock.deid.fhir.pseudonyms import Pseudonyms
from medlock.fhir.clinic.heritages import HERITAGES
from medlock.fhir.clinic.places import TOWNS

_MEN: Final = tuple(sorted({name for heritage in HERITAGES for name in heritage.men}))
_WOMEN: Final = tuple(sorted({name for heritage in HERITAGES for name in heritage.women}))
_GIVEN: Final = {"male": _MEN, "female": _WOMEN}
_FAMILIES: Final = tuple(sorted({name for heritage in HERITAGES for name in heritage.families} - {"-"}))
_TOWNS: Final = tuple(town.name for town in TOWNS)
_STREETS: Final = ("Amber Lane", "Brook Street", "Cedar Way", "Dune Road", "Elm Court", "Fern Street", "Grove Avenue",
                   "Hill Road", "Iris Lane", "Juniper Street", "Kiln Road", "Linden Avenue")  # fmt: skip
_UUID: Final = re.compile(r"(?:urn:uuid:)?[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PREFIXES: Final = frozenset(
    {"Mr.", "Mrs.", "Ms.", "Miss", "Mx.", "Dr.", "Prof.", "Mr", "Mrs", "Ms", "Dr", "Prof", "Frau", "Herr"}
)
_SUFFIXES: Final = frozenset({"Jr.", "Sr.", "II", "III", "IV", "MD", "PhD", "RN", "DO", "JD", "Jr", "Sr"})


@dataclass(frozen=True)
class Stand:
    """The stand-ins of one project."""

    pseudonyms: Pseudonyms

    def number(self, text: str) -> str:
        """An identifier of the same form; a UUID, or one beyond ASCII, becomes an id."""
        if _UUID.fullmatch(text) or not text.isascii():
            return self.pseudonyms.id(text)
        return self.pseudonyms.like("number", text)

    def family(self, text: str) -> str:
        """A family name."""
        return self._word("family", text, _FAMILIES)

    def given(self, text: str, gender: str) -> str:
        """A given name of the same gender; of any where none is known."""
        return self._word("given", text, _GIVEN.get(gender, (*_MEN, *_WOMEN)))

    def _word(self, kind: str, text: str, stock: tuple[str, ...]) -> str:
        found = self._other(kind, text, stock)
        bare = text.rstrip(".")
        if len(bare) == 1 and bare.isalpha():
            return found[0] + text[1:]
        return found.upper() if text.isupper() else found.lower() if text.islower() else found

    def _other(self, kind: str, text: str, stock: tuple[str, ...]) -> str:
        """The choice for a text, and never the text itself: nobody stands in for himself."""
        choose = self.pseudonyms.chooser(kind)
        found = stock[choose(text, len(stock))]
        turn = 1
        while found.casefold() == text.casefold():
            found = stock[choose(f"{text}\x1f{turn}", len(stock))]
            turn += 1
        return found

    def name(self, value: dict[str, Any], gender: str) -> dict[str, Any]:
        """The parts of a HumanName."""
        out: dict[str, Any] = {}
        if type(value.get("family")) is str:
            out["family"] = self.family(value["family"])
        given = [self.given(each, gender) for each in _texts(value.get("given"))]
        if given:
            out["given"] = given
        for key, known in (("prefix", _PREFIXES), ("suffix", _SUFFIXES)):
            kept = [each for each in _texts(value.get(key)) if each in known]
            out |= {key: kept} if kept else {}
        if "text" in value:
            out["text"] = " ".join([*out.get("prefix", []), *given, out.get("family", "")]).strip()
        return {key: part for key, part in out.items() if part}

    def contact(self, text: str) -> str:
        """A number written the same way; an address for mail under `example`, which nobody owns (RFC 2606)."""
        if "@" in text:
            return f"{self.pseudonyms.id(text.casefold())[:8]}@mail.example"
        if "://" in text or not text.isascii():
            return f"https://{self.pseudonyms.id(text)[:8]}.example"
        return self.pseudonyms.like("phone", text)

    def address(self, value: dict[str, Any]) -> dict[str, Any]:
        """Street and town of an Address."""
        out: dict[str, Any] = {}
        lines = [self.street(line) for line in _texts(value.get("line"))]
        if lines:
            out["line"] = lines
        if type(value.get("city")) is str:
            out["city"] = self.town(value["city"])
        return out

    def street(self, text: str) -> str:
        """A house number of as many digits, and a street."""
        number = "".join(letter for letter in text.split(" ", maxsplit=1)[0] if letter.isascii() and letter.isdigit())
        street = self._other("street", text, _STREETS)
        return f"{self.pseudonyms.like('house', number)} {street}".strip()

    def town(self, text: str) -> str:
        """A town that is on no map."""
        return self._other("town", text, _TOWNS)


def _texts(value: Any) -> list[str]:
    return [each for each in value if type(each) is str] if type(value) is list else []
