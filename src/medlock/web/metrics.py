"""The counts in the text format of Prometheus, by its own library (extra `metrics`), which is imported here only."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from medlock.web.counts import Board
from medlock.web.series import SERIES, Kind, Series


class Shown(Collector):
    """A board as the library wants it."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        """Each series of the table."""
        for series in SERIES:
            if series.kind is Kind.HISTOGRAM:
                yield self._histogram(series)
            elif series.kind is Kind.COUNTER:
                yield self._counter(series)
            else:
                yield self._gauge(series)

    def _histogram(self, series: Series) -> Metric:
        """Rows that were never counted are left out: there are hundreds."""
        family = HistogramMetricFamily(series.name, series.says, labels=[name for name, _ in series.labels])
        cells = self._board.total(series)
        names = [*(_name(bound) for bound in series.bounds), "+Inf"]
        for at, labels in enumerate(series.rows()):
            row = cells[at * series.width : (at + 1) * series.width]
            if any(row) or not labels:
                family.add_metric(labels, list(zip(names, accumulate(row[:-1]), strict=True)), row[-1])
        return family

    def _counter(self, series: Series) -> Metric:
        family = CounterMetricFamily(series.name, series.says, labels=[name for name, _ in series.labels])
        for labels, value in zip(series.rows(), self._board.total(series), strict=True):
            family.add_metric(labels, value)
        return family

    def _gauge(self, series: Series) -> Metric:
        family = GaugeMetricFamily(series.name, series.says, labels=["worker", *(name for name, _ in series.labels)])
        for number, cells in sorted(self._board.by_worker(series).items()):
            for labels, value in zip(series.rows(), cells, strict=True):
                family.add_metric([str(number), *labels], value)
        return family


def _name(bound: float) -> str:
    """A bound as the library writes its own."""
    name: str = floatToGoString(bound)  # type: ignore[no-untyped-call]
    return name


class Exposition:
    """Bytes for whoever scrapes."""

    def __init__(self, board: Board) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(Shown(board))

    def text(self) -> bytes:
        """As of now."""
        return bytes(generate_latest(self._registry))
