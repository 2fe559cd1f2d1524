"""From bytes to a Question: one spelling for each meaning, and everything else refused."""

from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlock.errors import BadRequest, MedlockError, MethodNotAllowed, NotFound
from medlock.fhir.address import ROUTES, locate
from medlock.fhir.form import decode, pairs
from medlock.fhir.options import PatchKind, PatchOptions
from medlock.fhir.question import Interaction, Preconditions, Question
from medlock.fhir.request import EntryRequest, Frame, Request, check_metadata, parse, parse_entry

VECTORS = orjson.loads((Path(__file__).parents[1] / "vectors/request/requests.json").read_bytes())["vectors"]
METHODS = ("get", "post", "put", "delete", "patch", "options", "trace")
MEDIA = {
    "json": b"application/fhir+json",
    "json-patch": b"application/json-patch+json",
    "form": b"application/x-www-form-urlencoded",
}
FRAME = Frame(1_700_000_000_000, 100)


def request_of(vector):
    """The request that a vector describes."""
    method = next(method for method in METHODS if method in vector)
    path, _, query = vector[method].partition("?")
    headers, body = {}, b""
    for kind, media in MEDIA.items():
        if kind in vector:
            headers[b"content-type"], body = media, vector[kind].encode()
    headers |= {name.encode(): value.encode() for name, value in vector.get("headers", {}).items()}
    return Request(method.upper(), path.encode(), query.encode(), headers, body)


def facts_of(question):
    """The fields of a Question that differ from the default, flat."""
    found = {
        "interaction": question.interaction.value,
        "type": question.type,
        "id": question.id,
        "version": question.version,
        "page": question.page,
        "page_size": question.page_size,
        "body": question.body.decode(),
        "prefer": "" if question.prefer == "representation" else question.prefer,
        "if_match": question.preconditions.if_match,
        "if_none_match": question.preconditions.if_none_match,
    }
    if question.query is not None and question.interaction in {Interaction.SEARCH, Interaction.SEARCH_SYSTEM}:
        found["query"] = question.query.text
    elif question.query is not None:
        found["count"] = question.query.count
    if question.criteria is not None:
        found["criteria"] = question.criteria.text
    if isinstance(question.options, PatchOptions):
        found["kind"] = question.options.kind.value
    elif question.options is not None:
        found |= {"count": getattr(question.options, "count", None), "options": question.options.text}
        found["options"] = "" if found["options"] == f"_count={found['count']}" else found["options"]
    if question.preconditions.if_none_exist is not None:
        found["if_none_exist"] = question.preconditions.if_none_exist.text
    return {name: value for name, value in found.items() if value or name == "query"}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(next(iter(vector.items())))[:70])
def test_every_vector(vector):
    """Each request of the vector file is read as written, or refused with the status written there."""
    if "is" in vector:
        found = facts_of(parse(request_of(vector), FRAME))
        if found["interaction"] in {"batch", "transaction"}:
            del found["body"]
        assert found == vector["is"]
        return
    with pytest.raises(MedlockError) as refusal:
        parse(request_of(vector), FRAME)
    assert refusal.value.http_status == vector["status"]
    if "allow" in vector:
        assert ", ".join(refusal.value.allow) == vector["allow"]


def test_most_vectors_must_fail():
    """The vector file is chiefly a list of refusals."""
    refusals = [vector for vector in VECTORS if "status" in vector]
    assert len(refusals) > 2 * (len(VECTORS) - len(refusals))


@given(st.text(max_size=200))
def test_decoding_undoes_percent_encoding(text):
    """Any text without control characters survives; one with them is refused."""
    encoded = quote(text, safe="").encode()
    if any((ord(character) < 0x20 and character != "\t") or 0x7F <= ord(character) < 0xA0 for character in text):
        with pytest.raises(BadRequest):
            decode(encoded)
    else:
        assert decode(encoded) == text


@given(st.lists(st.tuples(st.text("abc_:-.é&=+% ", min_size=1, max_size=8), st.text("xyzé&=+%| ", max_size=12))))
def test_pairs_undo_form_encoding(given_pairs):
    """Names and values come back in order, whatever they hold, when they were encoded as the standard says."""
    raw = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in given_pairs)
    assert pairs(raw.encode()) == tuple(given_pairs)


@given(st.binary(max_size=60))
def test_any_path_is_an_address_or_a_refusal(raw):
    """No bytes get through as a path unless type and id are in their exact form."""
    try:
        question = parse(Request("GET", b"/" + raw), FRAME)
    except (BadRequest, NotFound):
        return
    assert question.interaction in {
        Interaction.SEARCH, Interaction.READ, Interaction.VREAD,
        Interaction.HISTORY, Interaction.HISTORY_TYPE, Interaction.HISTORY_SYSTEM,
    }  # fmt: skip


