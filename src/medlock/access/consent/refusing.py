"""What a Consent must be before it is recorded: one that can be enforced as it is meant, or it is refused with 422.

Asked is only a consent that would be enforced: of scope patient-privacy or research, and not entered in error. What
IHE PCF does not have (action, class, code, nesting deeper than one) is refused unless the site says that it takes all
of R4. Whether the references lead anywhere, and who may record for whom, is the door's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from medlock.access.consent import codes
from medlock.access.consent.reading import Json, Reader, scope_of
from medlock.errors import Problem

_BEYOND_PCF = ("action", "class", "code")
_RECIPIENT = "IRCP"


def refusals(
    resource: Json,
    purposes: codes.Purposes = codes.NO_PROJECTS,
    base: str = "",
    *,
    extended: bool = False,
) -> list[Problem]:
    """Everything that stands against recording a valid R4 Consent, each with its path; empty when nothing does."""
    if not scope_of(resource) or resource.get("status") == "entered-in-error":
        return []
    reader = Reader(purposes, base)
    reader.root(resource)
    found = [*_policies(resource), *reader.problems, *_actors(resource)]
    return found if extended else [*found, *_beyond_pcf(resource)]


def _policies(resource: Json) -> Iterator[Problem]:
    """R4 invariant ppc-1, and what would change the meaning of everything."""
    if not resource.get("policy") and not resource.get("policyRule"):
        yield Problem(
            "invariant", "Name the policy, or the policy rule, that this consent is about (ppc-1).", "Consent"
        )
    if "modifierExtension" in resource:
        yield Problem("not-supported", "Modifier extensions change a meaning in ways not known here.", "Consent")


def _actors(resource: Json) -> Iterator[Problem]:
    """PCF fixes the role of an actor: who receives information."""
    for path, provision in _walk(resource):
        for number, actor in enumerate(provision.get("actor") or ()):
            found = {
                (codes.canonical_system(each.get("system", "")), each.get("code"))
                for each in (actor.get("role") or {}).get("coding") or ()
            }
            if (codes.PARTICIPATION, _RECIPIENT) not in found or len(found) != 1:
                text = "The role of an actor is information recipient, IRCP."
                yield Problem("code-invalid", text, f"{path}.actor[{number}].role")


def _beyond_pcf(resource: Json) -> Iterator[Problem]:
    for path, provision in _walk(resource):
        for name in _BEYOND_PCF:
            if name in provision:
                text = f"This site takes consents of IHE PCF, which has no provision.{name}."
                yield Problem("business-rule", text, f"{path}.{name}")
        if path.count("provision") > 2:
            text = "This site takes consents of IHE PCF: exceptions have no exceptions."
            yield Problem("business-rule", text, path)


def _walk(resource: Json) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every provision with its path, the root first."""
    waiting = [("Consent.provision", resource.get("provision") or {})]
    while waiting:
        path, provision = waiting.pop(0)
        yield path, provision
        nested = provision.get("provision") or ()
        waiting += [(f"{path}.provision[{number}]", each) for number, each in enumerate(nested)]
