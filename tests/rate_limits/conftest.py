"""Callers who go on asking are made to wait; most tests here go on asking, and need not."""

import pytest


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    """In this process; a server in another keeps people waiting."""
    monkeypatch.setattr("medlock.web.limits.limiter.DELAY_SECONDS", 0.0)
