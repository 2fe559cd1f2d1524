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

import msgspec

from medlock.errors import BadRequest, Unprocessable
from medlock.fhir.address import Address, locate, not_allowed
from medlock.fhir.form import Pairs, decode_path, pairs
from medlock.fhir.grammar import parse_criteria, parse_search
from medlock.fhir.history import instant, read_history
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
from medlock.fhir.options import Options, PatchOptions
from medlock.fhir.patching import patch_kind, patch_of_entry
from medlock.fhir.query import SearchQuery
from medlock.fhir.question import Interaction, Preconditions, Question

_HISTORIES = frozenset({Interaction.HISTORY, Interaction.HISTORY_TYPE, Interaction.HISTORY_SYSTEM})
_PAGED = frozenset({Interaction.SEARCH, Interaction.EVERYTHING}) | _HISTORIES
_BRINGS = frozenset({Interaction.CREATE, Interaction.UPDATE, Interaction.PATCH})
_CHANGES = frozenset({Interaction.UPDATE, Interaction.PATCH, Interaction.DELETE})
_BUNDLES = {"batch": Interaction.BATCH, "transaction": Interaction.TRANSACTION}
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
_NONE = Preconditions()


class Request(msgspec.Struct, frozen=True):
    """What came over the wire, below the FHIR base.

    `path` and `query` are raw bytes, not decoded; `headers` have lower-case names, each once; HEAD is given as GET.
    """

    method: str
    path: bytes
    query: bytes = b""
    headers: Headers = {}
    body: bytes = b""


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
    check_accept(request.headers)
    address = _located(request.method, request.path)
    params = _general(pairs(request.query)) if request.query else ()
    if request.method == "POST" and address.interaction in _PAGED:
        params += _general(_form(request, address))
    elif address.interaction is Interaction.PATCH:
        return _question(request, address, params, frame, PatchOptions(patch_kind(request.headers)))
    elif request.method in {"POST", "PUT"}:
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
    if address.interaction is Interaction.TRANSACTION or (entry.method == "POST" and address.interaction in _PAGED):
        raise BadRequest("An entry of a bundle creates, reads, searches (GET), updates, patches or deletes.")
    patch = None
    if address.interaction is Interaction.PATCH:
        kind, body = patch_of_entry(entry.body)
        request, patch = msgspec.structs.replace(request, body=body), PatchOptions(kind)
    return _question(request, address, _general(pairs(query)), frame, patch)


def _as_http_date(text: str) -> bytes:
    """The instant in ifModifiedSince as the header would have it: to the second, as HTTP knows time."""
    seconds = instant("ifModifiedSince", text) // 1_000
    return format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True).encode()


def _question(
    request: Request, address: Address, params: Pairs, frame: Frame, options: Options | None = None
) -> Question:
    """The parts put together."""
    interaction = address.interaction
    query, criteria, page = None, None, _page(params) if interaction in _PAGED else ""
    if page:
        pass  # the token says what is asked
    elif interaction in _PAGED:
        query, options = _asked(address, params, frame)
    elif interaction in _CHANGES and not address.id:
        criteria = _criteria(address.type, request.query, frame)
    elif params:
        raise BadRequest("This interaction takes no parameters but _format and _pretty.")
    if interaction is Interaction.TRANSACTION:
        interaction = _bundle_kind(request.body)
    elif interaction in _BRINGS and not request.body:
        raise BadRequest("The request brings no resource.")
    return Question(
        interaction,
        address.type,
        address.id,
        address.version,
        query,
        page,
        request.body if request.body and interaction not in _PAGED else b"",
        _preconditions(request.headers, address, frame),
        prefer_return(request.headers.get(b"prefer")),
        options=options,
        criteria=criteria,
    )


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


def _form(request: Request, address: Address) -> Pairs:
    """The parameters in the body of a POST that asks. $everything takes its parameters in the address only."""
    if not request.body:
        return ()
    if address.interaction is Interaction.EVERYTHING:
        raise BadRequest("Send the parameters of $everything in the address.")
    check_form_body(request.headers)
    return pairs(request.body)


def _page(params: Pairs) -> str:
    """The token of a later page, which stands alone; "" for a first one."""
    if len(params) != 1 or params[0][0] != "_page":
        return ""
    token = params[0][1]
    if not 0 < len(token) <= _PAGE_TOKEN_MAX:
        raise BadRequest("The page token is not one of this server's.")
    return token


def _asked(address: Address, params: Pairs, frame: Frame) -> tuple[SearchQuery | None, Options | None]:
    """What the parameters of an interaction that has some ask for."""
    if address.interaction is Interaction.SEARCH:
        query = parse_search(
            address.type, params, now_ms=frame.now_ms, max_count=frame.max_count, base_url=frame.base_url
        )
        return query, None
    if address.interaction in _HISTORIES:
        return None, read_history(params, frame.max_count)
    return _counted(address.type, params, frame), None


def _counted(resource_type: str, params: Pairs, frame: Frame) -> SearchQuery | None:
    """$everything takes _count and nothing else."""
    if not params:
        return None
    if len(params) != 1 or params[0][0] != "_count":
        raise BadRequest("$everything takes only _count and _page.")
    text = params[0][1]
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
        raise BadRequest("_count is a positive whole number.")
    return SearchQuery(resource_type, count=min(int(text[:9]), frame.max_count), text=f"_count={int(text[:9])}")


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
