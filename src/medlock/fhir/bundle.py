"""Bundles as bytes (R4 §2.36): taken apart entry by entry, and put together, without parsing what is inside.

`entries` checks the envelope: type, members, fullUrl, request, and the rules bdl-2 to bdl-8. Resources come out
as the bytes that came in, for `fhir.parse` and `fhir.validate`, so that memory holds one tree at a time. The
makers below it join finished bytes; they trust their callers to bring valid JSON and known codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

import msgspec
import orjson

from medlock.errors import BadRequest, Problem, TooLarge, Unprocessable
from medlock.fhir.document import Members, minify, split
from medlock.fhir.parse import parse_json
from medlock.fhir.report import PROBLEMS_MAX
from medlock.fhir.validate import validate, validate_element

_REQUESTED: Final = {"transaction", "batch"}
_BRINGS: Final = {"POST", "PUT", "PATCH"}
_CHANGES: Final = {"PUT", "PATCH", "DELETE"}
_STAND_IN: Final = {"resourceType": "Parameters"}  # the smallest valid resource, where bdl-5 wants to see one

_MATCH_GRADE: Final = "http://hl7.org/fhir/StructureDefinition/match-grade"
NO_REDISCLOSURE: Final = "NORDSCLCD"  # v3-ActCode: no redisclosure without consent directive
NOTICE: Final = "42 CFR part 2 prohibits unauthorized use or disclosure of these records."  # 42 CFR 2.32(a)(2)
_MARKED: Final = b'"%b"' % NO_REDISCLOSURE.encode()
_MARK: Final = orjson.dumps(
    {
        "security": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                "code": NO_REDISCLOSURE,
                "display": NOTICE,
            },
            {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"},
        ]
    }
)
_CONDITIONS: Final = ("ifMatch", "ifNoneMatch", "ifNoneExist", "ifModifiedSince")

_join = msgspec.json.Encoder().encode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Entry(msgspec.Struct, frozen=True):
    """One entry of a received bundle. What it does not have is empty; a collection's entries have no request."""

    full_url: str
    method: str
    url: str
    resource: bytes
    if_match: str = ""
    if_none_match: str = ""
    if_none_exist: str = ""
    if_modified_since: str = ""


def entries(data: bytes, limit: int) -> tuple[Entry, ...]:
    """The entries of a transaction, batch or collection Bundle.

    Raises BadRequest for what is not a JSON object, TooLarge beyond `limit` entries, and Unprocessable with every
    problem of the envelope otherwise (Bundle.entry[3].request.url). Resources are not looked into.
    """
    members = _members(minify(data), "Bundle")
    packed = members.pop("entry", b"[]")
    kind = _checked_type(parse_json(_join(members), what="bundle"))
    try:
        items = _items(packed)
    except msgspec.ValidationError:
        raise _invalid([Problem("structure", "an array of entries is needed here", "Bundle.entry")]) from None
    if len(items) > limit:
        raise TooLarge(f"The bundle has more than {limit} entries: send it in parts.")
    return _Opener(kind).open(items)


