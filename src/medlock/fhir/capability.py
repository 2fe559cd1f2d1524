"""The CapabilityStatement (R4 §3.1.0.10), computed from the tables that decide what the server really does.

Interactions come from `fhir.address`, search parameters from `fhir.searchparams`; a parameter that is refused is not
listed. Messages (Parameters, OperationOutcome) cannot be stored and stand nowhere; AuditEvent is a view of the audit
log, so it is read and searched only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson

from medlock.fhir.address import ROUTES
from medlock.fhir.operations import OPERATIONS
from medlock.fhir.patching import JSON_PATCH
from medlock.fhir.query import Kind
from medlock.fhir.question import EXPORTS, Interaction
from medlock.fhir.searchparams import RESOURCE_TYPES, Parameter, parameters

NOT_STORED = frozenset({"OperationOutcome", "Parameters"})
VIEWS = frozenset({"AuditEvent"})
_OF_THE_WHOLE = (
    *(Interaction.TRANSACTION, Interaction.BATCH),
    *(Interaction.SEARCH_SYSTEM, Interaction.HISTORY_SYSTEM),
)
_NOT_OF_A_TYPE = frozenset({*_OF_THE_WHOLE, *OPERATIONS})
_COMPARTMENT = "http://hl7.org/fhir/CompartmentDefinition/patient"
_COMMON = frozenset({"_id", "_lastUpdated", "_tag", "_profile", "_security", "_source"})
_SEARCHES = (
    "Searches also take chains and _has over at most three references, _list, composite values, and the modifiers "
    ":missing, :not, :exact, :contains, :identifier, :[type], :text, :of-type, :in, :not-in, :above, :below where R4 "
    "defines them. A search of the system names its types with _type; one of a patient's compartment need not. What is "
    "not understood is refused."
)
_DEFINED = "http://hl7.org/fhir/OperationDefinition/"
_BULK = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
_DARTS = "http://hl7.org/fhir/us/darts/OperationDefinition/"
_US_CORE = "http://hl7.org/fhir/us/core/OperationDefinition/"
_OWN = "urn:medlock:OperationDefinition:"
_OPERATIONS = {
    "Patient": {
        "access-reasons": f"{_OWN}Patient-access-reasons",
        "everything": f"{_DEFINED}Patient-everything",
        "match": f"{_DEFINED}Patient-match",
        "break-glass": f"{_OWN}Patient-break-glass",
        "end-break-glass": f"{_OWN}Patient-end-break-glass",
    },
    "Observation": {"lastn": f"{_DEFINED}Observation-lastn"},
    "DocumentReference": {"docref": f"{_US_CORE}docref"},
}
_ON_CASES = [
    {"name": each, "definition": f"{_OWN}{each}"}
    for each in ("break-glass-cases", "review-break-glass", "end-break-glass")
]
_VALIDATE = {"validate": f"{_DEFINED}Resource-validate"}
_SERVICES = "http://terminology.hl7.org/CodeSystem/restful-security-service"
_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_SECURITY = (
    "Every interaction but this one needs a bearer token (Authorization: Bearer). What it allows is the intersection "
    "of the caller's role, its scopes and, where it has one, its patient."
)


@dataclass(frozen=True, slots=True)
class Instance:
    """What the statement says of this very server. `date` is a FHIR instant; `exports`: exports can be made.

    `authorization`: addresses of the authorization server by their name in SMART's oauth-uris extension.
    """

    base_url: str
    version: str
    date: str
    exports: bool = True
    authorization: tuple[tuple[str, str], ...] = ()


def capability_statement(instance: Instance) -> bytes:
    """The statement as JSON; some hundred kilobytes, to be made once."""
    stored = sorted(RESOURCE_TYPES - NOT_STORED)
    return orjson.dumps(
        {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": instance.date,
            "kind": "instance",
            "software": {"name": "medlock", "version": instance.version},
            "implementation": {"description": "medlock FHIR server", "url": instance.base_url},
            "fhirVersion": "4.0.1",
            "format": ["application/fhir+json", "json"],
            "patchFormat": [JSON_PATCH, "application/fhir+json"],
            "rest": [
                {
                    "mode": "server",
                    "security": _security(instance),
                    "resource": [_resource(name, exports=instance.exports) for name in stored],
                    "operation": [*(_exports("system") if instance.exports else []), *_ON_CASES],
                    "documentation": _SEARCHES,
                    "interaction": [{"code": each.value} for each in _OF_THE_WHOLE],
                    "searchParam": [each for each in _search_params("Basic") if each["name"] in _COMMON],
                    "compartment": [_COMPARTMENT],
                }
            ],
        }
    )


def _security(instance: Instance) -> dict[str, Any]:
    """How callers are let in, as SMART App Launch has it (its discovery document says more, and is the one to read)."""
    found: dict[str, Any] = {"cors": True, "description": _SECURITY}
    if not instance.authorization:
        return found
    uris = [{"url": name, "valueUri": address} for name, address in instance.authorization]
    service = {"system": _SERVICES, "code": "SMART-on-FHIR", "display": "SMART-on-FHIR"}
    return found | {"service": [{"coding": [service]}], "extension": [{"url": _OAUTH_URIS, "extension": uris}]}


def _exports(level: str) -> list[dict[str, str]]:
    """The export operations: those of Bulk Data at three levels, and those of DARTS, which defines one level."""
    bulk = {"system": "export", "Patient": "patient-export", "Group": "group-export"}[level]
    darts = [each for each in Interaction if each in EXPORTS and each is not Interaction.EXPORT]
    of_darts = [{"name": each.value, "definition": f"{_DARTS}{each}"} for each in darts]
    return [{"name": "export", "definition": f"{_BULK}{bulk}"}, *of_darts]


def _resource(resource_type: str, *, exports: bool) -> dict[str, Any]:
    """One type: what can be done with it and how it can be searched."""
    view = resource_type in VIEWS
    found: dict[str, Any] = {
        "type": resource_type,
        "interaction": [{"code": each.value} for each in interactions(resource_type)],
        "versioning": "no-version" if view else "versioned",
        "searchInclude": [] if view else _includes(resource_type),
        "searchRevInclude": [] if view else _revincludes(resource_type),
        "searchParam": _search_params(resource_type),
    }
    if not view:
        found |= {
            "readHistory": True,
            "updateCreate": True,
            "conditionalCreate": True,
            "conditionalRead": "full-support",
            "conditionalUpdate": True,
            "conditionalDelete": "single",
        }
        known = _OPERATIONS.get(resource_type, {}) | _VALIDATE
        found["operation"] = [{"name": name, "definition": definition} for name, definition in known.items()]
        if exports and resource_type in {"Patient", "Group"}:
            found["operation"] += _exports(resource_type)
    return {name: value for name, value in found.items() if value != []}


def interactions(resource_type: str) -> list[Interaction]:
    """The interactions offered on a type, in the order of the route table."""
    if resource_type in VIEWS:
        return [Interaction.SEARCH, Interaction.READ]
    offered = dict.fromkeys(each for methods in ROUTES.values() for each in methods.values())
    return [each for each in offered if each not in _NOT_OF_A_TYPE]


def _search_params(resource_type: str) -> list[dict[str, str]]:
    """The parameters that are evaluated."""
    return [
        {"name": each.name, "definition": each.url, "type": each.type}
        for each in parameters(resource_type).values()
        if each.kind is not None
    ]


def _includes(resource_type: str) -> list[str]:
    """What _include can follow."""
    return [f"{resource_type}:{each.name}" for each in _of(resource_type)]


def _revincludes(resource_type: str) -> list[str]:
    """What _revinclude can follow back to a type."""
    return [f"{source}:{name}" for source, name, targets in _references() if resource_type in targets]


@cache
def _references() -> tuple[tuple[str, str, frozenset[str]], ...]:
    """Every reference parameter of a stored type, and the types that it can lead to."""
    every = ((source, each) for source in sorted(RESOURCE_TYPES - NOT_STORED - VIEWS) for each in _of(source))
    return tuple((source, each.name, frozenset(each.targets) or RESOURCE_TYPES) for source, each in every)


def _of(source: str) -> list[Parameter]:
    """The reference parameters of a type."""
    return [each for each in parameters(source).values() if each.kind is Kind.REFERENCE]
