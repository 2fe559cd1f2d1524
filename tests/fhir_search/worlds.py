"""Random resources and random queries about them, drawn from small pools so that queries often hit.

A resource is grown along the expressions of its search parameters, by the StructureDefinitions: every element that
search can see appears sometimes, of every type its choice allows, with the oddities that R4 permits (extensions
instead of values, contained and absolute references, open periods, escapes in codes).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from hypothesis import strategies as st

from fhir_search.definitions import definitions, type_of

BASE_URL = "https://clinic.example/fhir"
TYPES = (
    *("Patient", "Observation", "Condition", "Encounter", "MedicationRequest", "DiagnosticReport", "Immunization"),
    *("Procedure", "Coverage", "Group", "Appointment", "RiskAssessment", "Questionnaire", "AuditEvent", "Provenance"),
    *("Bundle", "Invoice", "ChargeItem", "CarePlan", "Goal", "AllergyIntolerance", "Medication", "InsurancePlan"),
    *("ConceptMap", "PlanDefinition", "MessageHeader", "ServiceRequest", "Consent", "Composition", "Person"),
    *("MolecularSequence", "Practitioner", "Organization", "Location", "RelatedPerson", "ActivityDefinition"),
)
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
SYSTEMS = ("http://one.example", "urn:oid:1.2.3", "http://hl7.org/fhir/administrative-gender", CLINICAL)
CODES = ("a", "A", "b-1", "x,y", "p|q", "c$d", "e\\f", "male", "active", "relapse")
IDS = ("p1", "p2", "A-1.b")
KINDS = ("Patient", "Group", "Practitioner", "Encounter")
FORMS = ("{0}/p1", "{0}/p2", "{0}/A-1.b", "{0}/p1/_history/2", BASE_URL + "/{0}/p1", BASE_URL + "/{0}/p2/_history/3")
AFAR = (
    *("http://other.example/fhir/Patient/p1", "urn:uuid:0c6b1f3d-edb2-422b-a0af-a262fb90ed07"),
    *("http://other.example/thing", "#p1", "Patient/p1/x"),
)
CANONICALS = ("http://one.example/q|1.0", "http://one.example/q", "http://one.example/q|2", "#q", "Questionnaire/p1")
DATES = ("2019", "2020-02", "2020-02-29", "2020-03-01", "1999-12-31")
TIMES = (
    *("2020-02-29T23:59:59Z", "2020-03-01T00:30:00+01:00", "2020-02-29T10:00:00.5Z", "2019-06-30T12:00:00.250-05:00"),
    *("2020-02-29T10:00:00.500Z", "2020-02-29T10:00:00.4999Z"),
)
WORDS = (
    *("Müller", "muller", "O'Brien", "OBRIEN", "Smith-Jones", "García López", "St. Mary's", "straße", "STRASSE", "Jo"),
    *("  two   words ", "Ærø", "ἀγάπη", "x, y"),
)
NUMBERS = (0, 5.4, 5.45, 5.35, 5, 100, 99.5, 100.5, -3)
UNITS = ("mg",)
Draw = Callable[[st.SearchStrategy[Any]], Any]


def _maybe(draw: Draw, key: str, values: tuple[Any, ...]) -> dict[str, Any]:
    at = draw(st.integers(-1, len(values) - 1))
    return {} if at < 0 else {key: values[at]}


def _pick(draw: Draw, values: tuple[Any, ...]) -> Any:
    return draw(st.sampled_from(values))


def _coding(draw: Draw) -> Any:
    return _maybe(draw, "system", SYSTEMS) | _maybe(draw, "code", CODES) | _maybe(draw, "display", WORDS)


def _concept(draw: Draw) -> Any:
    codings = [_coding(draw) for _ in range(draw(st.integers(0, 2)))]
    return ({"coding": codings} if codings else {}) | _maybe(draw, "text", WORDS)


def _identifier(draw: Draw) -> Any:
    typed = {"type": _concept(draw)} if draw(st.integers(0, 2)) == 0 else {}
    return _maybe(draw, "system", SYSTEMS) | _maybe(draw, "value", CODES) | typed


def _reference(draw: Draw, kinds: tuple[str, ...] = KINDS) -> Any:
    kind = _pick(draw, kinds)
    named = _maybe(draw, "reference", (*(form.format(kind) for form in FORMS), *AFAR)) | _maybe(draw, "type", (kind,))
    return named | ({"identifier": _identifier(draw)} if draw(st.integers(0, 3)) == 0 else {"display": "x"})


def _quantity(draw: Draw) -> Any:
    value = {"value": _pick(draw, NUMBERS)} if draw(st.integers(0, 4)) else {}
    return value | _maybe(draw, "system", SYSTEMS[:1]) | _maybe(draw, "code", UNITS) | _maybe(draw, "unit", UNITS)


def _period(draw: Draw) -> Any:
    return _maybe(draw, "start", DATES + TIMES) | _maybe(draw, "end", DATES + TIMES)


def _timing(draw: Draw) -> Any:
    events = [_pick(draw, DATES + TIMES) for _ in range(draw(st.integers(0, 2)))]
    bounded = draw(st.booleans())
    return ({"event": events} if events else {}) | ({"repeat": {"boundsPeriod": _period(draw)}} if bounded else {})


def _sampled(draw: Draw) -> Any:
    origin = {"value": _pick(draw, NUMBERS)} | _maybe(draw, "code", UNITS)
    data = _maybe(draw, "data", ("1 2 -3", "E", "U 5 L", "0.5"))
    return (
        {"origin": origin, "period": 10, "dimensions": 1} | _maybe(draw, "factor", (0.1, 2)) | data | {"upperLimit": 9}
    )


def _name(draw: Draw) -> Any:
    given = [_pick(draw, (*WORDS, None)) for _ in range(draw(st.integers(0, 2)))]
    return _maybe(draw, "family", WORDS) | _maybe(draw, "text", WORDS) | ({"given": given} if given else {})


def _address(draw: Draw) -> Any:
    line = [_pick(draw, (*WORDS, None)) for _ in range(draw(st.integers(0, 2)))]
    return _maybe(draw, "city", WORDS) | {"use": "home"} | ({"line": line} if line else {})


def _resource(draw: Draw) -> Any:
    return {"resourceType": _pick(draw, ("Composition", "MessageHeader", "Patient"))} | _maybe(draw, "id", IDS)


def _from(values: tuple[Any, ...]) -> Callable[[Draw], Any]:
    return lambda draw: _pick(draw, values)


def _range(draw: Draw) -> Any:
    return {end: _quantity(draw) for end in ("low", "high") if draw(st.booleans())}


GROW: dict[str, Callable[[Draw], Any]] = {
    "Coding": _coding,
    "CodeableConcept": _concept,
    "Identifier": _identifier,
    "ContactPoint": lambda draw: _maybe(draw, "system", ("phone", "email")) | _maybe(draw, "value", CODES),
    "Quantity": _quantity,
    "Age": _quantity,
    "Duration": _quantity,
    "Money": lambda draw: _maybe(draw, "value", NUMBERS) | _maybe(draw, "currency", ("EUR", "USD")),
    "Range": _range,
    "SampledData": _sampled,
    "Period": _period,
    "Timing": _timing,
    "HumanName": _name,
    "Address": _address,
    "Resource": _resource,
    "code": _from(CODES),
    "boolean": _from((True, False)),
    "string": _from(WORDS),
    "markdown": _from(WORDS),
    "date": _from(DATES),
    "dateTime": _from(DATES + TIMES),
    "instant": _from(TIMES),
    "canonical": _from(CANONICALS),
    "uri": _from(("http://one.example", "urn:oid:1.2.3", "http://one.example/q|1.0")),
    "url": _from(("http://one.example", "http://One.example")),
    "id": _from(IDS),
    "decimal": _from(NUMBERS),
    "integer": _from((0, 1, 5, 100, -3)),
}


@cache
def searched(resource_type: str) -> dict[str, Any]:
    """The element names that the type's search expressions go through, as a tree."""
    grown: dict[str, Any] = {}
    known = definitions()
    for code in known.codes(resource_type):
        definition = known.parameter(resource_type, code)
        for path in re.findall(
            r"[\w.]+", re.sub(r"\([^()]*\)\)|\(\)", "", definition["expression"] if definition else "")
        ):
            root, _, rest = path.partition(".")
            if root in {resource_type, "Resource"} and rest and code not in {"_id", "_lastUpdated"}:
                _plant(grown, rest.replace(".where", "").replace(".as", "").replace(".exists", "").split("."))
    return grown


