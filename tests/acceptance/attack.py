"""The attacker: learns on records of other patients, then guesses at stolen ones.

Two ways of guessing. *Rank matching* needs nothing but frequencies: whatever repeats most is taken for what is most
frequent elsewhere. *Learning* needs a store of one's own: load records that are known, look at it as at the stolen one,
and note for each thing that can be seen what it most often stood for. A learner is careful: a rule is kept only if it
helps on reference cases that it was not learned from.

A gain is the share of right guesses beyond that of the blind guess, which always names the most frequent class. Its
upper bound is one-sided, at 95 %, over paired differences.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

Z95 = 1.645
SUPPORT = 3  # reference cases that a rule must rest on
CARE = 2.0  # standard errors by which a way of looking must help before it is used


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to guess: what is seen of it, by the name of the way of looking, and what it is."""

    seen: Mapping[str, Hashable]
    truth: str


@dataclass(frozen=True, slots=True)
class Gain:
    """What an attack came to. `blind`, `guessed` and `bound` are shares of all cases."""

    way: str
    cases: int
    blind: float
    guessed: float
    bound: float

    def __str__(self) -> str:
        return (
            f"{self.way}: {self.guessed:.1%} of {self.cases} right, blind {self.blind:.1%}, "
            f"gain {self.guessed - self.blind:+.1%}, at most {self.bound:+.1%}"
        )


def judged(way: str, cases: Sequence[Case], guesses: Iterable[str], blind: str) -> Gain:
    """The gain of guesses over always saying `blind`."""
    pairs = [(guess == case.truth, blind == case.truth) for case, guess in zip(cases, guesses, strict=True)]
    count = len(pairs)
    differences = [right - lucky for right, lucky in pairs]
    mean = sum(differences) / count
    spread = math.sqrt(sum((each - mean) ** 2 for each in differences) / count)
    bound = mean + Z95 * spread / math.sqrt(count)
    return Gain(way, count, sum(lucky for _, lucky in pairs) / count, sum(right for right, _ in pairs) / count, bound)


def most_frequent(values: Iterable[str]) -> str:
    """The blind guess."""
    return Counter(values).most_common(1)[0][0]


def rules(cases: Sequence[Case], look: str, blind: str) -> dict[Hashable, str]:
    """For each thing seen often enough, what it most often stood for."""
    found: defaultdict[Hashable, Counter[str]] = defaultdict(Counter)
    for case in cases:
        found[case.seen[look]][case.truth] += 1
    return {seen: truths.most_common(1)[0][0] if truths.total() >= SUPPORT else blind for seen, truths in found.items()}


def learned(reference: Sequence[Case], look: str) -> tuple[dict[Hashable, str], str]:
    """Rules of a way of looking that surely helps: learned from one half of the reference, tried on the other."""
    blind = most_frequent(case.truth for case in reference)
    one, other = reference[::2], reference[1::2]
    known = {id(half): rules(half, look, blind) for half in (one, other)}
    guesses = [
        known[id(half)].get(case.seen[look], blind) for half, tried in ((one, other), (other, one)) for case in tried
    ]
    tried = judged(look, [*other, *one], guesses, blind)
    gain = tried.guessed - tried.blind
    helps = gain > 0 and gain >= CARE * (tried.bound - gain) / Z95
    return (rules(reference, look, blind) if helps else {}), blind


def by_learning(target: Sequence[Case], reference: Sequence[Case]) -> list[Gain]:
    """One attack for each way of looking."""
    gains = []
    for look in target[0].seen:
        known, blind = learned(reference, look)
        gains.append(judged(look, target, (known.get(case.seen[look], blind) for case in target), blind))
    return gains


def by_rank(target: Sequence[Case], reference: Sequence[Case], looks: Collection[str]) -> list[Gain]:
    """One attack for each way of looking: the most frequent sight stands for the most frequent class, and so on."""
    ranked = [truth for truth, _ in Counter(case.truth for case in reference).most_common()]
    gains = []
    for look in looks:
        sights = [seen for seen, _ in Counter(case.seen[look] for case in target).most_common()]
        meaning = dict(zip(sights, ranked, strict=False))
        guesses = (meaning.get(case.seen[look], ranked[0]) for case in target)
        gains.append(judged(f"{look} by rank", target, guesses, ranked[0]))
    return gains


def best(gains: Iterable[Gain]) -> Gain:
    """The attack that came furthest."""
    return max(gains, key=lambda gain: gain.guessed - gain.blind)
