"""The input of an operation: a Parameters resource, or the query string, as the same plain pairs (R4 §3.2.0.2).

A resource in it comes out as the bytes that came in: what is wrong with it is another question than what is wrong with
the Parameters around it.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from medlock.errors import BadRequest, Problem
from medlock.fhir.document import minify, split
from medlock.fhir.form import PARAMETERS_MAX, Pairs
from medlock.fhir.parse import parse_json
from medlock.fhir.validate import examine

_STAND_IN: Final = {"resourceType": "Parameters"}
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Input(NamedTuple):
    """Plain parameters in order, and the resource that came with them, "" when none did."""

    pairs: Pairs
    resource: bytes = b""


def read_parameters(body: bytes) -> Input:
    """What a Parameters resource says. Raises BadRequest."""
    tree = parse_json(body, what="Parameters")
    if tree.get("resourceType") != "Parameters":
        raise BadRequest("The input of this operation is a Parameters resource.")
    pairs, resources = [], []
    for at, (given, raw) in enumerate(zip(tree.get("parameter", ()), _raw_parameters(body), strict=True)):
        if isinstance(given, dict) and "resource" in given:
            resources.append(raw)
            given["resource"] = _STAND_IN
        else:
            pairs.append(_pair(given, at))
    report = examine(tree)
    if report.problems:
        raise BadRequest("The Parameters are not valid FHIR R4.", problems=tuple(report.problems))
    if len(resources) > 1 or len(pairs) > PARAMETERS_MAX:
        raise BadRequest(f"An operation takes one resource and at most {PARAMETERS_MAX} other parameters.")
    return Input(tuple(pairs), resources[0] if resources else b"")


def is_parameters(body: bytes) -> bool:
    """Whether the body is a Parameters resource; anything else is left for its own reader to judge."""
    try:
        return msgspec.json.decode(body, type=_Named).resourceType == "Parameters"
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


class _Named(msgspec.Struct):
    resourceType: str = ""  # noqa: N815 - FHIR's spelling


def _raw_parameters(body: bytes) -> list[bytes]:
    """The bytes of each parameter's resource, b"" where it has none."""
    packed = split(minify(body)).get("parameter", b"[]")
    try:
        return [bytes(split(bytes(item)).get("resource", b"")) for item in _items(packed)]
    except msgspec.ValidationError:
        raise BadRequest("The Parameters are not valid FHIR R4.") from None


def _pair(given: Any, at: int) -> tuple[str, str]:
    """A parameter with a value of a plain type, a Coding or a CodeableConcept, as text."""
    values = [value for key, value in given.items() if key.startswith("value")] if isinstance(given, dict) else []
    text = _text(values[0]) if len(values) == 1 else None
    if text is None or not isinstance(given.get("name"), str):
        path = f"Parameters.parameter[{at}]"
        words = "This operation takes parameters with one plain value, a Coding or a CodeableConcept."
        raise BadRequest(words, problems=(Problem("not-supported", words, path),))
    return given["name"], text


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return ",".join(_tokens(value.get("coding") or [value])) or None
    return str(value) if isinstance(value, str | int) else None


def _tokens(codings: Any) -> list[str]:
    """Codings as a token parameter has them; what is none is left for the validator."""
    given = [each for each in codings if isinstance(each, dict)] if isinstance(codings, list) else []
    return [f"{each.get('system', '')}|{each['code']}" for each in given if isinstance(each.get("code"), str)]
