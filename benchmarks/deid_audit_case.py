"""One case of the deid_audit group, in a process of its own: prints its figures as JSON.

python benchmarks/deid_audit_case.py ROWS LIMIT: ARX's Adult with 9 quasi-identifiers, ROWS of it as the original and
the others as the control, released as it is (LIMIT 0) or 12-anonymous with that part suppressed. For more rows than
Adult has, both come from Adult enlarged as for deid_table.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
from deid_tabular_measures import ADULT, enlarge
from machine import peak_mb

from deid_tabular import adult
from medlock.deid.audit.examine import Question, examined
from medlock.deid.tabular.columns import Column, Table
from medlock.deid.tabular.files import read_table
from medlock.deid.tabular.models import KAnonymity
from medlock.deid.tabular.release import Plan, released

CONTROL = 10_000
ADULT_ROWS = 30_162


def people(rows: int) -> tuple[Table, Table]:
    """Original and control."""
    with tempfile.TemporaryDirectory(prefix="medlock-bench-") as folder:
        source = ADULT / "adult.csv"
        if rows + CONTROL > ADULT_ROWS:
            source = Path(folder) / "enlarged.csv"
            enlarge(ADULT / "adult.csv", source, rows + CONTROL)
        whole = read_table(source, adult.QUASI)
    order = np.random.default_rng(1).permutation(len(whole))

    def part(chosen: np.typing.NDArray[np.int64]) -> Table:
        return Table({name: Column(name, each.words, each.codes[chosen]) for name, each in whole.columns.items()})

    return part(order[:rows]), part(order[rows:])


def main() -> None:
    """Run the case."""
    rows, limit = int(sys.argv[1]), float(sys.argv[2])
    original, control = people(rows)
    quasi = {name: adult.hierarchy(name) for name in adult.QUASI}
    release = released(original, Plan(quasi, [KAnonymity(12)], limit)).table if limit else original
    began = time.process_time()
    audit = examined(Question(release, original, quasi, control, register=original, population=adult.USA))
    found = {"seconds": time.process_time() - began, "blocked": audit.blocked, "attacks": len(audit.attacks)}
    for kind in ("singling-out", "linkability", "inference"):
        risks = [each.risk for each in audit.attacks if each.kind == kind]
        found[f"{kind}_low"], found[f"{kind}_high"] = (
            max(getattr(each, end) for each in risks) for end in ("low", "high")
        )
    found["rss_mb"] = peak_mb()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
