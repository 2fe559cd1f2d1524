"""The Grant: proof that a decision was made. Only `access.decide` issues one; every path to data needs one.

A Grant speaks of patients (each with its own Rules), of resource types, and of shared resources that belong to
no patient. Two questions are asked of it for every resource that came back, on every path; nothing in it widens:

    covers(meta)      by what stands in the sealed header. Necessary, and all there is to ask where no rule is residual
    admits(version)   the whole answer: covers, and the residual rules hold on the opened body
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import msgspec

from medlock.access.consent.codes import is_normal
from medlock.access.groups import AUDIT
from medlock.access.residual import Described, Residuals, Seen, settled

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


class Version(Protocol):
    """One version of a resource, opened; `store.bodies.Opened` is one."""

    @property
    def meta(self) -> Described:
        """Its sealed header."""

    @property
    def body(self) -> bytes:
        """Its JSON, empty for a tombstone."""

    @property
    def tag(self) -> int:
        """Names its very bytes, under whatever key they lay; 0 when nothing does."""


class Consents(Protocol):
    """What the patients' consents, and the site where they say nothing, leave of a Grant. It only ever narrows.

    It knows the patients that were looked up before; asked about another one it raises, and nothing is shown.
    """

    def may(self, patient: str, resource: Sealed) -> bool:
        """Whether the header of a resource lets it be seen by this patient's consents, as far as headers tell."""

    def permits(self, patient: str, seen: Seen) -> bool:
        """Whether this very resource may be seen by them."""

    def needs_body(self, resource_type: str) -> bool:
        """Whether the header does not tell enough of some resource of a type."""

    @property
    def looks_inside(self) -> bool:
        """Whether it does not of some type."""


def _is_normal(resource: Sealed) -> bool:
    """Whether a resource is of no sensitive class; entries of the log, which bear no labels, are of none."""
    return resource.type in AUDIT or is_normal(resource.labels)


class Rules(msgspec.Struct, frozen=True):
    """What may be seen of one patient: the types, fields to mask per type, and what each resource must meet besides.

    Without `cleared` nothing of a sensitive class is, nor what nobody has looked at yet.
    """

    types: frozenset[str]
    masks: Mapping[str, frozenset[str]] = {}
    residuals: Residuals = {}
    cleared: bool = True

    def allow(self, resource: Sealed) -> bool:
        """Whether the header lets this resource be seen; where the body is needed too, `admits` has the last word."""
        return resource.type in self.types and (self.cleared or _is_normal(resource))

    def needs_body(self, resource_type: str) -> bool:
        """Whether resources of a type are decided one by one, by what they say."""
        return resource_type in self.residuals

    def admits(self, seen: Seen) -> bool:
        """Whether the residual rule of its type holds. A tombstone says nothing, so where one is asked for: no."""
        rule = self.residuals.get(seen.meta.type)
        return rule is None or (not seen.meta.deleted and settled(rule, seen))


