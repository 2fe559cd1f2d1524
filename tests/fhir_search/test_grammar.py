"""The grammar: what is refused, how it says so, and that what it accepts has one canonical form."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhir_search.vectors import load
from fhir_search.worlds import TYPES, questions
from medlock.errors import BadRequest
from medlock.fhir import terms
from medlock.fhir.across import parse_system
from medlock.fhir.form import pairs
from medlock.fhir.grammar import parse_criteria, parse_search
from medlock.fhir.links import DEPTH_MAX
from medlock.fhir.operands import OPERANDS_MAX
from medlock.fhir.query import Include, Kind, Linked, Prefix, ReferenceValue, SearchQuery, SortKey, TokenValue
from medlock.fhir.searchparams import RESOURCE_TYPES

REFUSED = load("refused")["cases"]
BASE_URL = "https://clinic.example/fhir"
SIX = "Observation,Condition,Encounter,Procedure,ServiceRequest,DiagnosticReport"
LIMITS = {"now_ms": 0, "max_count": 100}


def parse(resource_type: str, *params: tuple[str, str], base_url: str = "") -> SearchQuery:
    return parse_search(resource_type, params, now_ms=0, max_count=100, base_url=base_url)


def condition(resource_type: str, name: str, text: str, base_url: str = "") -> tuple[object, ...]:
    return parse(resource_type, (name, text), base_url=base_url).conditions[0].values


@pytest.mark.parametrize(
    ("resource_type", "params", "code"), [c[:3] for c in REFUSED], ids=[f"{c[0]} {c[1]}" for c in REFUSED]
)
def test_refused(resource_type: str, params: list[list[str]], code: str) -> None:
    """Every vector is refused with 400 and the code it states."""
    with pytest.raises(BadRequest) as caught:
        parse_search(resource_type, [(name, text) for name, text in params], now_ms=0, max_count=100)
    assert caught.value.http_status == 400
    assert [problem.code for problem in caught.value.problems] == [code]


@pytest.mark.parametrize(("resource_type", "params"), [c[:2] for c in REFUSED if c[1] and c[1][0][1]])
def test_refusals_name_the_parameter_and_keep_the_value(resource_type: str, params: list[list[str]]) -> None:
    """A refusal names the parameter when it is a name, and its texts never hold a marker put into each value."""
    marked = [(name, f"ZqMarker{text}") for name, text in params]
    with pytest.raises(BadRequest) as caught:
        parse_search(resource_type, [*marked, ("nonsense", "ZqMarker")], now_ms=0, max_count=100)
    error = caught.value
    assert "ZqMarker" not in f"{error} {error.reason} {error.problems}"
    names = {name for name, _ in marked} | {"nonsense", ""}
    assert {problem.path for problem in error.problems} <= names


def test_a_name_that_is_none_is_not_repeated() -> None:
    """Text in the place of a name may be a value, so it is not shown."""
    with pytest.raises(BadRequest) as caught:
        parse("Patient", ("Ann Example", "x"))
    assert "Ann" not in f"{caught.value} {caught.value.problems}"


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # the first draw reads the definitions
@given(st.sampled_from(TYPES).flatmap(lambda kind: st.tuples(st.just(kind), st.lists(questions(kind), max_size=4))))
def test_canonical_text_reads_back_the_same(drawn: tuple[str, list[tuple[str, str]]]) -> None:
    """The canonical text of any accepted query, decoded and read again in any order, is the same query."""
    resource_type, params = drawn
    try:
        query = parse(resource_type, *params)
    except BadRequest:
        return
    again = parse(resource_type, *reversed(pairs(query.text.encode())))
    assert again.text == query.text
    assert set(again.conditions) == set(query.conditions)


@given(st.text(max_size=12), st.text(max_size=12))
def test_anything_else_is_refused_not_broken(name: str, text: str) -> None:
    """No pair of texts makes the grammar fail in another way than by refusing."""
    with suppress(BadRequest):
        assert parse("Observation", (name, text)).conditions


PIECES = (
    *(
        "_has",
        ":",
        ":",
        ".",
        "Patient",
        "Observation",
        "Provenance",
        "subject",
        "patient",
        "target",
        "name",
        "code",
        "_id",
    ),
    *("_list", "in", "below", "missing", "AuditEvent", "component-code-value-quantity", "_type", "", "x"),
)
TEXTS = ("x", "a$5", "a|b|c", "Patient/1", "true", "http://hl7.org/fhir/ValueSet/observation-status", "$", "1|2|3|km")


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(("Patient", "Observation", "Provenance", "AuditEvent", "Location")),
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=14).map("".join),
    st.sampled_from(TEXTS),
)
def test_names_like_chains_are_read_or_refused(resource_type: str, name: str, text: str) -> None:
    """Whatever parts a name is made of, it is one bounded link, one condition, or refused; read again it is the same."""
    try:
        query = parse(resource_type, (name, text))
    except BadRequest:
        return
    assert len(query.conditions) + len(query.links) <= 1
    assert all(_length(link) <= DEPTH_MAX for link in query.links)
    assert "AuditEvent" not in query.named_types() - {resource_type}
    assert parse(resource_type, *pairs(query.text.encode())) == query


def _length(link: Linked) -> int:
    return 1 + max(_length(each.condition) if isinstance(each.condition, Linked) else 0 for each in link.wanted)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("c", TokenValue(None, "c")),
        ("s|c", TokenValue("s", "c")),
        ("|c", TokenValue("", "c")),
        ("s|", TokenValue("s", None)),
        (r"s\|t|c\,d", TokenValue("s|t", "c,d")),
        (r"a\\", TokenValue(None, "a\\")),
        (r"\$1", TokenValue(None, "$1")),
    ],
)
def test_token_forms(text: str, value: TokenValue) -> None:
    """The four forms of a token, and the four escapes."""
    assert condition("Condition", "code", text) == (value,)


def test_implicit_system_falls_away() -> None:
    """A code element has no system in JSON, so its value set's system means the bare code."""
    asked = condition("Patient", "gender", "http://hl7.org/fhir/administrative-gender|male")
    assert asked == (TokenValue("", "male"),)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("patient", "1", ReferenceValue("Patient", "1")),
        ("patient", "Patient/1", ReferenceValue("Patient", "1")),
        ("patient", BASE_URL + "/Patient/1", ReferenceValue("Patient", "1")),
        ("subject", "1", ReferenceValue("", "1")),
        ("subject:Patient", "1", ReferenceValue("Patient", "1")),
        ("subject", "Group/1", ReferenceValue("Group", "1")),
        ("subject", "https://other.example/Patient/1", ReferenceValue(url="https://other.example/Patient/1")),
        ("subject", "urn:uuid:1", ReferenceValue(url="urn:uuid:1")),
    ],
)
def test_reference_forms(name: str, text: str, value: ReferenceValue) -> None:
    """A bare id takes the only type there is; our own address falls away; other addresses stay whole."""
    assert condition("Observation", name, text, BASE_URL) == (value,)


