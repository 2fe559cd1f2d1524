"""Structures compiled to checks: what `fhir.validate` runs.

A Shape checks one JSON object against one structure: every member by its closure, the required elements, the
invariants. Shapes are made when first met and kept for the life of the process. What belongs to no table
stands here: ele-1 (an element is more than its id), ext-1 (an extension has a value or extensions), dom-3 (a
contained resource is referred to), that the URL of an outer extension is absolute, and how resources stand
inside resources.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, cached_property
from typing import Any

from medlock.fhir import members as make
from medlock.fhir.invariants import Rule, element_rules, rules_for
from medlock.fhir.members import Check, Inner, Json, Member
from medlock.fhir.narrative import problems_of
from medlock.fhir.primitives import Predicate
from medlock.fhir.reference_rules import check_reference
from medlock.fhir.report import Place, Report, Root
from medlock.fhir.structures import Element, Structure, is_primitive, resource_types, structure


class Shape:
    """The compiled form of one structure."""

    def __init__(self, definition: Structure) -> None:
        self.definition = definition

    @cached_property
    def members(self) -> dict[str, Member]:
        """JSON member → its predicate and check."""
        found = dict(pair for element in self.definition.elements for pair in _members(element, self.definition))
        return found | {"resourceType": (None, _accept)} if self.definition.is_resource else found

    @cached_property
    def required(self) -> tuple[tuple[str, frozenset[str]], ...]:
        """(name, the JSON members of which one must be there) of each element with min 1."""
        return tuple((e.name, e.json_names()) for e in self.definition.elements if e.min)

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The invariants."""
        return rules_for(self.definition)

    def check(self, value: Any, place: Place, report: Report) -> None:
        """Report everything that is wrong with one object."""
        if type(value) is not dict:
            report.add("structure", f"{self.definition.name} must be a JSON object", place)
            return
        members = self.members
        for name, item in value.items():
            member = members.get(name)
            if member is None:
                report.unknown(name, self.definition.name, place)
                continue
            accepts, check = member
            if accepts is None or not accepts(item):
                check(item, value, place, report)
        for name, names in self.required:
            if name not in value and names.isdisjoint(value):
                report.add("required", f"{self.definition.name}.{name} is required", (place, name, -1))
        if len(value) < 2:
            self._check_content(value, place, report)
        if self.rules:
            self._check_rules(value, place, report)

    def _check_content(self, value: Json, place: Place, report: Report) -> None:
        """ele-1: an id alone is nothing. Resources may be bare."""
        if not self.definition.is_resource and value.keys() <= {"id"}:
            report.add("invariant", "rule ele-1 of FHIR R4 does not hold: an element needs content", place)

    def _check_rules(self, value: Json, place: Place, report: Report) -> None:
        """The invariants; one that speaks of a required element whose absence was reported says nothing new."""
        for rule in self.rules:
            if rule.optional and rule.reads.isdisjoint(value):
                continue
            if not rule.holds(value, report.resource):
                missing = [names for _, names in self.required if names.isdisjoint(value)]
                if not any(names & rule.reads for names in missing):
                    report.add("invariant", rule.sentence, place)


@cache
def shape(name: str) -> Shape:
    """The shape of a type, resource or inner element. Raises KeyError for a name that R4 does not have."""
    definition = structure(name)
    if definition is None:
        raise KeyError("no such structure in FHIR R4")
    return Shape(definition)


def check_resource(value: Any, place: Place, report: Report) -> None:
    """A whole resource, by the type that it names itself."""
    if type(value) is not dict:
        report.add("structure", "a resource must be a JSON object", place)
        return
    kind = value.get("resourceType")
    if kind is None:
        report.add("required", "resourceType is required", (place, "resourceType", -1))
    elif type(kind) is not str or kind not in resource_types():
        report.add("structure", "resourceType must be a resource type of FHIR R4", (place, "resourceType", -1))
    else:
        shape(kind).check(value, place, report)
        if value is report.root.resource and type(value.get("contained")) is list:
            _check_referred(value, place, report)


def _check_referred(root: Json, place: Place, report: Report) -> None:
    """dom-3: a contained resource is referred to from the resource around it, or refers to that one."""
    items = [(index, item) for index, item in enumerate(root["contained"]) if _is_named(item)]
    first = {item["id"]: index for index, item in reversed(items)}
    others = first.keys() - report.root.referred
    texts = set(_texts(root)) if others else set()  # a canonical or uri may refer as well
    for index, item in items:
        if first[item["id"]] != index:
            report.add("invariant", "the ids of contained resources must differ", (place, "contained", index))
        elif item["id"] in others and f"#{item['id']}" not in texts and "#" not in _texts(item):
            text = "rule dom-3 of FHIR R4 does not hold: a contained resource must be referred to"
            report.add("invariant", text, (place, "contained", index))


