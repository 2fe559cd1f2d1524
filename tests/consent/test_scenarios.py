"""Every scenario of the study that is at hand: decision and layer."""

import json
from pathlib import Path

import pytest

from consent.cases import CASES
from consent.form import decided

FILE = Path("/work/shared/data/consent_scenarios.json")
SCENARIOS = json.loads(FILE.read_text()) if FILE.exists() else []


@pytest.mark.parametrize("case", SCENARIOS, ids=lambda case: case["id"])
def test_a_scenario(case):
    """The engine decides as the scenario says, on the layer that it names."""
    found = decided(case)
    assert ("PERMIT" if found.permit else "DENY") == case["expect"]
    assert found.layer == case["layer"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_case(case):
    """The same for the cases that are kept here."""
    test_a_scenario(case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_decision_says_what_it_rests_on(case):
    """P7: every decision by a provision names the consent and the path of the rule; others name none."""
    found = decided(case)
    assert bool(found.rules) is (found.layer in {"explicit", "outside"})
    assert {rule.partition(" ")[0] for rule in found.rules} == set(found.consents)
    assert all(rule.partition(" ")[2].startswith("provision") for rule in found.rules)
