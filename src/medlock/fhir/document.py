"""Resources as bytes: identity, subsets and masks without touching what stays.

FHIR says that the precision of a decimal matters (R4 §2.24.0.1: 0.010 is not 0.01), and a resource may be
signed or compared by its bytes, so nothing here decodes a value. An object is split into its members, each
kept as the bytes that were received (msgspec.Raw); members are dropped, replaced or put in front, and the
encoder copies the rest as it is.

Everything expects one valid resource: `fhir.parse` and `fhir.validate` come first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from medlock.errors import BadRequest
from medlock.fhir.structures import Element, Structure, structure

SUBSETTED: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "Resource encoded in summary mode",
}
_SERVER_META: Final = ("versionId", "_versionId", "lastUpdated", "_lastUpdated")
_ALWAYS: Final = frozenset({"resourceType", "id", "meta", "implicitRules", "modifierExtension"})

Members = dict[str, Any]  # to Raw as received, or to something new that the encoder writes
_join = msgspec.json.Encoder().encode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode


def minify(data: bytes) -> bytes:
    """The same JSON without whitespace between its tokens; text and numbers stay as written. Raises BadRequest."""
    try:
        return msgspec.json.format(data, indent=-1)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest("The document is not valid JSON.") from error


def split(data: bytes) -> Members:
    """The members of a JSON object, each value as its bytes (msgspec.Raw)."""
    return dict(_members(data))


def with_identity(
    data: bytes, kind: str, ident: str, version: int, updated: str, *, security: Sequence[Mapping[str, Any]] = ()
) -> bytes:
    """The resource, without whitespace between tokens, under an identity that the server gives it.

    `kind` and `ident` become resourceType and id, `version` and the FHIR instant `updated` become
    meta.versionId and meta.lastUpdated; they stand in front. Codings of `security` are added to meta.security. Other
    members of meta and of the resource stay as they are, byte for byte.
    """
    members = split(minify(data))
    meta: Members = {"versionId": str(version), "lastUpdated": updated}
    given = split(members["meta"]) if "meta" in members else {}
    for name in _SERVER_META:
        given.pop(name, None)
    for name in ("resourceType", "id", "meta"):
        members.pop(name, None)
    if security:
        given["security"] = [*(_items(given["security"]) if "security" in given else ()), *security]
    return _join({"resourceType": kind, "id": ident, "meta": meta | given} | members)


def tagged(data: bytes, tags: Sequence[Mapping[str, Any]]) -> bytes:
    """The resource with these codings added to meta.tag; the rest byte for byte, without whitespace between tokens."""
    members = split(minify(data))
    meta = split(members["meta"]) if "meta" in members else {}
    meta["tag"] = [*(_items(meta["tag"]) if "tag" in meta else ()), *tags]
    return _join(members | {"meta": meta})


def elements_subset(data: bytes, kind: str, elements: Iterable[str]) -> bytes:
    """The resource for `_elements` (R4 §3.1.1.5.9): what was asked for, and what must not be left out.

    That is identity, meta, every mandatory element, and every modifier, because a modifier changes what the
    rest means. Marked SUBSETTED.
    """
    return _only(data, _asked_for(kind, tuple(elements)))


def summary(data: bytes, kind: str, mode: str) -> bytes:
    """The resource for `_summary` (R4 §3.1.1.5.8): mode true, text or data. Marked SUBSETTED."""
    if mode == "text":
        return _only(data, _asked_for(kind, ("text",), modifiers=False))
    members = split(data)
    if mode == "data":
        members.pop("text", None)
        return _join(_subsetted(members))
    definition = structure(kind)
    return _join(_subsetted(members if definition is None else _summarised(members, definition)))


def without_members(data: bytes, hidden: frozenset[str]) -> bytes:
    """The resource without the top-level elements named in `hidden`, in any of their forms. Marked SUBSETTED.

    A choice is named without its type (`value` hides valueQuantity). Identity and meta cannot be hidden.
    """
    members = split(data)
    gone = forms(_text(members["resourceType"]), hidden) - _ALWAYS
    if gone.isdisjoint(members):
        return data
    return _join(_subsetted({name: value for name, value in members.items() if name not in gone}))


@lru_cache(512)
def forms(kind: str, names: frozenset[str]) -> frozenset[str]:
    """The JSON members that these elements of a resource type can take."""
    definition = structure(kind)
    elements = () if definition is None else definition.elements
    return names.union(*(each.json_names() for each in elements if each.name in names))


@lru_cache(512)
def _asked_for(kind: str, elements: tuple[str, ...], *, modifiers: bool = True) -> frozenset[str]:
    """The JSON members of the named elements and of those that always stay."""
    definition = structure(kind)
    every = () if definition is None else definition.elements
    kept = [e for e in every if e.min or e.name in elements or (modifiers and e.is_modifier)]
    return _ALWAYS.union(*(each.json_names() for each in kept))


def _only(data: bytes, names: frozenset[str]) -> bytes:
    return _join(_subsetted({name: value for name, value in split(data).items() if name in names}))


def _subsetted(members: Members) -> Members:
    """The same resource, with the tag that says it is incomplete (R4 §3.1.1.5.8)."""
    meta = split(members["meta"]) if "meta" in members else {}
    tags: list[Any] = _items(meta["tag"]) if "tag" in meta else []
    if not any(b'"SUBSETTED"' in bytes(tag) for tag in tags):
        meta["tag"] = [*tags, SUBSETTED]
    return members | {"meta": meta}


def _summarised(members: Members, definition: Structure) -> Members:
    """The members that are marked as summary or mandatory in R4, and within them again only those."""
    found: Members = {}
    for name, value in members.items():
        element, kind = definition.owner.get(name, (None, ""))
        if element is None or name in _ALWAYS:
            found[name] = value
        elif _in_summary(element) and (kept := value if name[0] == "_" else _summary_of(bytes(value), kind)):
            found[name] = kept
    return found


def _in_summary(element: Element) -> bool:
    return element.in_summary or element.min > 0


def _summary_of(value: bytes, kind: str) -> Any:
    """A value cut down to its summary; something empty when nothing is left. Primitives and extensions stay whole."""
    if value[:1] == b"[":
        return [kept for item in _items(value) if (kept := _summary_of(bytes(item), kind))]
    definition = structure(kind) if value[:1] == b"{" and kind != "Extension" else None
    return msgspec.Raw(value) if definition is None else _summarised(split(value), definition)
