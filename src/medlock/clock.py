"""The one place that asks what time it is; everything above is handed a clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache


class Clock:
    """Wall time in UTC. Tests hand in a subclass that stands still or jumps."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        return time.time_ns() // 1_000_000

    def now(self) -> datetime:
        """The same instant as an aware datetime, cut to milliseconds."""
        return datetime.fromtimestamp(self.now_ms() / 1000, UTC)


def instant(ms: int) -> str:
    """A FHIR instant with milliseconds and zone (R4 §2.24.0.1): 2026-11-23T17:46:00.000Z."""
    return f"{_second(ms // 1000)}{ms % 1000:03d}Z"


@lru_cache(maxsize=1_024)
def _second(seconds: int) -> str:
    """The part that all instants of a second share; kept, because writing dates out is slow."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