def _plant(tree: dict[str, Any], names: list[str]) -> None:
    for name in names:
        tree = tree.setdefault(name, {})


def _grow(draw: Draw, path: str, tree: dict[str, Any]) -> dict[str, Any]:
    """An object of this element path with some of the elements in the tree."""
    grown: dict[str, Any] = {}
    for name, below in tree.items():
        element = definitions().elements.get(f"{path}.{name}") or definitions().elements.get(f"{path}.{name}[x]")
        if element is not None and draw(st.integers(0, 2)):
            grown |= _element(draw, element, name, below)
    return grown


def _element(draw: Draw, element: dict[str, Any], name: str, below: dict[str, Any]) -> dict[str, Any]:
    choices = element.get("type", [{"code": "Element"}])
    at = draw(st.integers(0, len(choices) - 1))
    kind = type_of(element, at)
    key = name + choices[at]["code"][0].upper() + choices[at]["code"][1:] if element["path"].endswith("[x]") else name
    count = 1 if element["max"] == "1" else draw(st.integers(1, 2))
    values = [_value(draw, choices[at], kind, below) for _ in range(count)]
    if any(value is None for value in values):
        return {}
    return {key: values[0] if element["max"] == "1" else values}


def _value(draw: Draw, choice: dict[str, Any], kind: str, below: dict[str, Any]) -> Any:
    if kind == "Reference":
        kinds = tuple(profile.rpartition("/")[2] for profile in choice.get("targetProfile", ()))
        return _reference(draw, KINDS if not kinds or "Resource" in kinds else kinds)
    if kind in GROW:
        return GROW[kind](draw)
    if below:
        grown = _grow(draw, kind, below)
        if kind.endswith("relatedArtifact") or kind == "RelatedArtifact":
            grown["type"] = _pick(draw, ("composed-of", "depends-on"))
        return grown
    return None


