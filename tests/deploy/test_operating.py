"""docs/operating.md: its commands are run, in their order; those that cannot be run here are named with a reason."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operating.md").read_text()
BLOCKS = re.findall(r"(?:<!-- (.+?) -->\n)?```sh\n(.*?)```", PAGE, flags=re.DOTALL)


def test_every_block_is_accounted_for():
    """Run here, run by a test that exists, or not run for a reason."""
    assert len(BLOCKS) == PAGE.count("```sh\n")
    for mark, block in BLOCKS:
        assert re.fullmatch(r"run|run by (tests/\S+\.py)|not run: needs .+", mark), block
        for path in re.findall(r"tests/\S+?\.py", mark):
            assert (ROOT / path).exists()
    assert sum(mark == "run" for mark, _ in BLOCKS) >= 7


def test_blocks_that_are_not_run_need_another_machine():
    """Only programs that a test cannot start excuse a block."""
    for mark, block in BLOCKS:
        if mark.startswith("not run"):
            programs = {line.split()[0] for line in block.splitlines() if not line.startswith(" ")}
            assert programs <= {"useradd", "install", "systemctl", "podman"}, programs


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_page_runs_from_start_to_end(tmp_path):
    """Each block marked so, one after another in one shell that stops at the first failure; directories are moved."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    (tmp_path / "run").mkdir()
    script = "\n".join(block for mark, block in BLOCKS if mark == "run")
    script = script.replace("/var/lib/", f"{tmp_path}/").replace("/run/medlock/", f"{tmp_path}/run/")
    script = script.replace("8443", port)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEDLOCK_")}
    shell = subprocess.Popen(
        ["bash", "-euxo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=kept | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        shown, errors = shell.communicate(timeout=280)
    finally:
        with suppress(ProcessLookupError):  # a block that failed leaves its server behind
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
    assert shell.returncode == 0, errors[-3000:] + (tmp_path / "medlock.log").read_text()
    assert '{"status":"ok"}' in shown
    assert 'medlock_workers{worker="0"} 2.0' in shown


def test_what_the_page_says_of_sizes_stands_in_the_benchmarks():
    """Figures are not made up here."""
    measured = (ROOT / "docs/benchmarks.md").read_text()
    for figure in ("6,200 protected", "242 MB"):
        assert figure in PAGE
        assert figure.split()[0] in measured
