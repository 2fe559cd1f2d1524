"""An operator for each test."""

import pytest

from cli.terminal import Terminal


@pytest.fixture
def terminal(tmp_path, monkeypatch, capfd):
    """A terminal with an empty data directory."""
    return Terminal(tmp_path, monkeypatch, capfd)
