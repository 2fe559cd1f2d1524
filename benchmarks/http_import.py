"""Import over HTTP: transaction Bundles posted one after another to a new, empty server on one core."""

from __future__ import annotations

import statistics
from typing import Any

from corpus import Corpus
from servers import Bench
from verdict import measure


def import_measures(bench: Bench, corpus: Corpus, rounds: int) -> list[dict[str, Any]]:
    """Resources a second: each Bundle parsed, validated, resolved, sealed, indexed and synced before the next."""
    runs = [_run(bench, corpus) for _ in range(rounds)]
    rate = statistics.median(corpus.resources / run["seconds"] for run in runs)
    cpu = statistics.median(run["cpu_us"] * run["answers"] / corpus.resources for run in runs)
    return [
        measure(
            "import",
            rate,
            each=[round(corpus.resources / run["seconds"]) for run in runs],
            cpu_us_per_resource=round(cpu, 1),
            per_cpu_second=round(1e6 / cpu),
            resources=corpus.resources,
            bundles=len(corpus.posted),
            bytes=sum(map(len, corpus.posted)),
        )
    ]


def _run(bench: Bench, corpus: Corpus) -> dict[str, Any]:
    with bench.medlock(bench.fresh("import")) as server:
        return bench.ask(server, [server.post("", bundle) for bundle in corpus.posted], once=True, connections=1)
