"""The shipped search parameters: current, complete, and compiled from nothing that is not understood."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import orjson
import pytest
import zstandard

from fhir_search.definitions import SCRIPTS, definitions, package
from medlock.fhir.elements import TAKES
from medlock.fhir.extract import extract
from medlock.fhir.query import Kind
from medlock.fhir.searchparams import RESOURCE_TYPES, parameter, parameters
from medlock.fhir.structures import resource_types


@pytest.fixture(scope="module")
def distiller() -> Any:
    """scripts/distill_search.py with its siblings importable."""
    sys.path.insert(0, str(SCRIPTS))
    try:
        import distill_search  # noqa: PLC0415 - scripts are no package
    finally:
        sys.path.remove(str(SCRIPTS))
    return distill_search


def test_shipped_file_is_current(distiller: Any) -> None:
    """What ships is what the script makes of the pinned package today."""
    shipped = zstandard.decompress(distiller.TARGET.read_bytes())
    assert shipped == distiller.render(distiller.table(package().read_resources()))


def test_every_parameter_is_there() -> None:
    """Every definition that is not an experiment is known, on each type that it names, with its kind."""
    known = definitions()
    for (base, code), definition in known.parameters.items():
        for kind in RESOURCE_TYPES if base == "Resource" else [base]:
            found = parameter(kind, code)
            assert found is not None, (kind, code)
            assert found.type == definition["type"]


def test_what_is_not_evaluated() -> None:
    """Phonetics, text search and one composite that contradicts itself are known and refused; nothing else is."""
    refused = Counter(
        found.name
        for kind in RESOURCE_TYPES
        for found in parameters(kind).values()
        if found.kind is None and found.name not in {"_text", "_content", "_query", "_filter"}
    )
    assert refused == {"relationship": 1, "phonetic": 6}
    assert all(found.refusal for kind in RESOURCE_TYPES for found in parameters(kind).values() if found.kind is None)


def test_composites() -> None:
    """Each composite has the parts of its definition, in order, each with paths, and a plain parameter that it implies."""
    known = definitions()
    found = [(kind, each) for kind in RESOURCE_TYPES for each in parameters(kind).values() if each.composite]
    assert len(found) == 71
    for kind, each in found:
        assert each.composite is not None
        definition = known.parameter(kind, each.name)
        assert definition is not None
        parts = [known.by_url[part["definition"]] for part in definition["component"]]
        assert [part.name for part in each.composite.parts] == [part["code"] for part in parts]
        assert [str(part.kind) for part in each.composite.parts] == [part["type"] for part in parts]
        assert all(part.paths for part in each.composite.parts)
        assert all(parameter(kind, name) is not None for name in each.composite.implied)


def test_every_evaluated_parameter_compiles() -> None:
    """Each has paths, each path a data type that its kind can read, and each type's walk can be made."""
    for kind in RESOURCE_TYPES:
        for found in parameters(kind).values():
            if found.kind not in {None, Kind.COMPOSITE, Kind.SPECIAL}:
                assert found.paths, (kind, found.name)
                types = found.datatypes - {"truth"}
                assert found.kind is not None
                assert all((found.kind, datatype) in TAKES for datatype in types), (kind, found.name)
        extract({"resourceType": kind})


def test_common_parameters() -> None:
    """Each type has the parameters of Resource, of the kinds that R4 gives them."""
    kinds = {"_id": Kind.TOKEN, "_lastUpdated": Kind.DATE, "_tag": Kind.TOKEN, "_security": Kind.TOKEN}
    kinds |= {"_profile": Kind.URI, "_source": Kind.URI}
    for resource_type in RESOURCE_TYPES:
        assert {name: parameters(resource_type)[name].kind for name in kinds} == kinds


def test_unknown_is_none() -> None:
    """What R4 does not define is None, for abstract types too."""
    assert parameter("Patient", "nonsense") is None
    assert parameter("Nonsense", "_id") is None
    assert parameter("Resource", "_id") is None
    assert len(RESOURCE_TYPES) == 146
    assert resource_types() == RESOURCE_TYPES


@pytest.mark.parametrize(
    ("resource_type", "name", "targets"),
    [
        ("Observation", "patient", ("Patient",)),
        ("Observation", "subject", ("Device", "Group", "Location", "Patient")),
        ("AllergyIntolerance", "patient", ("Patient",)),
        ("Encounter", "practitioner", ("Practitioner",)),
        ("Provenance", "target", ()),
        ("Patient", "name", ()),
    ],
)
def test_targets(resource_type: str, name: str, targets: tuple[str, ...]) -> None:
    """Targets are those of the element and the expression, not the wider list of a shared definition."""
    found = parameter(resource_type, name)
    assert found is not None
    assert found.targets == targets


@pytest.fixture(scope="module")
def structures(distiller: Any) -> Any:
    """The element definitions as the distiller holds them."""
    return distiller.Structures(package().read_resources("StructureDefinition"))


@pytest.mark.parametrize(
    "term",
    [
        "Patient.nonsense",
        "Patient.name.first()",
        "Patient.name[1]",
        "Patient.name.where(use = 'official' and period.exists())",
        "Patient.deceased.exists() and Patient.active != false",
        "(Observation.value as Attachment)",
        "Patient.name & Patient.telecom",
        "Patient.",
        "Patient.name)",
    ],
)
def test_unresolvable(distiller: Any, structures: Any, term: str) -> None:
    """An expression outside the subset, or an element that is not there, stops the build."""
    base = "Observation" if "Observation" in term else "Patient"
    with pytest.raises(distiller.Unresolvable):
        distiller.resolve(structures, base, term)


def test_rendering_is_canonical(distiller: Any) -> None:
    """Equal content has equal bytes, whatever the order it was made in."""
    assert distiller.render({"b": 1, "a": 2}) == distiller.render({"a": 2, "b": 1}) == orjson.dumps({"a": 2, "b": 1})
