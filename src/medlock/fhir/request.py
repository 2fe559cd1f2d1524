"""The first stage of the spine: one HTTP request, or one entry of a bundle, becomes one Question.

Pure: the time and the limits are arguments. Strict: what is not understood is refused here, before anybody is
asked for credentials or data, and two spellings never mean one thing. The general parameters `_format` and
`_pretty` are taken off here (`_pretty` changes nothing: answers are compact); all others go to `fhir.grammar`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import NamedTuple

import msgspec

from medlock.errors import BadRequest, Unprocessable
from medlock.fhir.across import parse_system
from medlock.fhir.address import Address, locate, not_allowed
from medlock.fhir.binary import is_content, refuse_context, wants_content, wrapped
from medlock.fhir.form import Pairs, decode_path, pairs
from medlock.fhir.grammar import parse_criteria, parse_search
from medlock.fhir.history import instant, page_size, read_history
from medlock.fhir.negotiate import (
    Headers,
    check_accept,
    check_form_body,
    check_format,
    check_json_body,
    entity_tag,
    http_date,
    prefer_return,
)
from medlock.fhir.operations import OPERATIONS, About, read_operation
from medlock.fhir.options import Options, PatchKind, PatchOptions
from medlock.fhir.patching import patch_kind, patch_of_entry
from medlock.fhir.query import SearchQuery
from medlock.fhir.question import EMERGENCIES, EXPORTS, Interaction, Preconditions, Question

_SEARCHES = frozenset({Interaction.SEARCH, Interaction.SEARCH_SYSTEM})
_HISTORIES = frozenset({Interaction.HISTORY, Interaction.HISTORY_TYPE, Interaction.HISTORY_SYSTEM})
_UNPAGED = frozenset({Interaction.VALIDATE, Interaction.MATCH, Interaction.ACCESS_REASONS}) | EMERGENCIES | EXPORTS
_PAGED = (_SEARCHES | OPERATIONS) - _UNPAGED | _HISTORIES
_BRINGS = frozenset({Interaction.CREATE, Interaction.UPDATE, Interaction.PATCH})
_READS = frozenset({Interaction.READ, Interaction.VREAD})
_BINARY = b"/Binary"  # no other type's name begins so
_CHANGES = frozenset({Interaction.UPDATE, Interaction.PATCH, Interaction.DELETE})
_BUNDLES = {"batch": Interaction.BATCH, "transaction": Interaction.TRANSACTION}
_ASKING = _PAGED | OPERATIONS
_CONDITIONS = (b"if-match", b"if-none-match", b"if-none-exist")
_KEPT_BY: Mapping[bytes, frozenset[Interaction]] = {
    b"if-match": _CHANGES,
    b"if-none-match": frozenset(Interaction)
    - {Interaction.CREATE, Interaction.PATCH, Interaction.DELETE, *_BUNDLES.values()},
    b"if-none-exist": frozenset({Interaction.CREATE}),
    b"if-modified-since": frozenset(Interaction) - {Interaction.CREATE, *_CHANGES, *_BUNDLES.values()},
}
_GENERAL = ("_format=", "_pretty=")  # `_general` has seen to them
_PAGE_TOKEN_MAX = 60_000
_OF_PAGE = frozenset({"_page", "_count"})
_NONE = Preconditions()


class Request(msgspec.Struct, frozen=True):
    """What came over the wire, below the FHIR base.

    `path` and `query` are raw bytes, not decoded; `headers` have lower-case names, each once; HEAD is given as GET.
    `flows`: the body is content of a Binary, and comes by itself.
    """

    method: str
    path: bytes
    query: bytes = b""
    headers: Headers = {}
    body: bytes = b""
    flows: bool = False


class EntryRequest(msgspec.Struct, frozen=True):
    """`Bundle.entry.request` of a batch or transaction (R4 §3.1.0.11), with the entry's resource as JSON."""

    method: str
    url: str
    body: bytes = b""
    if_match: str = ""
    if_none_match: str = ""
    if_none_exist: str = ""
    if_modified_since: str = ""


class Frame(msgspec.Struct, frozen=True):
    """What a question is read against.

    now_ms     the time, for approximate dates
    max_count  the largest page
    base_url   this server's FHIR base: references that begin with it are local
    """

    now_ms: int
    max_count: int
    base_url: str = ""


def parse(request: Request, frame: Frame) -> Question:
    """The Question that a request asks. Raises BadRequest or one of its kinds, or NotFound for an unknown address."""
    if request.path.startswith(_BINARY):
        return _binary(request, frame)
    check_accept(request.headers)
    address = _located(request.method, request.path)
    return _parsed(request, address, frame)


