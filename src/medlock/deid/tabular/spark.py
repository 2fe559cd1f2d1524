"""Tables on Spark: rows are grouped there, the search runs on the driver, and each partition is published there.

Needs pyspark (the extra `spark`) and pyarrow. The same rows in the same order give the same result as a file read
here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from medlock.deid.tabular.columns import Table
from medlock.deid.tabular.counts import Counts
from medlock.deid.tabular.extras import Extra
from medlock.deid.tabular.files import column_of
from medlock.deid.tabular.groups import Groups, PartPublisher, grouped_columns
from medlock.deid.tabular.groups import counted as counted_groups
from medlock.deid.tabular.local import Recoding
from medlock.deid.tabular.release import Plan
from medlock.errors import BadRequest

pa = Extra("pyarrow", "deid")
spark_functions = Extra("pyspark.sql.functions", "spark")

_ROWS, _FIRST = "medlock rows", "medlock first"


def counted(frame: Any, plan: Plan) -> Counts:
    """The distinct tuples of a frame: one group-by, the only pass over the data.

    Raises BadRequest for unknown columns and values outside a hierarchy, SetupError without pyspark.
    """
    names = grouped_columns(plan)
    words = _words(frame, names).withColumn(_FIRST, spark_functions.monotonically_increasing_id())
    quoted = [_quoted(name) for name in names]
    grouped = words.groupBy(*quoted).agg(
        spark_functions.count("*").alias(_ROWS), spark_functions.min(_quoted(_FIRST)).alias(_FIRST)
    )
    found = grouped.toArrow()
    columns = [found.column(name).to_pylist() for name in names]
    return counted_groups(
        Groups(names, columns, found.column(_ROWS).to_pylist(), found.column(_FIRST).to_pylist()), plan
    )


def published(frame: Any, plan: Plan, recoding: Recoding) -> Any:
    """The frame recoded, partition by partition, when it is asked for."""
    needed = list(dict.fromkeys([*plan.quasi, *plan.published]))
    schema = ", ".join(f"{_quoted(name)} string" for name in plan.published)
    return _words(frame, needed).mapInArrow(partition_function(PartPublisher(plan, recoding)), schema)


def partition_function(publisher: PartPublisher) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """What each worker does with its rows: Arrow batches in, published batches out."""

    def publish(batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            names = batch.schema.names
            part = Table({name: column_of(name, pa.chunked_array([batch.column(name)])) for name in names})
            shown = publisher.publish(part)
            arrays = [
                pa.array(np.array(each.words, object)[each.codes], pa.string()) for each in shown.columns.values()
            ]
            yield pa.RecordBatch.from_arrays(arrays, names=list(shown.columns))

    return publish


def _words(frame: Any, names: list[str]) -> Any:
    """Columns as words; a missing value is the empty word, as in files."""
    for name in names:
        if name not in frame.columns:
            msg = f"The frame has no column {name}; its columns are {', '.join(frame.columns)}."
            raise BadRequest(msg)
    cells = (spark_functions.col(_quoted(name)).cast("string") for name in names)
    filled = (spark_functions.coalesce(cell, spark_functions.lit("")) for cell in cells)
    return frame.select(*(cell.alias(name) for cell, name in zip(filled, names, strict=True)))


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
