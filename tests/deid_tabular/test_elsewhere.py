"""Rows that are counted elsewhere, by SQL or on Spark, give the same result as rows read here."""

import os
import sqlite3
import sys

import numpy as np
import pytest

from deid_tabular import adult
from deid_tabular.worlds import World
from medlock.deid.tabular.columns import table
from medlock.deid.tabular.counts import Rows, merged
from medlock.deid.tabular.diversity import DistinctDiversity
from medlock.deid.tabular.groups import Groups, PartPublisher, counted, grouping_query
from medlock.deid.tabular.hierarchy import Hierarchy
from medlock.deid.tabular.local import recoded, uniform
from medlock.deid.tabular.models import KAnonymity
from medlock.deid.tabular.release import Plan, encoded, problem_of, released
from medlock.deid.tabular.search import optimum
from medlock.errors import BadRequest


def words(found):
    """Columns as lists of words."""
    return {name: [each.words[code] for code in each.codes] for name, each in found.columns.items()}


def world_plan(world, **more):
    """K = 2 with two sensitive values."""
    quasi = {each.name: each for each in world.hierarchies}
    return Plan(quasi, [KAnonymity(2), DistinctDiversity("s", 1)], 1.0, **more)


@pytest.mark.parametrize("seed", range(40))
def test_parts_add_up(seed):
    """Counts of parts of a table are the counts of the table."""
    world = World(seed)
    whole = encoded(world.table, world_plan(world))
    cut = world.rnd.randint(1, len(world.rows))
    parts, start = [], 0
    for part in (slice(0, cut), slice(cut, None)):
        rows = Rows([codes[part] for codes in whole.quasi], {"s": whole.sensitive["s"][part]})
        if len(rows):
            counts = rows.counted()
            parts.append(counts.__class__(counts.quasi, counts.sensitive, counts.weight, counts.first + start))
        start += len(rows)
    both, once = merged(parts), whole.counted()
    assert sorted(both.weight) == sorted(once.weight)
    assert sorted(both.first) == sorted(once.first)


@pytest.mark.parametrize("seed", range(40))
def test_sql_gives_the_same(seed):
    """Grouped by SQLite: same score, same suppressed records, and parts published apart are the same table."""
    world = World(seed)
    plan = world_plan(world)
    rows = list(zip(*words(world.table).values(), strict=True))
    database = sqlite3.connect(":memory:")
    columns = ", ".join(f'"{name}"' for name in world.table.columns)
    database.execute(f'CREATE TABLE "odd ""name" ({columns})')
    places = ", ".join("?" * len(rows[0]))
    database.executemany(f'INSERT INTO "odd ""name" VALUES ({places})', rows)  # noqa: S608 - our own names
    groups = database.execute(grouping_query('odd "name', plan)).fetchall()
    *parts, often = zip(*groups, strict=True)
    counts = counted(Groups(list(world.table.columns), parts, often, range(len(often))), plan)
    database.close()
    best = optimum(problem_of(counts, plan))
    here = released(world.table, plan)
    assert best.score == here.score
    assert best.suppressed == here.recoding.suppressed
    publisher = PartPublisher(plan, uniform(counts, world.hierarchies, best.levels, best.lost))
    if best.levels == tuple(here.levels.values()):
        assert words(publisher.publish(world.table)) == words(here.table)


def test_rows_not_counted_are_refused():
    """A part with a row that was not counted is not published: nothing is known of its class."""
    quasi = {"a": Hierarchy("a", (("1", "*"), ("2", "*")))}
    plan = Plan(quasi, [KAnonymity(1)])
    counts = counted(Groups(["a"], [["1"]], [3], [0]), plan)
    publisher = PartPublisher(plan, recoded(problem_of(counts, plan)))
    assert words(publisher.publish(table({"a": ["1", "1"]}))) == {"a": ["1", "1"]}
    with pytest.raises(BadRequest, match="Row 2 of a part was not among the rows"):
        publisher.publish(table({"a": ["1", "2"]}))


def test_no_subset_elsewhere():
    """A subset is refused."""
    quasi = {"a": Hierarchy("a", (("1", "*"),))}
    with pytest.raises(BadRequest, match="A subset works with"):
        grouping_query("t", Plan(quasi, [KAnonymity(1)], sample=np.array([True])))


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """Spark on this machine, its workers in this environment; skipped without pyspark or Java."""
    sql = pytest.importorskip("pyspark.sql")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    folder = tmp_path_factory.mktemp("spark")
    try:
        found = (
            sql.SparkSession.builder.master("local[2]")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.shuffle.partitions", "4")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.sql.warehouse.dir", str(folder))
            .getOrCreate()
        )
    except Exception as fault:  # noqa: BLE001 - without a Java machine pyspark fails in many ways
        pytest.skip(f"no Spark here: {type(fault).__name__}")
    yield found
    found.stop()


@pytest.mark.filterwarnings("default")
def test_spark_gives_the_same(session):
    """Adult in eight partitions: score, suppressed records, tuples and published rows are those of the local path."""
    adult.need_adult()
    spark = pytest.importorskip("medlock.deid.tabular.spark")
    quasi = {name: adult.hierarchy(name) for name in adult.QUASI[:8]}
    plan = Plan(quasi, [KAnonymity(5), DistinctDiversity("occupation", 3)], 0.02, keep=["occupation"])
    source = adult.read("adult.csv")
    frame = session.read.csv(str(adult.FOLDER / "adult.csv"), sep=";", header=True).repartitionByRange(8, "age")
    here = released(source, plan)
    counts = spark.counted(frame, plan)
    best = optimum(problem_of(counts, plan))
    assert best.score == here.score
    assert best.suppressed == here.recoding.suppressed == 522
    assert best.levels == tuple(here.levels.values())
    assert sorted(counts.weight) == sorted(here.recoding.counts.weight)
    recoding = uniform(counts, list(quasi.values()), best.levels, best.lost)
    there = spark.published(frame, plan, recoding).collect()
    expected = zip(*words(here.table).values(), strict=True)
    assert sorted(map(tuple, there)) == sorted(expected)
