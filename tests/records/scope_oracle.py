"""What a caller with scopes may see, told by a second, naive reading: plain loops over plain JSON, nothing of ours.

It keeps every version of every resource as it was written, and answers by looking at all of them. Scopes are taken
apart by hand, queries matched by hand, for the few parameters that the cases use.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
SHARED = {"Practitioner", "Organization"}


@dataclass
class Kept:
    """One version. `body` None: the deletion."""

    type: str
    id: str
    version: int
    body: Json | None

    @property
    def name(self) -> str:
        """`Type/id`."""
        return f"{self.type}/{self.id}"


def codings(value: Any) -> Iterator[tuple[str, str]]:
    """System and code of whatever is coded: concepts, codings, identifiers, plain codes."""
    if isinstance(value, list):
        for each in value:
            yield from codings(each)
    elif isinstance(value, bool):
        yield "", str(value).lower()
    elif isinstance(value, str):
        yield "", value
    elif isinstance(value, dict) and "coding" in value:
        yield from codings(value["coding"])
    elif isinstance(value, dict):
        yield value.get("system", ""), value.get("code", value.get("value", ""))


ELEMENTS = {
    "category": "category",
    "code": "code",
    "status": "status",
    "clinical-status": "clinicalStatus",
    "active": "active",
    "gender": "gender",
    "identifier": "identifier",
    "type": "type",
}
REFERENCES = {
    "subject": "subject",
    "patient": "subject",
    "performer": "performer",
    "encounter": "encounter",
    "result": "result",
    "has-member": "hasMember",
}
DATES = {"Observation": "effectiveDateTime", "DiagnosticReport": "effectiveDateTime", "DocumentReference": "date"}


def references(body: Json, param: str) -> list[str]:
    """What a reference parameter names."""
    found = body.get(REFERENCES[param], [])
    return [each["reference"] for each in (found if isinstance(found, list) else [found])]


def meets(body: Json, query: str) -> bool:
    """Whether a resource meets every parameter of a query."""
    return all(_one(body, *pair.split("=", 1)) for pair in query.split("&") if pair)


def _one(body: Json, param: str, text: str) -> bool:
    return any(_value(body, param, value) for value in text.split(","))


def _value(body: Json, param: str, value: str) -> bool:
    if param == "_id":
        return body["id"] == value
    if param == "_tag":
        return _coded(body.get("meta", {}).get("tag", []), value)
    if param == "date":
        day = body.get(DATES[body["resourceType"]], "")[:10]
        prefix, wanted = (value[:2], value[2:]) if value[:2] in {"ge", "lt"} else ("eq", value)
        return bool(day) and {"ge": day >= wanted, "lt": day < wanted, "eq": day.startswith(wanted)}[prefix]
    if param in REFERENCES:
        return any(each in {value, f"Patient/{value}"} for each in references(body, param))
    return _coded(body.get(ELEMENTS[param], []), value)


def _coded(value: Any, text: str) -> bool:
    system, bar, code = text.rpartition("|")
    return any((not bar or system == one) and (not code or code == other) for one, other in codings(value))


@dataclass
class Caller:
    """Scopes as text, the patient that the caller is held to ("" for none), and the letters of their role per type."""

    scopes: list[str]
    held: str = ""
    role: str = "cruds"

    def scopes_on(self, type_: str) -> Iterator[tuple[str, str]]:
        """Letters and query of each scope on a type that counts for this caller."""
        for scope in self.scopes:
            name, _, query = scope.partition("?")
            kind, _, rest = name.partition("/")
            of, _, letters = rest.partition(".")
            if of in {type_, "*"} and (kind == "user" or (kind == "patient" and self.held)):
                yield "".join(letter for letter in letters if letter in self.role), query

    def may(self, type_: str, letters: str) -> bool:
        """Whether all of the letters stand in some scope on a type."""
        held = "".join(each for each, _ in self.scopes_on(type_))
        return all(letter in held for letter in letters)

    def right(self, body: Json, letters: str) -> bool:
        """Whether each letter stands in a scope that speaks of this very resource."""
        known = [each for each, query in self.scopes_on(body["resourceType"]) if meets(body, query)]
        return all(any(letter in each for each in known) for letter in letters)


@dataclass
class Oracle:
    """Every version there ever was."""

    versions: dict[str, list[Kept]] = field(default_factory=dict)

    def put(self, body: Json) -> None:
        """A new version."""
        name = f"{body['resourceType']}/{body['id']}"
        known = self.versions.setdefault(name, [])
        known.append(Kept(body["resourceType"], body["id"], len(known) + 1, body))

    def delete(self, name: str) -> None:
        """A deletion."""
        known = self.versions[name]
        known.append(Kept(*name.split("/"), len(known) + 1, None))  # type: ignore[arg-type]

    def living(self, type_: str = "") -> Iterator[Json]:
        """The current version of everything that is there."""
        for known in self.versions.values():
            if known[-1].body is not None and type_ in {"", known[-1].type}:
                yield known[-1].body

    def sees(self, caller: Caller, body: Json, letters: str) -> bool:
        """Whether a caller has these rights on a resource: reach, then scopes."""
        return self.reaches(caller, body) and caller.right(body, letters)

    @staticmethod
    def reaches(caller: Caller, body: Json) -> bool:
        """Whether a resource is in the record that a caller is held to, or shared."""
        if not caller.held or body["resourceType"] in SHARED:
            return True
        return f"Patient/{caller.held}" in patients(body)

    def told(self, caller: Caller, name: str, version: int, letters: str) -> str:
        """What a caller is told of a version: "there", "gone", or "no"."""
        known = self.versions.get(name, [])
        if not known or not self._shown(caller, known, len(known), letters):
            return "no"
        if not 1 <= version <= len(known) or not self._shown(caller, known, version, letters):
            return "no"
        return "gone" if known[version - 1].body is None else "there"

    def _shown(self, caller: Caller, known: list[Kept], version: int, letters: str) -> bool:
        """A version by what it says; a deletion by the last version before it that says anything."""
        said = [each.body for each in known[:version] if each.body is not None]
        return bool(said) and self.sees(caller, said[-1], letters)

    def history(self, caller: Caller, names: Iterable[str], letters: str) -> set[tuple[str, int]]:
        """All versions that a history tells of."""
        return {
            (name, each.version)
            for name in names
            for each in self.versions[name]
            if self.told(caller, name, each.version, letters) != "no"
        }

    def found(self, caller: Caller, type_: str, query: str, letters: str) -> set[str]:
        """What a search finds."""
        return {
            f"{type_}/{body['id']}"
            for body in self.living(type_)
            if self.sees(caller, body, letters) and meets(body, query)
        }


def patients(body: Json) -> set[str]:
    """The patients in whose record a resource is."""
    if body["resourceType"] == "Patient":
        return {f"Patient/{body['id']}"}
    if body["resourceType"] == "Appointment":
        return {each["actor"]["reference"] for each in body["participant"]}
    if body["resourceType"] == "Consent":
        return {body["patient"]["reference"]}
    return {each for each in references(body, "subject") if each.startswith("Patient/")}
