"""A wheelhouse installs without a network, and nothing that is not named by hash gets in.

Gathering one needs a registry, which tests do not reach: `sh scripts/wheelhouse.sh .venv/bin wheelhouse` makes the one
that is installed from here.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOUSE = ROOT / "wheelhouse"
made = pytest.mark.skipif(not (HOUSE / "requirements.txt").exists(), reason="needs a wheelhouse: scripts/wheelhouse.sh")


def install(python, house):
    """The step of docs/operating.md, with a network that leads nowhere where the system has such."""
    alone = ["unshare", "--net", "--map-root-user"] if _can_unshare() else []
    return subprocess.run(
        [
            *alone,
            *(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir"),
            *("--no-index", "--find-links", str(house), "--require-hashes", "-r", str(house / "requirements.txt")),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


def _can_unshare():
    """Whether a process without a network can be had here."""
    tool = shutil.which("unshare")
    return tool is not None and subprocess.run([tool, "--net", "--map-root-user", "true"], check=False).returncode == 0


@pytest.fixture
def python(tmp_path):
    """A clean environment."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "medlock")], check=True)
    return tmp_path / "medlock/bin/python"


@made
def test_it_installs_without_a_network(python):
    """A clean environment, no index, every hash checked: the program runs, with its extras."""
    done = install(python, HOUSE)
    assert done.returncode == 0, done.stderr
    shown = subprocess.run([python.with_name("medlock"), "--version"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("medlock ")
    extras = "import asyncpg, prometheus_client, opentelemetry.sdk, medlock.web.metrics, medlock.web.otlp"
    assert subprocess.run([python, "-c", extras], check=False).returncode == 0


@made
def test_a_changed_wheel_is_refused(python, tmp_path):
    """One byte more in one file, and nothing is installed."""
    house = shutil.copytree(HOUSE, tmp_path / "house")
    wheel = next(house.glob("medlock-*.whl"))
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    done = install(python, house)
    assert done.returncode != 0
    assert "HASH" in done.stderr.upper()


def test_the_lock_of_the_wheelhouse_names_every_file_by_hash():
    """Each requirement of locks/server.txt is pinned, has a hash, and none is an address."""
    text = (ROOT / "locks/server.txt").read_text()
    pinned = re.findall(
        r"^([a-z0-9][\w.\-\[\]]*)==\S+(?: ; .*)? \\\n    --hash=sha256:[0-9a-f]{64}", text, flags=re.MULTILINE
    )
    assert len(pinned) == len(re.findall(r"^[a-z0-9]", text, flags=re.MULTILINE))
    assert {"asyncpg", "prometheus-client", "opentelemetry-sdk", "uvicorn"} <= set(pinned)
    assert "://" not in text
