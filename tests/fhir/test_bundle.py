"""Bundles: envelopes are checked, resources pass through as bytes, and what is put together is valid R4."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir import vectors
from medlock.errors import BadRequest, TooLarge, Unprocessable
from medlock.fhir import bundle
from medlock.fhir.bundle import Entry, HistoryEntry, Response, SearchEntry
from medlock.fhir.parse import parse_json
from medlock.fhir.validate import validate

CASES = [pytest.param(case, id=case["case"]) for case in vectors.load("bundles")]
NOW = "2026-11-23T17:46:00.000Z"
PATIENT = (
    b'{"resourceType":"Patient","id":"p1","multipleBirthInteger":2,"extension":[{"url":"urn:x","valueDecimal":0.010}]}'
)
OUTCOME = b'{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"not-found"}]}'


@pytest.mark.parametrize("case", CASES)
def test_an_envelope_has_the_expected_problems(case):
    """Each vector is taken in, or refused with exactly the problems that it names."""
    data = orjson.dumps(case["bundle"])
    if case["expect"]:
        with pytest.raises(Unprocessable) as refusal:
            bundle.entries(data, 10)
        assert vectors.found(refusal.value.problems) == sorted(case["expect"])
    else:
        assert len(bundle.entries(data, 10)) == len(case["bundle"].get("entry", ()))


def test_an_entry_has_its_parts():
    """fullUrl, request and conditions come out by name, the resource as the bytes it was written in."""
    data = b"""{"resourceType":"Bundle","type":"transaction","entry":[
        {"fullUrl":"urn:uuid:a","resource":{"resourceType":"Observation","valueQuantity":{"value":0.010}},
         "request":{"method":"PUT","url":"Observation/o1","ifMatch":"W/\\"2\\"","ifNoneMatch":"*","ifNoneExist":"a=b"}},
        {"request":{"method":"DELETE","url":"Patient/p1"}}]}"""
    assert bundle.entries(data, 2) == (
        Entry(
            "urn:uuid:a",
            "PUT",
            "Observation/o1",
            b'{"resourceType":"Observation","valueQuantity":{"value":0.010}}',
            'W/"2"',
            "*",
            "a=b",
        ),
        Entry("", "DELETE", "Patient/p1", b""),
    )


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{", "7", '{"resourceType":"Bundle","type":"batch"',
        '{"resourceType":"Bundle","type":"batch","type":"transaction"}',
        '{"resourceType":"Bundle","type":"batch","entry":[],"entry":[]}',
        '{"resourceType":"Bundle","type":"batch","\\u0065ntry":[]}',
        '{"resourceType":"Bundle","type":"batch","entry":[7]}',
        '{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"a"},"request":{}}]}',
        '{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"a","url":"b"}}]}',
        '{"resourceType":"Bundle","type":"batch","entry":[{"resource":{},"resource":{}}]}',
        '{"resourceType":"Bundle","type":"batch","meta":{"tag":[],"tag":[]}}',
        '{"resourceType":"Bundle","type":"batch","entry":[{"fullUrl":"\\ud800"}]}',
    ],
)  # fmt: skip
def test_a_malformed_bundle_is_refused(text):
    """No JSON, no object, a member twice or an escaped name at any level of the envelope is a BadRequest."""
    with pytest.raises(BadRequest) as refusal:
        bundle.entries(text.encode(), 10)
    assert not isinstance(refusal.value, Unprocessable)


def test_paths_of_malformed_entries_begin_with_the_entry():
    """A member given twice inside an entry is named where it stands in the bundle."""
    data = b'{"resourceType":"Bundle","type":"batch","entry":[{"request":{"url":"a","url":"b"}}]}'
    with pytest.raises(BadRequest) as refusal:
        bundle.entries(data, 10)
    assert [problem.path for problem in refusal.value.problems] == ["Bundle.entry[0].request.url"]


def test_the_number_of_entries_has_a_limit():
    """One entry too many is TooLarge, before any entry is opened."""
    data = b'{"resourceType":"Bundle","type":"batch","entry":[7,7,7]}'
    with pytest.raises(TooLarge):
        bundle.entries(data, 2)


@given(st.binary(max_size=60))
def test_any_bytes_are_taken_in_or_refused(data):
    """Nothing but a BadRequest comes out of bytes that are no bundle, wherever they stand."""
    for text in (data, b'{"resourceType":"Bundle","type":"batch","entry":[' + data + b"]}"):
        try:
            assert isinstance(bundle.entries(text, 10), tuple)
        except BadRequest as refusal:
            assert refusal.problems  # noqa: PT017 - both outcomes are right


PIECES = [
    b'"',
    b":",
    b",",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\\ud800",
    b"\\u0000",
    b"\xff",
    b"\xed\xa0\x80",
    b"\\x",
    b"1e999",
    b"request",
]
PIECES += [b'"request":{"method":"GET","url":"', b'"fullUrl":"', b'"resource":{', b"Patient", b"null", b"\n", b"\x01"]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))
def test_almost_json_is_taken_in_or_refused(content):
    """The same for entries, heads and members that look like a bundle's for a while."""
    for text in (
        b'{"resourceType":"Bundle","type":"batch","entry":[{' + content + b"}]}",
        b'{"resourceType":"Bundle","type":"batch",' + content + b"}",
        b'{"resourceType":"Bundle","type":"batch","' + content + b'":1}',
    ):
        try:
            assert isinstance(bundle.entries(text, 10), tuple)
        except BadRequest as refusal:
            assert refusal.problems  # noqa: PT017 - both outcomes are right


