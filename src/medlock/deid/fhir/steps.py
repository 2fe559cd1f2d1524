"""Rule paths that the structures alone decide: which elements of which types they reach, whatever a resource holds.

Nearly every rule is such a path: names (`Patient.contact.name`), `nodesByType('Address').state`,
`nodesByName('telecom')`, a type at the end (`onset as Age`). They become `Step`s, and the compiler of `walk` follows
them through the structures once. A path with a condition or another function is no such path: None, and it is
evaluated on each resource instead.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

NAME, BY_TYPE, BY_NAME, AS = "name", "by-type", "by-name", "as"


class Step(NamedTuple):
    """One step: a child by NAME, a node anywhere below BY_TYPE or BY_NAME, or a filter AS a type."""

    verb: str
    word: str


_FORMS: Final = (
    (BY_TYPE, re.compile(r"""nodesByType\(['"](\w+)['"]\)""")),
    (BY_NAME, re.compile(r"""nodesByName\(['"](\w+)['"]\)""")),
    (AS, re.compile(r"(?:ofType|as)\((?:FHIR\.)?(\w+)\)")),
    (NAME, re.compile(r"(\w+)")),
)
_CAST: Final = re.compile(r"^\(?([^()]*(?:\(['\"]\w+['\"]\))?[^()]*?)\s+as\s+(?:FHIR\.)?(\w+)\)?$")
_SPLIT: Final = re.compile(r"\.(?![^(]*\))")
_OPERATORS: Final = frozenset(
    {"is", "as", "in", "and", "or", "xor", "contains", "implies", "div", "mod", "true", "false"}
)


def steps_of(expression: str) -> tuple[Step, ...] | None:
    """The steps of an expression below a resource; None when only its content can tell what it reaches."""
    cast = _CAST.fullmatch(expression.strip())
    if cast is not None:
        inner = steps_of(cast[1])
        return None if inner is None else (*inner, Step(AS, cast[2]))
    found = [_step(part) for part in _SPLIT.split(expression.strip())]
    steps = tuple(step for step in found if step is not None)
    return steps if len(steps) == len(found) and steps and steps[0].verb != AS else None


def _step(part: str) -> Step | None:
    for verb, form in _FORMS:
        match = form.fullmatch(part)
        if match is not None and not match[1].isdigit() and match[1] not in _OPERATORS:
            return Step(verb, match[1])
    return None
