"""The attacks by brute force, from the words of the tables and the definitions of the paper, without any shortcut."""

import itertools
import math

SUPPRESSED = "*"


def covers(lines, word):
    """The exact values below a word of a hierarchy given as its lines."""
    if word == SUPPRESSED:
        return [line[0] for line in lines]
    return [line[0] for line in lines if word in line]


def distance(lines, value, word, numeric):
    """Gower's distance of an exact value to a released word, expected over what the word covers."""
    below = covers(lines, word)
    if not numeric:
        return sum(each != value for each in below) / len(below)
    numbers = [float(line[0]) for line in lines]
    span = max(numbers) - min(numbers)
    return sum(abs(float(each) - float(value)) / span for each in below) / len(below)


def nearest(release, person, places, ladders, numeric):
    """All released rows at the least distance from a person."""
    far = [sum(distance(ladders[at], person[at], row[at], numeric[at]) for at in places) for row in release]
    least = min(far)
    return {at for at, each in enumerate(far) if each <= least + 1e-6}


def wilson(successes, attempts):
    """Wilson's interval as the roots of its quadratic: |p - share| = z sqrt(p (1 - p) / n)."""
    z, share = 1.959963984540054, successes / attempts
    a, b, c = 1 + z * z / attempts, -(2 * share + z * z / attempts), share * share
    root = math.sqrt(max(0.0, b * b - 4 * a * c))
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


def at_most(number, trials, p):
    """Binomial distribution, term by term."""
    return sum(math.comb(trials, each) * p**each * (1 - p) ** (trials - each) for each in range(number + 1))


def compatible(release_row, people, places, ladders):
    """The people whom every released word covers; a suppressed cell covers also values that the hierarchy lacks."""
    return [
        at
        for at, person in enumerate(people)
        if all(
            release_row[place] == SUPPRESSED or person[place] in covers(ladders[place], release_row[place])
            for place in places
        )
    ]


def isolating(release, people, ladders, numeric):
    """Whether any equality predicate over cells of a released row fits one released row and one person."""
    number = len(ladders)
    for row in release:
        for size in range(1, number + 1):
            for places in itertools.combinations(range(number), size):
                if any(numeric[at] for at in places):
                    continue
                wanted = [set(covers(ladders[at], row[at])) for at in places]
                fit = sum(
                    all(set(covers(ladders[at], other[at])) <= each for at, each in zip(places, wanted, strict=True))
                    for other in release
                )
                if fit == 1 and sum(all(p[at] in w for at, w in zip(places, wanted, strict=True)) for p in people) == 1:
                    return True
    return False
