"""pycanon and Spark pin packages that medlock does not: `make peers` compares with them in an environment of its own."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PEERS = ROOT / ".venv-peers"


@pytest.mark.timeout(1_200)
@pytest.mark.skipif(
    os.environ.get("CI") != "true" and not (PEERS / ".ready").exists(), reason="make peers installs half a gigabyte"
)
def test_tables_agree_with_pycanon_and_spark():
    """Every comparison ran and agreed. Only Spark may be left out, where there is no Java or no Adult."""
    done = subprocess.run(["make", "peers"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-2_000:]
    passed = int(re.search(r"(\d+) passed", done.stdout)[1])
    skipped = re.findall(r"^SKIPPED .*$", done.stdout, re.MULTILINE)
    assert passed >= 20
    if shutil.which("java") and (ROOT.parent / "shared" / "data" / "deid").exists():
        assert skipped == []
    assert not [line for line in skipped if "pycanon" in line]
