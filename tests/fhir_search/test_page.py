"""docs/search.md says what the code does: the numbers, names and limits on it are compared."""

from __future__ import annotations

from pathlib import Path

from medlock.fhir import across, coded, compound, directives, grammar, links, near, operands, terms
from medlock.fhir.query import Prefix
from medlock.fhir.searchparams import REASONS, RESOURCE_TYPES, parameters
from medlock.records.chains import LINKED_MAX, VALUES_MAX

PAGE = (Path(__file__).parents[2] / "docs" / "search.md").read_text()


def test_numbers() -> None:
    """The counts of types and definitions, and every limit, are those of the code."""
    evaluated = {known.url for kind in RESOURCE_TYPES for known in parameters(kind).values() if known.kind}
    assert f"all {len(RESOURCE_TYPES)} resource types: {len(evaluated):,} definitions" in PAGE
    limits = (
        *(operands.OPERANDS_MAX, grammar.CONDITIONS_MAX, directives.INCLUDES_MAX, links.DEPTH_MAX, links.SEARCHES_MAX),
        *(f"{compound.CODES_MAX:,}", f"{LINKED_MAX:,}", f"{VALUES_MAX:,}"),
    )
    assert f"up to {across.TYPES_MAX} types" in PAGE
    assert f"{across.SEARCHES_MAX} searches over all types" in PAGE
    assert all(f"at most\n{limit}" in PAGE or f"at most {limit}" in PAGE for limit in limits)


def test_names() -> None:
    """Every prefix, modifier, directive and refused parameter that the code knows stands on the page."""
    modifiers = {f":{name}" for names in grammar.MODIFIERS.values() for name in names} | {":missing", ":iterate"}
    modifiers |= {f":{name}" for kind in ("Condition", "Patient", "ValueSet") for each in parameters(kind).values()
                  for name in coded.offered(each)}  # fmt: skip
    assert len(modifiers) > 8
    for name in (*Prefix, *modifiers, *directives.DIRECTIVES, *REASONS, *near.METRES, "near", "_has", "_list"):
        assert f"`{name}`" in PAGE, name


def test_the_terminology_page_lists_what_ships() -> None:
    """Every value set and every code system with a hierarchy stands on docs/terminology.md, and nothing else does."""
    page = (Path(__file__).parents[2] / "docs" / "terminology.md").read_text()
    listed = [line[2:] for line in page.splitlines() if line.startswith("- http")]
    layered = [url for url in terms.code_systems() if terms.is_layered(url)]
    assert f"{len(terms.code_systems())} code systems and {len(terms.value_sets()):,}\nvalue sets" in page
    assert sorted(listed) == sorted([*terms.value_sets(), *layered])
