"""Fixtures of the broker's tests."""

from __future__ import annotations

import pytest

from broker.world import BrokerWorld


@pytest.fixture
def world(tmp_path):
    """A store without a broker yet."""
    return BrokerWorld(tmp_path)


@pytest.fixture
def broker(world):
    """The same with a broker."""
    with world.broker() as keystore:
        world.keystore = keystore
        yield world
    assert world.faults == []