@st.composite
def resources(draw: Draw, resource_type: str) -> dict[str, Any]:
    """A resource of the type."""
    grown = _grow(draw, resource_type, searched(resource_type))
    meta = grown.pop("meta", {}) | {"lastUpdated": _pick(draw, TIMES[:4])}
    return {"resourceType": resource_type, "id": _pick(draw, IDS), "meta": meta, **grown}


def _escaped(text: str) -> str:
    return re.sub(r"([\\,|$])", r"\\\1", text)


def _token_text(draw: Draw) -> str:
    code, system = _escaped(_pick(draw, CODES)), _pick(draw, SYSTEMS)
    return str(_pick(draw, (code, f"{system}|{code}", f"|{code}", f"{system}|")))


def _bare_text(draw: Draw) -> str:
    return _escaped(_pick(draw, (*CODES, *WORDS, "urn:oid:1.2.3", *IDS)))


def _reference_text(draw: Draw) -> str:
    local = [form.format(_pick(draw, KINDS)) for form in FORMS if "_history" not in form]
    return _escaped(_pick(draw, (*local, *IDS, *AFAR[:3], *CANONICALS)))


def _number_text(draw: Draw) -> str:
    number = _pick(draw, ("5.4", "5", "100", "1e2", "5.40", "-3", "54e-1", "0", "99.5", "1.00e2"))
    return str(_prefix(draw)) + number


