"""JSON Patch: the standard's own examples, refusals, and a second implementation's opinion of any patch."""

import json
from decimal import Decimal
from pathlib import Path

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlock.errors import BadRequest, Unprocessable
from medlock.fhir.jsonpatch import apply_json_patch
from medlock.fhir.jsontree import same, tree_of, written
from medlock.fhir.options import PatchKind
from medlock.fhir.patching import patch_of_entry, patched

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/fhir/json-patch.json").read_bytes())["vectors"]
LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab/~é", max_size=3)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab/~", max_size=2), inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(st.text("abc/~", max_size=2), TREES, max_size=5)
PATHS = st.lists(st.sampled_from(["a", "b", "/", "~", "0", "1", "-", ""]), max_size=3)
POINTERS = PATHS.map(lambda steps: "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps))
OPERATIONS = st.one_of(
    st.fixed_dictionaries({"op": st.sampled_from(["add", "replace", "test"]), "path": POINTERS, "value": TREES}),
    st.fixed_dictionaries({"op": st.just("remove"), "path": POINTERS}),
    st.fixed_dictionaries({"op": st.sampled_from(["move", "copy"]), "path": POINTERS, "from": POINTERS}),
)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: json.dumps(vector["patch"])[:60])
def test_every_vector(vector):
    """Each patch does what the standard says, or is refused with the status written there."""
    before = json.dumps(vector["doc"])
    if "is" in vector:
        assert same(apply_json_patch(vector["doc"], vector["patch"]), vector["is"])
    else:
        with pytest.raises(BadRequest) as refusal:
            apply_json_patch(vector["doc"], vector["patch"])
        assert refusal.value.http_status == vector["status"]
    assert json.dumps(vector["doc"]) == before, "the document that was given is changed"


def test_most_vectors_must_fail():
    """The file is chiefly a list of refusals."""
    assert sum("status" in vector for vector in VECTORS) > len(VECTORS) / 2


@given(DOCUMENTS, DOCUMENTS)
def test_a_difference_applied_is_the_other_document(before, after):
    """What the other library finds between two documents turns the one into the other here."""
    patch = jsonpatch.make_patch(before, after).patch
    result = apply_json_patch(before, patch)
    assert same(result, after) or result == after  # for that library true is 1, so it sees no difference between them


@given(DOCUMENTS, st.lists(OPERATIONS, max_size=4))
def test_another_implementation_agrees(before, patch):
    """Whatever the patch: both apply it with the same result, or both refuse it."""
    try:
        theirs = jsonpatch.apply_patch(before, patch)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, KeyError, IndexError):
        theirs = None
    try:
        ours = apply_json_patch(before, patch)
    except Unprocessable:
        ours = None
    if ours is not None and theirs is not None:
        assert ours == theirs
    elif theirs is not None:  # what we refuse on purpose: true for 1, a value into itself, no document at all
        kinds = {each["op"] for each in patch}
        whole = any(each["path"] == "" or each.get("from") == "" for each in patch)
        assert kinds & {"test", "move"} or whole
    else:
        assert ours is None or any(each["path"] == "" or each.get("from") == "" for each in patch)


def test_copies_are_bounded():
    """A patch that doubles the document with every operation is refused before it fills the memory."""
    patch = [{"op": "copy", "from": "", "path": "/a"}, {"op": "copy", "from": "", "path": "/b"}] * 40
    with pytest.raises(Unprocessable):
        apply_json_patch({"a": 1}, patch)
    with pytest.raises(BadRequest):
        apply_json_patch({"a": 1}, [{"op": "test", "path": "/a", "value": 1}] * 1_001)


@pytest.mark.parametrize("long", [{"text": "x" * 20_000}, {"x" * 20_000: 1}, {"text": Decimal("9" * 20_000)}])
def test_copies_of_what_is_long_are_bounded(long):
    """A few values may be a megabyte of text: what a copy costs is how long it is when written, names included."""
    patch = [{"op": "add", "path": "/b", "value": []}, {"op": "copy", "from": "/a", "path": "/b/-"}]
    with pytest.raises(Unprocessable, match="copies too much"):
        apply_json_patch({"a": long}, patch + [{"op": "copy", "from": "/b", "path": "/b/-"}] * 8)
    assert len(apply_json_patch({"a": long}, patch)["b"]) == 1


