"""What a run did, in numbers: nothing in it is of a patient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from medlock.deid.fhir.labels import LABELS

Json = dict[str, Any]


@dataclass
class Tally:
    """Counts over all files."""

    files: int = 0
    resources: Counter[str] = field(default_factory=Counter)
    marks: Counter[str] = field(default_factory=Counter)
    patients: set[str] = field(default_factory=set, repr=False)
    strings_in: int = 0
    strings_out: int = 0
    unruled: int = 0

    def add(self, before: Json, after: Json) -> None:
        """Count one resource, or a Bundle with what is in it."""
        self.strings_in += strings(before)
        self.strings_out += strings(after)
        for resource in each_resource(after):
            kind = resource["resourceType"]
            self.resources[kind] += 1
            if kind == "Patient":
                self.patients.add(str(resource.get("id")))
            codes = {label.get("code") for label in resource.get("meta", {}).get("security", [])}
            self.marks.update(code for code in codes if code in _CODES)

    def report(self) -> Json:
        """The counts, for `--json`."""
        return {
            "files": self.files,
            "resources": dict(sorted(self.resources.items())),
            "patients": len(self.patients),
            "marks": dict(sorted(self.marks.items())),
            "strings": {"before": self.strings_in, "after": self.strings_out, "without_rule": self.unruled},
        }


_CODES = frozenset(label["code"] for label in LABELS.values())


def each_resource(tree: Json) -> Iterator[Json]:
    """A resource; of a Bundle, what is in it."""
    entries = tree.get("entry") if tree.get("resourceType") == "Bundle" else None
    if entries is None:
        yield tree
        return
    for entry in entries:
        resource = entry.get("resource")
        if type(resource) is dict and "resourceType" in resource:
            yield resource


def strings(tree: Any) -> int:
    """How many strings a tree holds."""
    count = 0
    pending = [tree]
    while pending:
        node = pending.pop()
        if type(node) is str:
            count += 1
        elif type(node) is dict:
            pending += node.values()
        elif type(node) is list:
            pending += node
    return count
