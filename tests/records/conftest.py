"""Where the rows of a clinic lie: what the door promises, it promises on every back end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from store.pgserver import database


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The address of an empty database, or "" for a file in the data directory."""
    if request.param == "sqlite":
        yield ""
        return
    async with database() as url:
        yield url
