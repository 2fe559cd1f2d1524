"""Bytes to a dict, for JSON that a stranger sent (RFC 8259 as FHIR R4 §2.6 narrows it).

orjson does the parsing and refuses what is malformed, not UTF-8, a lone surrogate or a number beyond double
range. It does not mind duplicate member names, deep nesting or escaped control characters, so the result is
written out once more and that text is looked at: it has each name once, escapes control characters in one
way, and shows depth when it is indented. Only a document that looks odd there is gone through slowly, to name
the place. Names written with escapes are refused as well, because `fhir.references` looks for names in bytes.
Numbers become float here; their digits live on in the bytes (`fhir.document`).

Every refusal is a BadRequest whose problems name a place by line and column or by FHIRPath, never a value.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final, NoReturn

import orjson

from medlock.errors import BadRequest, Problem
from medlock.fhir.report import PROBLEMS_MAX, Place, path_of, shown_name, top
from medlock.fhir.searchparams import RESOURCE_TYPES

DEPTH_MAX: Final = 64
_TOO_DEEP: Final = b"\n" + b" " * (2 * DEPTH_MAX + 1)  # orjson indents by two
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_control_mark: Final = re.compile(rb"\\(?:u00|b|f)").search  # how orjson writes control characters
_gap: Final = re.compile(rb'"[ \t\r\n]+:').search
_escaped_name: Final = re.compile(rb'[{,][ \t\r\n]*"[^"\\]*\\u[^"\\]*(?:\\.[^"\\]*)*"[ \t\r\n]*:').search


def parse_json(data: bytes, *, what: str = "resource") -> dict[str, Any]:
    """The JSON object in `data`. `what` names it in the caller's sentence. Raises BadRequest."""
    try:
        tree = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        _refuse(what, "is not valid JSON", _reason(data, error))
    if type(tree) is not dict:
        _refuse(what, "is not a JSON object", "the text must be one JSON object, in braces")
    shown = _written_out(tree, what)
    if data != shown and not _names_are_single(data, shown):
        _check_names(data, what)
    if _control_mark(shown):
        _check_text(tree, what)
    if b"\\u" in data and _escaped_name(data):
        _refuse(what, "has an escape in a member name", "the names of FHIR elements are written without escapes")
    return tree


def _reason(data: bytes, error: orjson.JSONDecodeError) -> str:
    """The parser's words with line and column; text that is not UTF-8 it would report at the very start."""
    try:
        data.decode()
    except UnicodeDecodeError as bad:
        return f"the text is not UTF-8 (byte {bad.start})"
    return f"line {error.lineno}, column {error.colno}: {error.msg}"


def _written_out(tree: dict[str, Any], what: str) -> bytes:
    """The tree as compact JSON. Raises BadRequest when it is too deep."""
    try:
        shown = orjson.dumps(tree)
        deep = shown.count(b"{") + shown.count(b"[") > DEPTH_MAX and _is_deep(tree)
    except orjson.JSONEncodeError:  # orjson writes no more than 254 levels; nothing else that it has read can fail
        deep = True
    if deep:
        _refuse(what, "is nested too deeply", f"no more than {DEPTH_MAX} levels of nesting are read")
    return shown


def _is_deep(tree: dict[str, Any]) -> bool:
    """Indentation shows depth, and no text can look like it: line feeds in text are escaped."""
    return _TOO_DEEP in orjson.dumps(tree, option=orjson.OPT_INDENT_2)


def _names_are_single(data: bytes, shown: bytes) -> bool:
    r"""True when `data` surely has as many member names as the tree made of it, so that none was repeated.

    A name ends in `":`. So does, in these bytes, an escaped quote before a colon, which has a backslash before
    it. With no text ending in an escaped backslash and no gap before a colon, counting both is exact; with
    either, the answer is False and the slow way decides.
    """
    if (b"\\" in data and b'\\\\"' in data) or _gap(data):
        return False
    return _count_names(data) == _count_names(shown)


def _count_names(text: bytes) -> int:
    return text.count(b'":') - (text.count(b'\\":') if b"\\" in text else 0)


class _Object(dict[str, Any]):
    """A JSON object that remembers the names it was given more than once."""

    __slots__ = ("repeated",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(name for name, _ in pairs) if len(self) < len(pairs) else {}
        self.repeated = [name for name, count in counts.items() if count > 1]


def _check_names(data: bytes, what: str) -> None:
    """Parse again with the standard library, which shows every pair. Raises BadRequest for a name given twice."""
    tree = json.loads(data, object_pairs_hook=_Object, parse_int=str, parse_float=str)
    objects = ((place, node) for place, node in _walk(tree) if isinstance(node, _Object))
    places = (shown_name(place, name) for place, node in objects for name in node.repeated)
    _refuse_places(what, "has a member twice in one object", "a member may stand only once in an object", places)


def _check_text(tree: dict[str, Any], what: str) -> None:
    """Raises BadRequest for control characters, which FHIR allows in no string (R4 §2.24.0.1)."""
    places = (place for place, node in _walk(tree) if _CONTROL.search(_text_in(node)))
    _refuse_places(what, "has control characters", "text may hold no control characters", places)


def _text_in(node: Any) -> str:
    """A string itself, the member names of an object."""
    if isinstance(node, dict):
        return "".join(node)
    return node if isinstance(node, str) else ""


def _refuse_places(what: str, fault: str, text: str, places: Iterable[Place]) -> None:
    """Raises BadRequest with a problem for each place, if there is one."""
    problems = tuple(Problem("structure", text, path_of(place)) for place in islice(places, PROBLEMS_MAX))
    if problems:
        raise BadRequest(f"The {what} {fault}.", problems=problems)


def _walk(tree: dict[str, Any]) -> Iterator[tuple[Place, Any]]:
    """Every value in the tree with its place, parents first."""
    pending: list[tuple[Place, Any]] = [(top(_root_name(tree)), tree)]
    while pending:
        place, node = pending.pop()
        yield place, node
        if isinstance(node, dict):
            pending += [(shown_name(place, name), value) for name, value in node.items()]
        elif isinstance(node, list):
            above, name, _ = place
            pending += [((above, name, index), value) for index, value in enumerate(node)]


def _root_name(tree: dict[str, Any]) -> str:
    """Its type when there is such a type: what else stands there is a value, and values are not repeated."""
    named = tree.get("resourceType")
    return named if isinstance(named, str) and named in RESOURCE_TYPES else ""


def _refuse(what: str, fault: str, detail: str) -> NoReturn:
    raise BadRequest(f"The {what} {fault}.", problems=(Problem("structure", detail),))