def test_everything_at_once() -> None:
    """Conditions keep their order; the rest of the query is read into its fields, the page cut to the largest."""
    query = parse(
        "Observation",
        ("patient", "1"),
        ("_sort", "-date,_id"),
        ("date", "ge2020"),
        ("_include", "Observation:subject:Patient"),
        ("_include:iterate", "Encounter:participant"),
        ("_revinclude", "Provenance:target"),
        ("_count", "5000"),
        ("_total", "accurate"),
        ("_summary", "false"),
        ("_elements", "code,value,code"),
    )
    assert [c.param for c in query.conditions] == ["patient", "date"]
    assert query.conditions[1].values[0].prefix is Prefix.GE
    assert query.sort == (SortKey("date", Kind.DATE, descending=True), SortKey("_id", Kind.TOKEN))
    assert query.includes == (
        Include("Observation", "subject", "Patient"),
        Include("Encounter", "participant", iterate=True),
    )
    assert query.revincludes == (Include("Provenance", "target"),)
    assert (query.count, query.total, query.summary, query.elements) == (100, "accurate", "false", ("code", "value"))
    assert query.named_types() == {"Observation", "Patient", "Encounter", "Provenance"}


def test_count_zero_is_a_count() -> None:
    """`_count=0` is the same as `_summary=count` (R4 §3.1.1.5.3)."""
    assert parse("Patient", ("_count", "0")).summary == "count"


def test_limits() -> None:
    """Values, conditions and includes are limited, so that one request cannot ask for endless work."""
    assert len(condition("Patient", "_id", ",".join(["a"] * OPERANDS_MAX))) == OPERANDS_MAX
    for params in (
        [("_id", ",".join(["a"] * (OPERANDS_MAX + 1)))],
        [("_id", "a")] * 65,
        [("_include:iterate", "Patient:organization")] * 17,
    ):
        with pytest.raises(BadRequest):
            parse("Patient", *params)


def test_the_cost_of_what_a_question_names_is_bounded() -> None:
    """Codes of value sets, searches of chains and types are counted before any work is done."""
    large = sorted(terms.value_sets(), key=lambda url: -len(terms.expansion(url) or ()))[:60]
    once = len(condition("Observation", "code:in", large[0]))
    assert len(condition("Observation", "code:in", ",".join([large[0]] * OPERANDS_MAX))) == once > 1_000
    refused = [
        lambda: parse("Observation", ("code:in", ",".join(large))),
        lambda: parse("Observation", *[("subject.identifier", "x")] * 5),
        lambda: parse_system([("_type", SIX), *[("subject:Patient.name", "x")] * 16], **LIMITS),
        lambda: parse_system([("_type", ",".join(sorted(RESOURCE_TYPES)[:33]))], **LIMITS),
    ]
    for ask in refused:
        with pytest.raises(BadRequest) as caught:
            ask()
        assert [problem.code for problem in caught.value.problems] == ["too-costly"]


def test_criteria() -> None:
    """A conditional reference is a search with conditions alone."""
    query = parse_criteria("Practitioner", "identifier=http://hl7.org/fhir/sid/us-npi%7C99", now_ms=0)
    assert query == parse_criteria("Practitioner", "identifier=http://hl7.org/fhir/sid/us-npi|99", now_ms=0)
    assert query.conditions[0].values == (TokenValue("http://hl7.org/fhir/sid/us-npi", "99"),)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "_count=1",
        "identifier=a&_sort=name",
        "_include=Practitioner:x",
        "nonsense=1",
        "identifier",
        "identifier=%zz",
    ],
)
def test_criteria_refused(text: str) -> None:
    """No condition would mean every resource; a result parameter has no meaning there."""
    with pytest.raises(BadRequest):
        parse_criteria("Practitioner", text, now_ms=0)
