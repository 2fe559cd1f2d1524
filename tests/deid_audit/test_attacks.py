"""The three attacks and their intervals: against brute force, on a leaky release and on a harmless one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deid_audit import naive, worlds
from deid_tabular import adult
from medlock.deid.audit.attack import Attack
from medlock.deid.audit.cover import seen
from medlock.deid.audit.examine import Question, examined
from medlock.deid.audit.inference import inference
from medlock.deid.audit.intervals import Rate, exact_interval, excess
from medlock.deid.audit.linkability import linkability
from medlock.deid.audit.neighbours import Neighbours
from medlock.deid.audit.singling_out import Describer, singling_out
from medlock.deid.tabular.columns import Column, Table, table
from medlock.deid.tabular.files import read_table
from medlock.deid.tabular.models import KAnonymity
from medlock.deid.tabular.release import Plan, released
from medlock.errors import BadRequest


def chance(seed=1):
    """A generator."""
    return np.random.default_rng(seed)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson(case):
    """The interval is that of Wilson's quadratic, and holds the share."""
    found = Rate(*case).estimate
    assert (found.low, found.high) == pytest.approx(naive.wilson(*case), abs=1e-9)
    assert found.low - 1e-12 <= case[0] / case[1] <= found.high + 1e-12


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_clopper_pearson(case):
    """At its ends a result as far out has a chance of exactly 2.5 %."""
    leaks, checked = case
    found = exact_interval(leaks, checked)
    assert found.low == 0 if not leaks else naive.at_most(leaks - 1, checked, found.low) == pytest.approx(0.975)
    assert found.high == 1 if leaks == checked else naive.at_most(leaks, checked, found.high) == pytest.approx(0.025)


def test_published_values():
    """0 of 20 and 3 of 545: the rule of three's exact form, and R's binom.test; nothing checked says nothing."""
    assert exact_interval(0, 20).high == pytest.approx(1 - 0.025 ** (1 / 20))
    assert exact_interval(5, 10).low == pytest.approx(0.1870860, abs=1e-7)
    assert exact_interval(5, 10).high == pytest.approx(0.8129140, abs=1e-7)
    assert exact_interval(0, 0).high == 1


@given(st.integers(0, 100), st.integers(0, 100))
def test_excess(attack, control):
    """An attack that does no better than on strangers has no risk; without a control its own rate is the risk."""
    found = excess(Rate(attack, 100), Rate(control, 100))
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert attack > control or found.value == 0
    assert excess(Rate(attack, 100), None).value == attack / 100


@settings(deadline=None)
@given(st.data())
def test_nearest_by_brute_force(data):
    """The record found is one of the nearest; asked often enough, each of the nearest is found, and no other."""
    people = data.draw(worlds.people())
    release = data.draw(worlds.releases(people))
    places = data.draw(st.lists(st.sampled_from([0, 1, 2]), min_size=1, unique=True))
    person = data.draw(worlds.people(1, 1))[0]
    sight = worlds.sight(release, [person])
    near = Neighbours(sight, places, chance())
    leaves = [int(sight.original[at][0]) for at in places]
    wanted = naive.nearest(release, person, places, worlds.LADDERS, worlds.NUMERIC)
    assert {int(near.of(leaves, 1)[0]) for _ in range(200)} == wanted
    assert set(near.of(leaves, len(wanted)).tolist()) == wanted
    assert sorted(near.of(leaves, len(release)).tolist()) == list(range(len(release)))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_predicates_by_brute_force(data):
    """What a predicate is said to fit is what it fits, among released records and among people."""
    people = data.draw(worlds.people(2, 8))
    release = data.draw(worlds.releases(people))
    sight = worlds.sight(release, people)
    describer = Describer(sight, chance())
    for columns in (1, 2, 3):
        predicates, fits = describer.gathered(columns, 20)
        assert list(fits) == sorted(fits)
        for predicate, fit in zip(predicates, fits, strict=True):
            tests = [
                (at, {worlds.LADDERS[at][leaf][0] for leaf in np.flatnonzero(describer.leaves((at, word, side)))})
                for at, word, side in predicate
            ]
            assert fit == sum(
                all(set(naive.covers(worlds.LADDERS[at], row[at])) <= each for at, each in tests) for row in release
            )


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_singling_out_finds_what_brute_force_finds(data):
    """Where a description by places and sex isolates somebody, trying all of one attribute and many of two finds one."""
    people = data.draw(worlds.people(3, 8))
    release = data.draw(worlds.releases(people))
    ladders = [worlds.TOWNS, worlds.SEXES]
    hidden = [("*", *row[1:]) for row in release]
    sight = worlds.sight(hidden, people)
    wanted = naive.isolating([row[1:] for row in release], [row[1:] for row in people], ladders, (False, False))
    found = [singling_out(sight, columns, chance(), attacks=100) for columns in (1, 2)]
    sharp = [each for each in found if each.attack.successes]
    assert bool(sharp) or not wanted


