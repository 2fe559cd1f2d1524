"""One case of the deid_table group, in a process of its own: prints its figures as JSON.

python benchmarks/deid_tabular_case.py search|local|measures TABLE QUASI MODELS LIMIT, or ground-truth
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
from machine import peak_mb

from deid_tabular import adult
from medlock.deid.tabular.counts import Counts, Rows
from medlock.deid.tabular.files import read_hierarchy, read_table
from medlock.deid.tabular.grouping import Grouper
from medlock.deid.tabular.local import recoded
from medlock.deid.tabular.measures import measured
from medlock.deid.tabular.problem import Problem
from medlock.deid.tabular.search import optimum
from medlock.deid.tabular.utility import utility

TRUTH = Path(__file__).parents[1] / "tests/deid_tabular/arx_ground_truth.json"


def load(path: Path, number: int, models: str) -> tuple[Problem, Counts]:
    """Read and count what the models need."""
    names = adult.QUASI[:number]
    made, counting = adult.models(models)
    wanted = [*names, *([adult.SENSITIVE] if counting["sensitive"] else [])]
    table = read_table(path, list(dict.fromkeys(wanted)))
    hierarchies = [read_hierarchy(name, adult.FOLDER / f"adult_hierarchy_{name}.csv") for name in names]
    codes = [table.column(each.name).leaves(each) for each in hierarchies]
    sensitive = {}
    if counting["sensitive"]:
        column = table.column(adult.SENSITIVE)
        by_leaf = counting["sensitive"] == "leaves"
        sensitive = {adult.SENSITIVE: column.leaves(adult.hierarchy(adult.SENSITIVE)) if by_leaf else column.ranks}
    counts = Rows(codes, sensitive).counted()
    return Problem(counts, hierarchies, made), counts


def search(path: str, number: str, models: str, limit: str) -> dict[str, float]:
    """Optimal global recoding, from the file."""
    problem, counts = load(Path(path), int(number), models)
    found = optimum(Problem(counts, problem.hierarchies, problem.models, float(limit)))
    return {"score": found.score, "suppressed": found.suppressed, "checked": found.checked, "lattice": found.lattice}


def local(path: str, number: str, models: str, limit: str) -> dict[str, float]:
    """Local recoding, from the file."""
    problem, counts = load(Path(path), int(number), models)
    found = recoded(Problem(counts, problem.hierarchies, problem.models, float(limit)))
    return {"granularity": utility(found).granularity, "suppressed": found.suppressed}


def measures(path: str, number: str, models: str, limit: str) -> dict[str, float]:
    """All measures of pycanon, from the file."""
    del models, limit
    problem, counts = load(Path(path), int(number), "te:0.5")
    grouper = Grouper(counts, problem.hierarchies)
    keys = grouper.keys((0,) * int(number))
    found = measured(grouper.classes(keys, np.ones(len(keys.keys), bool)), adult.SENSITIVE)
    return {"k": found.k, "t": found.t_equal, "beta": found.basic_beta, "delta": found.delta}


def ground_truth() -> dict[str, float]:
    """ARX's rows: how many have its score to 1e-9 and its number of suppressed records."""
    rows = json.loads(TRUTH.read_text())["rows"]
    same = 0
    for row in rows:
        models, counting = adult.models(row["model"])
        counts = adult.counts(row["quasi_identifiers"], **counting)
        hierarchies = [adult.hierarchy(name) for name in adult.QUASI[: row["quasi_identifiers"]]]
        found = optimum(Problem(counts, hierarchies, models, row["limit"], adult.METRICS[row["metric"]]))
        outside = int(counts.population.sum()) - counts.records if counting["subset"] and row["limit"] else 0
        close = abs(found.score - row["score"]) <= 1e-9 * abs(row["score"])
        same += close and found.suppressed + outside == row["suppressed"]
    return {"rows": len(rows), "same": same}


def main() -> None:
    """Run one case."""
    name, *words = sys.argv[1:]
    cases: dict[str, Callable[..., dict[str, float]]] = {
        "search": search,
        "local": local,
        "measures": measures,
        "ground-truth": ground_truth,
    }
    began = time.process_time()
    found = cases[name](*words)
    found["seconds"] = time.process_time() - began
    found["rss_mb"] = peak_mb()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
