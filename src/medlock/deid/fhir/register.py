"""Who is who over many files: identities are read once, before anything is cleaned.

A note in one file may name a clinician of another. The first pass keeps what identifies (patients, family, clinicians,
organisations), by patient; resources that belong to nobody are known to all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from medlock.deid.fhir.sources import Source
from medlock.deid.fhir.tally import each_resource
from medlock.deid.fhir.whose import patient_of, patients_in

Json = dict[str, Any]
IDENTITIES: Final = frozenset(
    {"Patient", "RelatedPerson", "Person", "Practitioner", "PractitionerRole", "Organization", "Location",
     "HealthcareService", "Coverage", "Device"}
)  # fmt: skip


class Register:
    """What the files say about who somebody is."""

    def __init__(self, files: Iterable[Source] = ()) -> None:
        self._own: dict[str, list[Json]] = defaultdict(list)
        self._common: list[Json] = []
        for file in files:
            for resource in file.resources():
                self.add(resource)

    def add(self, tree: Json) -> None:
        """Note what a resource, or each in a Bundle, says."""
        known = patients_in(tree)
        for resource in each_resource(tree):
            if resource.get("resourceType") in IDENTITIES:
                patient = patient_of(resource, known)
                (self._own[patient] if patient else self._common).append(resource)

    def record(self, patient: str) -> tuple[Json, ...]:
        """What is known about a patient and about those whom every patient may meet."""
        return (*self._own.get(patient, ()), *self._common)
