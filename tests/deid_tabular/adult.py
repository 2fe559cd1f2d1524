"""The Adult data set with its hierarchies, from the shared data beside the project; tests skip where it is absent."""

import csv
from functools import cache
from pathlib import Path

import pytest

from medlock.deid.tabular.class_metrics import AverageSize, Discernibility
from medlock.deid.tabular.closeness import Closeness, Ground
from medlock.deid.tabular.columns import Table, subset_rows, table
from medlock.deid.tabular.counts import Counts, Rows
from medlock.deid.tabular.diversity import DistinctDiversity, EntropyDiversity, RecursiveDiversity
from medlock.deid.tabular.entropy import Entropy
from medlock.deid.tabular.hierarchy import Hierarchy
from medlock.deid.tabular.likeness import BetaLikeness
from medlock.deid.tabular.loss import Loss
from medlock.deid.tabular.metrics import Height, Precision
from medlock.deid.tabular.models import KAnonymity, KMap
from medlock.deid.tabular.population import Estimator
from medlock.deid.tabular.presence import DeltaPresence, PopulationMap
from medlock.deid.tabular.sample import AverageRisk, PopulationUniqueness, SampleUniqueness

FOLDER = Path(__file__).parents[3] / "shared/data/deid/adult"
QUASI = [
    "age",
    "education",
    "marital-status",
    "native-country",
    "race",
    "salary-class",
    "sex",
    "workclass",
    "occupation",
]
SENSITIVE = "occupation"
USA = 317_238_626
METRICS = {
    "loss": Loss(),
    "lossmean": Loss(arithmetic=True),
    "entropy": Entropy(),
    "entropymono": Entropy(monotone=True),
    "dm": Discernibility(),
    "dmmono": Discernibility(monotone=True),
    "aecs": AverageSize(),
    "prec": Precision(),
    "height": Height(),
}


def need_adult():
    """Skip without the data."""
    if not FOLDER.exists():
        pytest.skip("Adult is not beside the project")


def _lines(name):
    with (FOLDER / name).open(newline="") as file:
        return list(csv.reader(file, delimiter=";"))


@cache
def read(name) -> Table:
    """A file as a table."""
    header, *rows = _lines(name)
    return table(dict(zip(header, zip(*rows, strict=True), strict=True)))


@cache
def hierarchy(name) -> Hierarchy:
    """The hierarchy of an attribute."""
    return Hierarchy(name, tuple(map(tuple, _lines(f"adult_hierarchy_{name}.csv"))))


@cache
def sample():
    """Which rows of Adult are the research subset."""
    return subset_rows(read("adult.csv"), read("adult_subset.csv"))


def counts(number, *, sensitive=None, subset=False) -> Counts:
    """Adult counted over the first quasi-identifiers; `sensitive` is None, "ranks" or "leaves"."""
    whole = read("adult.csv")
    column = whole.column(SENSITIVE)
    codes = {"ranks": lambda: column.ranks, "leaves": lambda: column.leaves(hierarchy(SENSITIVE))}
    return Rows(
        [whole.column(name).leaves(hierarchy(name)) for name in QUASI[:number]],
        {} if sensitive is None else {SENSITIVE: codes[sensitive]()},
        sample() if subset else None,
    ).counted()


MAKERS = {
    "k": lambda k: KAnonymity(int(k)),
    "kmap": lambda k, how="": KMap(int(k), USA, truncated=how == "truncated"),
    "pmap": lambda k: PopulationMap(int(k)),
    "dl": lambda number: DistinctDiversity(SENSITIVE, int(number)),
    "el": lambda number: EntropyDiversity(SENSITIVE, float(number)),
    "rl": lambda c, number: RecursiveDiversity(SENSITIVE, float(c), int(number)),
    "te": lambda t: Closeness(SENSITIVE, float(t)),
    "th": lambda t: Closeness(SENSITIVE, float(t), Ground.HIERARCHICAL, hierarchy(SENSITIVE)),
    "to": lambda t: Closeness(SENSITIVE, float(t), Ground.ORDERED),
    "bb": lambda beta: BetaLikeness(SENSITIVE, float(beta)),
    "eb": lambda beta: BetaLikeness(SENSITIVE, float(beta), enhanced=True),
    "dp": lambda least, most: DeltaPresence(float(least), float(most)),
    "avg": lambda most: AverageRisk(float(most)),
    "su": lambda most: SampleUniqueness(float(most)),
    "pu": lambda most, estimator="dankar": PopulationUniqueness(float(most), USA, Estimator(estimator)),
}


def models(text):
    """The models of a name such as k:5+dl:3, and how to count for them."""
    parts = [part.split(":") for part in text.split("+")]
    names = {name for name, *_ in parts}
    sensitive = "leaves" if "th" in names else "ranks" if names & {"dl", "el", "rl", "te", "to", "bb", "eb"} else None
    return [MAKERS[name](*values) for name, *values in parts], {
        "sensitive": sensitive,
        "subset": bool(names & {"dp", "pmap"}),
    }
