"""Provenance of de-identified resources: that it was done, under which preset, when, with what (FHIR R4 §10.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from medlock.deid.fhir.profile import People, Profile

Json = dict[str, Any]
_LIFECYCLE: Final = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
_AGENT: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
TARGETS_MAX: Final = 1_000


def provenance(targets: Sequence[str], profile: Profile, recorded: str, *, number: int = 1) -> Json:
    """A Provenance for references in the output; `recorded` is an instant. Names nobody and no machine."""
    deidentified = profile.people is People.DROP
    activity = (
        ("deidentify", "De-Identify (Anononymize) Record Lifecycle Event")
        if deidentified
        else ("pseudonymize", "Pseudonymize Record Lifecycle Event")
    )
    return {
        "resourceType": "Provenance",
        "id": f"deid-{number}",
        "target": [{"reference": target} for target in targets],
        "recorded": recorded,
        "policy": [f"urn:medlock:deid:{profile.name}"],
        "activity": {"coding": [{"system": _LIFECYCLE, "code": activity[0], "display": activity[1]}]},
        "agent": [{"type": {"coding": [{"system": _AGENT, "code": "assembler"}]}, "who": {"display": "medlock deid"}}],
    }


def with_provenance(bundle: Json, profile: Profile, recorded: str) -> Json:
    """A de-identified Bundle with a Provenance about its entries at the end; one that holds none stays as it is."""
    entries = bundle.get("entry", [])
    targets = [target for entry in entries if (target := _target(entry))]
    if not targets:
        return bundle
    about = provenance(targets, profile, recorded)
    added: Json = {"fullUrl": f"https://deidentified.invalid/fhir/Provenance/{about['id']}", "resource": about}
    if bundle.get("type") in {"transaction", "batch"}:
        added["request"] = {"method": "POST", "url": "Provenance"}
    return bundle | {"entry": [*entries, added]}


def _target(entry: Json) -> str:
    resource = entry.get("resource", {})
    url: str = entry.get("fullUrl", "")
    if url.startswith("urn:"):
        return url
    return f"{resource['resourceType']}/{resource['id']}" if "id" in resource else ""
