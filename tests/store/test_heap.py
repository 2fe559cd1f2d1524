"""The collector rests while a process fills itself, and only then."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from medlock.store.heap import filling


@pytest.fixture(autouse=True)
def collecting() -> Iterator[None]:
    """Whatever a test does, the collector works afterwards."""
    yield
    gc.enable()


def test_the_collector_rests_within() -> None:
    """Off inside, on again after it, also when what fills fails."""
    with filling():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(KeyError), filling():
        raise KeyError
    assert gc.isenabled()


def test_a_collector_that_rested_goes_on_resting() -> None:
    """Who had turned it off, as an outer filling does, is not overruled."""
    with filling():
        with filling():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
