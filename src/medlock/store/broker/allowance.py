"""How many different patients may be opened in a minute: by one process, and by all of them together.

Somebody who took over a worker gets patients at this pace and no faster. Processes are told apart by pid, which the
system vouches for; new processes gain nothing, because all together have a limit, too. docs/spec/broker.md §5.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

from medlock.errors import Unavailable

PATIENTS_A_MINUTE = 3_000  # a page of a search opens up to a thousand
WINDOW_SECONDS = 60.0
PROCESSES_MOST = 1_024  # remembered at once; the one that asked longest ago is forgotten, the limit of all is not


class Capped(Unavailable):
    """More patients were asked for than may be opened in a minute."""

    audit_code = "capped"

    def __init__(self, retry_after: int) -> None:
        super().__init__(
            "Too many different patients are being opened just now. Try again a little later.",
            reason="the key broker's limit of patients a minute",
        )
        self.retry_after = retry_after


class _Window:
    """Slots that counted in the last minute, the oldest first."""

    def __init__(self) -> None:
        self.since: OrderedDict[int, float] = OrderedDict()

    def forget(self, now: float) -> None:
        """Let go of what counts no longer."""
        since, horizon = self.since, now - WINDOW_SECONDS
        while since and next(iter(since.values())) <= horizon:
            since.popitem(last=False)

    def wait(self, slots: Sequence[int], limit: int, now: float) -> float:
        """Seconds until these slots fit in, 0 if they do now."""
        new = sum(slot not in self.since for slot in slots)
        over = len(self.since) + new - limit
        if over <= 0 or not new:
            return 0.0
        if over > len(self.since):
            return WINDOW_SECONDS
        ages = iter(self.since.values())
        for _ in range(over - 1):
            next(ages)
        return next(ages) + WINDOW_SECONDS - now


class Allowance:
    """The limits of one broker; `clock` is monotonic, in seconds."""

    def __init__(self, limit: int, workers: int, clock: Callable[[], float]) -> None:
        self.limit = limit
        self._together = limit * max(1, workers)
        self._clock = clock
        self._lock = threading.Lock()
        self._all = _Window()
        self._each: OrderedDict[int, _Window] = OrderedDict()

    def spend(self, pid: int, slots: Sequence[int]) -> None:
        """Count these patients. Raises Capped, and counts none, when they are too many."""
        with self._lock:
            now = self._clock()
            own, together = self._each.get(pid) or self._window(pid), self._all
            own.forget(now)
            together.forget(now)
            most = len(slots)
            if len(own.since) + most > self.limit or len(together.since) + most > self._together:
                wait = max(own.wait(slots, self.limit, now), together.wait(slots, self._together, now))
                if wait > 0:
                    raise Capped(int(wait) + 1)
            for slot in slots:
                own.since.setdefault(slot, now)
                together.since.setdefault(slot, now)

    def _window(self, pid: int) -> _Window:
        found = self._each.get(pid)
        if found is None:
            found = self._each[pid] = _Window()
            if len(self._each) > PROCESSES_MOST:
                self._each.popitem(last=False)
        return found
