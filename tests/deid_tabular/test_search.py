"""The optimum is the optimum: the search against every transformation looked at by hand."""

import pytest

from deid_tabular import naive
from deid_tabular.adult import METRICS
from deid_tabular.worlds import World
from medlock.deid.tabular.closeness import Closeness, Ground
from medlock.deid.tabular.diversity import DistinctDiversity, EntropyDiversity, RecursiveDiversity
from medlock.deid.tabular.likeness import BetaLikeness, DeltaDisclosure
from medlock.deid.tabular.models import KAnonymity
from medlock.deid.tabular.problem import Problem
from medlock.deid.tabular.search import optimum
from medlock.errors import BadRequest, Unprocessable

MAKERS = {
    "k": KAnonymity,
    "dl": lambda least: DistinctDiversity("s", least),
    "el": lambda least: EntropyDiversity("s", least),
    "rl": lambda c, least: RecursiveDiversity("s", c, least),
    "bb": lambda beta: BetaLikeness("s", beta),
    "eb": lambda beta: BetaLikeness("s", beta, enhanced=True),
    "dd": lambda delta: DeltaDisclosure("s", delta),
}


def asked(world):
    """One to three models with random thresholds, none at a value where rounding would decide."""
    rnd = world.rnd
    every = [
        ("k", rnd.randint(1, 4)),
        ("dl", rnd.randint(1, 2)),
        ("el", rnd.choice([1.0, 1.51, 2.03])),
        ("rl", rnd.choice([0.71, 1.53, 3.07]), rnd.randint(1, 2)),
        ("t", rnd.choice(list(Ground)), rnd.choice([0.1531, 0.3127, 0.6013])),
        ("bb", rnd.choice([0.5131, 1.0173, 3.0719])),
        ("eb", rnd.choice([0.5131, 1.0173, 3.0719])),
        ("dd", rnd.choice([0.7131, 1.5173, 3.0719])),
    ]
    return rnd.sample(every, rnd.randint(1, 3))


def made(model, world):
    """The model itself."""
    name, *rest = model
    return Closeness("s", rest[1], rest[0], world.sensitive) if name == "t" else MAKERS[name](*rest)


@pytest.mark.parametrize("seed", range(400))
def test_no_transformation_is_better(seed):
    """On random tables, hierarchies, models, limits and metrics: the lowest score there is, or none where none is."""
    world = World(seed)
    models, metric = asked(world), world.rnd.choice(list(METRICS))
    limit = world.rnd.choice([0.0, 0.0, 0.1, 0.3, 0.9, 1.0])
    expected = naive.best(world, models, limit, metric)
    leaves = any(model[0] == "t" and model[1] is Ground.HIERARCHICAL for model in models)
    problem = Problem(
        world.counts(leaves=leaves), world.hierarchies, [made(each, world) for each in models], limit, METRICS[metric]
    )
    if expected is None:
        with pytest.raises((Unprocessable, BadRequest)):
            optimum(problem)
        return
    try:
        found = optimum(problem)
    except BadRequest:
        assert limit == 1  # asked for more values or records than there are: only suppressing everybody would do
        return
    assert found.score == pytest.approx(expected, rel=1e-9, abs=1e-12)
