"""Resources as bytes: identity, subsets and masks change what they must and leave every other byte as it was."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir.vectors import BASES
from medlock.errors import BadRequest
from medlock.fhir.document import elements_subset, minify, summary, with_identity, without_members
from medlock.fhir.validate import validate

NOW = "2026-11-23T17:46:00.000Z"
SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "Resource encoded in summary mode",
}
PRECISE = (
    b'{ "resourceType" : "Observation",\n "valueQuantity":{"value":0.010, "code" : "a\\/b\\u00e9"},"status":"final" }'
)
NUMBERS = ["0.010", "1E3", "1e-7", "-0.0", "100000000000000000000000.5", "3.14159265358979323846264338327950288", "10"]
JSON = st.recursive(
    st.sampled_from([*NUMBERS, "true", "null", '"x"', '" : , "', '"\\u00e9\\/ \\""', '"ä"']),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[ " + " , ".join(items) + " ]")
        | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3).map(
            lambda pairs: "{ " + " ,\n".join(f'"{name}" : {value}' for name, value in pairs.items()) + " }"
        )
    ),
    max_leaves=8,
)


def tokens(text):
    """JSON text without the blanks that these tests put between tokens."""
    return text.replace('" : , "', "\0").translate(str.maketrans("", "", " \n")).replace("\0", '" : , "')


@given(JSON)
def test_minify_only_takes_white_space_away(text):
    """Numbers, escapes and blanks inside texts stay as they were written."""
    spaced = text.replace('"\\u00e9\\/ \\""', '"\\u00e9\\/\\""')
    assert minify(spaced.encode()).decode() == tokens(spaced)


@pytest.mark.parametrize("data", [b"", b"{", b"[1,]", b"{}x", b"[" * 5000, b"nul"])
def test_minify_refuses_what_is_not_json(data):
    """A caller's text that is no JSON is a BadRequest."""
    with pytest.raises(BadRequest):
        minify(data)


def test_identity_is_set_and_all_else_stays():
    """resourceType, id and meta stand in front; digits and escapes are kept, whitespace is not."""
    assert with_identity(PRECISE, "Observation", "o1", 3, NOW) == (
        b'{"resourceType":"Observation","id":"o1","meta":{"versionId":"3","lastUpdated":"%b"},'
        b'"valueQuantity":{"value":0.010,"code":"a\\/b\\u00e9"},"status":"final"}' % NOW.encode()
    )


def test_identity_replaces_what_the_caller_claimed():
    """A caller's own id, version and time give way; profile, tag and label in meta stay."""
    data = b'{"meta":{"versionId":"9","tag":[{"code":"t"}],"lastUpdated":"1999","_lastUpdated":{"id":"x"},"profile":["urn:p"]},'
    data += b'"id":"mine","resourceType":"Patient"}'
    written = orjson.loads(with_identity(data, "Patient", "p1", 1, NOW))
    assert list(written) == ["resourceType", "id", "meta"]
    assert written["id"] == "p1"
    assert written["meta"] == {"versionId": "1", "lastUpdated": NOW, "tag": [{"code": "t"}], "profile": ["urn:p"]}


@pytest.mark.parametrize("kind", sorted(BASES))
def test_a_resource_with_identity_is_valid(kind):
    """Identity leaves a valid resource valid, and setting it again changes nothing."""
    data = with_identity(orjson.dumps(BASES[kind]), kind, "x1", 1, NOW)
    assert validate(orjson.loads(data)) == []
    assert with_identity(data, kind, "x1", 1, NOW) == data


def stored(kind):
    """A base resource as it is kept."""
    return with_identity(orjson.dumps(BASES[kind]), kind, "x1", 1, NOW)


def test_elements_keeps_what_was_asked_and_what_must_stay():
    """Mandatory elements and modifiers stay beside the elements asked for; the tag says that it is a part."""
    found = orjson.loads(elements_subset(stored("Observation"), "Observation", ("value",)))
    assert list(found) == ["resourceType", "id", "meta", "status", "code", "valueQuantity"]
    assert found["meta"]["tag"] == [SUBSETTED]
    assert found["valueQuantity"] == BASES["Observation"]["valueQuantity"]
    patient = orjson.loads(elements_subset(stored("Patient"), "Patient", ("name", "birthDate")))
    assert list(patient) == ["resourceType", "id", "meta", "active", "name", "birthDate"]


