"""Whether the time that an answer takes tells that a record is there.

The request and its twin are sent in turn, in random order; what is compared is how often the one took longer than the
other (the area under the ROC curve: 0.5 says nothing, 1 says all). A first look that seems to tell is taken again with
three times as many requests, so that a busy machine does not accuse anybody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from time import perf_counter

from medlock.defence.leaktest.actors import Actor
from medlock.defence.leaktest.attempts import Attempt, Caller, get
from medlock.defence.leaktest.judge import Finding, Judge

_TELLS = 0.7
_ASKED = ("ann", "ann-hiv")


def timed(actor: Actor, ids: Mapping[str, str]) -> Iterator[Attempt]:
    """What is timed: reading, searching and counting hidden records, against those that are not there."""
    for record in actor.hidden():
        if record.name in _ASKED:
            name, word = ids[record.name], record.canary
            yield Attempt("timing", record, get(f"/{record.type}/{name}"), name)
            yield Attempt("timing", record, get(f"/{record.type}?identifier={word}"), word)
            yield Attempt("timing", record, get(f"/{record.type}?_id={name}&_summary=count"), name)


class Stopwatch:
    """Times pairs of requests. `rounds` of each; 0: none."""

    def __init__(self, caller: Caller, rounds: int, seed: int = 0) -> None:
        self._caller = caller
        self._rounds = rounds
        self._random = Random(seed)  # noqa: S311 - an order, no secret

    async def look(self, actor: Actor, judge: Judge, attempt: Attempt) -> list[Finding]:
        """Findings of one pair. Raises Unavailable."""
        if not self._rounds or attempt.twin is None:
            return []
        told = await self._told(actor, attempt, self._rounds)
        if abs(told - 0.5) > _TELLS - 0.5:
            told = await self._told(actor, attempt, self._rounds * 3)
        if abs(told - 0.5) <= _TELLS - 0.5:
            return []
        return [
            judge.finding(attempt, f"the time of the answer tells the two apart ({told:.2f} of 1; 0.5 tells nothing)")
        ]

    async def _told(self, actor: Actor, attempt: Attempt, rounds: int) -> float:
        """The area under the curve."""
        pair = (attempt.ask, attempt.twin or attempt.ask)
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            first = self._random.randrange(2)
            for which in (first, 1 - first):
                began = perf_counter()
                await self._caller.call(pair[which], actor.token)
                times[which].append(perf_counter() - began)
        return _area(*times)


def _area(first: Sequence[float], second: Sequence[float]) -> float:
    """How often a time of the first is longer than one of the second (Mann and Whitney)."""
    longer = sum((a > b) + (a == b) / 2 for a in first for b in second)
    return longer / (len(first) * len(second))
