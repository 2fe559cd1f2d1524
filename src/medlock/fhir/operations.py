"""Reads what an operation is asked, from its address and its input, into Options in canonical form.

$everything (R4 Patient-everything), $validate (Resource-validate), $docref (US Core docref), $lastn (Observation-
lastn), $match (Patient-match), the exports (`fhir.exporting`), and those of emergency access, which are our own.
Parameters stand in the query string or in a posted Parameters resource; an unknown one is refused. What an operation
searches for is a search like any other, read by `fhir.grammar`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from medlock.errors import BadRequest, Problem
from medlock.fhir.directives import DIRECTIVES, refusal
from medlock.fhir.exporting import read_export
from medlock.fhir.form import Pairs
from medlock.fhir.grammar import canonical_text, parse_search
from medlock.fhir.history import instant, moment, only, page_size
from medlock.fhir.options import (
    BreakGlassOptions,
    CaseOptions,
    DocRefOptions,
    EverythingOptions,
    LastNOptions,
    MatchOptions,
    Options,
    ReasonsOptions,
    ValidateMode,
    ValidateOptions,
)
from medlock.fhir.parameters import Input, is_parameters, read_parameters
from medlock.fhir.query import Kind, ReferenceValue, SearchQuery
from medlock.fhir.question import EXPORTS, Interaction
from medlock.fhir.searchparams import RESOURCE_TYPES
from medlock.fhir.values import MAX_MS, MIN_MS

LASTN_MAX: Final = 100
MATCH_MAX: Final = 100
CASE_STATUSES: Final = ("open", "overdue", "reviewed", "all")
CASE_OUTCOMES: Final = ("justified", "not-justified")
_BASE_PROFILE: Final = "http://hl7.org/fhir/StructureDefinition/"


class About(NamedTuple):
    """What an operation is about: its type and the id in its address, and against what it is read."""

    type: str
    id: str
    now_ms: int
    max_count: int
    base_url: str


class Read(NamedTuple):
    """An operation understood. `query` is the search that it makes, `body` the resource that it brings."""

    options: Options
    query: SearchQuery | None = None
    body: bytes = b""


def read_operation(interaction: Interaction, about: About, params: Pairs, body: bytes) -> Read:
    """The operation that is about. Raises BadRequest naming the parameter that is wrong."""
    if not body:
        given = Input(params)
    elif interaction is Interaction.VALIDATE and not is_parameters(body):
        given = Input(params, body)
    else:
        read = read_parameters(body)
        given = Input(params + read.pairs, read.resource)
    if params and interaction in _SAYING:
        raise BadRequest("What is typed for this operation stands in its body, as Parameters, and not in its address.")
    if given.resource and interaction not in _BRINGING:
        raise BadRequest("This operation takes no resource.")
    if interaction in EXPORTS:
        return Read(read_export(interaction, given.pairs, about.now_ms, about.base_url))
    return _READERS[interaction](about, given)


def _everything(about: About, given: Input) -> Read:
    once = only(given.pairs, frozenset({"_count", "_since", "_type", "start", "end"}), "$everything")
    since = once.get("_since")
    types = once["_type"].split(",") if "_type" in once else []
    if not RESOURCE_TYPES.issuperset(types):
        raise refusal("_type", "takes resource types of R4, separated by commas.", "value")
    options = EverythingOptions(
        page_size(once.get("_count"), about.max_count),
        None if since is None else instant("_since", since),
        frozenset(types),
        _care_dates(once),
        canonical_text(given.pairs),
    )
    return Read(options)


def _care_dates(once: Mapping[str, str]) -> tuple[int, int] | None:
    """The time from the begin of `start` to the end of `end`; a missing one is open."""
    if "start" not in once and "end" not in once:
        return None
    low = moment("start", once["start"])[0] if "start" in once else MIN_MS
    high = moment("end", once["end"])[1] if "end" in once else MAX_MS
    if low >= high:
        raise refusal("end", "is before start.", "value")
    return low, high


def _validate(about: About, given: Input) -> Read:
    once = only(given.pairs, frozenset({"mode", "profile"}), "$validate")
    mode = once.get("mode", "")
    if mode not in {each.value for each in ValidateMode}:
        raise refusal("mode", "is create, update or delete.", "value")
    if once.get("profile", _BASE_PROFILE + about.type) != _BASE_PROFILE + about.type:
        raise _no_profiles()
    if bool(about.id) is (mode == ValidateMode.CREATE) and mode:
        raise refusal("mode", "is create for a type, update or delete for an instance.", "value")
    needless = mode == ValidateMode.DELETE or (mode == ValidateMode.GENERAL and about.id and not given.resource)
    if bool(given.resource) is bool(needless):
        raise BadRequest("Send the resource to validate; to ask whether one may be deleted, send none.")
    return Read(ValidateOptions(ValidateMode(mode), canonical_text(given.pairs)), body=given.resource)


def _no_profiles() -> BadRequest:
    text = (
        "No profiles are known here, so conformance to one cannot be judged: leave `profile` out to validate against "
        "the base specification R4 4.0.1."
    )
    return BadRequest(text, problems=(Problem("not-supported", text, "profile"),))


def _docref(about: About, given: Input) -> Read:
    known = frozenset({"patient", "start", "end", "type", "on-demand", "_count"})
    once = only(given.pairs, known, "$docref")
    if "patient" not in once:
        raise refusal("patient", "is needed: whose documents?", "required")
    on_demand = once.get("on-demand", "false")
    if on_demand not in {"true", "false"}:
        raise refusal("on-demand", "is true or false.", "value")
    wanted = tuple((name, once[name]) for name in ("patient", "type") if name in once)
    query = _search(about, wanted)
    _one_patient(query)
    size = page_size(once.get("_count"), about.max_count)
    options = DocRefOptions(size, _care_dates(once), on_demand == "true", canonical_text(given.pairs))
    return Read(options, query)


def _lastn(about: About, given: Input) -> Read:
    wanted = tuple(pair for pair in given.pairs if pair[0] not in {"max", "_count"})
    own = tuple(pair for pair in given.pairs if pair[0] in {"max", "_count"})
    once = only(own, frozenset({"max", "_count"}), "$lastn")
    if any(name.partition(":")[0] in DIRECTIVES for name, _ in wanted):
        raise refusal("max", "and _count are all that shapes the result of $lastn.", "not-supported")
    query = _search(about, wanted)
    _one_patient(query)
    most = page_size(once.get("max"), LASTN_MAX) or 1
    return Read(LastNOptions(page_size(once.get("_count"), about.max_count), most, canonical_text(given.pairs)), query)


def _search(about: About, wanted: Pairs) -> SearchQuery:
    return parse_search(about.type, wanted, now_ms=about.now_ms, max_count=about.max_count, base_url=about.base_url)


def _one_patient(query: SearchQuery) -> None:
    """Raise BadRequest unless the query names one patient."""
    for condition in query.conditions:
        if condition.param in {"patient", "subject"} and condition.kind is Kind.REFERENCE and not condition.modifier:
            (value, *more) = condition.values
            if not more and isinstance(value, ReferenceValue) and value.type == "Patient" and not value.url:
                return
    raise refusal("patient", "is needed: name one patient.", "required")


def _match(about: About, given: Input) -> Read:
    once = only(given.pairs, frozenset({"onlyCertainMatches", "count"}), "$match")
    certain = once.get("onlyCertainMatches", "false")
    if certain not in {"true", "false"}:
        raise refusal("onlyCertainMatches", "is true or false.", "value")
    if not given.resource:
        raise refusal("resource", "is needed: a Patient with what is known.", "required")
    most = page_size(once.get("count"), min(MATCH_MAX, about.max_count))
    return Read(MatchOptions(most, certain == "true", canonical_text(given.pairs)), body=given.resource)


def _break_glass(_about: About, given: Input) -> Read:
    """Whether a reason is one is judged at the door, where refusals are written down."""
    once = only(given.pairs, frozenset({"reason"}), "$break-glass")
    return Read(BreakGlassOptions(once.get("reason", "")))


def _end(about: About, given: Input) -> Read:
    """The caller's own access to the patient in the address, or any by its case."""
    known = frozenset[str]() if about.id else frozenset({"case"})
    once = only(given.pairs, known, "$end-break-glass")
    if not about.id and "case" not in once:
        raise refusal("case", "is needed: which access?", "required")
    return Read(CaseOptions(once.get("case", ""), text=canonical_text(given.pairs)))


