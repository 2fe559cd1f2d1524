"""What a Grant reaches, in terms of the store: which indexes may be opened, and which of their rows seen.

A Grant speaks of patients by id; indexes are named by slot. Here the one is turned into the other, once per question,
so that totals, sorting and paging only ever see rows that the caller may know of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from medlock.access.consent.ruling import Ruling
from medlock.access.grant import Grant, Rules
from medlock.access.residual import Residuals
from medlock.records.columns import exact, possible
from medlock.records.consents import Consulted, may_each, ready
from medlock.records.indexing import TYPE_NAMES, TYPE_NUMBERS
from medlock.records.plan import Planner
from medlock.records.vault import TENANT, Vault
from medlock.store.capsule import Capsule
from medlock.store.entries import POINTER
from medlock.store.segment import Mask, Segment


class Facts(msgspec.Struct, frozen=True):
    """What an index row tells of a resource, for `Rules.allow`."""

    type: str
    patients: tuple[str, ...]
    labels: tuple[str, ...]


class Reach(msgspec.Struct, frozen=True):
    """A Grant by slot: rules of the patients it names, and of everyone else."""

    grant: Grant
    by_slot: dict[int, Rules]
    planner: Planner

    def rules(self, slot: int) -> Rules | None:
        """The rules for the patient in a slot, None when out of reach."""
        return self.by_slot.get(slot, self.grant.everyone)

    def slots(self, vault: Vault) -> Iterable[int]:
        """Every slot within reach."""
        if self.grant.everyone is None:
            return list(self.by_slot)
        return vault.directory.slots()  # every slot has rules: its own, or everyone's

    def visible(self, capsule: Capsule, segment: Segment, type_: str) -> Mask | None:
        """Rows of one type that the rules allow, as far as columns tell; None when none can be."""
        if capsule.slot == TENANT:
            if type_ not in self.grant.shared:
                return None
            return self.narrowed(segment.alive, self.grant.shared_residuals, type_, segment)
        rules = self.rules(capsule.slot)
        seen = None if rules is None else allowed_rows(rules, capsule.patient, segment, type_)
        if rules is None or seen is None:
            return None
        seen = self.narrowed(seen, rules.residuals, type_, segment)
        return seen if self.consents is None else self._consented(self.consents, seen, capsule, segment, type_)

    @property
    def consents(self) -> Consulted | None:
        """The consents that narrow the Grant."""
        return self.grant.consents if isinstance(self.grant.consents, Consulted) else None

    @staticmethod
    def _consented(consents: Consulted, seen: Mask, capsule: Capsule, segment: Segment, type_: str) -> Mask:
        """Those of the rows that consents may let be seen: the index's patient's, and of pointers the owner's.

        Raises Unheard where those were not looked up.
        """
        consents.heard.note(capsule.slot, capsule.patient)
        seen = allowed_by(consents.of_slot(capsule.slot), seen, segment, type_)
        pointing = (segment.rows["flags"] & POINTER) != 0
        if pointing.any():
            pointing &= segment.of_type(TYPE_NUMBERS[type_]) & segment.alive
            for slot in np.unique(segment.rows["slot"][pointing]).tolist():
                own = pointing & (segment.rows["slot"] == np.uint64(slot))
                seen = np.where(own, allowed_by(consents.of_slot(slot), seen, segment, type_), seen)
        return seen

    def narrowed(self, seen: Mask, residuals: Residuals, type_: str, segment: Segment) -> Mask:
        """Those of the rows of which the residual rule of their type may hold."""
        rule = residuals.get(type_)
        return seen if rule is None else seen & possible(self.planner, rule, type_, segment)

    def visible_everything(self, capsule: Capsule, segment: Segment) -> Mask:
        """Rows of any type that the rules allow, as far as columns tell."""
        mask: Mask = np.zeros(len(segment), np.bool_)
        for number in np.unique(segment.rows["type"][segment.alive]).tolist():
            seen = self.visible(capsule, segment, TYPE_NAMES[number])
            if seen is not None:
                mask |= seen & segment.of_type(number)
        return mask & segment.alive

    def undecided(self, type_: str) -> bool:
        """Whether bodies must be opened to know which resources of a type may be seen."""
        if not self.grant.needs_body(type_):
            return False
        if self.consents is not None and self.consents.needs_body(type_):
            return True
        everyone = [] if self.grant.everyone is None else [self.grant.everyone]
        every = [self.grant.shared_residuals, *(each.residuals for each in (*self.by_slot.values(), *everyone))]
        rules = {id(residuals[type_]): residuals[type_] for residuals in every if type_ in residuals}
        return not all(exact(self.planner, rule, type_) for rule in rules.values())

    def undecided_rows(self, segment: Segment) -> Mask:
        """Rows of which only the body can say whether they may be seen."""
        names = self.grant.by_body
        if self.consents is not None and self.consents.looks_inside:
            living = segment.rows["type"][segment.alive]  # what has left the record has no type any more
            names = frozenset(TYPE_NAMES[number] for number in np.unique(living).tolist())
        numbers = [TYPE_NUMBERS[name] for name in names if self.undecided(name)]
        mask: Mask = np.isin(segment.rows["type"], numbers) if numbers else np.zeros(len(segment), np.bool_)
        return mask


def allowed_by(rulings: Sequence[Ruling], seen: Mask, segment: Segment, type_: str) -> Mask:
    """Those of the rows, were they of this type, that consents may let be seen by their labels."""
    if not rulings:
        return seen
    allowed = np.array([may_each(rulings, type_, labels) for labels in segment.labels], np.bool_)
    if allowed.all():
        return seen
    mask: Mask = seen & allowed[segment.rows["label"]]
    return mask


async def reach_of(vault: Vault, grant: Grant) -> Reach:
    """The reach of a Grant: its named patients that exist, by slot."""
    by_slot: dict[int, Rules] = {}
    for patient, rules in grant.rules.items():
        slot = await vault.patient_slot(patient)
        if slot is not None:
            by_slot[slot] = rules
    await ready(grant, grant.rules)
    return Reach(grant, by_slot, vault.planner)


def allowed_rows(rules: Rules, patient: str, segment: Segment, type_: str) -> Mask | None:
    """Rows of one type whose labels the rules allow; None when the rules allow none of them."""
    allowed = [rules.allow(Facts(type_, (patient,), labels)) for labels in segment.labels]
    if all(allowed):
        return segment.alive
    if not any(allowed):
        return None
    mask: Mask = segment.alive & np.array(allowed, np.bool_)[segment.rows["label"]]
    return mask
