"""Wrong engines, each a mistake that somebody made or could make: the cases must tell every one from the right one."""

import pytest
from msgspec import structs

from consent.cases import CASES
from consent.form import decided
from medlock.access.consent import book, codes, nodes, policy, reading, ruling
from medlock.access.consent.model import Decision

RIGHT = {
    "inherited": nodes._inherited,
    "purposes": ruling._purposes,
    "labelled": ruling._labelled,
    "meant": book._meant,
    "period": reading.period,
    "decided": ruling.Ruling._decided,
}


def swapped(*places):
    """A mutant that puts something else in these places: (object, name, value)."""

    def mutate(patch):
        for where, name, value in places:
            patch.setattr(where, name, value)

    return mutate


def widened(ask, known):
    """Subsumption without the two purposes that stand apart."""
    _, touched, sure = RIGHT["purposes"](ask, known)
    return touched, touched, sure


def exact(ask, known):
    """No subsumption on denies."""
    opened, _, sure = RIGHT["purposes"](ask, known)
    return opened, ask.purposes, sure


def narrow(ask, known):
    """No subsumption on permits."""
    _, touched, sure = RIGHT["purposes"](ask, known)
    return ask.purposes, touched, sure


def surely(ask, known):
    """No purpose is taken for a known one."""
    return (*RIGHT["purposes"](ask, known)[:2], True)


def privileged(ask, known):
    """Everybody may declare an emergency."""
    return RIGHT["purposes"](structs.replace(ask, may_break_glass=True), known)


def labels_as(permits, denies):
    """Labels by other rules: functions of labels, listed levels, listed sensitivities."""

    def labelled(of, labels):
        yes, no = of.unlabelled, of.unlabelled
        for (levels, names), bits in of.labels.items():
            yes |= bits * bool(permits(labels, levels, names))
            no |= bits * bool(denies(labels, levels, names))
        return ruling._leaning(of, yes, no)

    return labelled


def covered(labels, names, how):
    """Whether any or all sensitivities are covered."""
    return bool(labels.sensitivities) and how(
        not names.isdisjoint(codes.sensitivities_above(s)) for s in labels.sensitivities
    )


def ceiling(labels, levels, names):
    """The right rule for permits."""
    return labels is not None and (
        labels.level <= max(levels, default=-1) or (labels.level == 4 and covered(labels, names, all))
    )


def floor(labels, levels, names):
    """The right rule for denies."""
    return labels is None or covered(labels, names, any) or (levels and labels.level >= min(levels))


def first_found(verdicts):
    """Another order among deny, permit, outside."""

    def decide(self, met, labels):
        for wanted in verdicts:
            if wanted == "deny" and met & self.book.denies:
                return False, "explicit", met & self.book.denies
            if wanted == "permit" and met & self.book.permits:
                return True, "explicit", met & self.book.permits
            if wanted == "outside" and self.outside:
                return False, "outside", self.outside
        return policy.default_permits(self.site.policy, self.ask, labels, self.site.purposes), "default", 0

    return decide


def flipped(self, met, labels):
    """A nested rule that matches turns its root round, whatever its own type (an engine that was seen)."""
    nested = [n for n in self.book.nodes if n.bit & met and n.above == 0]
    if nested:
        deny = not self.book.nodes[0].rule.deny
        return not deny, "explicit", nested[0].bit
    return RIGHT["decided"](self, met, labels)


def greedy(datum, *, deny):  # noqa: ARG001 - it does not look
    """Related, whatever it means."""
    return RIGHT["meant"](datum, deny=True)


def literal(datum, *, deny):
    """R4's words only: what refers to an encounter is not related to it."""
    return [each for each in RIGHT["meant"](datum, deny=deny) if each[0] != "refers" or datum.meaning == "dependents"]


def exclusive(element):
    """A period that ends on a day ends when that day begins."""
    found = RIGHT["period"](element)
    return found and (found[0], found[1] - 86_400_000 if len(element.get("end", "")) == 10 else found[1])


def local_time(element):
    """Zones are cut off."""
    return RIGHT["period"]({name: text[:19] for name, text in element.items()})


def everything_inherits(found, consent, rule, above):
    """Denies inherit as well."""
    number = len(found)
    effective = nodes._inherited(rule, [found[each].rule for each in reversed(above)])
    found.append(nodes.Node(1 << number, above[-1] if above else -1, effective, consent))
    for child in rule.children:
        everything_inherits(found, consent, child, (*above, number))


def unlooked(name, value):
    """A look at other codes or dates than the right ones."""
    right = ruling.Ruling._met

    def met(self, facts):
        return right(self, structs.replace(facts, **{name: value(facts)}))

    return swapped((ruling.Ruling, "_met", met))


