"""What a record itself says about who somebody is: the identifiers that no text of it may keep.

Names, addresses, telecoms and numbers of everybody in the record: the patient, family, clinicians, organisations. Each
comes with what stands in its place: a tag, or under a pseudonymising preset the same stand-in that the resources get,
so that a note and the chart still speak of the same invented person.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from medlock.deid.fhir.people import Stand
from medlock.deid.fhir.profile import People, Profile
from medlock.deid.fhir.pseudonyms import Pseudonyms
from medlock.deid.fhir.text import Known, KnownKind

Json = dict[str, Any]
_TAGS: Final = {
    KnownKind.NAME: "[NAME]",
    KnownKind.PERSON: "[NAME]",
    KnownKind.PLACE: "[PLACE]",
    KnownKind.PHONE: "[PHONE]",
    KnownKind.MAIL: "[EMAIL]",
    KnownKind.NUMBER: "[ID]",
    KnownKind.ADDRESS: "[ADDRESS]",
}
_SITES: Final = frozenset({"Organization", "Location", "HealthcareService", "CareTeam", "InsurancePlan"})
_OWN: Final = frozenset({"Patient", "RelatedPerson", "Person"})
_TITLED: Final = frozenset({"dr", "mr", "mrs", "ms", "miss", "prof", "md", "jr", "sr"})
_PLACED: Final = ("city", "district", "postalCode")
_NUMBERED: Final = frozenset(
    {"serialNumber", "lotNumber", "deviceIdentifier", "carrierHRF", "distinctIdentifier", "subscriberId"}
)

_TELLING: Final = frozenset(
    {
        "family",
        "given",
        "line",
        "postalCode",
        "city",
        "value",
        "name",
        "valueString",
        "display",
        "id",
        "latitude",
        "longitude",
        "valueDecimal",
        *_NUMBERED,
    }
)


@dataclass(frozen=True)
class Collector:
    """Collects from the resources of a record."""

    profile: Profile
    pseudonyms: Pseudonyms

    def collect(self, record: tuple[Json, ...]) -> tuple[Known, ...]:
        """Every identifier once, longest first."""
        found: dict[tuple[KnownKind, str], Known] = {}
        for resource in record:
            own = resource.get("resourceType") in _OWN
            for known in self._within(resource, resource):
                if own:
                    found[known.kind, known.value] = replace(known, own=True)
                else:
                    found.setdefault((known.kind, known.value), known)
        return tuple(sorted(found.values(), key=lambda known: -len(known.value)))

    def _within(self, tree: Any, resource: Json) -> Iterator[Known]:
        pending = [tree]
        while pending:
            node = pending.pop()
            if type(node) is list:
                pending += node
            elif type(node) is dict:
                if not _TELLING.isdisjoint(node):
                    yield from self._here(node, resource)
                pending += [each for each in node.values() if type(each) is dict or type(each) is list]

    def _here(self, tree: Json, resource: Json) -> Iterator[Known]:
        if {"family", "given"} & tree.keys():
            yield from self._name(tree, resource)
        if {"line", "postalCode", "city"} & tree.keys():
            yield from self._address(tree)
        if "system" in tree and type(tree.get("value")) is str:
            yield from self._valued(tree)
        if tree.get("resourceType") in _SITES and type(tree.get("name")) is str:
            yield self._known(KnownKind.PLACE, tree["name"], "")
        if str(tree.get("url", "")).endswith("mothersMaidenName") and type(tree.get("valueString")) is str:
            yield from (self._known(KnownKind.NAME, word, "family") for word in tree["valueString"].split())
        if "reference" in tree and type(tree.get("display")) is str:
            yield from self._displayed(tree)
        yield from self._numbers(tree)

    def _name(self, name: Json, resource: Json) -> Iterator[Known]:
        gender, family = str(resource.get("gender", "")), name.get("family")
        given = [word for text in _texts(name.get("given")) for word in _words(text)]
        first = [self._known(KnownKind.NAME, word, f"given/{gender}") for word in given]
        words = _words(family) if type(family) is str else []
        yield from self._person([*first, *(self._known(KnownKind.NAME, word, "family") for word in words)])

    @staticmethod
    def _person(words: list[Known]) -> Iterator[Known]:
        """The words of a name, and the whole that they make."""
        yield from words
        spoken = [word for word in words if word.value.casefold() not in _TITLED]
        if len(spoken) > 1:
            tagged = spoken[0].stand_in == _TAGS[KnownKind.NAME]
            whole = _TAGS[KnownKind.PERSON] if tagged else " ".join(word.stand_in for word in spoken)
            yield Known(KnownKind.PERSON, " ".join(word.value for word in spoken), whole)

    def _address(self, address: Json) -> Iterator[Known]:
        for line in _texts(address.get("line")):
            yield self._known(KnownKind.ADDRESS, line, "street")
        for key in _PLACED:
            if type(address.get(key)) is str:
                yield self._known(KnownKind.PLACE, address[key], "town" if key == "city" else "")

    def _valued(self, tree: Json) -> Iterator[Known]:
        """Contact points and identifiers: both are a system with a value."""
        system, value = tree["system"], tree["value"]
        if "@" in value:
            yield self._known(KnownKind.MAIL, value, "contact")
        elif system in {"phone", "fax", "pager", "sms", "email", "url", "other"}:
            yield self._known(KnownKind.PHONE if system != "url" else KnownKind.MAIL, value, "contact")
        elif len(value) >= 4:
            yield self._known(KnownKind.NUMBER, value, "number")

    def _displayed(self, reference: Json) -> Iterator[Known]:
        text = str(reference["reference"])
        if text.startswith(("Organization", "Location", "HealthcareService")):
            yield self._known(KnownKind.PLACE, reference["display"], "")
        elif text.startswith(("Patient", "Practitioner", "RelatedPerson", "Person")):
            yield from self._person(
                [self._known(KnownKind.NAME, word, "family") for word in _words(reference["display"])]
            )

    def _numbers(self, tree: Json) -> Iterator[Known]:
        keys = _NUMBERED & tree.keys()
        for key in {*keys, "id"} if "resourceType" in tree else keys:
            value = tree.get(key)
            if type(value) is str and len(value) >= 6:
                yield self._known(KnownKind.NUMBER, value, "number")
        for each in _coordinates(tree):
            if len(each) >= 6:
                yield self._known(KnownKind.NUMBER, each, "number")

    def _known(self, kind: KnownKind, value: str, like: str) -> Known:
        if self.profile.people is People.DROP or not like:
            return Known(kind, value, _TAGS[kind])
        what, _, gender = like.partition("/")
        stand = Stand(self.pseudonyms)
        made: dict[str, Callable[[str], str]] = {
            "family": stand.family,
            "given": lambda text: stand.given(text, gender),
            "street": stand.street,
            "town": stand.town,
            "contact": stand.contact,
            "number": stand.number,
        }
        return Known(kind, value, made[what](value))


def _words(text: str) -> list[str]:
    """The words of a name, the whole first when it has several."""
    parts = [part.strip(".,") for part in text.replace("-", " ").split()]
    return [part for part in parts if len(part) > 1]


def _coordinates(tree: Json) -> list[str]:
    """Latitude and longitude, of a Location or in the extension for an Address."""
    found = [tree.get("latitude"), tree.get("longitude")]
    if tree.get("url") in {"latitude", "longitude"}:
        found.append(tree.get("valueDecimal"))
    return [str(each) for each in found if type(each) is float or type(each) is int]


def _texts(value: Any) -> list[str]:
    return [each for each in value if type(each) is str] if type(value) is list else []
