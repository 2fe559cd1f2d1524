"""References are all found, told apart, and rewritten only where they are references."""

from __future__ import annotations

from datetime import date

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir.vectors import BASES
from medlock.fhir.clinic import clinic
from medlock.fhir.references import literal_references, local_target, rewrite
from medlock.fhir.report import path_of
from medlock.fhir.validate import examine

BASE = "https://clinic.example/fhir"
UUID = "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"
MAPPING = {UUID: "Patient/p1", "Practitioner?identifier=https://x.example|1": "Practitioner/d1"}


def test_every_literal_reference_is_found_with_its_path():
    """References in lists, contained resources and extensions count; canonicals and identifiers do not."""
    resource = {
        "resourceType": "Observation",
        "contained": [{"resourceType": "Device", "id": "d", "owner": {"reference": "Organization/o"}}],
        "extension": [{"url": "urn:x", "valueReference": {"reference": "Basic/b"}}],
        "subject": {"reference": "Patient/p1", "identifier": {"value": "Patient/p2"}},
        "performer": [{"display": "x"}, {"reference": "Practitioner/d1"}],
        "meta": {"profile": ["https://x.example/reference"]},
    }
    assert literal_references(resource) == [
        ("Observation.contained[0].owner.reference", "Organization/o"),
        ("Observation.extension[0].value.reference", "Basic/b"),
        ("Observation.subject.reference", "Patient/p1"),
        ("Observation.performer[1].reference", "Practitioner/d1"),
    ]


def test_validation_meets_the_same_references():
    """What validation notes on its way is what a walk of its own finds, in every resource of the clinic."""
    bundles = list(clinic(3, 6, today=date(2026, 1, 1)))
    resources = [entry["resource"] for bundle in bundles for entry in bundle["entry"]]
    for resource in resources:
        report = examine(resource)
        assert not report.problems
        met = sorted((path_of(place), reference) for place, reference in report.references)
        assert met == sorted(literal_references(resource))
    assert len(resources) > 500


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("Patient/p1", ("Patient", "p1")),
        ("Patient/p1/_history/2", ("Patient", "p1")),
        (f"{BASE}/Patient/p1", ("Patient", "p1")),
        (f"{BASE}/Patient/p1/_history/2", ("Patient", "p1")),
        ("https://other.example/fhir/Patient/p1", None),
        (f"{BASE}x/Patient/p1", None),
        (f"{BASE}/fhir/Patient/p1", None),
        ("#p1", None), ("#", None), ("", None), (UUID, None), ("Patient?identifier=1", None), ("p1", None),
        ("Patient/", None), ("Patient/p_1", None), ("Patient/p1/name", None), ("Patient/p1/_history/", None),
        ("/Patient/p1", None), ("Nothing/p1", None), ("patient/p1", None), ("Patient/p1#x", None), ("Patient/p1\n", None),
        ("Patient/" + "x" * 65, None),
    ],
)  # fmt: skip
def test_local_targets_are_told_from_all_others(reference, target):
    """Only Type/id, alone or under this server's own address, is local."""
    assert local_target(reference, BASE) == target


def test_references_are_rewritten_where_they_are_references():
    """Reference.reference, uri and url members and links in the narrative change; identifiers and text do not."""
    search = "Practitioner?identifier=https://x.example|1"
    resource = {
        "resourceType": "Observation",
        "text": {"status": "generated", "div": f'<div><a href="{UUID}">x</a><img src="{UUID}"/> {UUID} href=x</div>'},
        "identifier": [{"system": UUID, "value": UUID}],
        "subject": {"reference": UUID, "display": UUID},
        "performer": [{"reference": search}, {"reference": UUID + "1"}, {"reference": "#" + UUID}],
        "extension": [{"url": "urn:x", "valueUri": UUID}, {"url": "urn:x", "valueString": UUID}],
        "note": [{"text": f'"reference":"{UUID}"'}],
    }
    written = orjson.loads(rewrite(orjson.dumps(resource), MAPPING))
    assert written["subject"] == {"reference": "Patient/p1", "display": UUID}
    assert [each["reference"] for each in written["performer"]] == ["Practitioner/d1", UUID + "1", "#" + UUID]
    assert [list(each.values())[1] for each in written["extension"]] == ["Patient/p1", UUID]
    assert written["text"]["div"] == f'<div><a href="Patient/p1">x</a><img src="Patient/p1"/> {UUID} href=x</div>'
    assert {name: written[name] for name in ("identifier", "note")} == {
        name: resource[name] for name in ("identifier", "note")
    }


def test_rewriting_understands_escapes_and_white_space():
    """A reference is the same however its JSON is written."""
    escaped = b'{"subject": { "reference" :\n"urn:uuid:c757873d\\u002dec9a-4326-a141-556f43239520" },"x":1.50}'
    assert orjson.loads(rewrite(escaped, MAPPING))["subject"]["reference"] == "Patient/p1"
    assert b'"x":1.50' in rewrite(escaped, MAPPING)
    slashes = b'{"reference":"Practitioner?identifier=https:\\/\\/x.example|1"}'
    assert rewrite(slashes, MAPPING) == b'{"reference":"Practitioner/d1"}'


def test_nothing_to_rewrite_leaves_every_byte():
    """A document without a key of the mapping comes back as it was."""
    for resource in BASES.values():
        data = orjson.dumps(resource, option=orjson.OPT_INDENT_2)
        assert rewrite(data, MAPPING) == data


TEXTS = st.sampled_from([UUID, "Patient/p1", "x", '"reference":"' + UUID + '"', "\\", '"', "ä", "a\\", ""])
NAMES = st.sampled_from(["reference", "display", "value", "url", "system", "code"])
TREES = st.recursive(TEXTS, lambda x: st.lists(x, max_size=3) | st.dictionaries(NAMES, x, max_size=4), max_leaves=12)


def naively(tree, name=""):
    """The same rewriting on the parsed tree."""
    if isinstance(tree, dict):
        return {key: naively(value, key) for key, value in tree.items()}
    if isinstance(tree, list):
        return [naively(value) for value in tree]
    return MAPPING.get(tree, tree) if name in {"reference", "url"} else tree


@given(st.dictionaries(NAMES, TREES), st.booleans())
def test_rewriting_bytes_is_rewriting_the_tree(tree, indented):
    """Quotes, backslashes and look-alike members inside texts do not lead the bytes astray."""
    data = orjson.dumps(tree, option=orjson.OPT_INDENT_2 if indented else 0)
    assert orjson.loads(rewrite(data, MAPPING)) == naively(tree)


@given(
    st.lists(
        st.sampled_from(
            [b'"reference":"', b'"', b"\\", b"\xff", b"\\u00", b' href=\\"', UUID.encode(), b"x", b"\\ud800"]
        )
    )
)
def test_rewriting_survives_bytes_that_are_no_json(pieces):
    """Rewriting comes before parsing; what is malformed passes through to be refused there."""
    assert isinstance(rewrite(b"".join(pieces), MAPPING), bytes)
