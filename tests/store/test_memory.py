"""The back end in memory behaves like the real ones, and misbehaves as it is told."""

from __future__ import annotations

import pytest

from medlock.errors import Unavailable
from medlock.store.counting import Pace
from medlock.store.memory import Disk, Fault, MemoryBackend
from store.backend_conformance import BackendConformance, CountingLedger, Reopen


@pytest.fixture
async def reopen() -> Reopen:
    """Opens stores on one disk."""
    disk = Disk()
    return lambda: MemoryBackend(CountingLedger(), disk)


class TestMemory(BackendConformance):
    """The common suite."""


async def test_counters_that_cannot_be_kept(reopen: Reopen) -> None:
    """A disk that refuses refuses to count; one that loses writes loses counts, too."""
    store = reopen()
    assert isinstance(store, MemoryBackend)
    await store.bump([1], 0, [100])
    store.fault = Fault.REFUSE
    for act in (store.bump([1], 0, [100]), store.claim(2, 0, Pace(1, 1, 1, 1)), store.settle([1]), store.refund([1])):
        with pytest.raises(Unavailable):
            await act
    store.fault = Fault.DROP
    assert await store.bump([1], 0, [100]) == [(2, 100)]
    assert await store.peek([1]) == [(1, 100)]