def test_elements_keeps_extensions_of_what_was_asked():
    """An extension beside a primitive belongs to it, a modifier extension is never dropped."""
    data = b'{"resourceType":"Patient","birthDate":"1980","_birthDate":{"id":"a"},"_gender":{"id":"b"},"modifierExtension":[1]}'
    assert set(orjson.loads(elements_subset(data, "Patient", ["birthDate"]))) == {
        "resourceType", "meta", "birthDate", "_birthDate", "modifierExtension",
    }  # fmt: skip


def test_the_tag_is_added_once():
    """A resource that is cut down twice has one tag, and keeps the tags that it had."""
    data = b'{"resourceType":"Patient","meta":{"tag":[{"code":"t"}]},"gender":"female","name":[{"text":"x"}]}'
    once = elements_subset(data, "Patient", ["name", "gender"])
    assert orjson.loads(elements_subset(once, "Patient", ["name"]))["meta"]["tag"] == [{"code": "t"}, SUBSETTED]


def test_summary_true_keeps_summary_elements_at_every_depth():
    """What R4 marks as summary stays, at the top and inside; the rest goes."""
    patient = BASES["Patient"] | {"photo": [{"contentType": "image/png", "data": "QQ==", "title": "me"}]}
    found = orjson.loads(summary(orjson.dumps(patient), "Patient", "true"))
    assert set(found) == {
        "resourceType",
        "id",
        "meta",
        "identifier",
        "active",
        "name",
        "telecom",
        "gender",
        "birthDate",
    }
    observation = {"component": [{"code": {"text": "c"}, "valueInteger": 1, "referenceRange": [{"text": "x"}]}]}
    found = orjson.loads(summary(orjson.dumps(BASES["Observation"] | observation), "Observation", "true"))
    assert found["component"] == [{"code": {"text": "c"}, "valueInteger": 1}]
    assert "referenceRange" not in found


def test_summary_keeps_digits():
    """A decimal inside a summary is written as it was received."""
    assert b'"value":0.010' in summary(PRECISE, "Observation", "true")
    assert b'"value":0.010' in summary(PRECISE, "Observation", "data")
    assert b'"value":0.010' in elements_subset(minify(PRECISE), "Observation", ["value"])


def test_summary_text_and_data():
    """Mode text keeps the narrative and what is mandatory; mode data drops just the narrative."""
    text = {"text": {"status": "generated", "div": "<div/>"}}
    data = orjson.dumps(text | BASES["Observation"])
    assert set(orjson.loads(summary(data, "Observation", "text"))) == {
        "resourceType",
        "id",
        "meta",
        "text",
        "status",
        "code",
    }
    assert orjson.loads(summary(data, "Observation", "data")).keys() == BASES["Observation"].keys() | {"meta"}


@pytest.mark.parametrize("kind", sorted(BASES))
@pytest.mark.parametrize("mode", ["true", "text", "data"])
def test_a_summary_has_nothing_that_the_resource_has_not(kind, mode):
    """Every member of a summary, at any depth, stands in the resource, and the result is tagged."""
    whole, part = orjson.loads(stored(kind)), orjson.loads(summary(stored(kind), kind, mode))
    assert SUBSETTED in part["meta"].pop("tag")
    assert is_part(part, whole)


def is_part(part, whole):
    """True when `part` is `whole` with members left out."""
    if isinstance(part, dict):
        return all(name in whole and is_part(value, whole[name]) for name, value in part.items())
    if isinstance(part, list):
        return len(part) == len(whole) and all(map(is_part, part, whole))
    return part == whole


def test_hidden_members_are_gone_in_every_form():
    """A mask takes out the element, its extension and every type of a choice; identity cannot be masked."""
    data = b'{"resourceType":"Patient","id":"p","gender":"female","_gender":{"id":"a"},"deceasedBoolean":true,"name":[{"text":"x"}]}'
    kept = orjson.loads(without_members(data, frozenset({"gender", "deceased", "id", "resourceType"})))
    assert kept.keys() == {"resourceType", "id", "meta", "name"}
    assert kept["meta"]["tag"] == [SUBSETTED]


def test_a_mask_that_hides_nothing_changes_nothing():
    """A resource without the masked elements is shown as it is, without a tag."""
    data = b'{"resourceType":"Patient","id":"p"}'
    assert without_members(data, frozenset({"gender", "deceased"})) == data