def _cases(_about: About, given: Input) -> Read:
    once = only(given.pairs, frozenset({"case", "status"}), "$break-glass-cases")
    if once.get("status", "all") not in CASE_STATUSES or len(once) > 1:
        raise refusal("status", f"is one of {', '.join(CASE_STATUSES)}, or one case is named.", "value")
    return Read(CaseOptions(once.get("case", ""), once.get("status", ""), text=canonical_text(given.pairs)))


def _review(_about: About, given: Input) -> Read:
    once = only(given.pairs, frozenset({"case", "outcome", "note"}), "$review-break-glass")
    for name in ("case", "outcome"):
        if name not in once:
            raise refusal(name, "is needed.", "required")
    if once["outcome"] not in CASE_OUTCOMES:
        raise refusal("outcome", f"is {' or '.join(CASE_OUTCOMES)}.", "value")
    named = tuple(pair for pair in given.pairs if pair[0] != "note")
    options = CaseOptions(once["case"], "", once["outcome"], once.get("note", ""), canonical_text(named))
    return Read(options)


def _access_reasons(_about: About, given: Input) -> Read:
    once = only(given.pairs, frozenset({"practitioner"}), "$access-reasons")
    who = once.get("practitioner", "")
    if who and _PRACTITIONER.fullmatch(who) is None:
        raise refusal("practitioner", "is Practitioner/id.", "value")
    return Read(ReasonsOptions(who, canonical_text(given.pairs)))


_PRACTITIONER: Final = re.compile(r"Practitioner/[A-Za-z0-9\-.]{1,64}")
_BRINGING: Final = frozenset({Interaction.VALIDATE, Interaction.MATCH})
_SAYING: Final = frozenset({Interaction.BREAK_GLASS, Interaction.BREAK_GLASS_REVIEW})
"""They bring a person's own words, which must not stand in the logs of everything between."""
_READERS: Final[Mapping[Interaction, Callable[[About, Input], Read]]] = MappingProxyType(
    {
        Interaction.EVERYTHING: _everything,
        Interaction.VALIDATE: _validate,
        Interaction.DOCREF: _docref,
        Interaction.LASTN: _lastn,
        Interaction.MATCH: _match,
        Interaction.ACCESS_REASONS: _access_reasons,
        Interaction.BREAK_GLASS: _break_glass,
        Interaction.BREAK_GLASS_END: _end,
        Interaction.BREAK_GLASS_CASES: _cases,
        Interaction.BREAK_GLASS_REVIEW: _review,
    }
)
OPERATIONS: Final = frozenset(_READERS) | EXPORTS