def _members(packed: bytes, path: str) -> Members:
    """The members of a minified object. Raises BadRequest when it is none, or has a member twice.

    Names, values, and four characters around each pair make the whole length; a repeated name, or one written
    with escapes, leaves some over.
    """
    try:
        members = split(packed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _malformed("a JSON object is needed here", path) from None
    if members and len(packed) != 1 + sum(len(name.encode()) + 4 + len(raw) for name, raw in members.items()):
        raise _malformed("a member stands twice in this object, or its name is written with escapes", path)
    return members


def _malformed(text: str, path: str) -> BadRequest:
    return BadRequest("The bundle is not well-formed.", problems=(Problem("structure", text, path),))


def _invalid(problems: list[Problem]) -> Unprocessable:
    return Unprocessable("The bundle is not valid FHIR R4.", problems=tuple(problems[:PROBLEMS_MAX]))


def _checked_type(head: dict[str, Any]) -> str:
    """The bundle's type, once everything around its entries was found valid."""
    if head.get("resourceType") != "Bundle":
        raise _invalid([Problem("structure", "a Bundle is needed here", "resourceType")])
    problems = validate(head)
    if not problems and head["type"] not in _REQUESTED | {"collection"}:
        text = "only bundles of type transaction, batch and collection can be taken in"
        problems.append(Problem("not-supported", text, "Bundle.type"))
    if problems:
        raise _invalid(problems)
    return str(head["type"])


@dataclass(slots=True)
class _Opener:
    """Opens the entries of one bundle, remembering what may occur only once."""

    kind: str
    problems: list[Problem] = field(default_factory=list)
    full_urls: set[str] = field(default_factory=set)
    targets: set[str] = field(default_factory=set)

    def open(self, items: list[msgspec.Raw]) -> tuple[Entry, ...]:
        found: list[Entry] = []
        for index, item in enumerate(items):
            found += self.entry(bytes(item), f"Bundle.entry[{index}]")
            if len(self.problems) >= PROBLEMS_MAX:
                break
        if self.problems:
            raise _invalid(self.problems)
        return tuple(found)

    def entry(self, packed: bytes, path: str) -> list[Entry]:
        """The entry, unless it has problems."""
        members = _members(packed, path)
        resource = bytes(members.pop("resource", b""))
        rest = _parsed(_join(members), path)
        stand_in = {"resource": _STAND_IN} if resource else {}
        problems = validate_element(rest | stand_in, "Bundle.entry", path)
        if not problems:
            problems = [Problem(*each) for each in self.check(rest, resource, path)]
        self.problems += problems
        return [] if problems else [_entry(rest, resource)]

    def check(self, rest: dict[str, Any], resource: bytes, path: str) -> Iterable[tuple[str, str, str]]:
        """(code, text, path) of what the structure cannot say: rules between entries and of the bundle's type."""
        for name in ("search", "response"):
            if name in rest:
                yield "invariant", f"a {self.kind} has no entry.{name} (bdl-2, bdl-4)", f"{path}.{name}"
        if ("request" in rest) is not (self.kind in _REQUESTED):
            yield (
                "invariant",
                "entry.request belongs in every entry of a batch or transaction (bdl-3)",
                f"{path}.request",
            )
        if resource and resource[:1] != b"{":
            yield "structure", "a resource must be a JSON object", f"{path}.resource"
        if self.seen(self.full_urls, rest.get("fullUrl", "")):
            yield "invariant", "fullUrl must be unique in a bundle (bdl-7)", f"{path}.fullUrl"
        yield from self.check_request(rest.get("request", {}), resource, f"{path}")

    def check_request(self, request: dict[str, Any], resource: bytes, path: str) -> Iterable[tuple[str, str, str]]:
        method, url = request.get("method", ""), request.get("url", "")
        if method in _BRINGS and not resource:
            yield "required", "an entry that creates or updates must bring a resource", f"{path}.resource"
        if resource and method and method not in _BRINGS:
            yield "structure", "an entry that reads or deletes brings no resource", f"{path}.resource"
        target = unquote(url).strip("/") if method in _CHANGES and "?" not in url else ""
        if self.kind == "transaction" and self.seen(self.targets, target):
            yield "invariant", "a transaction may change a resource only once (R4 §3.1.0.11.2)", f"{path}.request.url"

    @staticmethod
    def seen(known: set[str], text: str) -> bool:
        """True when a text that is not empty was there before; it is remembered."""
        repeated = text in known
        if text:
            known.add(text)
        return repeated


def _parsed(data: bytes, path: str) -> dict[str, Any]:
    """`parse_json` with paths below the entry's."""
    try:
        return parse_json(data, what="bundle entry")
    except BadRequest as error:
        problems = (Problem(p.code, p.text, f"{path}.{p.path}" if p.path else path) for p in error.problems)
        raise BadRequest(str(error), problems=tuple(problems)) from None


def _entry(rest: dict[str, Any], resource: bytes) -> Entry:
    request = rest.get("request", {})
    conditions = (request.get(name, "") for name in _CONDITIONS)
    return Entry(rest.get("fullUrl", ""), request.get("method", ""), request.get("url", ""), resource, *conditions)


class SearchEntry(msgspec.Struct, frozen=True):
    """A resource in a searchset; `mode` is match, include or outcome. A match by likeness has a score and a grade."""

    full_url: str
    resource: bytes
    mode: str = "match"
    score: str = ""
    grade: str = ""


class HistoryEntry(msgspec.Struct, frozen=True):
    """One version in a history. A deletion has no resource; `updated` is a FHIR instant."""

    full_url: str
    resource: bytes
    method: str
    url: str
    status: str
    version: int
    updated: str


class Response(msgspec.Struct, frozen=True):
    """The answer to one entry. `version` becomes a weak ETag, `updated` is a FHIR instant; empty is left out."""

    status: str
    location: str = ""
    version: str = ""
    updated: str = ""
    resource: bytes = b""
    outcome: bytes = b""


def searchset(found: Iterable[SearchEntry], *, total: int | None, links: Mapping[str, str]) -> bytes:
    """A searchset Bundle; `links` are relation → URL, `total` None when it is not told."""
    return _bundle("searchset", total, links, [_search_entry(each) for each in found])


def history(found: Iterable[HistoryEntry], *, total: int | None, links: Mapping[str, str]) -> bytes:
    """A history Bundle."""
    return _bundle("history", total, links, [_history_entry(each) for each in found])


def transaction_response(found: Iterable[Response], kind: str = "transaction-response") -> bytes:
    """The answer to a transaction, or with `kind` batch-response to a batch, in the order of its entries."""
    return _bundle(kind, None, {}, [_response_entry(each) for each in found])


def collection(found: Iterable[tuple[str, bytes]]) -> bytes:
    """A collection Bundle of (fullUrl, resource)."""
    return _bundle("collection", None, {}, [_object(fullUrl=_text(url), resource=body) for url, body in found])


def _bundle(kind: str, total: int | None, links: Mapping[str, str], packed: list[bytes]) -> bytes:
    """A Bundle; with the notice of 42 CFR 2.32 when any resource in it bears the label that asks for it."""
    listed = [_object(relation=_text(relation), url=_text(url)) for relation, url in links.items()]
    return _object(
        resourceType=b'"Bundle"',
        meta=_MARK if any(_MARKED in each for each in packed) else b"",
        type=_text(kind),
        total=b"" if total is None else b"%d" % total,
        link=_array(listed),
        entry=_array(packed),
    )


def _search_entry(each: SearchEntry) -> bytes:
    if each.score:
        return _object(fullUrl=_text(each.full_url), resource=each.resource, search=_likeness(each))
    return b'{"fullUrl":%b,"resource":%b,"search":{"mode":"%b"}}' % (
        _text(each.full_url),
        each.resource,
        each.mode.encode(),
    )


def _likeness(each: SearchEntry) -> bytes:
    """How sure a match is (R4 operation Patient-match)."""
    extension = _object(url=_text(_MATCH_GRADE), valueCode=_text(each.grade))
    return _object(extension=_array([extension]), mode=_text(each.mode), score=each.score.encode())


def _history_entry(each: HistoryEntry) -> bytes:
    return _object(
        fullUrl=_text(each.full_url),
        resource=each.resource,
        request=_object(method=_text(each.method), url=_text(each.url)),
        response=_response(Response(each.status, "", str(each.version), each.updated)),
    )


def _response_entry(each: Response) -> bytes:
    return _object(resource=each.resource, response=_response(each))


def _response(each: Response) -> bytes:
    return _object(
        status=_text(each.status),
        location=_text(each.location),
        etag=_text(f'W/"{each.version}"' if each.version else ""),
        lastModified=_text(each.updated),
        outcome=each.outcome,
    )


def _object(**members: bytes) -> bytes:
    """A JSON object of the members that are not empty."""
    return b"{" + b",".join([b'"%b":%b' % (name.encode(), value) for name, value in members.items() if value]) + b"}"


def _array(items: list[bytes]) -> bytes:
    return b"[" + b",".join(items) + b"]" if items else b""


def _text(text: str) -> bytes:
    """A JSON string, or nothing for no text."""
    return orjson.dumps(text) if text else b""
