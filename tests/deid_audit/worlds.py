"""Small tables of people with hierarchies, and releases made of them."""

import random

from hypothesis import strategies as st

from medlock.deid.audit.cover import seen
from medlock.deid.tabular.columns import table
from medlock.deid.tabular.hierarchy import Hierarchy

AGES = tuple((str(age), f"{age // 10 * 10}s", "*") for age in range(20, 60))
TOWNS = tuple((f"{region}{town}", region, "*") for region in "NS" for town in "abc")
SEXES = (("f", "*"), ("m", "*"))
LADDERS = (AGES, TOWNS, SEXES)
NAMES = ("age", "town", "sex")
NUMERIC = (True, False, False)
HIERARCHIES = {name: Hierarchy(name, lines) for name, lines in zip(NAMES, LADDERS, strict=True)}


@st.composite
def people(draw, least=1, most=12):
    """Rows of exact values."""
    cell = [st.sampled_from([line[0] for line in lines]) for lines in LADDERS]
    return draw(st.lists(st.tuples(*cell), min_size=least, max_size=most))


@st.composite
def releases(draw, rows):
    """Each cell on any of its levels."""
    return [
        tuple(
            draw(st.sampled_from(next(line for line in lines if line[0] == value)))
            for value, lines in zip(row, LADDERS, strict=True)
        )
        for row in rows
    ]


def tabled(rows):
    """Rows as a table."""
    return table({name: [row[at] for row in rows] for at, name in enumerate(NAMES)})


def sight(release, original, control=None):
    """What an audit sees of them."""
    return seen(tabled(release), tabled(original), None if control is None else tabled(control), HIERARCHIES)


def drawn(number, seed):
    """So many people drawn at random, alike in distribution whatever the seed."""
    rnd = random.Random(seed)
    return [tuple(rnd.choice(lines)[0] for lines in LADDERS) for _ in range(number)]
