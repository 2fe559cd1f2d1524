"""What a clinic holds, in numbers: the summary that `medlock demo` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from medlock.fhir.clinic.terms import CONFIDENTIALITY, Json


@dataclass(slots=True)
class Tally:
    """Counts over bundles. `households` counts bundles with patients in them; `restricted` labelled resources."""

    types: Counter[str] = field(default_factory=Counter)
    households: int = 0
    restricted: int = 0
    from_year: str = ""

    @property
    def patients(self) -> int:
        """How many patients there are."""
        return self.types["Patient"]

    @property
    def resources(self) -> int:
        """How many resources there are."""
        return self.types.total()

    def sentence(self) -> str:
        """One sentence for people."""
        kinds = self.types
        return (
            f"{self.patients} patients in {self.households} households, {self.resources:,} resources since "
            f"{self.from_year}: {kinds['Encounter']:,} encounters, {kinds['Observation']:,} observations, "
            f"{kinds['MedicationRequest']:,} prescriptions, {kinds['DocumentReference']:,} notes; "
            f"{self.restricted:,} of them restricted."
        )


def describe(bundles: Iterable[Json]) -> Tally:
    """Count what is in the bundles; they are read once and not kept."""
    tally = Tally()
    for bundle in bundles:
        resources = [entry["resource"] for entry in bundle["entry"]]
        tally.types.update(resource["resourceType"] for resource in resources)
        tally.households += any(resource["resourceType"] == "Patient" for resource in resources)
        tally.restricted += sum(map(_restricted, resources))
        years = [_year(resource) for resource in resources if resource["resourceType"] == "Encounter"]
        tally.from_year = min([*years, *filter(None, [tally.from_year])], default="")
    return tally


def _restricted(resource: Json) -> bool:
    labels = resource.get("meta", {}).get("security", [])
    return any(label["system"] == CONFIDENTIALITY and label["code"] in {"R", "V"} for label in labels)


def _year(encounter: Json) -> str:
    start: str = encounter["period"]["start"]
    return start[:4]
