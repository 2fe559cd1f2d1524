"""The systemd unit: systemd itself verifies it, and what it starts exists."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from medlock.cli import make_cli
from medlock.settings import Settings

UNIT = Path(__file__).parents[2] / "packaging/systemd/medlock.service"
EXPOSURE_MAX = 1.5  # systemd calls 10 unsafe and 0 perfect
ANALYZE = shutil.which("systemd-analyze")


@pytest.fixture
def unit(tmp_path):
    """The unit with a program that is there."""
    path = tmp_path / "medlock.service"
    program = str(Path(sys.executable).with_name("medlock"))
    path.write_text(UNIT.read_text().replace("/opt/medlock/bin/medlock", program))
    return path


@pytest.mark.skipif(ANALYZE is None, reason="needs systemd-analyze")
def test_systemd_has_nothing_to_say(unit):
    """`systemd-analyze verify` finds no fault, and is told of one."""
    done = subprocess.run([ANALYZE, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    unit.write_text(unit.read_text().replace("Type=notify", "Tipe=notify"))
    assert subprocess.run([ANALYZE, "verify", str(unit)], capture_output=True, check=False).stderr


@pytest.mark.skipif(ANALYZE is None, reason="needs systemd-analyze")
def test_it_is_hardened(unit):
    """Systemd's own measure of what the service could reach."""
    done = subprocess.run(
        [ANALYZE, "security", "--offline=true", "--no-pager", str(unit)], capture_output=True, text=True, check=False
    )
    level = re.search(r"exposure level for medlock\.service: ([\d.]+)", done.stdout)
    assert float(level[1]) <= EXPOSURE_MAX, done.stdout


def test_it_starts_what_there_is():
    """Every option of the command line exists; the time to stop is longer than the time to drain."""
    lines = dict(line.split("=", 1) for line in UNIT.read_text().splitlines() if re.match(r"[A-Za-z]+=", line))
    words = shlex.split(lines["ExecStart"])
    serve = typer.main.get_command(make_cli()).commands[words[1]]
    known = {name for each in serve.params for name in (*each.opts, *each.secondary_opts)}
    assert {word for word in words if word.startswith("--")} <= known
    assert int(lines["TimeoutStopSec"]) > Settings(Path()).drain_seconds + 10
    assert lines["Type"] == "notify"
