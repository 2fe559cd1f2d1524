"""patch (R4 §3.1.0.6): a resource's bytes and a patch's bytes become the bytes of the resource after it.

Two forms: JSON Patch (application/json-patch+json; inside a bundle as a Binary of that type) and FHIRPath Patch
(a Parameters resource). The patch is read as strictly as a resource is. Type and id stay what they are; whether the
result is valid is decided where every write is.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error
from collections.abc import Mapping
from decimal import InvalidOperation
from typing import Any

from msgspec import DecodeError

from medlock.errors import BadRequest, Unprocessable, UnsupportedMedia
from medlock.fhir.fhirpathpatch import apply_fhirpath_patch
from medlock.fhir.jsonpatch import apply_json_patch
from medlock.fhir.jsontree import tree_of, written
from medlock.fhir.negotiate import check_json_body, media_type
from medlock.fhir.options import PatchKind
from medlock.fhir.parse import parse_json
from medlock.fhir.validate import examine

JSON_PATCH = "application/json-patch+json"


def patch_kind(headers: Mapping[bytes, bytes]) -> PatchKind:
    """Which form a request's body has, by its Content-Type. Raises UnsupportedMedia."""
    if media_type(headers.get(b"content-type", b"")) == JSON_PATCH:
        return PatchKind.JSON
    try:
        check_json_body(headers)
    except UnsupportedMedia:
        raise UnsupportedMedia(f"Send a patch as {JSON_PATCH}, or as Parameters in application/fhir+json.") from None
    return PatchKind.FHIRPATH


def patch_of_entry(resource: bytes) -> tuple[PatchKind, bytes]:
    """The patch in an entry of a bundle: Parameters as they are, JSON Patch as the data of a Binary (R4 §3.1.0.6)."""
    tree = parse_json(resource)
    if tree.get("resourceType") != "Binary":
        return PatchKind.FHIRPATH, resource
    if tree.get("contentType") != JSON_PATCH or not isinstance(tree.get("data"), str):
        raise BadRequest(f"A Binary that patches has contentType {JSON_PATCH} and data.")
    try:
        return PatchKind.JSON, b64decode(tree["data"], validate=True)
    except (Error, ValueError):
        raise BadRequest("The data of the Binary is not base64.") from None


def patched(body: bytes, kind: PatchKind, patch: bytes) -> bytes:
    """The resource after the patch. Raises BadRequest for what is no patch, Unprocessable for one that does not fit."""
    try:
        return _patched(tree_of(body), kind, patch)
    except RecursionError:  # each operation may nest a little deeper than the one before
        raise Unprocessable("The patch makes a resource that is nested too deeply.") from None
    except InvalidOperation:  # JSON bounds no exponent; decimals do
        raise Unprocessable("A number in the patch, or in the resource, is beyond all bounds.") from None


def _patched(before: Any, kind: PatchKind, patch: bytes) -> bytes:
    after = apply_json_patch(before, _operations(patch)) if kind is PatchKind.JSON else _by_fhirpath(before, patch)
    if not isinstance(after, dict) or any(after.get(name) != before.get(name) for name in ("resourceType", "id")):
        raise Unprocessable("A patch cannot change the type or the id of a resource.")
    return written(after)


def _operations(patch: bytes) -> object:
    """The array of a JSON Patch, no member in it given twice."""
    try:
        operations = tree_of(patch)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("The patch is not valid JSON.") from None
    parse_json(b'{"patch":%b}' % patch, what="patch")
    return operations


def _by_fhirpath(before: object, patch: bytes) -> object:
    parameters = parse_json(patch, what="patch")
    if parameters.get("resourceType") != "Parameters":
        raise BadRequest("A FHIRPath Patch is a Parameters resource.")
    report = examine(parameters)
    if report.problems:
        raise BadRequest("The patch is not valid FHIR R4.", problems=tuple(report.problems))
    return apply_fhirpath_patch(before, tree_of(patch))
