"""Failed authentications in the audit log: all of a few, and a count of many."""

import pytest

from medlock.audit.events import Action, Outcome
from medlock.clock import Clock
from medlock.errors import Unavailable
from medlock.web.watch import BURST, RefusalWatch


class StoppedClock(Clock):
    """Time that moves when told to."""

    ms = 1_700_000_000_000

    def now_ms(self):
        return self.ms


class Log:
    """Keeps events, or refuses to."""

    def __init__(self):
        self.events, self.broken = [], False

    async def append(self, *events):
        if self.broken:
            raise Unavailable("The log cannot be written.")
        self.events += events
        return len(self.events)


@pytest.fixture
def log():
    return Log()


async def test_each_refusal_is_written_down(log):
    """An entry says why, when and under which request, and names nobody: nobody was recognised."""
    await RefusalWatch(log, StoppedClock()).refused("unknown token", "r-1")
    event = log.events[0]
    assert (event.action, event.outcome) == (Action.SIGN_IN, Outcome.DENIED)
    assert (event.account, event.request, event.reason) == ("", "r-1", "unknown token")
    assert event.recorded == StoppedClock.ms


async def test_a_flood_is_counted_and_not_written(log):
    """Beyond the burst nothing is written until the minute is over; then one entry tells how many there were."""
    clock = StoppedClock()
    watch = RefusalWatch(log, clock)
    for _ in range(BURST + 500):
        await watch.refused("unknown token", "r")
    assert len(log.events) == BURST
    clock.ms += 60_000
    await watch.refused("unknown token", "r")
    assert len(log.events) == BURST + 1
    assert log.events[-1].reason == "unknown token; 500 more were refused and not written down"
    await watch.refused("unknown token", "r")
    assert log.events[-1].reason == "unknown token"


async def test_no_log_no_answer(log):
    """When the log refuses, the watch says so, and the caller gets 503."""
    log.broken = True
    with pytest.raises(Unavailable):
        await RefusalWatch(log, StoppedClock()).refused("unknown token", "r")
