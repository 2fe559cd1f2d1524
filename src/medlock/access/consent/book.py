"""All consents of one patient, indexed once: from a value to the provisions that list it, as bits of one number.

So a request is matched against five hundred provisions with a few look-ups and ANDs (`access.consent.ruling`). The
book knows nothing of who asks; it is made when a consent changes, and kept until the next one does.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from medlock.access.consent.model import Consent, Datum, Provision
from medlock.access.consent.nodes import Node, below, nodes_of
from medlock.fhir.dates import Interval

_WITHIN = frozenset({"Encounter", "CarePlan", "EpisodeOfCare"})
"""Types that data is created within: `related` covers what refers to them (IHE PCF), not only what they refer to."""


class Column:
    """One element of all provisions: which do not have it, and which list a value."""

    def __init__(self) -> None:
        self.absent = 0
        self.by: dict[Hashable, int] = {}

    def add(self, bit: int, values: Iterable[Hashable] | None) -> None:
        """A provision and what it lists; None when it does not have the element."""
        if values is None:
            self.absent |= bit
            return
        for value in values:
            self.by[value] = self.by.get(value, 0) | bit

    def hit(self, values: Iterable[Hashable]) -> int:
        """The provisions that one of these values meets."""
        found = self.absent
        for value in values:
            found |= self.by.get(value, 0)
        return found


class Book:
    """The consents of one patient.

    selective  the provisions that speak of some data only
    links      what resources that consents name refer to, for `related` and `dependents`: "Type/id" → targets
    """

    def __init__(
        self, patient: str, consents: Iterable[Consent] = (), links: Mapping[str, frozenset[str]] | None = None
    ) -> None:
        self.patient = patient
        self.consents = tuple(sorted((each for each in consents if each.patient in {patient, ""}), key=lambda c: c.id))
        self.broken = tuple(each for each in self.consents if each.broken)
        self.nodes = nodes_of(self.consents)
        self.all = (1 << len(self.nodes)) - 1
        self.rulings: dict[Hashable, Any] = {}  # made by `ruling.ruled`, for whoever asks the same again
        self._pointing = _turned(links or {})
        self._shape()
        self._conditions()

    def moment(self, now: int) -> int:
        """A number for the time between two instants at which some provision begins or ends: `now` is in it."""
        return bisect_right(self._instants, now)

    def naming(self, actor: str) -> list[Consent]:
        """The consents that have a provision for this actor."""
        found = {node.consent.id: node.consent for node in self.nodes if actor in (node.rule.actors or ())}
        return list(found.values())

    def _shape(self) -> None:
        """Which are denies, roots, and what stands in what."""
        denies = [node for node in self.nodes if node.rule.deny]
        self.denies = _bits(denies)
        self.permits = self.all & ~self.denies
        self.root_permits = _bits([node for node in self.nodes if node.above < 0 and not node.rule.deny])
        inside = list(below(self.nodes))
        self.overridable = [(node.bit, bits & self.permits) for node, bits in inside if node.rule.deny]
        self.overridable = [(bit, permits) for bit, permits in self.overridable if permits]
        self.final_denies = self.denies & ~sum(bit for bit, _ in self.overridable)
        self.gates = [(node.bit, bits) for node, bits in inside if node.above >= 0]
        self.research = _bits([node for node in self.nodes if node.consent.research])
        whole = {node.bit: bits | node.bit for node, bits in inside}
        self.dated_roots = [
            (node.rule.period, whole.get(node.bit, node.bit))
            for node in self.nodes
            if node.above < 0 and node.rule.period is not None
        ]

    def _conditions(self) -> None:
        """What each demands of the request, and of the resource."""
        self.actors, self.purposes, self.actions, self.classes = Column(), Column(), Column(), Column()
        self.codes, self.data = Column(), Column()
        self.periods: dict[Interval, int] = {}
        self.data_periods: dict[Interval, int] = {}
        self.labels: dict[tuple[frozenset[int], frozenset[str]], int] = {}
        self.undated = self.unlabelled = self.authored = 0
        for node in self.nodes:
            self._condition(node.bit, node.rule)
        roots = [period for period, _ in self.dated_roots]
        self._instants = sorted({instant for period in (*self.periods, *roots) for instant in period})
        self.by_body = self._by_body()
        unasked = self.classes.absent & self.codes.absent & self.data.absent & self.undated & self.unlabelled
        self.selective = self.all & ~unasked

    def _condition(self, bit: int, rule: Provision) -> None:
        self.actors.add(bit, rule.actors)
        self.purposes.add(bit, rule.purposes)
        self.actions.add(bit, rule.actions)
        self.classes.add(bit, rule.classes)
        self.codes.add(bit, rule.codes)
        self.data.add(bit, None if rule.data is None else _looked_for(rule))
        if rule.data is not None and any(datum.meaning == "authoredby" for datum in rule.data):
            self.authored |= bit
        if rule.period is not None:
            self.periods[rule.period] = self.periods.get(rule.period, 0) | bit
        if rule.data_period is None:
            self.undated |= bit
        else:
            self.data_periods[rule.data_period] = self.data_periods.get(rule.data_period, 0) | bit
        if not rule.labelled:
            self.unlabelled |= bit
        else:
            listed = rule.levels or frozenset(), rule.sensitivities or frozenset()
            self.labels[listed] = self.labels.get(listed, 0) | bit

    def _by_body(self) -> int:
        """Provisions that only a resource's body can decide: code, date, what it refers to, profile."""
        wanting = self.all & ~(self.codes.absent & self.undated & self.data.absent)
        profiles = [node for node in self.nodes if any("/" in name for name in node.rule.classes or ())]
        return wanting | _bits(profiles)

    def pointing(self, reference: str) -> frozenset[str]:
        """Of the resources that consents name, those that refer to this one."""
        return self._pointing.get(reference, frozenset())

    def where(self, bits: int) -> tuple[str, ...]:
        """Provisions in words, "Consent/1 provision.provision[0]"."""
        return tuple(f"{each.consent.reference} {each.rule.path}" for each in self.nodes if each.bit & bits)

    def sources(self, bits: int) -> tuple[str, ...]:
        """The consents that provisions stand in."""
        return tuple(dict.fromkeys(each.consent.reference for each in self.nodes if each.bit & bits))


def _bits(nodes: Iterable[Node]) -> int:
    found = 0
    for node in nodes:
        found |= node.bit
    return found


def _turned(links: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Target → those that refer to it."""
    found: dict[str, set[str]] = {}
    for source, targets in links.items():
        for target in targets:
            found.setdefault(target, set()).add(source)
    return {target: frozenset(sources) for target, sources in found.items()}


def _looked_for(rule: Provision) -> Iterable[tuple[str, str]]:
    """What of a resource a provision's data would meet: is it ("is"), refers to it, is referred to, is written by it.

    A permit takes each meaning as R4 writes it, and for what data is created within as PCF reads it; a deny takes
    related and dependents both ways.
    """
    for datum in rule.data or ():
        yield from _meant(datum, deny=rule.deny)


def _meant(datum: Datum, *, deny: bool) -> Iterable[tuple[str, str]]:
    if datum.meaning == "authoredby":
        yield "by", datum.reference
        return
    yield "is", datum.reference
    within = datum.reference.partition("/")[0] in _WITHIN
    if datum.meaning == "dependents" or (datum.meaning == "related" and (deny or within)):
        yield "refers", datum.reference
    if datum.meaning == "related" or (datum.meaning == "dependents" and deny):
        yield "referred", datum.reference
