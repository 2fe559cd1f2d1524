"""Fixtures of the keystore tests."""

from __future__ import annotations

import pytest

from keystore.world import World


@pytest.fixture
def world(tmp_path):
    """An empty world."""
    return World(tmp_path)


@pytest.fixture
def keystore(world):
    """A fresh keystore in that world."""
    opened = world.create()
    yield opened
    opened.close()
