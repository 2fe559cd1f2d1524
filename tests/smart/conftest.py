"""A world for each test."""

import pytest

from smart.world import World


@pytest.fixture
def world():
    return World()