def _prefix(draw: Draw) -> str:
    return str(_pick(draw, ("", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")))


def _quantity_text(draw: Draw) -> str:
    unit = _pick(draw, ("", "||mg", f"|{SYSTEMS[0]}|mg", f"|{SYSTEMS[0]}|"))
    return _number_text(draw) + str(unit)


TEXTS: dict[str, Callable[[Draw], str]] = {
    "reference": _reference_text,
    "date": lambda draw: _prefix(draw) + _pick(draw, (*DATES, *TIMES, "2020-02-29T10:00", "2020-02-29T23:59:59")),
    "string": lambda draw: _escaped(_pick(draw, (*WORDS, "m", "jones", "lopez", "garcia l", "mary"))),
    "quantity": _quantity_text,
    "number": _number_text,
    "uri": lambda draw: _escaped(
        _pick(draw, ("http://one.example", "http://one.example/q", "http://one.example/q|1.0"))
    ),
}
MODIFIERS = {
    "token": ("not", "text", "of-type", "in", "not-in", "above", "below"),
    "string": ("exact", "contains"),
    "reference": ("identifier", "Patient", "Group"),
    "uri": ("above", "below"),
}


def _three_text(draw: Draw) -> str:
    return f"{_pick(draw, SYSTEMS)}|{_escaped(_pick(draw, CODES))}|{_escaped(_pick(draw, CODES))}"


SETS = (
    *("http://hl7.org/fhir/ValueSet/condition-clinical", "http://hl7.org/fhir/ValueSet/administrative-gender"),
    *("http://hl7.org/fhir/ValueSet/observation-status", "http://hl7.org/fhir/ValueSet/identifier-use"),
)

CODED: dict[str, Callable[[Draw], str]] = {
    "text": lambda draw: _escaped(_pick(draw, WORDS)),
    "of-type": _three_text,
    "in": _from(SETS),
    "not-in": _from(SETS),
    "above": _from((f"{CLINICAL}|relapse", f"{CLINICAL}|active", "http://one.example/q")),
    "below": _from((f"{CLINICAL}|relapse", f"{CLINICAL}|active", "http://one.example/")),
}


@st.composite
def questions(draw: Draw, resource_type: str) -> tuple[str, str]:
    """One search parameter of the type with a modifier and a value; not all are valid."""
    known = definitions()
    codes = [c for c in known.codes(resource_type) if c not in {"phonetic", "near"}]
    definition = known.parameter(resource_type, code := _pick(draw, tuple(codes)))
    kind = definition["type"] if definition else ""
    modifier = _pick(draw, ("", "", "", "missing", *MODIFIERS.get(kind, ())))
    if modifier == "missing":
        return f"{code}:missing", _pick(draw, ("true", "false"))
    text = _text(draw, kind, code, modifier)
    if kind == "composite" and definition:
        parts = [known.by_url[each["definition"]] for each in definition["component"]]
        readers = [_text(draw, part["type"], part["code"], "") for part in parts]
        text = lambda draw: "$".join(read(draw) for read in readers)  # noqa: E731
    values = [text(draw) for _ in range(draw(st.integers(1, 2)))]
    return code + (f":{modifier}" if modifier else ""), ",".join(values)


def _text(draw: Draw, kind: str, code: str, modifier: str) -> Callable[[Draw], str]:
    if modifier == "identifier":
        return _token_text
    if modifier in CODED:
        return CODED[modifier]
    if modifier in {"Patient", "Group"}:
        return _from((*IDS, "Patient/p1"))
    if code == "_id":
        return _from(IDS)
    return TEXTS.get(kind) or _pick(draw, (_token_text, _bare_text, _from(("true", "false"))))
