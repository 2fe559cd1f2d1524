"""The same arguments make the same clinic, to the byte."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from datetime import date

from medlock.fhir.clinic import clinic

_TODAY = date(2026, 11, 23)
_DIGEST = """
import hashlib, json
from datetime import date
from medlock.fhir.clinic import clinic
sha = hashlib.sha256()
for bundle in clinic(5, 40, today=date(2026, 11, 23)):
    sha.update(json.dumps(bundle, ensure_ascii=False).encode())
print(sha.hexdigest())
"""


def _digest(seed: int, patients: int, today: date = _TODAY) -> str:
    sha = hashlib.sha256()
    for bundle in clinic(seed, patients, today=today):
        sha.update(json.dumps(bundle, ensure_ascii=False).encode())
    return sha.hexdigest()


def _elsewhere(hash_seed: str) -> str:
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "TZ": "Pacific/Auckland", "LC_ALL": "C"}
    done = subprocess.run([sys.executable, "-c", _DIGEST], env=environment, capture_output=True, check=True)
    return done.stdout.decode().strip()


def test_processes_with_other_hash_seeds_agree():
    """Neither hash order, time zone nor locale reaches the output."""
    assert _elsewhere("0") == _elsewhere("4242") == _digest(5, 40)


def test_the_clinic_is_the_recorded_one():
    """Every machine and Python makes these bytes; a change of the clinic is deliberate and changes this digest."""
    assert _digest(5, 40) == "5c22871613ab947b7fee3dedb5f200ef9428a981a3b6576221d12b44cc7e77d2"


def test_seeds_and_days_differ():
    """Another seed is another town, another day another state of it."""
    assert len({_digest(5, 12), _digest(6, 12), _digest(5, 12, date(2026, 11, 24))}) == 3


def test_more_patients_leave_earlier_households_alone():
    """Asking for more patients appends households and changes none but the last."""
    few, many = list(clinic(5, 20, today=_TODAY)), list(clinic(5, 60, today=_TODAY))
    assert few[:-1] == many[: len(few) - 1]
    assert len(many) > len(few)


def test_bundles_are_made_as_they_are_taken():
    """A clinic of a billion patients can be begun: nothing is made ahead."""
    endless = clinic(5, 10**9, today=_TODAY)
    assert next(endless)["entry"][0]["resource"]["resourceType"] == "Organization"
    assert any(entry["resource"]["resourceType"] == "Patient" for entry in next(endless)["entry"])


def test_two_thousand_resources_a_second():
    """Generation keeps well ahead of what a server imports (about 20,000 a second when measured)."""
    began = time.process_time()
    made = sum(len(bundle["entry"]) for bundle in clinic(8, 60, today=_TODAY))
    assert made / (time.process_time() - began) > 2_000
