"""Random small tables with random hierarchies, from a seed."""

import random

from medlock.deid.tabular.columns import table
from medlock.deid.tabular.counts import Rows
from medlock.deid.tabular.hierarchy import Hierarchy


def random_hierarchy(rnd, name, size):
    """Leaves merged at random, level by level, up to one group."""
    lines = [[f"{name}{leaf}"] for leaf in range(size)]
    for level in range(1, rnd.randint(1, 3)):
        above = {
            label: f"{name}^{level}.{rnd.randrange(max(1, size >> level))}"
            for label in dict.fromkeys(x[-1] for x in lines)
        }
        for line in lines:
            line.append(above[line[-1]])
    return Hierarchy(name, tuple((*line, "*") for line in lines))


class World:
    """A table of `rows` (quasi-identifiers) and sensitive `values`, its hierarchies, and its counts."""

    def __init__(self, seed):
        rnd = random.Random(seed)
        self.rnd = rnd
        self.hierarchies = [random_hierarchy(rnd, name, rnd.randint(1, 6)) for name in "abcd"[: rnd.randint(1, 4)]]
        self.sensitive = random_hierarchy(rnd, "s", rnd.randint(2, 5))
        leaves = [[line[0] for line in each.lines] for each in self.hierarchies]
        number = rnd.randint(4, 40)
        kinds = [tuple(rnd.choice(values) for values in leaves) for _ in range(rnd.randint(1, number))]
        self.rows = [rnd.choice(kinds) for _ in range(number)]
        self.values = [rnd.choice(self.sensitive.lines)[0] for _ in range(number)]
        columns = {each.name: [row[at] for row in self.rows] for at, each in enumerate(self.hierarchies)}
        self.table = table({**columns, "s": self.values})

    def counts(self, *, leaves=False):
        """Counted, the sensitive attribute by rank or by leaf."""
        column = self.table.column("s")
        return Rows(
            [self.table.column(each.name).leaves(each) for each in self.hierarchies],
            {"s": column.leaves(self.sensitive) if leaves else column.ranks},
        ).counted()
