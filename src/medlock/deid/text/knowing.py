"""Known identifiers from a JSON file, checked field by field; a refusal never repeats a value."""

from __future__ import annotations

from dataclasses import fields
from datetime import date

import orjson

from medlock.deid.text.known import Known
from medlock.errors import BadRequest

_LISTS = tuple(field.name for field in fields(Known) if field.name != "sparing")


def known_from(data: bytes, name: str) -> Known:
    """The identifiers of a file such as {"names": ["Ana Ruiz"], "dates": ["1957-03-12"]}.

    Raises BadRequest when it is no JSON object, has a field that is not known, or a value of another type.
    """
    try:
        given = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"{name} is not JSON at line {error.lineno}.") from None
    if not isinstance(given, dict):
        raise BadRequest(f"{name} must hold one JSON object with the fields {', '.join(_LISTS)}.")
    if unknown := sorted(given.keys() - {*_LISTS, "sparing"}):
        raise BadRequest(f"{name} has the field {unknown[0]}; those that are read are {', '.join(_LISTS)} and sparing.")
    for field in _LISTS:
        values = given.get(field, [])
        if not isinstance(values, list) or not all(isinstance(value, str) and value.strip() for value in values):
            raise BadRequest(f"{name}: {field} must be a list of strings that are not empty.")
    for at, value in enumerate(given.get("dates", [])):
        _check_date(value, f"{name}: dates[{at}]")
    if not isinstance(given.get("sparing", False), bool):
        raise BadRequest(f"{name}: sparing is true or false.")
    return Known(**{field: tuple(given.get(field, ())) for field in _LISTS}, sparing=given.get("sparing", False))


def _check_date(value: str, place: str) -> None:
    parts = (value[:10] + "-01-01")[:10] if len(value) < 10 else value[:10]
    try:
        date.fromisoformat(parts)
    except ValueError:
        raise BadRequest(f"{place} is no date of ISO 8601 (2001, 2001-03 or 2001-03-14).") from None