LINKS = {
    "self": "https://clinic.example/fhir/Patient?name=\u00e4",
    "next": "https://clinic.example/fhir/Patient?_page=x",
}
MADE = {
    "searchset": bundle.searchset(
        [SearchEntry("https://clinic.example/fhir/Patient/p1", PATIENT), SearchEntry("urn:x", OUTCOME, "outcome")],
        total=1,
        links=LINKS,
    ),
    "searchset, empty, no total": bundle.searchset(
        [], total=None, links={"self": "https://clinic.example/fhir/Patient"}
    ),
    "history": bundle.history(
        [
            HistoryEntry("https://clinic.example/fhir/Patient/p1", b"", "DELETE", "Patient/p1", "204", 2, NOW),
            HistoryEntry("https://clinic.example/fhir/Patient/p1", PATIENT, "PUT", "Patient/p1", "201", 1, NOW),
        ],
        total=2,
        links={"self": "https://clinic.example/fhir/Patient/p1/_history"},
    ),
    "transaction-response": bundle.transaction_response(
        [Response("201", "Patient/p1/_history/1", "1", NOW), Response("200", resource=PATIENT), Response("204")]
    ),
    "batch-response": bundle.transaction_response([Response("404", outcome=OUTCOME)], "batch-response"),
    "collection": bundle.collection([("urn:uuid:a", PATIENT)]),
}


@pytest.mark.parametrize("kind", sorted(MADE))
def test_what_is_put_together_is_valid(kind):
    """Every kind of bundle that is made is valid R4, and of the type that was asked for."""
    made = parse_json(MADE[kind])
    assert validate(made) == []
    assert made["type"] == kind.partition(",")[0]


def test_the_parts_stand_where_they_belong():
    """Totals, links, modes, ETags and times are told in the bundle as they were given."""
    search, history = orjson.loads(MADE["searchset"]), orjson.loads(MADE["history"])
    assert search["total"] == 1
    assert {link["relation"]: link["url"] for link in search["link"]} == LINKS
    assert [entry["search"]["mode"] for entry in search["entry"]] == ["match", "outcome"]
    assert history["entry"][0].keys() == {"fullUrl", "request", "response"}
    assert history["entry"][0]["request"] == {"method": "DELETE", "url": "Patient/p1"}
    assert history["entry"][0]["response"] == {"status": "204", "etag": 'W/"2"', "lastModified": NOW}
    empty = orjson.loads(MADE["searchset, empty, no total"])
    assert empty.keys() == {"resourceType", "type", "link"}


@pytest.mark.parametrize("kind", ["searchset", "history", "transaction-response", "collection"])
def test_resources_go_in_as_bytes(kind):
    """The digits of a decimal survive being put into a bundle."""
    assert PATIENT in MADE[kind]


@given(st.lists(st.tuples(st.text(min_size=1), st.sampled_from([PATIENT, OUTCOME])), max_size=5))
def test_texts_are_quoted(pairs):
    """Whatever a URL holds, the bundle is JSON and gives it back."""
    made = orjson.loads(bundle.collection((url.encode("utf-8", "ignore").decode() or "x", body) for url, body in pairs))
    expected = [url.encode("utf-8", "ignore").decode() or "x" for url, _ in pairs]
    assert [entry["fullUrl"] for entry in made.get("entry", ())] == expected
