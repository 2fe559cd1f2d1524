"""Binary (R4 §2.41): content of any kind, as itself over HTTP, and as a resource everywhere else.

What is sent with another Content-Type than FHIR's is the content; it becomes a Binary resource at the edge, so that
rules, seals and audit see one form. It is given back as itself unless the caller's Accept header names FHIR JSON.
`application/json` is content here: a Binary may hold JSON (R4 §2.41.4 knows FHIR's own types only).
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from medlock.errors import BadRequest, UnsupportedMedia
from medlock.fhir.document import SUBSETTED, Members, split

FHIR_TYPES: Final = frozenset({"application/fhir+json", "application/json+fhir"})
_TOKEN: Final = r"[A-Za-z0-9!#$&^_.+\-]{1,100}"
_MEDIA = re.compile(rf"{_TOKEN}/{_TOKEN}(?:; ?{_TOKEN}={_TOKEN})*")
_CONTEXT = re.compile(r"(?:https?://[A-Za-z0-9.:\-/_]{1,200}/)?[A-Z][A-Za-z]{1,40}/[A-Za-z0-9\-.]{1,64}")
_SUBSETTED: Final = (SUBSETTED["system"], SUBSETTED["code"])
_OCTETS: Final = "application/octet-stream"

Headers = Mapping[bytes, bytes]


class _Reference(msgspec.Struct):
    reference: str = ""


class _Binary(msgspec.Struct):
    contentType: str = _OCTETS  # noqa: N815 - FHIR's spelling
    data: str = ""
    securityContext: _Reference = msgspec.field(default_factory=_Reference)  # noqa: N815


class Content(NamedTuple):
    """What a Binary holds: its media type, its bytes, and whose it is, "" when it does not say."""

    media: str
    data: bytes
    context: str = ""


def is_content(headers: Headers) -> bool:
    """Whether a body is content itself, by its Content-Type."""
    media = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    return media not in FHIR_TYPES


def wants_content(headers: Headers) -> bool:
    """Whether an Accept header asks for content as itself: it does unless it names FHIR's own types."""
    ranges = headers.get(b"accept", b"").decode("latin-1").lower().split(",")
    return FHIR_TYPES.isdisjoint(each.partition(";")[0].strip() for each in ranges)


def wrapped(body: bytes | None, headers: Headers, logical_id: str) -> bytes:
    """The Binary resource of some content; None: of one that lies elsewhere. Raises UnsupportedMedia, BadRequest."""
    media = headers.get(b"content-type", b"").decode("latin-1").strip()
    if _MEDIA.fullmatch(media) is None:
        raise UnsupportedMedia("Say what the content is: Content-Type type/subtype.")
    made = {"resourceType": "Binary", "contentType": media}
    named = {"id": logical_id} if logical_id else {}
    context = headers.get(b"x-security-context", b"").decode("latin-1").strip()
    if context and _CONTEXT.fullmatch(context) is None:
        raise BadRequest("X-Security-Context names one resource, such as Patient/1.")
    owner = {"securityContext": {"reference": context}} if context else {}
    held = {"meta": {"tag": [SUBSETTED]}} if body is None else {"data": b64encode(body).decode()}
    return msgspec.json.encode(made | named | owner | held)


def with_data(resource: bytes, data: bytes) -> bytes:
    """A Binary that lay without its data, with it at its end; `data` is base64. Whole, it is SUBSETTED no more."""
    members = split(resource)
    meta = split(members.get("meta", b"{}"))
    tags = [each for each in _tags(meta) if not _is_subsetted(each)]
    meta = {name: value for name, value in meta.items() if name != "tag"} | ({"tag": tags} if tags else {})
    members.pop("data", None)
    return msgspec.json.encode(members | {"meta": meta, "data": data.decode()})


def without_data(resource: bytes) -> tuple[bytes, str]:
    """A Binary as it lies beside its content, and its data; "" when it has none."""
    members = split(resource)
    data = msgspec.json.decode(members.pop("data", b'""'))
    meta = split(members.get("meta", b"{}"))
    marked = meta | {"tag": [*_tags(meta), SUBSETTED]}
    return msgspec.json.encode(members | {"meta": marked}), data if isinstance(data, str) else ""


def lies_beside(resource: bytes) -> bool:
    """Whether a Binary is one whose content is not in it."""
    members = split(resource)
    return "data" not in members and any(map(_is_subsetted, _tags(split(members.get("meta", b"{}")))))


def _tags(meta: Members) -> list[msgspec.Raw]:
    return msgspec.json.decode(meta.get("tag", b"[]"), type=list[msgspec.Raw])


def _is_subsetted(tag: msgspec.Raw) -> bool:
    found = msgspec.json.decode(tag)
    return isinstance(found, dict) and (found.get("system"), found.get("code")) == _SUBSETTED


def refuse_context(headers: Headers) -> None:
    """Raise BadRequest for X-Security-Context beside a resource, which says itself whose it is."""
    if b"x-security-context" in headers:
        raise BadRequest("X-Security-Context goes with content: a resource has securityContext.")


def content_of(resource: bytes) -> Content:
    """The content of a stored Binary. A media type that no header can carry is given as octets."""
    found = msgspec.json.decode(resource, type=_Binary)
    media = found.contentType if _MEDIA.fullmatch(found.contentType) else _OCTETS
    context = found.securityContext.reference
    return Content(media, b64decode(found.data), context if _CONTEXT.fullmatch(context) else "")
