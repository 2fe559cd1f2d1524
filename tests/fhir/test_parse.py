"""Parsing: what is JSON for FHIR becomes a dict, everything else a BadRequest that names a place."""

from __future__ import annotations

import json
from collections import Counter

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fhir.vectors import load
from medlock.errors import BadRequest
from medlock.fhir.parse import DEPTH_MAX, parse_json

VECTORS = load("json")
NAMES = st.sampled_from(["a", "b", "id", 'q"', "back\\", "ä", ":", '":'])
LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.sampled_from(['x":1', "\\", "a\\", "ä😀", "{", ""])
)
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.lists(st.tuples(NAMES, inner)).map(tuple))
GAPS = st.sampled_from(["", " ", "\n", "\t ", "\r\n"])


@pytest.mark.parametrize("text", VECTORS["good"])
def test_good_json_is_read(text):
    """What RFC 8259 and FHIR allow is read as the standard library reads it."""
    assert parse_json(text.encode()) == json.loads(text)


@pytest.mark.parametrize(("text", "path"), VECTORS["bad"])
def test_bad_json_is_refused(text, path):
    """Each fault is a BadRequest with the path of the fault, or none when there is no tree to point into."""
    with pytest.raises(BadRequest) as refusal:
        parse_json(text.encode("utf-8", "surrogatepass"))
    assert [problem.path for problem in refusal.value.problems] == [path]
    assert {problem.code for problem in refusal.value.problems} == {"structure"}


@pytest.mark.parametrize(
    "data", [b'{"a":"\xff"}', b'{"a":"\xc0\xaf"}', b'{"a":"\xed\xa0\x80"}', b'{"\xfe":1}', b"\xff"]
)
def test_text_that_is_not_utf8_is_refused(data):
    """Invalid bytes, overlong forms and encoded surrogates are named as what they are."""
    with pytest.raises(BadRequest) as refusal:
        parse_json(data)
    assert "not UTF-8" in refusal.value.problems[0].text


def test_malformed_json_is_located():
    """The place of a fault is told by line and column."""
    with pytest.raises(BadRequest, match="The Bundle is not valid JSON") as refusal:
        parse_json(b'{\n  "a": 1,\n  "b": x\n}', what="Bundle")
    assert refusal.value.problems[0].text.startswith("line 3, column 8")


@pytest.mark.parametrize(("opening", "closing"), [(b'{"a":', b"}"), (b"[", b"]")])
@pytest.mark.parametrize("depth", [DEPTH_MAX - 1, DEPTH_MAX, 100, 300, 2000])
def test_nesting_has_a_limit(opening, closing, depth):
    """64 levels are read, more are refused, however many more."""
    data = b'{"a":' + opening * depth + b"1" + closing * depth + b"}"
    if depth < DEPTH_MAX:
        assert parse_json(data)["a"] is not None
    else:
        with pytest.raises(BadRequest):
            parse_json(data)


def test_brackets_in_text_do_not_count_as_nesting():
    """Neither the depth nor the names can be faked from inside a text."""
    assert parse_json(orjson.dumps({"a": "[{" * 1000, "b": '"x":' * 1000}))["a"] == "[{" * 1000


def written(tree, gap):
    """JSON text of a tree whose objects are tuples of pairs, so that names can repeat."""
    if isinstance(tree, tuple):
        pairs = (f"{gap}{json.dumps(name)}{gap}:{gap}{written(value, gap)}" for name, value in tree)
        return "{" + ",".join(pairs) + "}"
    if isinstance(tree, list):
        return "[" + ",".join(written(value, gap) for value in tree) + "]"
    return json.dumps(tree, ensure_ascii=False)


def repeats(tree):
    """True when any object in the tree has a name twice."""
    if isinstance(tree, tuple):
        names = Counter(name for name, _ in tree)
        return max(names.values(), default=0) > 1 or any(repeats(value) for _, value in tree)
    return isinstance(tree, list) and any(repeats(value) for value in tree)


@given(st.lists(st.tuples(NAMES, TREES)).map(tuple), GAPS)
@example((("k", 'x":'), ("k", 1)), "")
@example((("back\\", 1), ("back\\", 2)), "")
def test_a_repeated_name_is_always_found_and_nothing_else(tree, gap):
    """Names that end in quotes or backslashes, and texts that look like members, do not confuse the count."""
    data = written(tree, gap).encode()
    escapes = b"\\u" in data  # json.dumps writes the name ä with one, which is refused for itself
    if repeats(tree) or escapes:
        with pytest.raises(BadRequest):
            parse_json(data)
    else:
        assert parse_json(data) == json.loads(data)


@given(st.binary(max_size=200))
@example(b'{"a":1,"a":' + b"1" * 5000 + b"}")
def test_any_bytes_are_read_or_refused(data):
    """Nothing but a BadRequest ever comes out of bytes that are no FHIR JSON."""
    try:
        assert isinstance(parse_json(data), dict)
    except BadRequest as refusal:
        assert refusal.problems  # noqa: PT017 - both outcomes are right


@given(st.text(alphabet='{}[]",:\\u0a1e.-ntrfb\x00\x07 é', max_size=60))
def test_any_text_is_read_or_refused(text):
    """The same for text made of what JSON is made of, which goes deeper into the parser."""
    test_any_bytes_are_read_or_refused.hypothesis.inner_test(('{"a":' + text + "}").encode())


def test_refusals_do_not_show_the_text():
    """Neither sentence nor problems repeat what stood in the document."""
    for data in (b'{"a":"Brook" "b"}', b'{"Ada Brook":1,"Ada Brook":2}', b'{"a":"Brook\\u0000"}', b'{"a":Brook}'):
        with pytest.raises(BadRequest) as refusal:
            parse_json(data)
        assert "Brook" not in f"{refusal.value} {refusal.value.reason} {refusal.value.problems}"


def test_many_repeated_names_are_told_in_bounded_time_and_number():
    """A megabyte of one name repeated makes one problem, many names make a hundred."""
    one = b"{" + b",".join([b'"a":1'] * 100_000) + b"}"
    many = b"{" + b",".join(b'"n%d":1,"n%d":1' % (n, n) for n in range(5000)) + b"}"
    for data, count in ((one, 1), (many, 100)):
        with pytest.raises(BadRequest) as refusal:
            parse_json(data)
        assert len(refusal.value.problems) == count