class Grant(msgspec.Struct, frozen=True):
    """Permission for one question. `by_body` follows from the rest: types of which some resources may be hidden.

    `rules` gives each named patient's own Rules; `everyone`, when set, those of any patient not named there.
    `shared` lists the types of shared (tenant-owned) resources that may be seen, `shared_residuals` what those must
    meet. `basis` says in words why, for the audit log. `deidentified`: nothing may leave but what was
    de-identified; `studies`: the caller may never see anything else. `consents`, when set, must agree: those of the
    patient who owns a resource, and those of the patient through whose rules it is reached.
    """

    account: str
    rules: Mapping[str, Rules]
    everyone: Rules | None
    shared: frozenset[str]
    basis: str
    _issued: object = None
    deidentified: bool = False
    studies: bool = False
    shared_residuals: Residuals = {}
    by_body: frozenset[str] = frozenset()
    consents: Consents | None = None

    def __post_init__(self) -> None:
        """Refuse to be built anywhere but in `access.decide`; note which types are decided by the body."""
        if self._issued is not _ISSUED:
            raise TypeError("a Grant comes from access.decide()")
        every = (*self.rules.values(), self.everyone) if self.everyone is not None else self.rules.values()
        found = {name for rules in every for name in rules.residuals}
        if found or self.shared_residuals:
            msgspec.structs.force_setattr(self, "by_body", frozenset(found | self.shared_residuals.keys()))

    def rules_for(self, patient: str) -> Rules | None:
        """The rules for one patient, None when the Grant does not reach that patient."""
        return self.rules.get(patient, self.everyone)

    def covers(self, resource: Sealed) -> bool:
        """Whether the header of a resource lets it be seen: some patient it belongs to allows it, or it is shared."""
        patients, consents = resource.patients, self.consents
        if not patients:
            return resource.type in self.shared
        owner = patients[0]
        if consents is not None and not consents.may(owner, resource):
            return False
        for patient in patients:  # a loop: this is asked several times of every resource
            rules = self.rules.get(patient, self.everyone)
            if rules is None or not rules.allow(resource):
                continue
            if consents is None or patient == owner or consents.may(patient, resource):
                return True
        return False

    def needs_body(self, resource_type: str) -> bool:
        """Whether some resource of a type can be covered and still not be admitted."""
        return resource_type in self.by_body or (self.consents is not None and self.consents.needs_body(resource_type))

    @property
    def looks_inside(self) -> bool:
        """Whether that is so of any type."""
        return bool(self.by_body) or (self.consents is not None and self.consents.looks_inside)

    def admits(self, version: Version) -> bool:
        """Whether this very version may leave. Tombstones of a type that is decided by the body may not."""
        meta = version.meta
        if not self.covers(meta):
            return False
        return not self.needs_body(meta.type) or self.shows(Seen(meta, version.body, mark=version.tag))

    def counts_on(self, version: Version) -> bool:
        """Whether a Group may say whom an export is of: by role, scope and reach. Nothing of it is shown by that.

        Consents are asked for what is: for each member's records, and for the Group where it comes out itself. Else
        one member's no would take all others out of the export, and the export would tell of it.
        """
        alone = msgspec.structs.replace(self, consents=None)
        return alone.admits(version)

    def shows(self, seen: Seen) -> bool:
        """The same of a resource that is not stored, or not yet: a draft, an event of the log."""
        meta = seen.meta
        if not meta.patients:
            rule = self.shared_residuals.get(meta.type)
            return meta.type in self.shared and (rule is None or (not meta.deleted and settled(rule, seen)))
        return any(self.through(patient, seen) for patient in meta.patients)

    def through(self, patient: str, seen: Seen) -> bool:
        """Whether a resource may be seen through this one of its patients; its owner's consents are asked as well."""
        rules = self.rules_for(patient)
        if rules is None or not rules.allow(seen.meta) or not rules.admits(seen):
            return False
        return all(self._permitted(each, seen) for each in {patient, seen.meta.patients[0]})

    def _permitted(self, patient: str, seen: Seen) -> bool:
        return self.consents is None or self.consents.permits(patient, seen)

    def judge(self) -> Callable[[Version], bool]:
        """`admits`, remembering what headers decide: the resources of a page are mostly alike in all that does."""
        known: dict[tuple[str, tuple[str, ...], tuple[str, ...]], bool | None] = {}

        def admits(version: Version) -> bool:
            meta = version.meta
            alike = meta.type, meta.patients, meta.labels
            if alike not in known:
                known[alike] = None if self.needs_body(meta.type) else self.covers(meta)
            answer = known[alike]
            return self.admits(version) if answer is None else answer

        return admits

    def admits_all(self, versions: Iterable[Version]) -> bool:
        """Whether every one may leave; tombstones, which show nothing, by their headers."""
        alike = {(each.meta.type, each.meta.patients, each.meta.labels): each.meta for each in versions}
        for meta in alike.values():
            if not self.covers(meta):
                return False
        return not self.looks_inside or all(each.meta.deleted or self.admits(each) for each in versions)

    def types(self) -> frozenset[str]:
        """Every type that it allows of somebody; whose, `covers` says."""
        known = [self.shared, *(rules.types for rules in self.rules.values())]
        return frozenset().union(*known, self.everyone.types if self.everyone is not None else ())

    def masks_nothing(self) -> bool:
        """Whether no rule of this Grant masks anything."""
        return not (self.everyone is not None and self.everyone.masks) and not any(
            rules.masks for rules in self.rules.values()
        )