def attacks(release, original, control, **options):
    """The attacks on a release, by kind and detail."""
    question = Question(
        worlds.tabled(release), worlds.tabled(original), worlds.HIERARCHIES, worlds.tabled(control), **options
    )
    return {(each.kind, each.detail): each for each in examined(question).attacks}


def test_a_leaky_release_is_found():
    """The originals released as they are: singled out, linked and inferred, far beyond what strangers suffer."""
    everyone = worlds.drawn(400, 1)
    original = list(dict.fromkeys(everyone))
    control = [row for row in worlds.drawn(400, 2) if row not in set(original)]
    found = attacks(original, original, control)
    assert found["singling-out", "3 attributes"].risk.low > 0.5
    sight = worlds.sight(original, original, control)
    told = inference(sight, 2, [0, 1], chance())
    assert told.risk.low > 0
    one = [(str(20 + at), town[0], "f") for at, town in enumerate(worlds.TOWNS)]
    linked = linkability(worlds.sight(one, one), [0], [1], chance())
    assert linked.attack == Rate(6, 6)
    assert linked.risk.low > 0.5


def test_a_harmless_release_has_no_risk():
    """Strangers released in place of the people: for each attack zero lies in the interval, and the risk is small."""
    found = attacks(worlds.drawn(800, 1), worlds.drawn(800, 2), worlds.drawn(800, 3))
    for attack in found.values():
        assert attack.risk.low == 0
        assert attack.risk.value < 0.1, attack


def test_a_suppressed_release_has_no_risk():
    """Where every cell is suppressed there is nothing to describe anybody by."""
    people = worlds.drawn(50, 1)
    found = attacks([("*", "*", "*")] * 50, people, worlds.drawn(50, 2))
    assert found["singling-out", "one attribute"].risk.high == 0
    assert all(each.risk.low == 0 for each in found.values())


def test_a_smaller_control_is_scaled():
    """A predicate that fits one of half as many strangers is taken to fit two of as many: no risk is explained away."""
    people = worlds.drawn(200, 1)
    sight = worlds.sight(people, people, worlds.drawn(100, 2))
    describer = Describer(sight, chance())
    predicates, _ = describer.gathered(2, 50)
    assert describer.isolated(predicates, describer._released, 2.0).successes == 0


def test_the_same_seed_gives_the_same_result():
    """An audit can be repeated to the last digit."""
    people, control = worlds.drawn(60, 1), worlds.drawn(60, 2)
    assert attacks(people, people, control, seed=5) == attacks(people, people, control, seed=5)


def test_weak_attacks_are_named():
    """An attack that guessing beats says so."""
    assert Attack("inference", "x", Rate(1, 100), None, Rate(2, 100)).weak
    assert not Attack("inference", "x", Rate(3, 100), None, Rate(2, 100)).weak


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quasi": {}}, "at least one quasi-identifier"),
        ({"secrets": ["height"]}, "no column height"),
        ({"left": list(worlds.NAMES)}, "leave the second an attribute"),
        ({"register": table({"x": ["1"]})}, "none of the columns"),
        ({"release": worlds.tabled([("25", "moon", "f")])}, "Row 1 of the release has a value in column town"),
        ({"control": worlds.tabled([("99", "Na", "f")])}, "Row 1 has a value in column age"),
        ({"original": worlds.tabled([])}, "no rows"),
    ],
)
def test_refusals(change, words):
    """What does not fit together is refused, with row and column."""
    people = worlds.tabled(worlds.drawn(5, 1))
    good = {"release": people, "original": people, "quasi": worlds.HIERARCHIES}
    with pytest.raises(BadRequest, match=words):
        examined(Question(**(good | change)))


def test_adult():
    """Real people: released as they are nearly all descriptions single somebody out; 12-anonymous, none does."""
    if not adult.FOLDER.exists():
        pytest.skip("the Adult data set is not here")
    names = adult.QUASI[:8]
    whole = read_table(adult.FOLDER / "adult.csv", names)
    order = chance().permutation(len(whole))
    original, control = (
        Table({name: Column(name, each.words, each.codes[part]) for name, each in whole.columns.items()})
        for part in (order[:15_000], order[15_000:])
    )
    quasi = {name: adult.hierarchy(name) for name in names}
    hidden = released(original, Plan(quasi, [KAnonymity(12)], 0.02)).table
    leaky, harmless = (
        singling_out(seen(release, original, control, quasi), 8, chance(), attacks=300)
        for release in (original, hidden)
    )
    assert leaky.risk.low > 0.9
    assert harmless.risk.high < 0.09
