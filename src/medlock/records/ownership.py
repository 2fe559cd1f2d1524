"""Whose record a resource is part of, and so under whose key it is sealed.

First the patient compartment, exactly by CompartmentDefinition (R4 §2.1.26). Types that the definition leaves out but
that name their patient (Device.patient, Task.for) belong to that patient all the same: sealing must not depend on
the compartment's gaps. Provenance speaks of other resources: it belongs with what it speaks of, and a Binary with its
security context. What names no patient is shared and lies under the tenant key.
"""

from __future__ import annotations

from medlock.errors import Problem, Unprocessable
from medlock.fhir.compartment import patients_of
from medlock.fhir.values import Values

_NAMING = ("patient", "subject", "beneficiary")
_PREFIX = "Patient/"
SPEAKING = ("Binary", "Provenance")
"""Types that belong with what they speak of, in the order in which that is found out inside a transaction."""


def owners(resource: dict[str, object], values: Values) -> tuple[str, ...]:
    """Ids of the patients a resource belongs to, the owner first; empty when it is shared."""
    found = patients_of(resource)
    if found:
        return found
    named = [row for row in values.references if row[0] in _NAMING and row[1].startswith(_PREFIX)]
    named.sort(key=lambda row: _NAMING.index(row[0]))
    return tuple(dict.fromkeys(target.removeprefix(_PREFIX) for _, target in named))


def subjects_of_provenance(values: Values) -> tuple[str, ...]:
    """The local references (`Type/id`) that a Provenance speaks of, when it names no patient itself."""
    return tuple(target for param, target in values.references if param == "target" and "://" not in target)


def security_context(resource: dict[str, object], path: str = "") -> tuple[str, ...]:
    """The local reference that a Binary takes its access rules from (R4 Binary.securityContext), if it has one.

    Raises Unprocessable for a context that is not a resource here: what its rules are cannot be told.
    """
    if "securityContext" not in resource:
        return ()
    context = resource["securityContext"]
    target = context.get("reference") if isinstance(context, dict) else None
    if not isinstance(target, str) or "://" in target:
        text = "The security context must refer to a resource of this server, such as Patient/1."
        raise Unprocessable(text, problems=(Problem("not-supported", text, f"{path or 'Binary'}.securityContext"),))
    return (target.partition("/_history/")[0],)
