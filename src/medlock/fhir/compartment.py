"""The Patient compartment (R4 CompartmentDefinition/patient): whose record does a resource belong to?

Exactly the parameters that the definition names put a resource into a patient's compartment: an Observation belongs
to its `subject` and `performer`, never to its `focus`. Only references to a Patient of this server count, because
only such patients have a record here. Access rests on this module; when it is unsure, it names nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from medlock.fhir.extract import visit_of
from medlock.fhir.paths import Visit
from medlock.fhir.searchparams import PATIENT_PARAMS, parameters
from medlock.fhir.targets import ID_FORM, split_local, strip_base
from medlock.fhir.values import Values

PATIENT_COMPARTMENT: Final[Mapping[str, tuple[str, ...]]] = PATIENT_PARAMS

_OWNERS: Final = ("subject", "patient", "beneficiary")  # who owns the body when several patients are named


def in_compartment(resource_type: str) -> bool:
    """Can a resource of this type be in a Patient compartment at all?"""
    return resource_type in PATIENT_COMPARTMENT


def patients_of(resource: dict[str, Any], *, base_url: str = "") -> tuple[str, ...]:
    """Ids of the patients in whose compartment a validated resource is, its owner first, each once.

    A Patient owns itself; any other resource is owned by its `subject`, else `patient`, else `beneficiary`, else
    by the first patient it names. With `base_url`, references that begin with that address of ours count too.
    """
    kind = resource["resourceType"]
    own = [resource["id"]] if kind == "Patient" and ID_FORM.fullmatch(resource.get("id", "")) else []
    if kind not in PATIENT_COMPARTMENT:
        return tuple(own)
    out = Values()
    take, known = _visit(kind)
    take(resource, out, known)
    ranked = sorted(out.references, key=lambda row: _rank(row[0]))
    named = (split_local(strip_base(target, base_url)) for _, target in ranked)
    return tuple(dict.fromkeys([*own, *(found[1] for found in named if found and found[0] == "Patient")]))


def _rank(param: str) -> int:
    return _OWNERS.index(param) if param in _OWNERS else len(_OWNERS)


@cache
def _visit(resource_type: str) -> Visit:
    known = parameters(resource_type)
    return visit_of(known[name] for name in PATIENT_COMPARTMENT[resource_type])