def _binary(request: Request, frame: Frame) -> Question:
    """The Question that a request about a Binary asks: content itself may be brought, and given back."""
    address = _located(request.method, request.path)
    if address.interaction in _READS and b"_format=" not in request.query and wants_content(request.headers):
        return msgspec.structs.replace(_parsed(request, address, frame), raw=True)
    check_accept(request.headers)
    if address.interaction not in {Interaction.CREATE, Interaction.UPDATE}:
        return _parsed(request, address, frame)
    if not is_content(request.headers):
        refuse_context(request.headers)
        return _parsed(request, address, frame)
    headers = {**request.headers, b"content-type": b"application/fhir+json"}
    body = wrapped(None if request.flows else request.body, request.headers, address.id)
    return _parsed(msgspec.structs.replace(request, headers=headers, body=body), address, frame)


def _parsed(request: Request, address: Address, frame: Frame) -> Question:
    """The Question, once it is known what address is meant."""
    params = _general(pairs(request.query)) if request.query else ()
    if address.interaction is Interaction.PATCH:
        return _question(request, address, params, frame, patch_kind(request.headers))
    if request.method == "POST" and address.interaction in _SEARCHES:
        params += _general(_form(request))
    elif request.method in {"POST", "PUT"} and (request.body or address.interaction not in OPERATIONS):
        check_json_body(request.headers)
    return _question(request, address, params, frame)


@lru_cache(maxsize=4_096)
def _located(method: str, path: bytes) -> Address:
    """The address that a raw path names; those asked for last are remembered, refusals are not."""
    return locate(method, decode_path(path))


def check_metadata(request: Request) -> None:
    """Raise unless this asks for the CapabilityStatement as it is (R4 §3.1.0.10, `mode=full`)."""
    check_accept(request.headers)
    if request.method != "GET":
        raise not_allowed(("GET",))
    if any(param != ("mode", "full") for param in _general(pairs(request.query))):
        raise BadRequest("metadata takes no parameters but _format, _pretty and mode=full.")


def parse_entry(entry: EntryRequest, frame: Frame) -> Question:
    """The Question of one entry, by the same rules as `parse`; its url is relative to the FHIR base."""
    path, _, query = entry.url.encode().partition(b"?")
    conditions = entry.if_match, entry.if_none_match, entry.if_none_exist
    headers = {name: value.encode() for name, value in zip(_CONDITIONS, conditions, strict=True) if value}
    if entry.if_modified_since:
        headers[b"if-modified-since"] = _as_http_date(entry.if_modified_since)
    request = Request(entry.method, b"/" + path, query, headers, entry.body)
    address = locate(entry.method, decode_path(request.path))
    if entry.method == "POST" and address.interaction is not Interaction.CREATE:
        raise BadRequest("An entry of a bundle creates, reads, searches (GET), updates, patches or deletes.")
    if address.interaction in EXPORTS:
        raise BadRequest("An export is asked for by itself, with Prefer: respond-async.")
    if address.interaction in EMERGENCIES:
        raise BadRequest("Emergency access is asked for by itself, never in a bundle.")
    kind = None
    if address.interaction is Interaction.PATCH:
        kind, body = patch_of_entry(entry.body)
        request = msgspec.structs.replace(request, body=body)
    return _question(request, address, _general(pairs(query)), frame, kind)


def _as_http_date(text: str) -> bytes:
    """The instant in ifModifiedSince as the header would have it: to the second, as HTTP knows time."""
    seconds = instant("ifModifiedSince", text) // 1_000
    try:
        return format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True).encode()
    except (ValueError, OverflowError):
        raise BadRequest("ifModifiedSince is an instant in the years 1 to 9999 of UTC.") from None


def _question(
    request: Request, address: Address, params: Pairs, frame: Frame, patch: PatchKind | None = None
) -> Question:
    """The parts put together."""
    interaction = address.interaction
    if interaction is Interaction.TRANSACTION:
        interaction = _bundle_kind(request.body)
    elif interaction in _BRINGS and not request.body:
        raise BadRequest("The request brings no resource.")
    by_criteria = interaction in _CHANGES and not address.id
    asked = _asked(request, address, params, frame) if params or interaction in _ASKING or by_criteria else _NOTHING
    return Question(
        interaction,
        address.type,
        address.id,
        address.version,
        asked.query,
        asked.page,
        asked.body if interaction in _ASKING else request.body,
        _preconditions(request.headers, address, frame),
        prefer_return(request.headers.get(b"prefer")),
        options=asked.options if patch is None else PatchOptions(patch),
        criteria=asked.criteria,
        page_size=asked.page_size,
    )


class _Asked(NamedTuple):
    """What the parameters of a request ask for."""

    query: SearchQuery | None = None
    options: Options | None = None
    criteria: SearchQuery | None = None
    page: str = ""
    body: bytes = b""
    page_size: int = 0


_NOTHING = _Asked()


