"""The definitions again, slow and by hand: rows as tuples, classes as dictionaries, every transformation looked at."""

import math
from collections import Counter, defaultdict
from itertools import product
from typing import NamedTuple


def generalise(rows, hierarchies, levels):
    """Quasi-identifiers of each row on given levels."""
    maps = [{line[0]: line[level] for line in each.lines} for each, level in zip(hierarchies, levels, strict=True)]
    return [tuple(table[value] for table, value in zip(maps, row, strict=True)) for row in rows]


def classes(keys, among):
    """Rows of each class."""
    found = defaultdict(list)
    for at in among:
        found[keys[at]].append(at)
    return found


def hierarchical(part, whole, hierarchy):
    """Earth mover's distance by the recursion of Li et al. over an explicit tree."""

    def extra(level, label):
        leaves = [line[0] for line in hierarchy.lines if line[level] == label]
        return sum(part.get(leaf, 0) - whole.get(leaf, 0) for leaf in leaves)

    total = 0.0
    for level in range(1, hierarchy.height + 1):
        for label in {line[level] for line in hierarchy.lines}:
            below = {line[level - 1] for line in hierarchy.lines if line[level] == label}
            extras = [extra(level - 1, child) for child in below]
            surplus = sum(value for value in extras if value > 0)
            lack = -sum(value for value in extras if value < 0)
            total += level / hierarchy.height * min(surplus, lack)
    return total


def shares(values):
    """Part of each value."""
    counts = Counter(values)
    return {value: count / len(values) for value, count in counts.items()}


def distance(ground, inside, values, hierarchy):
    """Distance of a class's values from all values."""
    part, whole = shares(inside), shares(values)
    if ground == "equal":
        return sum(abs(part.get(value, 0) - whole[value]) for value in whole) / 2
    if ground == "hierarchical":
        return hierarchical(part, whole, hierarchy)
    total = moved = 0.0
    for value in sorted(whole):
        moved += part.get(value, 0) - whole[value]
        total += abs(moved)
    return total / (len(whole) - 1) if len(whole) > 1 else 0.0


def class_holds(model, inside, values, hierarchy):
    """Whether a class, given by its sensitive values, satisfies a model written as a tuple."""
    name, *rest = model
    counts = sorted(Counter(inside).values(), reverse=True)
    part, whole = shares(inside), shares(values)
    tests = {
        "k": lambda k: len(inside) >= k,
        "dl": lambda least: len(counts) >= least,
        "el": lambda least: (
            len(counts) >= int(least) and -sum(p * math.log(p) for p in part.values()) >= math.log(least) - 1e-12
        ),
        "rl": lambda c, least: len(counts) >= least and counts[0] < c * sum(counts[least - 1 :]),
        "t": lambda ground, t: distance(ground, inside, values, hierarchy) <= t + 1e-12,
        "bb": lambda beta: all((part[v] - whole[v]) / whole[v] <= beta + 1e-12 for v in part),
        "eb": lambda beta: all((part[v] - whole[v]) / whole[v] <= min(beta, -math.log(whole[v])) + 1e-12 for v in part),
        "dd": lambda delta: all(abs(math.log2(part[v] / whole[v])) < delta for v in part),
    }
    return tests[name](*rest)


def sample_holds(model, sizes):
    """Whether published class sizes satisfy a model of the sample."""
    name, most = model
    records = sum(sizes)
    if not records:
        return False
    return (len(sizes) / records if name == "avg" else sizes.count(1) / records) <= most + 1e-12


def lost_rows(keys, values, models, hierarchy):
    """Rows that fail class by class; the rest, as classes."""
    kept, lost = {}, []
    for key, inside in classes(keys, range(len(keys))).items():
        sensitive = [values[at] for at in inside]
        if all(class_holds(model, sensitive, values, hierarchy) for model in models):
            kept[key] = inside
        else:
            lost += inside
    return lost, kept


def loss(rows, hierarchies, levels, lost, *, arithmetic):
    """The loss metric, cell by cell."""
    gone, parts = set(lost), []
    for at, (each, level) in enumerate(zip(hierarchies, levels, strict=True)):
        under = Counter(line[level] for line in each.lines)
        label = {line[0]: line[level] for line in each.lines}
        total = sum(1 if number in gone else under[label[row[at]]] / each.size for number, row in enumerate(rows))
        least = len(rows) / each.size
        parts.append(0.0 if each.size == 1 else max(0.0, (total - least) / (len(rows) - least)))
    if arithmetic:
        return sum(parts) / len(parts)
    return math.prod(1 + part for part in parts) ** (1 / len(parts)) - 1


def entropy(rows, keys, lost):
    """Non-uniform entropy, cell by cell."""
    bits, gone = 0.0, set(lost)
    for at in range(len(rows[0])):
        before, after = Counter(row[at] for row in rows), Counter(key[at] for key in keys)
        among = Counter(keys[number][at] for number in gone)
        for number, row in enumerate(rows):
            bits += math.log2(after[keys[number][at]] / before[row[at]])
            if number in gone:
                bits += math.log2(len(gone) / among[keys[number][at]])
    return bits


class Recoded(NamedTuple):
    """A transformed table: generalised rows, the numbers of those suppressed, and the classes of the others."""

    levels: tuple
    keys: list
    lost: list
    kept: dict


def score(metric, rows, hierarchies, recoded):
    """Any metric by name."""
    levels, keys, lost, kept = recoded
    heights = [each.height for each in hierarchies]
    number = len(rows)
    made = {
        "loss": lambda: loss(rows, hierarchies, levels, lost, arithmetic=False),
        "lossmean": lambda: loss(rows, hierarchies, levels, lost, arithmetic=True),
        "entropy": lambda: entropy(rows, keys, lost),
        "entropymono": lambda: entropy(rows, keys, []),
        "dm": lambda: sum(len(inside) ** 2 for inside in kept.values()) + number * len(lost),
        "dmmono": lambda: sum(count**2 for count in Counter(keys).values()),
        "aecs": lambda: number / (len(kept) + bool(lost)),
        "prec": lambda: (
            sum(
                ((number - len(lost)) * (level / height if height else 0) + len(lost)) / number
                for level, height in zip(levels, heights, strict=True)
            )
            / len(levels)
        ),
        "height": lambda: sum(levels),
    }
    return made[metric]()


def best(world, models, limit, metric):
    """The lowest score of all transformations, by looking at each; None when none will do."""
    most = int(limit * len(world.rows))
    scores = []
    for levels in product(*(range(each.height + 1) for each in world.hierarchies)):
        keys = generalise(world.rows, world.hierarchies, levels)
        lost, kept = lost_rows(keys, world.values, models, world.sensitive)
        if len(lost) <= most:
            scores.append(score(metric, world.rows, world.hierarchies, Recoded(levels, keys, lost, kept)))
    return min(scores, default=None)
