"""Everything that is counted, in one table: each number has a fixed place in an array of floats.

A label's values are members of the closed sets below and nothing else, because a place exists for each of them and for
nothing else: no text of a request can become a label. docs/metrics.md has the same table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from itertools import product

from medlock.fhir.question import Interaction
from medlock.settings import Rates
from medlock.store.tally import SECONDS as COMMIT_SECONDS
from medlock.store.tally import SIZES
from medlock.web.oplog import CAPABILITIES, NO_INTERACTION

CLASSES = ("2xx", "3xx", "4xx", "5xx")
INTERACTIONS = (*(each.value for each in Interaction), CAPABILITIES, NO_INTERACTION)
REQUEST_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Kind(StrEnum):
    """The types of Prometheus that we use."""

    HISTOGRAM = "histogram"
    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Series:
    """One measure. `labels` are names and the values that each may have; a gauge is told apart by worker as well."""

    name: str
    says: str
    kind: Kind
    labels: tuple[tuple[str, Sequence[str]], ...] = ()
    bounds: Sequence[float] = field(default=())

    @property
    def width(self) -> int:
        """Cells that one row takes: a cell for each bound, one beyond, the sum; or one."""
        return len(self.bounds) + 2 if self.kind is Kind.HISTOGRAM else 1

    def rows(self) -> Iterator[tuple[str, ...]]:
        """Every combination of label values, in the order of their places."""
        return product(*(values for _, values in self.labels))


REQUESTS = Series(
    "medlock_request_seconds",
    "Requests by FHIR interaction and class of status, and how long they took.",
    Kind.HISTOGRAM,
    (("interaction", INTERACTIONS), ("status", CLASSES)),
    REQUEST_SECONDS,
)
COMMITS = Series(
    "medlock_audit_commit_seconds", "Time of a commit with its audit entries.", Kind.HISTOGRAM, bounds=COMMIT_SECONDS
)
GROUPS = Series("medlock_commit_group_size", "Writers that shared one commit.", Kind.HISTOGRAM, bounds=SIZES)
WAITING = Series("medlock_writer_queue", "Writers that wait for the next commit.", Kind.GAUGE)
CACHED = Series(
    "medlock_cache_entries",
    "Entries held in memory.",
    Kind.GAUGE,
    (("cache", ("keys", "indexes", "directory")),),
)
UNWRAPS = Series("medlock_key_unwraps_total", "Keys of patients that were unwrapped for use.", Kind.COUNTER)
DEATHS = Series("medlock_worker_deaths_total", "Workers that ended by themselves.", Kind.COUNTER)
RELOADS = Series("medlock_reloads_total", "Reloads by result.", Kind.COUNTER, (("result", ("done", "failed")),))
QUOTAS = tuple(each.name for each in fields(Rates))
REFUSED = Series(
    "medlock_limit_refusals_total",
    "Requests that a limit refused (429), by its name.",
    Kind.COUNTER,
    (("limit", QUOTAS),),
)
ALONE = Series("medlock_limits_alone_total", "Minutes in which the shared counter could not be had.", Kind.COUNTER)
CROWDED = Series("medlock_many_patients_total", "Alarms: somebody saw unusually many patients.", Kind.COUNTER)
ACCEPTING = Series("medlock_workers", "Workers that accept.", Kind.GAUGE)

SERIES = (REQUESTS, COMMITS, GROUPS, WAITING, CACHED, UNWRAPS, DEATHS, RELOADS, ACCEPTING, REFUSED, ALONE, CROWDED)


def _places() -> tuple[dict[str, int], int]:
    """Where each series begins, and how many cells there are."""
    places, end = {}, 0
    for series in SERIES:
        places[series.name] = end
        end += series.width * sum(1 for _ in series.rows())
    return places, end


PLACES, CELLS = _places()
