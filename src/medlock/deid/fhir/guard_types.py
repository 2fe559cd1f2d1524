"""Default-deny by datatype: the complex types that are read whole, because one part decides about another.

A coding stands or falls with its system, a quantity with its unit, an extension with its address. A reference keeps
its type and gets another id. Names, contacts, addresses and identifiers are dropped or replaced, as the preset says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from medlock.deid.fhir.attachments import cleaned_attachment, cleaned_narrative
from medlock.deid.fhir.codesystems import is_allowed, is_known_system
from medlock.deid.fhir.labels import Mark
from medlock.deid.fhir.partial_dates import AGE_MAX
from medlock.deid.fhir.people import Stand
from medlock.deid.fhir.profile import People, Places, Profile
from medlock.deid.fhir.pseudonyms import Pseudonyms
from medlock.deid.fhir.run import Json, NodeChange, Parts, Place, Run, redacted
from medlock.deid.fhir.ucum import is_unit
from medlock.deid.fhir.vocabulary import AMERICA, COUNTRIES, CURRENCIES, STATES
from medlock.fhir.structures import resource_types

# 45 CFR 164.514(b)(2)(i)(B): the ZIP3 areas of 20,000 people or fewer, census 2000, as HHS lists them.
RESTRICTED: Final = frozenset(
    ["036", "059", "063", "102", "203", "556", "692", "790", "821", "823", "830", "831", "878", "879", "884", "890"]
) | {"893"}
EXTENSIONS: Final = frozenset(
    f"http://hl7.org/fhir/{tail}"
    for tail in (
        "us/core/StructureDefinition/us-core-race",
        "us/core/StructureDefinition/us-core-ethnicity",
        "us/core/StructureDefinition/us-core-birthsex",
        "StructureDefinition/data-absent-reason",
    )
)
_INNER: Final = frozenset({"ombCategory", "detailed", "text"})
_QUANTITIES: Final = ("Quantity", "SimpleQuantity", "Age", "Duration", "Count", "Distance")
_COMPARATORS: Final = frozenset({"<", "<=", ">=", ">"})
_YEARS: Final = {"a": 1.0, "year": 1.0, "years": 1.0, "yr": 1.0, "yrs": 1.0, "mo": 12.0, "month": 12.0, "months": 12.0,
                 "wk": 52.18, "weeks": 52.18, "d": 365.25, "days": 365.25}  # fmt: skip
_USES: Final = {
    "ContactPoint": frozenset({"home", "work", "temp", "old", "mobile"}),
    "Address": frozenset({"home", "work", "temp", "old", "billing"}),
}
_KINDS: Final = frozenset({"phone", "fax", "email", "pager", "url", "sms", "other"})


@dataclass(frozen=True)
class Types:
    """The changes of one preset."""

    profile: Profile
    pseudonyms: Pseudonyms

    def change(self, place: Place) -> NodeChange | None:
        """What happens to an object of this type as a whole; None when its parts are treated one by one."""
        if place.kind in _QUANTITIES:
            return self._age if place.kind == "Age" or place.name == "age" else self._quantity
        made: dict[str, NodeChange] = {
            "Coding": self._coding,
            "Reference": self._reference,
            "Extension": self._extension,
            "Money": _money,
            "Narrative": cleaned_narrative,
            "Attachment": cleaned_attachment,
            "Signature": _dropped,
            "Identifier": self._identifier,
            "HumanName": self._name,
            "ContactPoint": self._contact,
            "Address": self._address,
        }
        return made.get(place.kind)

    def _coding(self, value: Json, run: Run, _parts: Parts) -> Json | None:
        system, code = value.get("system"), value.get("code")
        if type(system) is not str or type(code) is not str or not self._passes(system, code):
            redacted(run)
            return None
        out: Json = {"system": system, "code": code}
        display = value.get("display")
        if display is not None:
            shown = run.subject.clean.term(display) if run.subject.clean and type(display) is str else None
            out |= {"display": shown} if shown else {}
            run.marks |= 0 if shown == display else Mark.REDACTED
        if type(value.get("userSelected")) is bool:
            out["userSelected"] = value["userSelected"]
        return out

    def _passes(self, system: str, code: str) -> bool:
        return is_allowed(system, code) or (system in self.profile.systems and len(code) <= 64)

    def _reference(self, value: Json, run: Run, _parts: Parts) -> Json | None:
        out: Json = {}
        text, kind = value.get("reference"), value.get("type")
        if type(text) is str and text:
            run.marks |= Mark.PSEUDONYMISED
            out["reference"] = self.pseudonyms.reference(text)
        if type(kind) is str and kind in resource_types():
            out["type"] = kind
        if len(value) > len(out):
            redacted(run)
        return out

    def _extension(self, value: Json, run: Run, parts: Parts) -> Json | None:
        url = value.get("url")
        if type(url) is not str or not (url in EXTENSIONS or url in _INNER or url in self.profile.extensions):
            redacted(run)
            return None
        out = parts(value, run)
        return out if out and len(out) > 1 else None

    def _quantity(self, value: Json, run: Run, _parts: Parts) -> Json | None:
        out: Json = {}
        for key in ("value", "comparator", "unit", "system", "code"):
            item = value.get(key)
            if item is not None and _is_fit(key, item):
                out[key] = item
            elif item is not None:
                redacted(run)
        unit = out.get("code") or out.get("unit")
        return self._capped(out, run) if unit in _YEARS else out

    def _age(self, value: Json, run: Run, parts: Parts) -> Json | None:
        out = self._quantity(value, run, parts) or {}
        unit = out.get("code") or out.get("unit")
        return out if unit in _YEARS else self._capped(out, run)

    def _capped(self, out: Json, run: Run) -> Json:
        """Ages over 89 become "90 or more" (45 CFR 164.514(b)(2)(i)(C)); one in a unit not known counts in years."""
        number = out.get("value")
        years = _YEARS.get(out.get("code") or out.get("unit") or "a", 1.0)
        if not self.profile.cap_ages or number is None or number / years < AGE_MAX + 1:
            return out
        run.marks |= Mark.ABSTRACTED
        return {"value": 90, "comparator": ">=", "unit": "a", "system": "http://unitsofmeasure.org", "code": "a"}

    def _identifier(self, value: Json, run: Run, parts: Parts) -> Json | None:
        if self.profile.people is People.DROP:
            redacted(run)
            return None
        out = parts({key: value[key] for key in ("use", "type", "period") if key in value}, run) or {}
        system, text = value.get("system"), value.get("value")
        if type(system) is str:
            out["system"] = system if is_known_system(system) else f"urn:uuid:{self.pseudonyms.id(system)}"
        if type(text) is str and text:
            run.marks |= Mark.PSEUDONYMISED
            out["value"] = Stand(self.pseudonyms).number(text)
        return out

    def _name(self, value: Json, run: Run, parts: Parts) -> Json | None:
        if self.profile.people is People.DROP:
            redacted(run)
            return None
        run.marks |= Mark.PSEUDONYMISED
        kept = parts({key: value[key] for key in ("use", "period") if key in value}, run) or {}
        return kept | Stand(self.pseudonyms).name(value, _gender_of(value, run.resource))

    def _contact(self, value: Json, run: Run, parts: Parts) -> Json | None:
        if self.profile.people is People.DROP:
            redacted(run)
            return None
        kept: Json = {key: value[key] for key in ("system", "use", "rank", "period") if key in value}
        out = parts(kept, run) or {}
        text = value.get("value")
        if type(text) is str and text:
            run.marks |= Mark.PSEUDONYMISED
            out["value"] = Stand(self.pseudonyms).contact(text)
        return out

    def _address(self, value: Json, run: Run, parts: Parts) -> Json | None:
        out = parts({key: value[key] for key in ("use", "type", "period") if key in value}, run) or {}
        out |= {key: value[key] for key, known in _CLOSED if _is_on(known, value.get(key))}
        redacted(run)
        if self.profile.places is Places.TOWN:
            return out | {key: value[key] for key in _TOWN if type(value.get(key)) is str}
        area = zip_area(value.get("postalCode"), value.get("country"))
        if area:
            out["postalCode"] = area
            run.marks |= Mark.ABSTRACTED
        if self.profile.places is Places.SURROGATE:
            run.marks |= Mark.PSEUDONYMISED
            out |= Stand(self.pseudonyms).address(value)
        return out


_CLOSED: Final = (("state", STATES), ("country", COUNTRIES))
_TOWN: Final = ("city", "district", "state", "postalCode", "country")


def _is_on(known: frozenset[str], text: Any) -> bool:
    return type(text) is str and text in known


def zip_area(code: Any, country: Any) -> str:
    """The first three digits of a ZIP code, 000 for areas of 20,000 people or fewer; "" for codes of other countries.

    45 CFR 164.514(b)(2)(i)(B).
    """
    if type(code) is not str or country not in {None, *AMERICA}:
        return ""
    digits = code.replace("-", "").strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) in {3, 5, 9}):
        return ""
    return "000" if digits[:3] in RESTRICTED else digits[:3]


def _is_fit(key: str, item: Any) -> bool:
    if key == "value":
        return type(item) in {int, float}
    if type(item) is not str:
        return False
    if key == "comparator":
        return item in _COMPARATORS
    return is_known_system(item) if key == "system" else is_unit(item)


def _money(value: Json, run: Run, _parts: Parts) -> Json | None:
    out: Json = {"value": value["value"]} if type(value.get("value")) in {int, float} else {}
    if _is_on(CURRENCIES, value.get("currency")):
        out["currency"] = value["currency"]
    if len(out) < len(value):
        redacted(run)
    return out


def _dropped(_value: Json, run: Run, _parts: Parts) -> Json | None:
    redacted(run)
    return None


def _gender_of(name: Json, resource: Json) -> str:
    """The gender of whom a name belongs to: a contact of a patient has its own."""
    contacts = resource.get("contact")
    for contact in contacts if type(contacts) is list else []:
        if type(contact) is dict and contact.get("name") is name:
            return str(contact.get("gender", ""))
    return str(resource.get("gender", ""))
