"""Models, metrics and hierarchies as they are written on a command line.

A model is a name and its parameters with colons, such as k:5 or te:diagnosis:0.2; docs/deid/tabular.md lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from medlock.deid.tabular.builders import dates, icd10, numbers, zips
from medlock.deid.tabular.class_metrics import AverageSize, Discernibility
from medlock.deid.tabular.closeness import Closeness, Ground
from medlock.deid.tabular.diversity import DistinctDiversity, EntropyDiversity, RecursiveDiversity
from medlock.deid.tabular.entropy import Entropy
from medlock.deid.tabular.files import read_hierarchy
from medlock.deid.tabular.hierarchy import Hierarchy, flat
from medlock.deid.tabular.likeness import BetaLikeness, DeltaDisclosure
from medlock.deid.tabular.loss import Loss
from medlock.deid.tabular.metrics import Height, Metric, Precision
from medlock.deid.tabular.models import KAnonymity, KMap, Model
from medlock.deid.tabular.population import Estimator
from medlock.deid.tabular.presence import DeltaPresence, PopulationMap
from medlock.deid.tabular.sample import AverageRisk, PopulationUniqueness, SampleModel, SampleUniqueness
from medlock.errors import BadRequest

METRICS: Mapping[str, Metric] = {
    "loss": Loss(),
    "lossmean": Loss(arithmetic=True),
    "entropy": Entropy(),
    "entropymono": Entropy(monotone=True),
    "dm": Discernibility(),
    "aecs": AverageSize(),
    "prec": Precision(),
    "height": Height(),
}


@dataclass(frozen=True)
class Setting:
    """What models may refer to: the size of the population, whether there is a subset, and hierarchies by attribute."""

    population: int | None
    subset: bool
    hierarchy: Callable[[str], Hierarchy]

    def people(self) -> int:
        """The size of the population. Raises BadRequest when it was not given."""
        if self.population is None:
            msg = "This model needs the size of the population: give --population."
            raise BadRequest(msg)
        return self.population


Maker = Callable[..., Model | SampleModel]


def model(text: str, setting: Setting) -> Model | SampleModel:
    """A model from its words. Raises BadRequest for an unknown name, a wrong number of parameters or a bad number."""
    name, *parameters = text.split(":")
    if name not in _MAKERS:
        msg = f"There is no model {name}; there are {', '.join(_MAKERS)}."
        raise BadRequest(msg)
    make, form = _MAKERS[name]
    try:
        return make(setting, *parameters)
    except (TypeError, ValueError):
        msg = f"The model {text} should have the form {form}."
        raise BadRequest(msg) from None


def metric(name: str) -> Metric:
    """A metric by name. Raises BadRequest."""
    if name not in METRICS:
        msg = f"There is no metric {name}; there are {', '.join(METRICS)}."
        raise BadRequest(msg)
    return METRICS[name]


def hierarchy(name: str, how: str, values: Sequence[str]) -> Hierarchy:
    """A hierarchy from a file, or built of the values where `how` starts with @. Raises BadRequest."""
    if not how.startswith("@"):
        return read_hierarchy(name, Path(how))
    kind, _, rest = how[1:].partition(":")
    if kind == "number":
        widths, _, top = rest.partition("+")
        return numbers(name, values, _whole_numbers(name, widths), int(top) if top.isdigit() else None)
    builders = {"date": dates, "zip": zips, "icd10": icd10, "flat": flat}
    if kind not in builders:
        msg = f"There is no hierarchy @{kind} for {name}; there are @number:5,10,20, @date, @zip, @icd10 and @flat."
        raise BadRequest(msg)
    return builders[kind](name, values)


def levels(text: str) -> tuple[str, int, int]:
    """Attribute, lowest and highest level from NAME=LOW-HIGH. Raises BadRequest."""
    name, _, span = text.rpartition("=")
    low, _, high = span.partition("-")
    if not name or not low.isdigit() or not (high or low).isdigit():
        msg = f"{text} should have the form NAME=LOW-HIGH, with levels counted from 0."
        raise BadRequest(msg)
    return name, int(low), int(high or low)


def _whole_numbers(name: str, text: str) -> list[int]:
    parts = text.split(",") if text else []
    if not all(part.isdigit() for part in parts):
        msg = f"The interval widths of {name} should be whole numbers with commas, such as @number:5,10,20."
        raise BadRequest(msg)
    return [int(part) for part in parts]


def _k_map(setting: Setting, k: str, how: str = "") -> Model:
    if setting.subset:
        return PopulationMap(int(k))
    return KMap(int(k), setting.people(), truncated=how == "truncated")


_MAKERS: dict[str, tuple[Maker, str]] = {
    "k": (lambda _, k: KAnonymity(int(k)), "k:K"),
    "kmap": (_k_map, "kmap:K"),
    "dl": (lambda _, name, least: DistinctDiversity(name, int(least)), "dl:ATTRIBUTE:L"),
    "el": (lambda _, name, least: EntropyDiversity(name, float(least)), "el:ATTRIBUTE:L"),
    "rl": (lambda _, name, c, least: RecursiveDiversity(name, float(c), int(least)), "rl:ATTRIBUTE:C:L"),
    "te": (lambda _, name, t: Closeness(name, float(t)), "te:ATTRIBUTE:T"),
    "to": (lambda _, name, t: Closeness(name, float(t), Ground.ORDERED), "to:ATTRIBUTE:T"),
    "th": (
        lambda setting, name, t: Closeness(name, float(t), Ground.HIERARCHICAL, setting.hierarchy(name)),
        "th:ATTRIBUTE:T",
    ),
    "bb": (lambda _, name, beta: BetaLikeness(name, float(beta)), "bb:ATTRIBUTE:BETA"),
    "eb": (lambda _, name, beta: BetaLikeness(name, float(beta), enhanced=True), "eb:ATTRIBUTE:BETA"),
    "dd": (lambda _, name, delta: DeltaDisclosure(name, float(delta)), "dd:ATTRIBUTE:DELTA"),
    "dp": (lambda _, least, most: DeltaPresence(float(least), float(most)), "dp:LEAST:MOST"),
    "avg": (lambda _, most: AverageRisk(float(most)), "avg:MOST"),
    "su": (lambda _, most: SampleUniqueness(float(most)), "su:MOST"),
    "pu": (
        lambda setting, most, how="dankar": PopulationUniqueness(float(most), setting.people(), Estimator(how)),
        "pu:MOST or pu:MOST:ESTIMATOR",
    ),
}
