"""Measures of risk and privacy: by hand on random tables, and against pycanon where it is installed."""

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from deid_tabular import adult, naive
from deid_tabular.worlds import World
from medlock.deid.tabular.grouping import Grouper
from medlock.deid.tabular.measures import measured
from medlock.deid.tabular.population import Estimator, estimated, sizes_of
from medlock.deid.tabular.risk import risks
from medlock.deid.tabular.special import digamma, trigamma

STORED = json.loads((Path(__file__).parent / "pycanon_adult.json").read_text())


def classes(world, levels=None):
    """The classes of a world on some levels."""
    grouper = Grouper(world.counts(), world.hierarchies)
    keys = grouper.keys(levels or (0,) * len(world.hierarchies))
    return grouper.classes(keys, np.ones(len(keys.keys), bool))


def by_hand(world):
    """Each class's sensitive values."""
    return [
        [world.values[at] for at in inside] for inside in naive.classes(world.rows, range(len(world.rows))).values()
    ]


@pytest.mark.parametrize("seed", range(200))
def test_measures_by_hand(seed):
    """Each measure is what its definition says of the worst class."""
    world = World(seed)
    found, whole, inside = measured(classes(world), "s"), naive.shares(world.values), by_hand(world)
    parts = [naive.shares(values) for values in inside]
    gains = [part[value] / whole[value] for part in parts for value in part]
    assert found.k == min(map(len, inside))
    assert found.l == min(len(set(values)) for values in inside)
    assert found.alpha == pytest.approx(max(max(part.values()) for part in parts))
    entropies = [-sum(p * math.log(p) for p in part.values()) for part in parts]
    assert found.entropy_l == int(math.exp(min(entropies)) + 1e-9)
    assert found.basic_beta == pytest.approx(max(gains) - 1)
    assert found.enhanced_beta == pytest.approx(min(max(gains) - 1, -math.log(min(whole.values()))))
    assert found.delta == pytest.approx(max(abs(math.log(gain)) for gain in gains))
    for name, ground in ((found.t_equal, "equal"), (found.t_ordered, "ordered")):
        assert name == pytest.approx(max(naive.distance(ground, each, world.values, None) for each in inside))
    if found.l > 1:
        assert holds_recursively(inside, found.recursive_c, found.l)
        assert not holds_recursively(inside, found.recursive_c - 1, found.l)
    else:
        assert math.isnan(found.recursive_c)


def holds_recursively(inside, c, least):
    """Whether all classes are recursively (c, l)-diverse."""
    return all(naive.class_holds(("rl", c, least), values, values, None) for values in inside)


@pytest.mark.parametrize("seed", range(200))
def test_risks_by_hand(seed):
    """Prosecutor, journalist and marketer on a sample of a population."""
    world = World(seed)
    threshold = world.rnd.choice([0.05, 0.09, 0.2, 0.34])
    found = risks(classes(world), threshold)
    sizes = Counter(world.rows)
    records = len(world.rows)
    assert found.prosecutor.highest == pytest.approx(1 / min(sizes.values()))
    assert found.prosecutor.average == pytest.approx(sum(1 / sizes[row] for row in world.rows) / records)
    assert found.prosecutor.records_at_risk == pytest.approx(
        sum(1 / sizes[row] > threshold for row in world.rows) / records
    )
    assert found.marketer == pytest.approx(found.prosecutor.average)
    assert found.journalist.highest == found.prosecutor.highest
    assert found.sample_uniques == sum(sizes[row] == 1 for row in world.rows) / records
    assert dict(found.histogram) == Counter(sizes.values())


def test_journalist_with_a_population():
    """Adult's subset in Adult: the journalist's risks by the population's classes."""
    adult.need_adult()
    counts = adult.counts(8, subset=True)
    grouper = Grouper(counts, [adult.hierarchy(name) for name in adult.QUASI[:8]])
    keys = grouper.keys((3, 2, 0, 1, 0, 0, 0, 1))
    held = grouper.sizes(keys) > 0
    found = risks(grouper.classes(keys, held))
    assert found.journalist.highest <= found.prosecutor.highest
    assert found.marketer < found.prosecutor.average
    whole = Grouper(adult.counts(8), grouper.hierarchies)
    sizes = {}
    for at, key in enumerate(whole.keys((3, 2, 0, 1, 0, 0, 0, 1)).keys):
        sizes[key] = sizes.get(key, 0) + int(whole.counts.weight[at])
    rows = adult.sample()
    column = adult.read("adult.csv").column
    codes = zip(*(column(name).leaves(adult.hierarchy(name)) for name in adult.QUASI[:8]), strict=True)
    tuples = [
        tuple(
            int(each.groups[level][code])
            for each, level, code in zip(grouper.hierarchies, (3, 2, 0, 1, 0, 0, 0, 1), row, strict=True)
        )
        for row in codes
    ]
    people, sample = Counter(tuples), Counter(row for row, inside in zip(tuples, rows, strict=True) if inside)
    assert found.journalist.highest == pytest.approx(max(1 / people[row] for row in sample))
    assert found.marketer == pytest.approx(sum(count / people[row] for row, count in sample.items()) / rows.sum())


