"""Local recoding: what is published satisfies the models, is true, and is finer than any global recoding."""

import json
from pathlib import Path

import pytest

from deid_tabular import adult, naive
from deid_tabular.test_search import asked, made
from deid_tabular.worlds import World
from medlock.deid.tabular.closeness import Ground
from medlock.deid.tabular.local import recoded, uniform
from medlock.deid.tabular.models import KAnonymity
from medlock.deid.tabular.problem import Checker, Problem
from medlock.deid.tabular.risk import risks
from medlock.deid.tabular.sample import SampleUniqueness
from medlock.deid.tabular.utility import utility
from medlock.errors import BadRequest, Unprocessable

ROWS = json.loads((Path(__file__).parent / "arx_ground_truth.json").read_text())["rows"]
# ARX 3.9.2, optimizeIterativeFast, oMin 0.01, gsFactor 0 on the same data: granularity
ARX_LOCAL = [(8, "k:5", 0.961732), (8, "k:2", 0.979273), (9, "k:5", 0.932261), (8, "k:5+dl:3", 0.957286)]
ARX_LOCAL_T = (8, "k:5+th:0.2", 0.680701)


def published(recoding, counts_rows):
    """The words of each tuple, or None where it is suppressed."""
    words = []
    for at in range(len(recoding.counts.weight)):
        levels = recoding.levels[:, at]
        line = [each.lines[codes[at]] for each, codes in zip(recoding.hierarchies, recoding.counts.quasi, strict=True)]
        words.append(None if levels[0] < 0 else tuple(row[level] for row, level in zip(line, levels, strict=True)))
    return [words[number] for number in counts_rows]


@pytest.mark.parametrize("seed", range(200))
def test_what_is_published_satisfies_the_models(seed):
    """Classes of equal words, by hand; and every word stands above the record's own value."""
    world = World(seed)
    models = asked(world)
    leaves = any(model[0] == "t" and model[1] is Ground.HIERARCHICAL for model in models)
    counts = world.counts(leaves=leaves)
    try:
        found = recoded(Problem(counts, world.hierarchies, [made(each, world) for each in models], 1.0))
    except BadRequest:
        return
    column = world.table.column("s")
    codes = column.leaves(world.sensitive) if leaves else column.ranks
    tuples = {
        tuple(int(each[at]) for each in (*counts.quasi, counts.sensitive["s"])): at for at in range(len(counts.weight))
    }
    quasi = [world.table.column(each.name).leaves(each) for each in world.hierarchies]
    numbers = [tuples[tuple(int(each[row]) for each in (*quasi, codes))] for row in range(len(world.rows))]
    words = published(found, numbers)
    kept = [at for at, word in enumerate(words) if word is not None]
    for inside in naive.classes(words, kept).values():
        values = [world.values[at] for at in inside]
        assert all(naive.class_holds(model, values, world.values, world.sensitive) for model in models)
    assert found.suppressed == len(words) - len(kept)


@pytest.mark.parametrize(("number", "text", "floor"), [*ARX_LOCAL, ARX_LOCAL_T])
def test_finer_than_arx(number, text, floor):
    """More granularity than ARX's local recoding, on the same data and models."""
    adult.need_adult()
    models, counting = adult.models(text)
    hierarchies = [adult.hierarchy(name) for name in adult.QUASI[:number]]
    found = recoded(Problem(adult.counts(number, **counting), hierarchies, models, 1.0))
    assert utility(found).granularity >= floor


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "{quasi_identifiers}-{model}-{metric}-{limit}".format(**row))
def test_utility_of_arx(row):
    """Utility and risk that ARX reports of its optima, to the digits it prints; not for samples of a population."""
    adult.need_adult()
    models, counting = adult.models(row["model"])
    if counting["subset"]:
        pytest.skip("ARX counts the population's records too")
    counts = adult.counts(row["quasi_identifiers"], **counting)
    hierarchies = [adult.hierarchy(name) for name in adult.QUASI[: row["quasi_identifiers"]]]
    checker = Checker(Problem(counts, hierarchies, models, row["limit"], adult.METRICS[row["metric"]]))
    lost = checker.check(tuple(row["levels"])).view.lost
    recoding = uniform(counts, hierarchies, tuple(row["levels"]), lost)
    found = utility(recoding)
    assert found.granularity == pytest.approx(row["granularity"], abs=6e-7)
    assert found.aecs == pytest.approx(row["aecs"], abs=6e-7)
    assert found.discernibility == pytest.approx(row["dm"], abs=6e-7)
    assert found.nu_entropy == pytest.approx(row["nu_entropy"], abs=6e-7)
    assert recoding.classes.sizes.min() == row["smallest_class"]
    assert risks(recoding.classes).prosecutor.average == pytest.approx(row["prosecutor"], abs=6e-6)


def test_refused():
    """Models of the whole sample, and more suppressed records than allowed."""
    world = World(1)
    with pytest.raises(BadRequest, match="models of single classes"):
        recoded(Problem(world.counts(), world.hierarchies, [SampleUniqueness(0.1)], 1.0))
    with pytest.raises((Unprocessable, BadRequest)):
        recoded(Problem(world.counts(), world.hierarchies, [KAnonymity(len(world.rows) + 1)], 0.0))
