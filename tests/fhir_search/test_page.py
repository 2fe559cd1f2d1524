"""docs/search.md says what the code does: the numbers, names and limits on it are compared."""

from __future__ import annotations

from pathlib import Path

from medlock.fhir import directives, grammar, operands
from medlock.fhir.query import Prefix
from medlock.fhir.searchparams import RESOURCE_TYPES, parameters

PAGE = (Path(__file__).parents[2] / "docs" / "search.md").read_text()


def test_numbers() -> None:
    """The counts of types and definitions, and every limit, are those of the code."""
    evaluated = {known.url for kind in RESOURCE_TYPES for known in parameters(kind).values() if known.kind}
    assert f"all {len(RESOURCE_TYPES)} resource types: {len(evaluated):,} definitions" in PAGE
    limits = (operands.OPERANDS_MAX, grammar.CONDITIONS_MAX, directives.INCLUDES_MAX)
    assert all(f"at most\n{limit}" in PAGE or f"at most {limit}" in PAGE for limit in limits)


def test_names() -> None:
    """Every prefix, modifier, directive and refused parameter that the code knows stands on the page."""
    modifiers = {f":{name}" for names in grammar.MODIFIERS.values() for name in names} | {":missing", ":iterate"}
    for name in (*Prefix, *modifiers, *directives.DIRECTIVES, *grammar.UNSUPPORTED, "phonetic", "near"):
        assert f"`{name}`" in PAGE, name