@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    st.dictionaries(
        st.sampled_from(
            [
                b"accept",
                b"content-type",
                b"prefer",
                b"if-match",
                b"if-none-match",
                b"if-none-exist",
                b"if-modified-since",
            ]
        ),
        st.binary(max_size=40),
    ),
    st.binary(max_size=40),
)
def test_any_header_is_read_or_refused(method, headers, body):
    """Arbitrary header bytes never raise anything but a refusal meant for the caller."""
    path = b"/Patient" if method in {"GET", "POST"} else b"/Patient/1"
    with suppress(BadRequest):
        assert parse(Request(method, path, b"", headers, body), FRAME).type == "Patient"


def test_too_many_parameters():
    """A query string with hundreds of parameters is refused before any is read."""
    with pytest.raises(BadRequest):
        pairs(b"&".join([b"family=x"] * 257))


@pytest.mark.parametrize(
    ("entry", "asked"),
    [
        (EntryRequest("GET", "Patient/1"), Question(Interaction.READ, "Patient", "1")),
        (EntryRequest("POST", "Patient", b"{}"), Question(Interaction.CREATE, "Patient", body=b"{}")),
        (
            EntryRequest("PUT", "Patient/1", b"{}", if_match='W/"2"'),
            Question(Interaction.UPDATE, "Patient", "1", body=b"{}", preconditions=Preconditions(if_match="2")),
        ),
        (EntryRequest("DELETE", "Patient/1"), Question(Interaction.DELETE, "Patient", "1")),
        (
            EntryRequest("PATCH", "Patient/1", b"{}"),
            Question(Interaction.PATCH, "Patient", "1", body=b"{}", options=PatchOptions(PatchKind.FHIRPATH)),
        ),
        (EntryRequest("GET", "Patient/1/_history/2"), Question(Interaction.VREAD, "Patient", "1", "2")),
    ],
)
def test_an_entry_of_a_bundle_is_the_same_question(entry, asked):
    """An entry's request means what the same HTTP request would."""
    assert parse_entry(entry, FRAME) == asked


@pytest.mark.parametrize(
    ("method", "url"),
    [
        ("POST", ""),
        ("POST", "/"),
        ("POST", "Patient/_search"),
        ("POST", "Patient/1/$everything"),
        ("GET", "/Patient/1"),
        ("GET", "https://elsewhere.example/fhir/Patient/1"),
        ("GET", "metadata"),
        ("HEAD", "Patient/1"),
        ("PUT", "Patient?_count=1"),
        ("DELETE", "Patient"),
        ("GET", "Patient?familly=x"),
        ("get", "Patient/1"),
        ("", "Patient/1"),
    ],
)
def test_entries_that_are_refused(method, url):
    """Bundles in bundles, searches by POST, absolute addresses and conditions that say nothing are not read."""
    with pytest.raises((BadRequest, NotFound)):
        parse_entry(EntryRequest(method, url, b"{}"), FRAME)


def test_an_entry_needs_its_resource():
    """A create without a resource is refused."""
    with pytest.raises(BadRequest):
        parse_entry(EntryRequest("POST", "Patient"), FRAME)


@pytest.mark.parametrize("query", [b"", b"mode=full", b"_format=json", b"_pretty=false"])
def test_metadata_takes_what_the_standard_gives_it(query):
    """mode=full and the general parameters are taken."""
    check_metadata(Request("GET", b"/metadata", query))


@pytest.mark.parametrize("query", [b"mode=terminology", b"mode=normative", b"x=1", b"_format=xml"])
def test_metadata_takes_nothing_else(query):
    """Any other mode or parameter is refused, as is another method."""
    with pytest.raises(BadRequest):
        check_metadata(Request("GET", b"/metadata", query))
    with pytest.raises(MethodNotAllowed):
        check_metadata(Request("POST", b"/metadata"))


@pytest.mark.parametrize("template", list(ROUTES))
def test_every_route_is_reached_by_its_own_template(template):
    """Each template of the route table leads to exactly the interactions it declares, by each method."""
    path = template.format(type="Patient", id="1", version="2")
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        if method in ROUTES[template]:
            assert locate(method, path).interaction is ROUTES[template][method]
        else:
            with pytest.raises(MethodNotAllowed):
                locate(method, path)


def test_the_largest_page_bounds_every_count():
    """_count is cut to the server's largest page, never refused for being large."""
    asked = parse(Request("GET", b"/Patient", b"_count=5000"), FRAME)
    assert asked.query.count == 100
    asked = parse(Request("GET", b"/Patient/1/$everything", b"_count=99999999999"), FRAME)
    assert asked.options.count == 100


def test_our_own_address_in_a_reference_is_local():
    """A reference that begins with this server's base is the same as the relative one."""
    frame = msgspec.structs.replace(FRAME, base_url="https://localhost:8443/fhir")
    absolute = quote("https://localhost:8443/fhir/Patient/1", safe="")
    full = parse(Request("GET", b"/Observation", f"subject={absolute}".encode()), frame)
    short = parse(Request("GET", b"/Observation", b"subject=Patient/1"), frame)
    assert full.query.conditions == short.query.conditions
