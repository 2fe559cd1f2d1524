"""Risk, utility, lattice and linkage with a register, against counting by hand."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deid_audit import naive, worlds
from medlock.deid.audit.exposure import kept, levels, others, risk_after, risk_before
from medlock.deid.audit.register import linkage
from medlock.deid.tabular.columns import column


@settings(deadline=None)
@given(st.data())
def test_risks(data):
    """Prosecutor and marketer are those of the classes of released rows, wholly suppressed ones left out."""
    people = data.draw(worlds.people(2))
    release = data.draw(worlds.releases(people))
    sight = worlds.sight(release, people)
    shown = Counter(row for row in release if row != ("*", "*", "*"))
    found = risk_after(sight, [0, 1, 2], 0.3, None)
    assert found.prosecutor.highest == (1 / min(shown.values()) if shown else 0)
    assert found.marketer == pytest.approx(len(shown) / max(1, sum(shown.values())))
    before = risk_before(sight, [0, 1, 2], 0.3, None)
    assert before.prosecutor.highest == 1 / min(Counter(people).values())


@settings(deadline=None)
@given(st.data())
def test_utility(data):
    """Granularity and fidelity, cell by cell."""
    people = data.draw(worlds.people(2))
    release = data.draw(worlds.releases(people))
    found = kept(worlds.sight(release, people), [0, 1, 2])
    kept_, most = 0.0, 0.0
    for at, lines in enumerate(worlds.LADDERS):
        shares = [len(naive.covers(lines, row[at])) / len(lines) for row in release]
        kept_ += 1 - sum(shares) / len(shares)
        most += 1 - 1 / len(lines)
        after = Counter()
        for row in release:
            below = naive.covers(lines, row[at])
            after.update(dict.fromkeys(below, 1 / len(below) / len(release)))
        before = Counter(row[at] for row in people)
        apart = sum(abs(after[line[0]] - before[line[0]] / len(people)) for line in lines) / 2
        assert found.fidelity[worlds.NAMES[at]] == pytest.approx(1 - apart)
    assert found.granularity == pytest.approx(kept_ / most)


def test_lattice():
    """Global recoding is on one level an attribute, local on none; bottom and top of the lattice are among the others."""
    people = worlds.drawn(30, 1)
    release = [(f"{row[0][0]}0s", row[1][0], row[2]) for row in people]
    sight = worlds.sight(release, people)
    assert levels(sight, worlds.HIERARCHIES) == {"age": 1, "town": 1, "sex": 0}
    mixed = worlds.sight([*release[:-1], people[-1]], people)
    assert levels(mixed, worlds.HIERARCHIES)["age"] is None
    nodes = others(sight, [0, 1, 2], np.random.default_rng(1))
    assert (nodes[0].granularity, nodes[0].highest) == (0, 1 / 30)
    assert nodes[-1].granularity == pytest.approx(1)
    assert nodes[-1].average == pytest.approx(len(set(people)) / 30)


@settings(deadline=None)
@given(st.data())
def test_linkage(data):
    """Whom a record may be, in a register that has some of the attributes and values that the hierarchies lack."""
    people = data.draw(worlds.people(1, 8))
    release = data.draw(worlds.releases(people))
    others_ = data.draw(worlds.people(0, 8))
    register = [*others_, ("99", "moon", "f"), *people]
    sight = worlds.sight(release, people)
    ids = column("id", [f"p{at}" for at in range(len(people))])
    known = column("id", [f"q{at}" for at in range(len(others_) + 1)] + [f"p{at}" for at in range(len(people))])
    found = linkage(sight, worlds.tabled(register), (ids, known))
    shown = [at for at, row in enumerate(release) if row != ("*", "*", "*")]
    fits = {at: naive.compatible(release[at], register, [0, 1, 2], worlds.LADDERS) for at in shown}
    number = max(1, len(shown))
    assert found.highest == max((1 / len(each) for each in fits.values()), default=0)
    assert found.linked == sum(len(each) == 1 for each in fits.values()) / number
    assert found.right == sum(each == [len(others_) + 1 + at] for at, each in fits.items()) / number
    assert found.average == pytest.approx(sum(1 / len(each) for each in fits.values()) / number)