NUMBERS = b'{"resourceType":"Observation","a":0.010,"b":1.00,"c":-0.0,"d":12345678901234567890123,"e":5.0e-7}'


def test_numbers_keep_their_digits():
    """What a patch does not touch stays to the digit; a number that it brings stays as it was sent."""
    after = patched(NUMBERS, PatchKind.JSON, b'[{"op":"add","path":"/f","value":70.500}]')
    for digits in (b'"a":0.010', b'"b":1.00', b'"c":-0.0', b'"d":12345678901234567890123', b'"f":70.500'):
        assert digits in after
    assert json.loads(after)["e"] == 5.0e-7
    assert written(tree_of(after)) == after


@pytest.mark.parametrize("number", [b"1E+999999999999999999999", b"1E-999999999999999999999"])
@pytest.mark.parametrize("kind", PatchKind)
def test_numbers_beyond_all_bounds(kind, number):
    """A number that no decimal can hold, in the patch or in the resource, is a refusal and no fault of the server."""
    with pytest.raises(Unprocessable):
        patched(NUMBERS, PatchKind.JSON, b'[{"op":"test","path":"/a","value":%b}]' % number)
    with pytest.raises((BadRequest, Unprocessable)):
        patched(NUMBERS.replace(b"0.010", number), kind, b'{"resourceType":"Parameters"}')


@pytest.mark.parametrize(
    ("patch", "status"),
    [
        (b"", 400),
        (b"[", 400),
        (b'[{"op":"add","op":"remove","path":"/a"}]', 400),
        (b'[{"op":"add","path":"/a","path":"/b","value":1}]', 400),
        (b'[],"x":[]', 400),
        (b'[{"op":"add","path":"/a","value":"\\u0000"}]', 400),
        (b'[{"op":"replace","path":"/id","value":"other"}]', 422),
        (b'[{"op":"remove","path":"/id"}]', 422),
        (b'[{"op":"replace","path":"/resourceType","value":"Patient"}]', 422),
        (b'[{"op":"replace","path":"","value":[]}]', 422),
        (b'[{"op":"replace","path":"","value":{"resourceType":"Observation"}}]', 422),
    ],
)
def test_bytes_that_are_refused(patch, status):
    """A patch is read as strictly as a resource; type and id are out of its reach."""
    with pytest.raises(BadRequest) as refusal:
        patched(b'{"resourceType":"Observation","id":"o1","a":1}', PatchKind.JSON, patch)
    assert refusal.value.http_status == status
    assert "other" not in str(refusal.value)


def test_a_patch_in_a_bundle():
    """A Binary carries a JSON Patch, anything else is taken for Parameters; a broken Binary is refused."""
    binary = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "W10="}
    assert patch_of_entry(json.dumps(binary).encode()) == (PatchKind.JSON, b"[]")
    assert patch_of_entry(b'{"resourceType":"Parameters"}')[0] is PatchKind.FHIRPATH
    for wrong in ({"data": "W10"}, {"data": "*"}, {"data": 1}, {"contentType": "text/plain"}):
        with pytest.raises(BadRequest):
            patch_of_entry(json.dumps(binary | wrong).encode())


def test_nesting_is_bounded():
    """Operations that each nest a little deeper end in a refusal, whatever they do with what they made."""
    deep = [
        {"op": "add", "path": "/a" * (60 * n + 1), "value": json.loads('{"a":' * 59 + "{}" + "}" * 59)}
        for n in range(400)
    ]
    body = b'{"resourceType":"Patient","id":"1"}'
    for last in ({"op": "copy", "from": "/a", "path": "/b"}, {"op": "test", "path": "/a", "value": 1}):
        with pytest.raises(BadRequest):
            patched(body, PatchKind.JSON, json.dumps([*deep, last]).encode())
    with pytest.raises(BadRequest):
        patched(body, PatchKind.JSON, json.dumps(deep).encode())
