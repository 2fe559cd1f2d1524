"""The search finds what ARX 3.9.2 finds."""

import json
from pathlib import Path

import pytest

from deid_tabular import adult
from medlock.deid.tabular.problem import Problem
from medlock.deid.tabular.search import optimum

ROWS = json.loads((Path(__file__).parent / "arx_ground_truth.json").read_text())["rows"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "{quasi_identifiers}-{model}-{metric}-{limit}".format(**row))
def test_optimum_of_arx(row):
    """Same score to nine digits and as many suppressed records, for each published run.

    With a limit ARX also marks everybody outside the research subset as suppressed.
    """
    adult.need_adult()
    models, counting = adult.models(row["model"])
    counts = adult.counts(row["quasi_identifiers"], **counting)
    hierarchies = [adult.hierarchy(name) for name in adult.QUASI[: row["quasi_identifiers"]]]
    found = optimum(Problem(counts, hierarchies, models, row["limit"], adult.METRICS[row["metric"]]))
    outside = int(counts.population.sum()) - counts.records if counting["subset"] and row["limit"] else 0
    assert found.score == pytest.approx(row["score"], rel=1e-9)
    assert found.suppressed + outside == row["suppressed"]


EXPECTED = json.loads((Path(__file__).parent / "arx_expected.json").read_text())["rows"]


@pytest.mark.parametrize("row", EXPECTED, ids=lambda row: "{quasi_identifiers}-{model}-{metric}-{limit}".format(**row))
def test_scores_that_arx_tests_for(row):
    """The score of each of ARX's own test cases on Adult for models and metrics that are here too."""
    adult.need_adult()
    models, counting = adult.models(row["model"])
    hierarchies = [adult.hierarchy(name) for name in adult.QUASI[: row["quasi_identifiers"]]]
    counts = adult.counts(row["quasi_identifiers"], **counting)
    found = optimum(Problem(counts, hierarchies, models, row["limit"], adult.METRICS[row["metric"]]))
    assert found.score == pytest.approx(row["score"], rel=1e-9)