def _asked(request: Request, address: Address, params: Pairs, frame: Frame) -> _Asked:
    """What parameters ask for, in an interaction that has some."""
    interaction = address.interaction
    if interaction in _PAGED and (page := _page(params, frame.max_count)):
        return page
    if interaction in _SEARCHES:
        return _Asked(_searched(address, params, frame))
    if interaction in _HISTORIES:
        return _Asked(options=read_history(params, frame.max_count))
    if interaction in OPERATIONS:
        about = About(address.type, address.id, frame.now_ms, frame.max_count, frame.base_url)
        read = read_operation(interaction, about, params, request.body)
        return _Asked(read.query, read.options, body=read.body)
    if interaction in _CHANGES and not address.id:
        return _Asked(criteria=_criteria(address.type, request.query, frame))
    raise BadRequest("This interaction takes no parameters but _format and _pretty.")


def continued(
    interaction: Interaction, resource_type: str, logical_id: str, text: str, frame: Frame
) -> tuple[SearchQuery | None, Options | None]:
    """What a page link goes on with: `text` is the canonical query string of the first page."""
    asked = _asked(Request("GET", b""), Address(interaction, resource_type, logical_id), pairs(text.encode()), frame)
    return asked.query, asked.options


def _criteria(resource_type: str, query: bytes, frame: Frame) -> SearchQuery:
    """Which resource a conditional update, patch or delete means (R4 §3.1.0.4.3): at least one condition."""
    given = "&".join(part for part in query.decode("latin-1").split("&") if not part.startswith(_GENERAL))
    return parse_criteria(resource_type, given, now_ms=frame.now_ms, base_url=frame.base_url)


def _general(params: Pairs) -> Pairs:
    """The parameters without those that every interaction takes (R4 §3.1.0.1.11)."""
    kept = []
    for name, value in params:
        if name == "_format":
            check_format(value)
        elif name != "_pretty":
            kept.append((name, value))
        elif value not in {"true", "false"}:
            raise BadRequest("_pretty is true or false.")
    return tuple(kept)


def _form(request: Request) -> Pairs:
    """The parameters in the body of a search by POST."""
    if not request.body:
        return ()
    check_form_body(request.headers)
    return pairs(request.body)


def _page(params: Pairs, max_count: int) -> _Asked | None:
    """A later page, whose token stands alone or, as some clients send it, beside `_count`; None for a first one."""
    given = dict(params)
    if "_page" not in given or len(given) != len(params) or not given.keys() <= _OF_PAGE:
        return None
    token = given["_page"]
    if not 0 < len(token) <= _PAGE_TOKEN_MAX:
        raise BadRequest("The page token is not one of this server's.")
    return _Asked(page=token, page_size=page_size(given.get("_count"), max_count) or 0)


def _searched(address: Address, params: Pairs, frame: Frame) -> SearchQuery:
    """The query on one type, or without one over several; in the compartment of a patient, when one is named."""
    now, most, base, patient = frame.now_ms, frame.max_count, frame.base_url, address.id
    if address.type:
        return parse_search(address.type, params, now_ms=now, max_count=most, base_url=base, patient=patient)
    return parse_system(params, now_ms=now, max_count=most, base_url=base, patient=patient)


def _preconditions(headers: Headers, address: Address, frame: Frame) -> Preconditions:
    """The conditional headers. Raises BadRequest for one that this interaction would not keep to."""
    if _KEPT_BY.keys().isdisjoint(headers):
        return _NONE
    for name, interactions in _KEPT_BY.items():
        if name in headers and address.interaction not in interactions:
            raise BadRequest(f"{name.decode().title()} has no meaning in this interaction.")
    exists = headers.get(b"if-none-exist")
    none_match = entity_tag(headers.get(b"if-none-match"), star=True)
    if address.interaction is Interaction.UPDATE and none_match not in {None, "*"}:
        raise BadRequest("An update takes If-None-Match: * only; to name a version use If-Match.")
    return Preconditions(
        entity_tag(headers.get(b"if-match")),
        none_match,
        None if exists is None else _if_none_exist(exists, address.type, frame),
        http_date(headers.get(b"if-modified-since")),
    )


def _if_none_exist(value: bytes, resource_type: str, frame: Frame) -> SearchQuery:
    """The query of a conditional create; it names at least one condition, and shapes no result."""
    text = value.strip().removeprefix(resource_type.encode() + b"?").removeprefix(b"?")
    try:
        criteria = text.decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("If-None-Exist is not UTF-8.") from None
    return parse_criteria(resource_type, criteria, now_ms=frame.now_ms, base_url=frame.base_url)


class _BundleHead(msgspec.Struct):
    """The two elements that say what a posted bundle asks for; the rest is skipped, not built."""

    resourceType: str  # noqa: N815 - FHIR's spelling
    type: str


def _bundle_kind(body: bytes) -> Interaction:
    """Whether a bundle is a batch or a transaction. Its content is checked by the door."""
    try:
        head = msgspec.json.decode(body, type=_BundleHead)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadRequest("The body is not a Bundle in JSON.") from None
    kinds: Mapping[str, Interaction] = _BUNDLES
    if head.resourceType != "Bundle" or head.type not in kinds:
        raise Unprocessable("Only a Bundle of type batch or transaction can be posted here.")
    return kinds[head.type]
