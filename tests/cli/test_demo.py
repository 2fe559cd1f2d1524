"""medlock demo: a clinic out of nothing, requests that work, and nothing done twice."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

MEDLOCK = str(Path(sys.executable).with_name("medlock"))
SENTENCE = "Ctrl-C stops the server"


@contextmanager
def demo(directory, *arguments):
    """A running demo without any settings in the environment; yields a function that reads lines until one matches."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MEDLOCK_")}
    process = subprocess.Popen(
        [MEDLOCK, "demo", "--patients", "3", "--port", "0", "--data-dir", str(directory), *arguments],
        env=kept,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def read_until(text):
        lines = []
        while not lines or text not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1], process.stderr.read()
        return "".join(lines)

    try:
        yield read_until
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    unusual = [line for line in errors.splitlines() if '"event":"relationship-open"' not in line]
    assert (process.returncode, unusual) == (0, [])


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_printed_requests_work(tmp_path):
    """Each of the three curl lines, run as printed, brings a Bundle with something in it."""
    with demo(tmp_path / "demo") as read_until:
        said = read_until(SENTENCE)
        lines = [line for line in said.splitlines() if line.strip().startswith("curl ")]
        assert len(lines) == 3
        for line in lines:
            done = subprocess.run(shlex.split(line), capture_output=True, check=True, timeout=60)
            bundle = json.loads(done.stdout)
            assert bundle["resourceType"] == "Bundle"
            assert bundle["entry"]
        assert "3 patients (loaded " in said


def test_a_second_start_loads_nothing(tmp_path):
    """The clinic is there already; there is a new token, and the passphrase stays where it was made."""
    with demo(tmp_path / "demo", "--json") as read_until:
        first = json.loads(read_until("}"))
    passphrase = (tmp_path / "demo.passphrase").read_text()
    with demo(tmp_path / "demo") as read_until:
        said = read_until(SENTENCE)
    assert "3 patients (loaded earlier)" in said
    assert said.count("/invitation#") == 2  # nobody has used them; each start makes new ones
    assert not any(guest["invitation"] in said for guest in first["accounts"])
    assert (tmp_path / "demo.passphrase").read_text() == passphrase
    assert (tmp_path / "demo.passphrase").stat().st_mode & 0o777 == 0o600
    assert first["patients"] == 3
    assert {"url", "ca", "fhir", "token", "expires", "accounts"} <= set(first)
    assert [guest["role"] for guest in first["accounts"]] == ["patient", "clinician"]
    assert all("/invitation#" in guest["invitation"] for guest in first["accounts"])