@pytest.mark.parametrize("case", STORED["cases"], ids=lambda case: "-".join(map(str, case["levels"])))
def test_measures_on_adult_are_pycanons(case):
    """The values that pycanon 1.3.5 gives for Adult on some levels, stored."""
    adult.need_adult()
    grouper = Grouper(adult.counts(8, sensitive="ranks"), [adult.hierarchy(name) for name in adult.QUASI[:8]])
    keys = grouper.keys(tuple(case["levels"]))
    found = measured(grouper.classes(keys, np.ones(len(keys.keys), bool)), adult.SENSITIVE)
    for name, value in case["measures"].items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-9, nan_ok=True), name


@pytest.mark.parametrize("seed", range(20))
def test_measures_are_pycanons(seed):
    """Pycanon itself on random tables; skipped where it is not installed."""
    canon = pytest.importorskip("pycanon.anonymity")
    pandas = pytest.importorskip("pandas")
    world = World(seed)
    names = [each.name for each in world.hierarchies]
    frame = pandas.DataFrame(
        [(*row, value) for row, value in zip(world.rows, world.values, strict=True)], columns=[*names, "s"]
    )
    found = measured(classes(world), "s")
    assert found.k == canon.k_anonymity(frame, names)
    assert found.alpha == pytest.approx(canon.alpha_k_anonymity(frame, names, ["s"])[0])
    assert found.l == canon.l_diversity(frame, names, ["s"])
    assert found.entropy_l == pytest.approx(canon.entropy_l_diversity(frame, names, ["s"]), abs=1)
    assert found.t_equal == pytest.approx(canon.t_closeness(frame, names, ["s"]))
    assert found.basic_beta == pytest.approx(canon.basic_beta_likeness(frame, names, ["s"]))
    assert found.enhanced_beta == pytest.approx(canon.enhanced_beta_likeness(frame, names, ["s"]))
    assert found.delta == pytest.approx(canon.delta_disclosure(frame, names, ["s"]))


def test_polygamma():
    """Digamma and trigamma at points of DLMF 5.4 and 5.15, and their recurrences."""
    euler = 0.577215664901532860606512
    assert digamma(1.0) == pytest.approx(-euler, rel=1e-13)
    assert digamma(0.5) == pytest.approx(-euler - 2 * math.log(2), rel=1e-13)
    assert trigamma(1.0) == pytest.approx(math.pi**2 / 6, rel=1e-13)
    x = np.array([0.01, 0.7, 3.3, 12.0, 1e5])
    assert np.allclose(digamma(x + 1) - digamma(x), 1 / x, rtol=1e-9)
    assert np.allclose(trigamma(x) - trigamma(x + 1), 1 / x**2, rtol=1e-9)


@pytest.mark.parametrize("estimator", [Estimator.PITMAN, Estimator.ZAYATZ, Estimator.DANKAR])
@pytest.mark.parametrize("fraction", [0.02, 0.2])
def test_estimates_of_population_uniques(estimator, fraction):
    """Samples of a population whose uniques are known: the estimate is within a third, or within half a percent."""
    rng = np.random.default_rng(3)
    people = rng.zipf(1.6, 200_000) % 100_003
    truth = float((np.unique(people, return_counts=True)[1] == 1).sum()) / len(people)
    drawn = people[rng.random(len(people)) < fraction]
    sizes = np.sort(np.unique(drawn, return_counts=True)[1])
    found = estimated(sizes_of(sizes), len(people), estimator)
    assert found == pytest.approx(truth, rel=0.34, abs=0.005)


def test_no_uniques_no_estimate_needed():
    """A sample without uniques has no uniques in the population."""
    assert all(estimated(sizes_of(np.array([2, 3])), 1000, each) == 0 for each in Estimator)
