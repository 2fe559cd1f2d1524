"""JavaScript clients in node. Installed once, by the lock file, into a cache of this user's."""

import json
import os
import shutil
import subprocess
import tempfile
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("javascript")
INSTALLED = ("package.json", "package-lock.json", ".npmrc")
PAGE = 7


def tool(name):
    """The path of a program; without it the tests are skipped, or fail where CI=true says that it must be there."""
    found = shutil.which(name)
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{name} is not installed")
    return found


@cache
def modules():
    """A directory with the locked packages installed; made beside its place and moved there in one step."""
    digest = sha256(b"".join((SOURCE / name).read_bytes() for name in INSTALLED)).hexdigest()[:16]
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "medlock-tests"
    place = kept / f"javascript-{digest}"
    if not place.exists():
        kept.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix="javascript-", dir=kept))
        for name in INSTALLED:
            shutil.copy(SOURCE / name, new)
        done = subprocess.run([tool("npm"), "ci"], cwd=new, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        try:
            new.rename(place)
        except OSError:  # another test process was first
            shutil.rmtree(new)
    return place / "node_modules"


def walked(script, clinic):
    """What a script saw that walks through the clinic."""
    node = tool("node")
    given = {
        "NODE_PATH": str(modules()),
        "NODE_EXTRA_CA_CERTS": clinic.ca,
        "MEDLOCK_FHIR": clinic.fhir,
        "MEDLOCK_TOKEN": clinic.token,
        "MEDLOCK_PATIENT": clinic.patient,
        "MEDLOCK_PAGE": str(PAGE),
    }
    done = subprocess.run(
        [node, str(SOURCE / script)], env=os.environ | given, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
