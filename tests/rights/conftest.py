"""A clinic that lets nobody see anything unless its patient says so."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rights.world import Clinic, open_clinic
from store.pgserver import database


@pytest.fixture
async def clinic(tmp_path) -> AsyncIterator[Clinic]:
    """Under the policy deny."""
    opened = await open_clinic(tmp_path / "data")
    yield opened
    await opened.close()


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The address of an empty database, or "" for a file in the data directory."""
    if request.param == "sqlite":
        yield ""
        return
    async with database() as url:
        yield url
