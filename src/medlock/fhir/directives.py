"""The parameters that shape a search result and select nothing (R4 §3.1.1.5): _sort, _count, _include and the like.

Each may be given once, the includes up to a limit. What R4 leaves to the server's discretion is decided here: `*`
is refused as an include, since it can reach a whole record; a page larger than the server's is cut to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from medlock.errors import BadRequest, Problem
from medlock.fhir.query import Include, Kind, SortKey
from medlock.fhir.searchparams import RESOURCE_TYPES, Parameter, parameter
from medlock.fhir.structures import structure

DIRECTIVES: Final = frozenset({"_sort", "_count", "_total", "_summary", "_elements", "_include", "_revinclude"})
INCLUDES_MAX: Final = 16

Types = frozenset[str]  # what is searched

_UNSORTED = frozenset({Kind.COMPOSITE, Kind.SPECIAL})
_INCLUDES = ("_include", "_revinclude")
_TOTALS = ("none", "estimate", "accurate")
_SUMMARIES = ("true", "text", "data", "count", "false")
_SHOWABLE = re.compile(r"[A-Za-z_][\w.:\-]{0,127}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Directives:
    """How the result is to be shaped; the fields are those of SearchQuery."""

    includes: tuple[Include, ...] = ()
    revincludes: tuple[Include, ...] = ()
    sort: tuple[SortKey, ...] = ()
    count: int | None = None
    total: str = ""
    summary: str = ""
    elements: tuple[str, ...] = ()


def refusal(name: str, text: str, code: str = "invalid") -> BadRequest:
    """The error for one parameter. It names the parameter when the name is one, and never shows a value."""
    shown = name if _SHOWABLE.fullmatch(name) else "with this name"
    sentence = f"The search parameter {shown} {text}"
    return BadRequest(sentence, problems=(Problem(code, sentence, shown if shown == name else ""),))


def renamed(error: BadRequest, name: str) -> BadRequest:
    """The same refusal, of the parameter by its whole name: that of a chain, not of what stands at its end."""
    path = name if _SHOWABLE.fullmatch(name) else ""
    return BadRequest(str(error), problems=tuple(Problem(each.code, each.text, path) for each in error.problems))


def read_directives(types: Types, given: Sequence[tuple[str, str]], max_count: int) -> Directives:
    """The directives of a search on these types. Raises BadRequest for anything malformed, unknown or repeated."""
    once = _once(given)
    count, summary = _count(once.get("_count"), max_count), _one_of("_summary", once, _SUMMARIES)
    directives = Directives(
        includes=_includes(types, "_include", given),
        revincludes=_includes(types, "_revinclude", given),
        sort=tuple(_sort_keys(types, once.get("_sort"))),
        count=count,
        total=_one_of("_total", once, _TOTALS),
        summary="count" if count == 0 else summary,  # R4 §3.1.1.5.3
        elements=_elements(types, once.get("_elements")),
    )
    _check_together(directives)
    return directives


def _once(given: Sequence[tuple[str, str]]) -> dict[str, str]:
    once: dict[str, str] = {}
    for name, text in given:
        base, colon, _ = name.partition(":")
        if base in _INCLUDES:
            continue
        if colon:
            raise refusal(name, "takes no modifier.")
        if name in once:
            raise refusal(name, "may be given only once.")
        once[name] = text
    return once


def _check_together(directives: Directives) -> None:
    if directives.summary == "text" and (directives.includes or directives.revincludes):
        raise refusal("_summary", "cannot be text together with includes.")  # R4 §3.1.1.5.8
    if directives.elements and directives.summary in {"true", "text", "data"}:
        raise refusal("_elements", "cannot be given together with _summary.")


def _count(text: str | None, max_count: int) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise refusal("_count", "takes a whole number.", "value")
    return min(int(text), max_count)


def _one_of(name: str, once: dict[str, str], allowed: tuple[str, ...]) -> str:
    text = once.get(name)
    if text is not None and text not in allowed:
        raise refusal(name, f"takes one of {', '.join(allowed)}.", "value")
    return text or ""


def _elements(types: Types, text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    known = [structure(each) for each in types]
    names = {element.name for each in known if each for element in each.elements} | {"resourceType"}  # always shown
    listed = tuple(dict.fromkeys(text.split(",")))
    if not names.issuperset(listed):
        raise refusal("_elements", f"takes names of elements of {_shown(types)}, separated by commas.", "value")
    return listed


def _sort_keys(types: Types, text: str | None) -> Iterable[SortKey]:
    seen = set()
    for rule in text.split(",") if text is not None else ():
        name = rule.removeprefix("-")
        kinds = {known.kind if known is not None else None for known in (parameter(each, name) for each in types)}
        kind = kinds.pop()
        if kind is None or kind in _UNSORTED or kinds:
            raise refusal("_sort", f"takes names of search parameters of {_shown(types)}, each with - or without.")
        if name in seen:
            raise refusal("_sort", "names a parameter twice.")
        seen.add(name)
        yield SortKey(name, kind, descending=rule.startswith("-"))


def _shown(types: Types) -> str:
    return next(iter(types)) if len(types) == 1 else "all types asked for"


def _includes(types: Types, which: str, given: Sequence[tuple[str, str]]) -> tuple[Include, ...]:
    asked = [(name, text) for name, text in given if name.partition(":")[0] == which]
    if len(asked) > INCLUDES_MAX:
        raise refusal(which, f"is given more than {INCLUDES_MAX} times.", "too-costly")
    return tuple(dict.fromkeys(_include(types, name, text) for name, text in asked))


def _include(types: Types, name: str, text: str) -> Include:
    which, _, modifier = name.partition(":")
    if name not in {which, which + ":iterate"}:
        raise refusal(name, "takes only the modifier :iterate.")
    source, param, target = _three(name, text)
    known = parameter(source, param)
    if known is None or known.kind is not Kind.REFERENCE:
        raise refusal(name, "takes Type:parameter or Type:parameter:Type, the parameter of type reference.")
    if target and target not in (known.targets or RESOURCE_TYPES):
        raise refusal(name, "names a type that the parameter cannot refer to.")
    if not modifier:
        _check_starts_here(types, name, source, target, known)
    return Include(source, param, target, iterate=bool(modifier))


def _three(name: str, text: str) -> tuple[str, str, str]:
    source, param, target, *more = [*text.split(":"), "", ""]
    if "*" in text:
        raise refusal(name, "does not take *: name each parameter.", "not-supported")
    if any(more) or text.endswith(":") or source not in RESOURCE_TYPES:
        raise refusal(name, "takes Type:parameter or Type:parameter:Type.", "value")
    return source, param, target


def _check_starts_here(types: Types, name: str, source: str, target: str, known: Parameter) -> None:
    """Without :iterate an include starts at the matches; one that cannot is a mistake of the caller."""
    if name == "_include" and source not in types:
        raise refusal(name, f"starts at another type than {_shown(types)}; that needs _include:iterate.")
    reached = {target} if target else set(known.targets or RESOURCE_TYPES)
    if name == "_revinclude" and reached.isdisjoint(types):
        raise refusal(name, f"does not lead to {_shown(types)}; that needs _revinclude:iterate.")
