"""What must hold whatever a patient decided (docs/consent.md, "Properties"): P1 to P7, over random worlds.

MEDLOCK_THOROUGH=1 asks a hundred thousand; otherwise a few thousand.
"""

import os
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec
import pytest

from consent import form, worlds
from consent.naive import Naive
from medlock.access.consent.book import Book
from medlock.access.consent.policy import Policy
from medlock.access.consent.reading import read
from medlock.access.consent.ruling import Ruling, Site, ruled

CASES = 100_000 if os.environ.get("MEDLOCK_THOROUGH") else 3_000
PARTS = 4


@dataclass
class World:
    """One random question."""

    consents: list[dict[str, Any]]
    ask: Any
    facts: Any
    policy: str
    links: dict[str, frozenset[str]]

    def ruling(self, consents=None, ask=None):
        """The engine for it."""
        read_ = [read(each, form.PURPOSES) for each in (self.consents if consents is None else consents)]
        book = Book("p", [each for each in read_ if each is not None], self.links)
        return Ruling(book, ask or self.ask, Site(Policy(self.policy), form.PURPOSES))

    def permits(self, consents=None, ask=None, facts=None):
        """Yes or no."""
        return self.ruling(consents, ask).permits(facts or self.facts)


def world(chance):
    """A random question."""
    ask, facts = form.ask(worlds.request(chance)), form.facts(worlds.resource(chance))
    return World(worlds.consents(chance), ask, facts, worlds.policy(chance), worlds.links(chance))


def random_worlds(part):
    """A part of all cases."""
    for number in range(part, CASES, PARTS):
        chance = Random(number)
        yield chance, world(chance)


parts = pytest.mark.parametrize("part", range(PARTS))


@parts
def test_the_engine_agrees_with_the_naive_one(part):
    """Decision and layer are those of an evaluator that shares no code with the engine."""
    for _, each in random_worlds(part):
        found = each.ruling().decide(each.facts)
        want = Naive(each.consents, each.ask, each.policy, each.links).decide(each.facts)
        assert ("PERMIT" if found.permit else "DENY", found.layer) == want, each


@parts
def test_adding_a_nested_deny_never_permits(part):
    """P1: a further exception that denies turns no DENY into PERMIT."""
    for chance, each in random_worlds(part):
        if each.consents and not each.permits():
            changed = msgspec.json.decode(msgspec.json.encode(each.consents))
            root = chance.choice(changed)["provision"]
            root.setdefault("provision", []).append(form.provision(worlds.provision(chance, 2) | {"type": "deny"}))
            assert not each.permits(changed), each


@parts
def test_knowing_less_never_permits(part):
    """P2: without purpose, labels, author or dates, no DENY becomes PERMIT."""
    for _, each in random_worlds(part):
        if each.permits():
            continue
        replace = msgspec.structs.replace
        less = [
            replace(each.facts, labels=None),
            replace(each.facts, authors=None),
            replace(each.facts, authored=None, updated=None),
        ]
        assert not any(each.permits(facts=facts) for facts in less), each
        assert not each.permits(ask=replace(each.ask, purposes=frozenset())), each


@parts
def test_order_does_not_matter(part):
    """P3: neither that of provisions nor that of consents."""
    for chance, each in random_worlds(part):
        changed = msgspec.json.decode(msgspec.json.encode(each.consents))
        chance.shuffle(changed)
        for consent in changed:
            chance.shuffle(consent["provision"].get("provision", []))
        assert each.permits(changed) is each.permits(), each


@parts
def test_inactive_consents_change_nothing(part):
    """P4: a consent that is not active is as if it were not there."""
    for chance, each in random_worlds(part):
        status = chance.choice(["inactive", "draft", "proposed", "rejected", "entered-in-error"])
        extra = form.consent({"provision": worlds.provision(chance), "status": status}, 9)
        assert each.permits([*each.consents, extra]) is each.permits(), each


@parts
def test_a_filter_by_sealed_facts_is_the_decision(part):
    """P5: type and labels alone decide as the whole resource does, wherever the ruling says that they suffice."""
    decided = 0
    for _, each in random_worlds(part):
        ruling = each.ruling()
        if not ruling.needs_body(each.facts.type):
            decided += 1
            assert ruling.permits_sealed(each.facts.type, each.facts.labels) is ruling.permits(each.facts), each
    assert decided > CASES / PARTS / 4


@parts
def test_a_ruling_kept_is_a_ruling_made(part):
    """P6: a ruling that was asked before answers as a fresh one; one made after a change knows of the change."""
    for chance, each in random_worlds(part):
        kept, other = each.ruling(), form.facts(worlds.resource(chance))
        kept.permits(other)
        assert kept.permits(each.facts) is each.ruling().permits(each.facts)
        changed = worlds.consents(chance)
        want = Naive(changed, each.ask, each.policy, each.links).decide(each.facts)[0]
        assert each.permits(changed) is (want == "PERMIT")


@parts
def test_a_book_remembers_rulings_only_for_who_asks_the_same(part):
    """P6: one book asked by many at many times, also on the very edges of its periods, answers each as a fresh one."""
    for chance, each in random_worlds(part):
        kept = each.ruling()
        edges = [instant for period in kept.book.periods for instant in period] or [each.ask.now]
        asks = [form.ask(worlds.request(chance)) for _ in range(3)] + [each.ask]
        turned = {name: not getattr(each.ask, name) for name in ("may_break_glass", "clinical", "records_consents")}
        alone = turned | {"own": frozenset({"p"}) - each.ask.own, "action": "disclose", "actors": frozenset()}
        asks += [msgspec.structs.replace(each.ask, **{name: value}) for name, value in alone.items()]
        for ask in [*asks, *asks]:
            now = chance.choice([*edges, ask.now]) + chance.choice([-1, 0, 1])
            moved = msgspec.structs.replace(ask, now=now)
            found, fresh = ruled(kept.book, moved, kept.site), Ruling(kept.book, moved, kept.site)
            assert found.decide(each.facts) == fresh.decide(each.facts), each
            sealed = each.facts.type, each.facts.labels
            assert found.permits_sealed(*sealed) is fresh.permits_sealed(*sealed), each
            assert found.needs_body(each.facts.type) is fresh.needs_body(each.facts.type), each


@parts
def test_a_decision_names_its_reasons(part):
    """P7: by a provision, its consent and path; by the site or by right of access, none."""
    for _, each in random_worlds(part):
        found = each.ruling().decide(each.facts)
        assert bool(found.rules) is (found.layer in {"explicit", "outside"})
        assert all(rule.split(" ")[0] in found.consents for rule in found.rules)
