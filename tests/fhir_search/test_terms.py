"""The terminology that ships: current, only HL7's own, and the same sets and hierarchies that the package states."""

from __future__ import annotations

import random
import sys
from typing import Any

import pytest
import zstandard

from fhir_search import oracle_terms
from fhir_search.definitions import SCRIPTS, definitions, package
from medlock.fhir import terms


@pytest.fixture(scope="module")
def distiller() -> Any:
    """scripts/distill_terms.py with its siblings importable."""
    sys.path.insert(0, str(SCRIPTS))
    try:
        import distill_terms  # noqa: PLC0415 - scripts are no package
    finally:
        sys.path.remove(str(SCRIPTS))
    return distill_terms


def test_shipped_file_is_current(distiller: Any) -> None:
    """What ships is what the script makes of the pinned package today."""
    shipped = zstandard.decompress(distiller.TARGET.read_bytes())
    assert shipped == distiller.render(distiller.table(package().read_resources("CodeSystem", "ValueSet")))


def test_only_what_hl7_owns() -> None:
    """No code system or value set that ships carries another owner's notice, or is another owner's system."""
    for url in terms.code_systems():
        assert url.startswith(("http://hl7.org/fhir/", "http://terminology.hl7.org/CodeSystem/"))
    noticed = [definitions().value_sets[url].get("copyright", "HL7 ") for url in terms.value_sets()]
    assert all(notice.startswith("HL7 ") for notice in noticed)
    assert "http://hl7.org/fhir/ValueSet/condition-code" not in terms.value_sets()


def test_value_sets_are_those_of_the_package() -> None:
    """Every value set holds exactly the codes that a naive reading of its definition gives."""
    assert len(terms.value_sets()) > 1_000
    for url in sorted(terms.value_sets()):
        assert set(terms.expansion(url) or ()) == oracle_terms.codes_in(url), url


def test_hierarchies_are_those_of_the_package() -> None:
    """Above and below a code stand what the nesting of concepts says; they are each other's reverse."""
    rng = random.Random(3)
    for url in rng.sample(sorted(terms.code_systems()), 120):
        codes = sorted({code for code, _ in oracle_terms._walk(oracle_terms._systems()[url].get("concept", []))})
        for code in rng.sample(codes, min(3, len(codes))):
            below = terms.at_or_below(url, code)
            assert below == oracle_terms.below(url, code)
            assert terms.at_or_above(url, code) == oracle_terms.above(url, code)
            assert below is not None
            assert all(code in (terms.at_or_above(url, each) or ()) for each in below)


@pytest.mark.parametrize(("system", "code"), [("http://snomed.info/sct", "1"), ("http://hl7.org/fhir/gender", "x")])
def test_unknown_is_none(system: str, code: str) -> None:
    """What does not ship has no answer, rather than an empty one."""
    assert terms.at_or_below(system, code) is None
    assert terms.at_or_above(system, code) is None
    assert terms.expansion(system) is None
