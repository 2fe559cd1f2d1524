"""Rules that the structures decide and rules that are evaluated on each resource come to the same."""

import json
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deid_fhir.anything import TYPES, Maker
from medlock.deid.fhir.microsoft import from_rules
from medlock.deid.fhir.rules import read_rules
from medlock.deid.fhir.steps import steps_of

TODAY = date(2026, 6, 1)
KEY = bytes(range(32))
# Each path, and the same in a form that the structures cannot decide.
PATHS = [
    (path, f"{path}.where(true)")
    for path in (
        "nodesByType('Extension')",
        "nodesByType('HumanName').use",
        "nodesByType('HumanName')",
        "nodesByType('Coding').display",
        "nodesByType('CodeableConcept')",
        "nodesByType('Reference').reference",
        "nodesByType('date')",
        "nodesByType('string')",
        "nodesByType('BackboneElement')",
        "nodesByName('value')",
        "nodesByName('name')",
        "nodesByName('contained')",
        "Resource.id",
        "Resource.meta.tag",
        "DomainResource.text",
        "Patient.contact.name",
        "Patient.name.given",
        "Observation.component.value.ofType(string)",
        "Bundle.entry.resource",
        "Bundle.entry.resource.id",
        "Bundle.entry.resource.name.family",
        "Questionnaire.item.item.text",
        "Parameters.parameter.resource",
    )
]
PATHS.append(("Observation.value as Quantity", "Observation.value.where($this is Quantity)"))
METHODS = st.sampled_from([{"method": "keep"}, {"method": "redact"}, {"method": "cryptoHash"}, {"method": "dateShift"}])
KINDS = st.one_of(
    st.sampled_from(["Patient", "Observation", "Bundle", "Questionnaire", "Parameters"]), st.sampled_from(TYPES)
)


def out_of(resource, rules):
    config = {"fhirPathRules": rules, "parameters": {"dateShiftKey": "k", "cryptoHashKey": "k"}}
    return from_rules(read_rules(json.dumps(config).encode()), KEY).apply(resource, TODAY)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    kind=KINDS,
    chosen=st.lists(st.tuples(st.sampled_from(PATHS), METHODS, st.booleans()), min_size=1, max_size=6),
)
def test_the_same_whichever_way_a_path_is_followed(seed, kind, chosen):
    """Any mixture of compiled and evaluated rules gives what the compiled ones give."""
    resource = Maker(seed).resource(kind)
    compiled = out_of(resource, [{"path": paths[0]} | method for paths, method, _ in chosen])
    mixed = out_of(resource, [{"path": paths[asked]} | method for paths, method, asked in chosen])
    assert mixed == compiled


@pytest.mark.parametrize("paths", PATHS, ids=lambda paths: paths[0])
def test_the_two_forms_are_what_they_claim(paths):
    """The first form is decided by the structures, the second is not."""
    static, dynamic = (path.partition(".")[2] if path[0].isupper() else path for path in paths)
    assert steps_of(static) is not None
    assert steps_of(dynamic) is None


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), kind=KINDS)
def test_keeping_everything_changes_nothing_that_r4_knows(seed, kind):
    """Without rules a resource comes back as it was, but for members that R4 does not know."""
    maker = Maker(seed)
    resource = maker.resource(kind)
    unknown = {text for text, place in maker.markers.items() if place.startswith("unknown")}

    def known(tree):
        if isinstance(tree, dict):
            return {key: known(value) for key, value in tree.items() if key not in unknown}
        return [known(value) for value in tree] if isinstance(tree, list) else tree

    def without_empty(tree):
        if isinstance(tree, dict):
            inner = {key: without_empty(value) for key, value in tree.items()}
            return {key: value for key, value in inner.items() if value not in ({}, [])}
        return [each for each in map(without_empty, tree) if each != {}] if isinstance(tree, list) else tree

    assert out_of(known(resource), []) == without_empty(known(resource))