MUTANTS = {
    "denies inherit": swapped((nodes, "_add", everything_inherits)),
    "permits do not inherit": swapped((nodes, "_inherited", lambda rule, _: rule)),
    "permits inherit from the nearest rule only": swapped((nodes, "_inherited", lambda rule, above: RIGHT["inherited"](rule, above[:1]))),
    "treatment opens break-glass and trials": swapped((ruling, "_purposes", widened)),
    "treatment opens trials": swapped((codes, "_APART", frozenset({"BTG"}))),
    "denies do not subsume": swapped((ruling, "_purposes", exact)),
    "permits do not subsume": swapped((ruling, "_purposes", narrow)),
    "no purpose is a known one": swapped((ruling, "_purposes", surely)),
    "anybody may declare an emergency": swapped((ruling, "_purposes", privileged)),
    "PCF's edges are missing": swapped((codes, "_ALSO_ABOVE", {}), (ruling, "sensitivities_above", codes.sensitivities_above.__wrapped__)),
    "no tree of sensitivities": swapped((ruling, "sensitivities_above", lambda code: {code})),
    "a deny's label is a high-water mark": swapped((ruling, "_labelled", labels_as(ceiling, lambda seen, v, n: seen is None or covered(seen, n, any) or (v and seen.level <= max(v))))),
    "a permit's label is exact": swapped((ruling, "_labelled", labels_as(lambda seen, v, n: seen is not None and (seen.level in v or ceiling(seen, (), n)), floor))),
    "one sensitivity of several is enough for a permit": swapped((ruling, "_labelled", labels_as(lambda seen, v, n: ceiling(seen, v, n) or (seen is not None and covered(seen, n, any)), floor))),
    "a permit of a sensitivity opens all that is restricted": swapped((ruling, "_labelled", labels_as(lambda seen, v, n: ceiling(seen, v, n) or (seen is not None and bool(n) and seen.level <= 4), floor))),
    "every sensitivity must be denied": swapped((ruling, "_labelled", labels_as(ceiling, lambda seen, v, n: seen is None or covered(seen, n, all) or (v and seen.level >= min(v))))),
    "not labelled is normal, for permits": swapped((ruling, "_labelled", labels_as(lambda seen, v, n: ceiling(seen or codes.Labels(), v, n), floor))),
    "not labelled is normal, for denies": swapped((ruling, "_labelled", labels_as(ceiling, lambda seen, v, n: floor(seen or codes.Labels(), v, n)))),
    "a nested rule flips the root": swapped((ruling.Ruling, "_decided", flipped)),
    "permit beats deny": swapped((ruling.Ruling, "_decided", first_found(["permit", "deny", "outside"]))),
    "exceptions of denies are not looked at": swapped((ruling.Ruling, "_decided", first_found(["deny", "permit", "outside"]))),
    "outside falls to the default": swapped((ruling.Ruling, "_decided", lambda self, met, labels: first_found(["permit"])(self, met, labels) if not met & self.book.denies else RIGHT["decided"](self, met, labels))),
    "related means everything": swapped((book, "_meant", greedy)),
    "related means what R4 says only": swapped((book, "_meant", literal)),
    "days end when they begin": swapped((reading, "period", exclusive)),
    "zones are cut off": swapped((reading, "period", local_time)),
    "a deny looks at main codes": unlooked("any_codes", lambda facts: facts.codes),
    "a permit looks at all codes": unlooked("codes", lambda facts: facts.codes | facts.any_codes),
    "the last change is not looked at": unlooked("updated", lambda _: None),
    "an unknown author is nobody": unlooked("authors", lambda facts: facts.authors or frozenset()),
    "an unknown date is the last change": unlooked("authored", lambda facts: facts.authored or (facts.updated and (facts.updated, facts.updated + 1))),
    "no right to one's own record": swapped((ruling.Ruling, "decide", lambda self, facts: Decision(*self._decided(self._met(facts), facts.labels)[:2]))),
    "basic-normal is for everybody": swapped((ruling, "default_permits", lambda p, a, seen, k: policy.default_permits(p, structs.replace(a, clinical=True), seen, k))),
    "basic-normal is for every purpose": swapped((ruling, "default_permits", lambda p, a, seen, k: policy.default_permits(p, structs.replace(a, purposes=a.purposes | {"TREAT"}), seen, k))),
    "basic-normal is for all data": swapped((ruling, "default_permits", lambda p, a, _, k: policy.default_permits(p, a, codes.Labels(), k))),
    "break-glass-only does not ask for break-glass": swapped((ruling, "default_permits", lambda p, a, seen, k: policy.default_permits(p, structs.replace(a, purposes=frozenset({"BTG"})), seen, k))),
}  # fmt: skip


def wrong(case):
    """Whether the engine, as it is now, fails a case."""
    found = decided(case)
    return found.permit is not (case["expect"] == "PERMIT")


def test_there_are_enough():
    """Eighteen were asked for."""
    assert len(MUTANTS) >= 18


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_engine_is_found(name, monkeypatch):
    """At least one case of our own decides otherwise under the mutant."""
    MUTANTS[name](monkeypatch)
    codes.sensitivities_above.cache_clear()
    try:
        assert any(wrong(case) for case in CASES)
    finally:
        codes.sensitivities_above.cache_clear()


@pytest.mark.parametrize(("part", "change"), [
    ("status", lambda case: [c | {"status": "active"} for c in case["consents"]]),
    ("patient", lambda case: [c | {"patient": "p"} for c in case["consents"]]),
    ("scope", lambda case: [c | {"scope": "patient-privacy"} for c in case["consents"]]),
])  # fmt: skip
def test_an_engine_that_overlooks_a_part_is_found(part, change):
    """One that does not look at status, patient or scope decides otherwise in some case."""
    assert any(wrong(case | {"consents": change(case)}) for case in CASES), part
