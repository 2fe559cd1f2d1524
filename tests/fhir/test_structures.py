"""The shipped definitions are the official ones, and the validator accepts what they are themselves written in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from medlock.fhir import structures
from medlock.fhir.fhirpath import compile_expression
from medlock.fhir.invariants import ELSEWHERE
from medlock.fhir.structures import codes, resource_types, structure
from medlock.fhir.validate import validate

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.append(str(SCRIPTS))
r4_package = pytest.importorskip("r4_package") if SCRIPTS.exists() else None

# Faults of the official definitions themselves (R4 4.0.1), one line for each kind.
KNOWN_FAULTS = {
    ("SearchParameter", "required", "SearchParameter.base"),  # ten extensions' parameters name no base
    ("SearchParameter", "value", "SearchParameter.id"),  # one id has 68 characters
    ("CodeSystem", "value", "CodeSystem.concept.code"),  # v2-0550 has codes that end in a space
    ("StructureDefinition", "invariant", "StructureDefinition"),  # sdf-4: four logical models have no base
}


@pytest.fixture(scope="module")
def definitions():
    """Every official definition; a missing package fails in CI and skips elsewhere."""
    try:
        return list(r4_package.read_resources())
    except r4_package.DefinitionsMissing as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(missing))


@pytest.mark.usefixtures("definitions")
def test_the_shipped_file_is_what_the_script_makes():
    """Regenerating the tables from the official package gives the file that ships."""
    check = subprocess.run([sys.executable, SCRIPTS / "distill_structures.py", "--check"], check=False)
    assert check.returncode == 0, "run make definitions and commit the result"


def test_the_official_definitions_are_valid(definitions):
    """4,500 official resources of ten types pass, except for known faults of their own."""
    found = {
        (each["resourceType"], problem.code, "".join(c for c in problem.path if c not in "[]0123456789"))
        for each in definitions
        for problem in validate(each)
    }
    assert found == KNOWN_FAULTS


def test_no_foreign_code_list_ships():
    """Every code system in the file is HL7's own."""
    ours = ("http://hl7.org/fhir/", "http://terminology.hl7.org/CodeSystem/")
    systems = {system for name in structures._tables().codes for system, _ in codes(name)}
    assert systems
    assert all(system.startswith(ours) for system in systems)
    assert not codes("audit-event-action")


def test_every_error_invariant_is_compiled_or_accounted_for():
    """All official error invariants compile, except those that other modules hold."""
    rules = {rule for name in structures._tables().structures for rule in rules_of(name)}
    assert len({key for key, _ in rules}) == 202  # and ele-1, ext-1 make 204
    for key, text in rules:
        if key not in ELSEWHERE:
            assert callable(compile_expression(text).run), key


def rules_of(name: str) -> set[tuple[str, str]]:
    """The rules of a structure and of its elements."""
    shape = structure(name)
    return {*shape.rules, *(rule for element in shape.elements for rule in element.rules)}


def test_the_page_lists_every_invariant():
    """docs/validation.md names the rules that are checked, all of them and no others."""
    page = (SCRIPTS.parent / "docs/validation.md").read_text()
    listed = page.partition("of the base specification: ")[2].partition(".\n")[0].replace("\n", " ")
    groups = [group.strip().partition("-") for group in listed.split("·")]
    named = {
        f"{prefix}-{n}" for prefix, _, ranges in groups for each in ranges.split(",") for n in numbers(each.strip())
    }
    rules = {key for name in structures._tables().structures for key, _ in rules_of(name)}
    assert named == rules | {"ele-1", "ext-1"}


def numbers(text: str) -> list[str]:
    """The numbers of `3` or `1 to 5`."""
    first, _, last = text.partition(" to ")
    return [str(n) for n in range(int(first), int(last) + 1)] if last else [first]


@pytest.mark.parametrize("text", ["a.unknown()", "a b", "a.", "'x", "a ~ b", "a.where(b", "(a", "a[0]", "%nothing", ""])
def test_fhirpath_beyond_the_subset_is_refused(text):
    """An expression that the subset does not have is an error when it is compiled, not when it runs."""
    with pytest.raises((ValueError, KeyError)):
        compile_expression(text)


def test_inheritance_is_resolved():
    """A resource has what DomainResource and Resource give it, bases first."""
    names = [element.name for element in structure("Patient").elements]
    assert names[:9] == [
        "id",
        "meta",
        "implicitRules",
        "language",
        "text",
        "contained",
        "extension",
        "modifierExtension",
        "identifier",
    ]
    assert structure("Patient").is_resource
    assert not structure("Patient.contact").is_resource
    assert structure("Nothing") is None
    assert "Patient" in resource_types()


def test_choices_know_their_forms():
    """A choice can be written in each of its types; primitives also with an extension beside them."""
    deceased = next(each for each in structure("Patient").elements if each.name == "deceased")
    assert deceased.json_names() == {"deceasedBoolean", "_deceasedBoolean", "deceasedDateTime", "_deceasedDateTime"}
    dose = next(each for each in structure("Dosage.doseAndRate").elements if each.name == "dose")
    assert dose.members() == (("doseRange", "Range"), ("doseQuantity", "SimpleQuantity"))
