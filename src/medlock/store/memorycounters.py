"""Counters (`store.counting`) in memory: what the statements of the real ones say, in Python."""

from __future__ import annotations

from collections.abc import Sequence

from medlock.store.counting import Claim, Count, Pace

LAPSED_MAX = 1_000
Counts = dict[int, Count]


def bump(counts: Counts, key: int, now_ms: int, window_ms: int) -> Count:
    """One more, or 1 in a fresh window."""
    n, until = counts.get(key, (0, 0))
    counts[key] = (n + 1, until) if until > now_ms else (1, now_ms + window_ms)
    return counts[key]


def claim(counts: Counts, key: int, now_ms: int, pace: Pace) -> Claim:
    """One more if the pace allows it."""
    n, until = counts.get(key, (0, 0))
    if key in counts and n >= pace.free and until > now_ms:
        return Claim(allowed=False, n=n, until=until)
    n = 1 if key not in counts or until + pace.forget_ms <= now_ms else n + 1
    until = now_ms + pace.wait(n)
    counts[key] = n, until
    return Claim(allowed=True, n=n, until=until)


def refund(counts: Counts, keys: Sequence[int]) -> None:
    """One less for each."""
    for key in keys:
        if key in counts:
            counts[key] = max(counts[key][0] - 1, 0), counts[key][1]


def lapse(counts: Counts, before_ms: int) -> int:
    """Remove what is over."""
    over = [key for key, (_, until) in counts.items() if until <= before_ms][:LAPSED_MAX]
    for key in over:
        del counts[key]
    return len(over)
