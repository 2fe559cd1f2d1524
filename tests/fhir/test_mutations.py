"""Random damage to valid resources is refused at the place where it was done, and never makes the validator fail."""

from __future__ import annotations

import copy
import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir.vectors import BASES
from medlock.errors import Problem
from medlock.fhir.primitives import CODE_PATTERNS
from medlock.fhir.structures import codes, is_primitive, structure
from medlock.fhir.validate import validate

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=5,
)
MANY = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)


def slots(node, kind, path, above=()):
    """(member chain, FHIRPath, element, type) of every member in a valid resource."""
    shape = structure(node.get("resourceType", kind))
    for name, value in node.items():
        if name == "resourceType":
            continue
        element, inner = shape.owner[name]
        here = f"{path}.{element.name}"
        yield (*above, name), here, element, inner
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(item, dict):
                step = (*above, name, index) if isinstance(value, list) else (*above, name)
                yield from slots(item, inner, f"{here}[{index}]" if isinstance(value, list) else here, step)


SLOTS = [(base, *slot) for base, resource in BASES.items() for slot in slots(resource, base, base)]


def reached(resource, steps):
    """The node at the end of a member chain."""
    for step in steps:
        resource = resource[step]
    return resource


def damaged(base, steps, change):
    """A copy of a base resource with one member changed in place."""
    resource = copy.deepcopy(BASES[base])
    change(reached(resource, steps[:-1]), steps[-1])
    return resource


def at(problems: list[Problem], path: str, *allowed: str) -> bool:
    """True when a problem with one of these codes lies at the path or right below it."""
    place = re.escape(path)
    return any(p.code in allowed and re.fullmatch(rf"{place}(\[0\])?(\..*)?", p.path) for p in problems)


@MANY
@given(st.sampled_from(SLOTS))
def test_a_wrong_json_type_is_found(slot):
    """An object for a primitive, a number for an object, no array for an array: all refused at the member."""
    base, steps, path, element, kind = slot
    wrong = {"x": 1} if is_primitive(kind) else 7
    problems = validate(
        damaged(base, steps, lambda node, name: node.update({name: [wrong] if element.is_list else wrong}))
    )
    assert at(problems, path, "structure")
    flipped = [wrong] if not element.is_list else wrong
    assert at(validate(damaged(base, steps, lambda node, name: node.update({name: flipped}))), path, "structure")


@MANY
@given(st.sampled_from(SLOTS))
def test_a_missing_required_element_is_found(slot):
    """Whatever has min 1 in R4 cannot be left out, nor the id of a contained resource."""
    base, steps, path, element, _ = slot
    problems = validate(damaged(base, steps, lambda node, name: node.pop(name)))
    assert at(problems, path, "required") is bool(element.min or path.endswith("contained[0].id"))


@MANY
@given(st.sampled_from(SLOTS), st.from_regex(r"[a-z]{3,12}X", fullmatch=True))
def test_an_invented_element_is_found(slot, name):
    """A member that R4 does not know is refused beside any member that it does."""
    base, steps, path, _, _ = slot
    problems = validate(damaged(base, steps, lambda node, _name: node.update({name: "x"})))
    assert at(problems, f"{path.rpartition('.')[0]}.{name}", "structure")


@MANY
@given(
    st.sampled_from([slot for slot in SLOTS if slot[3].codes and is_primitive(slot[4])]), st.text("abc-XY", min_size=1)
)
def test_a_code_outside_the_value_set_is_found(slot, code):
    """A code is accepted exactly when it is in the required value set."""
    base, steps, path, element, _ = slot
    resource = damaged(base, steps, lambda node, name: node.update({name: [code] if element.is_list else code}))
    pattern = CODE_PATTERNS.get(element.codes)
    known = pattern(code) if pattern else code in {each for _, each in codes(element.codes)}
    assert at(validate(resource), path, "code-invalid") is not bool(known)


@MANY
@given(st.sampled_from([slot for slot in SLOTS if slot[3].is_list]))
def test_an_empty_array_is_found(slot):
    """FHIR has no empty arrays (R4 §2.6.2)."""
    base, steps, path, _, _ = slot
    assert at(validate(damaged(base, steps, lambda node, name: node.update({name: []}))), path, "structure")


@MANY
@given(st.sampled_from(SLOTS), JUNK)
def test_junk_anywhere_is_survived(slot, junk):
    """Any JSON in place of any member ends in a list of problems, not in an exception."""
    base, steps, _, _, _ = slot
    assert isinstance(validate(damaged(base, steps, lambda node, name: node.update({name: junk}))), list)


@MANY
@given(st.lists(st.tuples(st.sampled_from(SLOTS), JUNK), min_size=2, max_size=6))
def test_much_junk_is_survived(changes):
    """Several damages at once, in whatever order they meet each other."""
    resource = copy.deepcopy(BASES[changes[0][0][0]])
    for (base, steps, _, _, _), junk in changes:
        if resource["resourceType"] == BASES[base]["resourceType"]:
            try:
                reached(resource, steps[:-1])[steps[-1]] = junk
            except (LookupError, TypeError):
                continue  # an earlier damage took the place away
    assert isinstance(validate(resource), list)