def _is_named(item: Any) -> bool:
    return type(item) is dict and type(item.get("id")) is str


def _texts(tree: Any) -> Iterator[str]:
    pending = [tree]
    while pending:
        node = pending.pop()
        if type(node) is str:
            yield node
        elif type(node) is dict:
            pending += node.values()
        elif type(node) is list:
            pending += node


def _accept(_value: Any, _owner: Json, _place: Place, _report: Report) -> None:
    """resourceType: `check_resource` has read it."""


def _members(element: Element, definition: Structure) -> Iterator[tuple[str, Member]]:
    """(JSON member, its predicate and check) of every form of an element, `_name` included."""
    names = element.json_names()
    for key, kind in element.members():
        check = _ruled(element, kind, _alone(element, key, _plain(element, key, kind, definition)))
        yield key, (_predicate(element, kind), check)
        if f"_{key}" in names:
            beside = make.beside_many if element.is_list else make.beside_one
            yield f"_{key}", (None, _alone(element, f"_{key}", beside(element.name, shape("Element").check)))


def _predicate(element: Element, kind: str) -> Predicate | None:
    """What settles a primitive by itself: one that does not repeat, has one type and no invariants of its own."""
    alone = is_primitive(kind) and not (element.is_list or element.is_choice or element.rules)
    return make.leaf(kind, element.codes).accepts if alone else None


def _alone(element: Element, key: str, check: Check) -> Check:
    """The check of one form of value[x], which also looks for other forms beside it."""
    if not element.is_choice:
        return check
    own = key.removeprefix("_")
    return make.one_of_choice(element.name, key, check, element.json_names() - {own, f"_{own}"})


def _ruled(element: Element, kind: str, check: Check) -> Check:
    """The check of an element that has invariants of its own."""
    if not element.rules:
        return check
    return make.ruled(element.name, check, element_rules(element.rules, kind))


def _plain(element: Element, key: str, kind: str, definition: Structure) -> Check:
    """The check of one form of an element, before choices and invariants."""
    if kind == "xhtml":
        return _check_narrative
    if is_primitive(kind):
        what = make.leaf(kind, element.codes)
        return (make.many_primitives if element.is_list else make.one_primitive)(element.name, what)
    inner = _inner(element, key, kind, definition)
    return (make.many_complex if element.is_list else make.one_complex)(element.name, inner)


def _inner(element: Element, key: str, kind: str, definition: Structure) -> Inner:
    """The check of one object of a complex type, with what this element adds to the type."""
    if kind == "Resource":
        return _check_contained if key == "contained" else _check_independent
    check = shape(kind).check
    if kind == "Extension":
        return _extension(check, outer=definition.name != "Extension")
    if kind == "Reference":
        return _reference(check, frozenset(element.targets))
    return make.in_value_set(check, element.codes) if element.codes else check


def _extension(check: Inner, *, outer: bool) -> Inner:
    values = next(e.json_names() for e in shape("Extension").definition.elements if e.is_choice)

    def checked(value: Any, place: Place, report: Report) -> None:
        check(value, place, report)
        if type(value) is not dict:
            return
        if ("extension" in value) is not values.isdisjoint(value):
            report.add("invariant", "rule ext-1 of FHIR R4 does not hold: value[x] or extensions, not both", place)
        url = value.get("url")
        if outer and type(url) is str and ":" not in url:
            report.add("value", "the url of an extension must be absolute, except inside another", (place, "url", -1))

    return checked


def _reference(check: Inner, targets: frozenset[str]) -> Inner:
    def checked(value: Any, place: Place, report: Report) -> None:
        check(value, place, report)
        if type(value) is dict:
            check_reference(value, targets, place, report)

    return checked


def _check_narrative(value: Any, _owner: Json, place: Place, report: Report) -> None:
    """Narrative.div: text, and safe to show."""
    here = (place, "div", -1)
    if type(value) is not str:
        report.add("structure", "xhtml must be text", here)
        return
    for sentence in problems_of(value):
        report.add("invariant", sentence, here)


def _check_contained(value: Any, place: Place, report: Report) -> None:
    """A contained resource: its invariants see itself as %resource, `#id` is looked up in its container."""
    outer, report.resource = report.resource, value if type(value) is dict else {}
    check_resource(value, place, report)
    report.resource = outer
    if type(value) is dict and "id" not in value:
        report.add("required", "a contained resource needs an id, to be referred to", (place, "id", -1))


def _check_independent(value: Any, place: Place, report: Report) -> None:
    """A resource in a Bundle or in Parameters: it stands for itself in every way."""
    outer = report.root, report.resource
    report.resource = value if type(value) is dict else {}
    report.root = Root(report.resource)
    check_resource(value, place, report)
    report.root, report.resource = outer
