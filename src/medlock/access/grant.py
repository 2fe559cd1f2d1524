"""The Grant: proof that a decision was made. Only `access.decide` issues one; every path to data needs one.

A Grant speaks of patients (each with its own Rules), of resource types, and of shared resources that belong to
no patient. `covers` is asked for every resource that came back, on every path; nothing in a Grant widens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec

_ISSUED = object()


class Sealed(Protocol):
    """What the door knows of a resource without parsing it: the sealed header of its body."""

    @property
    def type(self) -> str:
        """Resource type."""

    @property
    def patients(self) -> tuple[str, ...]:
        """Ids of the patients in whose compartment it is; the owner first; empty for shared resources."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Security labels as system|code."""


class Rules(msgspec.Struct, frozen=True):
    """What may be seen of one patient: the types, and fields to mask per type (consent adds to this later)."""

    types: frozenset[str]
    masks: Mapping[str, frozenset[str]] = {}

    def allow(self, resource: Sealed) -> bool:
        """Whether this resource may be seen under these rules."""
        return resource.type in self.types


class Grant(msgspec.Struct, frozen=True):
    """Permission for one question.

    `rules` gives each named patient's own Rules; `everyone`, when set, those of any patient not named there.
    `shared` lists the types of shared (tenant-owned) resources that may be seen.
    `basis` says in words why, for the audit log. `deidentified`: nothing may leave but what was
    de-identified; `studies`: the caller may never see anything else.
    """

    account: str
    rules: Mapping[str, Rules]
    everyone: Rules | None
    shared: frozenset[str]
    basis: str
    _issued: object = None
    deidentified: bool = False
    studies: bool = False

    def __post_init__(self) -> None:
        """Refuse to be built anywhere but in `access.decide`."""
        if self._issued is not _ISSUED:
            raise TypeError("a Grant comes from access.decide()")

    def rules_for(self, patient: str) -> Rules | None:
        """The rules for one patient, None when the Grant does not reach that patient."""
        return self.rules.get(patient, self.everyone)

    def covers(self, resource: Sealed) -> bool:
        """Whether this very resource may leave: some patient it belongs to allows it, or it is shared."""
        if not resource.patients:
            return resource.type in self.shared
        for patient in resource.patients:
            rules = self.rules_for(patient)
            if rules is not None and rules.allow(resource):
                return True
        return False

    def judge(self) -> Callable[[Sealed], bool]:
        """`covers`, remembering its answers: the resources of a page are mostly alike in all that decides."""
        known: dict[tuple[str, tuple[str, ...], tuple[str, ...]], bool] = {}

        def covers(resource: Sealed) -> bool:
            alike = resource.type, resource.patients, resource.labels
            answer = known.get(alike)
            if answer is None:
                answer = known[alike] = self.covers(resource)
            return answer

        return covers

    def covers_all(self, resources: Iterable[Sealed]) -> bool:
        """Whether every one is covered: asked once for those that are alike in all that decides."""
        alike = {(each.type, each.patients, each.labels): each for each in resources}
        return all(map(self.covers, alike.values()))

    def types(self) -> frozenset[str]:
        """Every type that it allows of somebody; whose, `covers` says."""
        known = [self.shared, *(rules.types for rules in self.rules.values())]
        return frozenset().union(*known, self.everyone.types if self.everyone is not None else ())

    def masks_nothing(self) -> bool:
        """Whether no rule of this Grant masks anything."""
        return not (self.everyone is not None and self.everyone.masks) and not any(
            rules.masks for rules in self.rules.values()
        )
