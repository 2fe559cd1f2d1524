"""Checks for one JSON member of a FHIR element: primitive or complex, single or repeating (R4 §2.6.2).

Each maker returns a closure `check(value, owner, place, report)`: the member's value, the object it stands in,
that object's place, and where to report. The closures are made once per element of a structure and kept. A
primitive that does not repeat also has a predicate, which alone is called while it answers yes; paths and
sentences are made only for what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from medlock.fhir.invariants import Rule
from medlock.fhir.primitives import CODE_PATTERNS, PRIMITIVES, Predicate, Primitive
from medlock.fhir.report import Place, Report
from medlock.fhir.structures import codes

Json = dict[str, Any]
Check = Callable[[Any, Json, Place, Report], None]
Member = tuple[Predicate | None, Check]  # the check is for what the predicate turns down, or for everything
Inner = Callable[[Any, Place, Report], None]

NOT_A_LIST: Final = "this element does not repeat: give one value, not an array"
NEEDS_LIST: Final = "this element may repeat: give an array"
EMPTY_LIST: Final = "an array must have at least one item"
NULL: Final = "null may stand only in an array of primitives, beside an extension at the same index"


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a primitive element accepts, and how to say why it does not."""

    primitive: Primitive
    accepts: Predicate
    bound: str = ""

    def refuse(self, value: Any, place: Place, report: Report) -> None:
        """Report a value that `accepts` turned down."""
        if value is None:
            report.add("structure", NULL, place)
        elif not isinstance(value, self.primitive.json) or (
            isinstance(value, bool) and bool not in self.primitive.json
        ):
            report.add("structure", self.primitive.sentence, place)
        elif self.primitive.accepts(value):
            report.add("code-invalid", f"the code must be one of the required value set {self.bound}", place)
        else:
            report.add("value", self.primitive.sentence, place)


def leaf(kind: str, bound: str) -> Leaf:
    """The leaf of a primitive type, narrowed to the codes of a required binding when it has one."""
    primitive = PRIMITIVES[kind]
    if not bound:
        return Leaf(primitive, primitive.accepts)
    if bound in CODE_PATTERNS:
        matches = CODE_PATTERNS[bound]
        return Leaf(primitive, lambda value: type(value) is str and matches(value) is not None, bound)
    allowed = frozenset(code for _, code in codes(bound))
    return Leaf(primitive, lambda value: type(value) is str and value in allowed, bound)


def one_primitive(name: str, what: Leaf) -> Check:
    """A primitive that does not repeat."""

    def check(value: Any, _owner: Json, place: Place, report: Report) -> None:
        if type(value) is list:
            report.add("structure", NOT_A_LIST, (place, name, -1))
        elif not what.accepts(value):
            what.refuse(value, (place, name, -1), report)

    return check


def many_primitives(name: str, what: Leaf) -> Check:
    """A primitive that may repeat; null holds the place of an item that has only an extension."""
    accepts = what.accepts

    def check(values: Any, owner: Json, place: Place, report: Report) -> None:
        if type(values) is not list or not values:
            _refuse_list(values, (place, name, -1), report)
            return
        for index, value in enumerate(values):
            if not accepts(value) and not (value is None and _has_extension(owner, name, index)):
                what.refuse(value, (place, name, index), report)

    return check


def _has_extension(owner: Json, name: str, index: int) -> bool:
    beside = owner.get(f"_{name}")
    return type(beside) is list and index < len(beside) and beside[index] is not None


def one_complex(name: str, inner: Inner) -> Check:
    """An object that does not repeat."""

    def check(value: Any, _owner: Json, place: Place, report: Report) -> None:
        if type(value) is list:
            report.add("structure", NOT_A_LIST, (place, name, -1))
        else:
            inner(value, (place, name, -1), report)

    return check


def many_complex(name: str, inner: Inner) -> Check:
    """An object that may repeat."""

    def check(values: Any, _owner: Json, place: Place, report: Report) -> None:
        if type(values) is not list or not values:
            _refuse_list(values, (place, name, -1), report)
            return
        for index, value in enumerate(values):
            inner(value, (place, name, index), report)

    return check


def beside_one(name: str, inner: Inner) -> Check:
    """`_name`: id and extensions of a primitive that does not repeat."""
    return one_complex(name, inner)


def beside_many(name: str, inner: Inner) -> Check:
    """`_name` of a repeating primitive: objects and nulls, index by index with `name` (R4 §2.6.2.2)."""

    def check(values: Any, owner: Json, place: Place, report: Report) -> None:
        if type(values) is not list or not values:
            _refuse_list(values, (place, name, -1), report)
            return
        plain = owner.get(name)
        if type(plain) is list and len(plain) != len(values):
            report.add("structure", "the array with _ before its name must be as long as the other", (place, name, -1))
        for index, value in enumerate(values):
            if value is not None:
                inner(value, (place, name, index), report)
            elif type(plain) is not list:
                report.add("structure", NULL, (place, name, index))

    return check


def _refuse_list(values: Any, place: Place, report: Report) -> None:
    report.add("structure", EMPTY_LIST if type(values) is list else NEEDS_LIST, place)


def one_of_choice(name: str, key: str, check: Check, others: frozenset[str]) -> Check:
    """The member `key`, one form of value[x], beside which none of the `others` may stand."""

    def checked(value: Any, owner: Json, place: Place, report: Report) -> None:
        if not others.isdisjoint(owner) and _comes_later(owner, key, others):
            report.add("structure", f"{name}[x] may stand only once, in one of its types", (place, name, -1))
        check(value, owner, place, report)

    return checked


def _comes_later(owner: Json, key: str, others: frozenset[str]) -> bool:
    """True when one of the others comes first, so that a pair is reported once."""
    return next(held in others for held in owner if held == key or held in others)


def ruled(name: str, check: Check, rules: tuple[Rule, ...]) -> Check:
    """A member whose items, besides being right in themselves, obey invariants of this element."""

    def checked(value: Any, owner: Json, place: Place, report: Report) -> None:
        check(value, owner, place, report)
        items = enumerate(value) if type(value) is list else [(-1, value)]
        for index, item in items:
            for rule in rules:
                if not rule.holds(item, report.resource):
                    report.add("invariant", rule.sentence, (place, name, index))

    return checked


def in_value_set(inner: Inner, bound: str) -> Inner:
    """A CodeableConcept or Coding of which one coding must come from a required value set."""
    allowed = frozenset(codes(bound))

    def checked(value: Any, place: Place, report: Report) -> None:
        inner(value, place, report)
        if type(value) is dict and not _is_bound(value, allowed):
            report.add("code-invalid", f"one coding must be of the required value set {bound}", place)

    return checked


def _is_bound(value: Json, allowed: frozenset[tuple[str, str]]) -> bool:
    """A concept without any coding passes when an extension says why (data-absent-reason)."""
    codings = value.get("coding")
    if type(codings) is not list:
        return "coding" in value or "extension" in value
    return any(_pair(coding) in allowed for coding in codings)


def _pair(coding: Any) -> tuple[Any, Any]:
    pair = (coding.get("system"), coding.get("code")) if type(coding) is dict else ("", "")
    return pair if all(isinstance(part, str) for part in pair) else ("", "")
