"""References between resources: found, told apart, and rewritten when a transaction gives new ids (R4 §2.3).

Finding works on the parsed resource. Rewriting works on bytes, so that everything else stays as it is: in
valid JSON a quote inside a text is escaped, so `"reference":"…"` between quotes can only be a member.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

import orjson

from medlock.fhir.report import Place, path_of, top
from medlock.fhir.structures import resource_types, structure

_ID: Final = r"[A-Za-z0-9\-.]{1,64}"
_local = re.compile(rf"([A-Z][A-Za-z]{{1,63}})/({_ID})(?:/_history/{_ID})?").fullmatch

# Reference.reference, and the members of type uri, url, uuid and oid that name an instance (R4 §3.1.0.11.2).
_member = re.compile(rb'"(reference|ur[il]|value(?:Ur[il]|Uuid|Oid))"[ \t\r\n]*:[ \t\r\n]*"([^"\\]*(?:\\.[^"\\]*)*)"')
_attribute = re.compile(rb'=\\"([^"\\<>&]+)\\"')


def literal_references(resource: dict[str, Any]) -> list[tuple[str, str]]:
    """(FHIRPath, Reference.reference) of every literal reference in a valid resource, in document order.

    Contained resources and extensions count; canonical URLs and logical references do not.
    """
    found: list[tuple[str, str]] = []
    _collect(resource, "Resource", top(resource["resourceType"]), found)
    return found


def _collect(node: dict[str, Any], kind: str, place: Place, found: list[tuple[str, str]]) -> None:
    definition = structure(node.get("resourceType", "") if kind == "Resource" else kind)
    objects = {} if definition is None else definition.objects
    for name, value in node.items():
        if type(value) is dict:
            step, inner = objects.get(name, (name, ""))
            _collect(value, inner, (place, step, -1), found)
        elif type(value) is list:
            step, inner = objects.get(name, (name, ""))
            for index, item in enumerate(value):
                if type(item) is dict:
                    _collect(item, inner, (place, step, index), found)
        elif name == "reference" and kind == "Reference":
            found.append((path_of((place, name, -1)), value))


def local_target(reference: str, base_url: str) -> tuple[str, str] | None:
    """(type, id) when a reference points to a resource of this server, with or without a version; else None.

    `base_url` is the server's own, without a slash at its end. None for `#id`, `urn:`, searches and other servers.
    """
    match = _local(reference.removeprefix(f"{base_url}/"))
    if match is None or match[1] not in resource_types():
        return None
    return match[1], match[2]


def rewrite(data: bytes, mapping: Mapping[str, str]) -> bytes:
    """The document with every reference that equals a key of `mapping` replaced by its value (R4 §3.1.0.11.2).

    Looked at are Reference.reference, members named uri, url, valueUri, valueUrl, valueUuid and valueOid, and
    href and src in the narrative; always the whole text. Identifiers and canonicals in other members are not,
    even when their value equals a key. Bytes that are not yet known to be FHIR pass through: `fhir.parse` must
    see the result, and refuses what could hide a reference from here (escapes in names).
    """

    def replace(match: re.Match[bytes]) -> bytes:
        new = mapping.get(_text(match[2]))
        return match[0] if new is None else b'"%b":%b' % (match[1], orjson.dumps(new))

    def relink(match: re.Match[bytes]) -> bytes:
        new = mapping.get(_text(match[1]))
        if new is None or not data.endswith((b" href", b" src"), 0, match.start()):
            return match[0]
        return b'=\\"%b\\"' % orjson.dumps(escape(new))[1:-1]

    data = _member.sub(replace, data)
    return _attribute.sub(relink, data) if b"=\\" in data else data


def _text(inner: bytes) -> str:
    """What stands between the quotes of a JSON string; "" for what is none, which no reference is."""
    try:
        return str(orjson.loads(b'"%b"' % inner)) if b"\\" in inner else inner.decode()
    except ValueError:
        return ""
