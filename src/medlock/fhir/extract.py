"""What a resource says under each search parameter of its type.

All paths of a type are compiled once, at the first resource of that type, into one walk (`fhir.paths`). `_id` and
`_lastUpdated` are left out: the store holds them in columns of their own. The resource must have passed
validation; nothing is fetched, so `where(resolve() is Patient)` reads the type off the reference.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from medlock.fhir.elements import TAKES
from medlock.fhir.paths import Step, Visit, tree
from medlock.fhir.query import Kind
from medlock.fhir.searchparams import Parameter, parameters
from medlock.fhir.targets import strip_base, target_of
from medlock.fhir.values import Values

_BY_STORE: Final = frozenset({"_id", "_lastUpdated"})


def extract(resource: dict[str, Any], *, base_url: str = "") -> Values:
    """Every search value of a validated resource.

    A reference is given as `Type/id` when it is relative or, with `base_url`, when it begins with that address of
    ours; else as written. References to contained resources are left out.
    """
    out = Values()
    name = resource["resourceType"]
    take, known = _visit_all(name)
    take(resource, out, known)
    for truth, keys in _truths(name):
        held = any(resource.get(key, False) is not False for key in keys)
        out.tokens.append((truth, "", "true" if held else "false"))
    if base_url:
        out.references = [(param, target_of(strip_base(to, base_url))[1]) for param, to in out.references]
    return out


def visit_of(wanted: Iterable[Parameter]) -> Visit:
    """The tree that adds to Values what a resource says under these parameters of its type."""
    ends: dict[tuple[tuple[Step, ...], Kind, str], list[tuple[str, str]]] = {}
    looked_at = ((seeker, seeker.kind, path) for seeker in wanted if seeker.kind for path in seeker.paths)
    for seeker, kind, path in looked_at:
        if path.datatype != "truth":
            ends.setdefault((path.steps, kind, path.datatype), []).append((seeker.name, path.only))
    return tree((steps, _visit(kind, datatype, seekers)) for (steps, kind, datatype), seekers in ends.items())


def _visit(kind: Kind, datatype: str, seekers: list[tuple[str, str]]) -> Visit:
    known = tuple(seekers) if kind is Kind.REFERENCE else tuple(name for name, _ in seekers)
    return TAKES[kind, datatype], known


@cache
def _visit_all(name: str) -> Visit:
    return visit_of(parameter for parameter in parameters(name).values() if parameter.name not in _BY_STORE)


@cache
def _truths(name: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Parameters that ask whether an element is there and not false (Patient.deceased), with its JSON keys."""
    asking = (parameter for parameter in parameters(name).values() if "truth" in parameter.datatypes)
    return tuple((asks.name, tuple(path.steps[0].key for path in asks.paths)) for asks in asking)
