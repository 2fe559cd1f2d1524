"""The servers that benchmarks compare with take in a record and show it, as the product does: else they fail unseen."""

import json
import subprocess
import sys
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import httpx
import pytest

from medlock.fhir.clinic import clinic

VARIANT = Path(__file__).resolve().parents[2] / "benchmarks" / "variant.py"


@contextmanager
def variant(name, place):
    """A client of such a server."""
    secret = place / "passphrase"
    secret.write_text("a passphrase for a test\n")
    secret.chmod(0o600)
    command = [sys.executable, VARIANT, name, "--data-dir", place / "data"]
    environment = {"MEDLOCK_PASSPHRASE_FILE": str(secret), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        try:
            ready = json.loads(process.stdout.readline())
            bearer = {"authorization": f"Bearer {ready['token']}", "content-type": "application/fhir+json"}
            with httpx.Client(headers=bearer, base_url=ready["url"].removesuffix("/fhir")) as client:
                yield client
        finally:
            process.terminate()


@pytest.mark.parametrize("name", ["unsealed", "unprotected"])
def test_it_takes_in_a_record_and_shows_it(tmp_path, name):
    """A transaction with a chart, a read and a page."""
    with variant(name, tmp_path) as http:
        for bundle in clinic(1, 1, today=date(2026, 1, 1)):
            bundle["entry"] = [each for each in bundle["entry"] if each["resource"]["resourceType"] != "Consent"]
            assert http.post("fhir", content=json.dumps(bundle)).status_code == 200
        for kind in ("Patient", "Observation"):
            found = http.get(f"fhir/{kind}?_count=50").json()["entry"]
            assert http.get(f"fhir/{kind}/{found[0]['resource']['id']}").json() == found[0]["resource"]
