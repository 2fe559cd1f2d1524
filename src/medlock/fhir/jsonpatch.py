"""JSON Patch (RFC 6902) with JSON Pointer (RFC 6901), on a tree of `fhir.jsontree`.

Own code because the usual library compares as Python does, for which true is 1, and because errors must name the
operation and never a value. A patch that is not well-formed is BadRequest; one that does not fit the resource is
Unprocessable. The tree that is given is not changed: either all operations apply, or nothing is returned.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from medlock.errors import BadRequest, Problem, Unprocessable
from medlock.fhir.jsontree import copied, same, size

OPERATIONS_MAX: Final = 1_000
GROWTH_MAX: Final = 1_000_000
"""Characters that all copies of a patch may add together: a copy of a copy doubles each time."""
_Steps = list[str]


class Misfit(ValueError):
    """The operation does not fit the document; str() completes "The operation"."""


def apply_json_patch(tree: Any, patch: Any) -> Any:
    """The tree after the patch. Raises BadRequest or Unprocessable naming the operation by its place."""
    if not isinstance(patch, list) or len(patch) > OPERATIONS_MAX:
        raise BadRequest(f"A JSON Patch is an array of at most {OPERATIONS_MAX} operations.")
    read = [_operation(each, number) for number, each in enumerate(patch)]
    root, growth = [copied(tree)], 0
    for number, (act, operation) in enumerate(read):
        try:
            growth += act(root, operation)
        except Misfit as fault:
            raise misfit(number, fault) from None
        if growth > GROWTH_MAX:
            raise misfit(number, Misfit("copies too much."))
    return root[0]


def misfit(number: int, fault: Misfit) -> Unprocessable:
    """The refusal of one operation of a patch, of either kind."""
    text = f"Operation {number + 1} of the patch {fault}"
    return Unprocessable(text, problems=(Problem("processing", text),))


def _operation(given: Any, number: int) -> tuple[_Act, Mapping[str, Any]]:
    """An operation that has what its kind needs (RFC 6902 §4); further members mean nothing."""
    kind = given.get("op") if isinstance(given, dict) else None
    if not isinstance(kind, str) or kind not in _ACTS:
        raise BadRequest(f"Operation {number + 1} of the patch is not one of {', '.join(_ACTS)}.")
    act, needs = _ACTS[kind]
    read: dict[str, Any] = {"value": given.get("value")}
    for name in needs:
        if name not in given:
            raise BadRequest(f"Operation {number + 1} of the patch lacks its {name}.")
        read[name] = given[name] if name == "value" else _pointer(given[name], number)
    return act, read


def _pointer(text: Any, number: int) -> _Steps:
    """The steps of a JSON Pointer (RFC 6901 §3, §4)."""
    if not isinstance(text, str) or (text and text[0] != "/") or "~" in text.replace("~0", "").replace("~1", ""):
        raise BadRequest(f"Operation {number + 1} of the patch has a path that is not a JSON Pointer.")
    return [step.replace("~1", "/").replace("~0", "~") for step in text.split("/")[1:]]


def _holder(root: list[Any], steps: _Steps) -> tuple[Any, str]:
    """What holds the value that a pointer names, and its last step; the document is held by `root`."""
    here: Any = root
    for step in ["0", *steps[:-1]] if steps else []:
        here = _at(here, step)
    return here, steps[-1] if steps else "0"


def _at(holder: Any, step: str) -> Any:
    """The value under one step. Raises Misfit when there is none."""
    if isinstance(holder, dict) and step in holder:
        return holder[step]
    if isinstance(holder, list):
        return holder[_index(step, len(holder) - 1)]
    raise Misfit("names a path that is not there.")


def _index(step: str, last: int) -> int:
    """An index without leading zeros (RFC 6901 §4)."""
    if not (step.isascii() and step.isdigit()) or (step[0] == "0" and step != "0") or int(step[:9]) > last:
        raise Misfit("names a path that is not there.")
    return int(step)


def _put(root: list[Any], steps: _Steps, value: Any) -> None:
    """RFC 6902 §4.1: a new member, the value of an old one, or a further item."""
    holder, step = _holder(root, steps)
    if holder is root:
        root[0] = value
    elif isinstance(holder, dict):
        holder[step] = value
    elif isinstance(holder, list):
        holder.insert(len(holder) if step == "-" else _index(step, len(holder)), value)
    else:
        raise Misfit("names a path that is not there.")


def _take(root: list[Any], steps: _Steps) -> Any:
    """RFC 6902 §4.2: the value, which is there no longer."""
    holder, step = _holder(root, steps)
    value = _at(holder, step)
    if holder is root:
        raise Misfit("would take the whole document away.")
    del holder[step if isinstance(holder, dict) else int(step)]
    return value


def _add(root: list[Any], operation: Mapping[str, Any]) -> int:
    _put(root, operation["path"], copied(operation["value"]))
    return 0


def _remove(root: list[Any], operation: Mapping[str, Any]) -> int:
    _take(root, operation["path"])
    return 0


def _replace(root: list[Any], operation: Mapping[str, Any]) -> int:
    holder, step = _holder(root, operation["path"])
    _at(holder, step)
    holder[step if isinstance(holder, dict) else int(step)] = copied(operation["value"])
    return 0


def _move(root: list[Any], operation: Mapping[str, Any]) -> int:
    source, target = operation["from"], operation["path"]
    if target[: len(source)] == source and len(target) > len(source):
        raise Misfit("would move a value into itself.")
    if source == target:
        _at(*_holder(root, source))
        return 0
    _put(root, target, _take(root, source))
    return 0


def _copy(root: list[Any], operation: Mapping[str, Any]) -> int:
    value = _at(*_holder(root, operation["from"]))
    _put(root, operation["path"], copied(value))
    return size(value)


def _test(root: list[Any], operation: Mapping[str, Any]) -> int:
    if not same(_at(*_holder(root, operation["path"])), operation["value"]):
        raise Misfit("tests for a value that is not there.")
    return 0


_Act = Callable[[list[Any], Mapping[str, Any]], int]
_ACTS: Final[Mapping[str, tuple[_Act, tuple[str, ...]]]] = MappingProxyType(
    {
        "add": (_add, ("path", "value")),
        "remove": (_remove, ("path",)),
        "replace": (_replace, ("path", "value")),
        "move": (_move, ("path", "from")),
        "copy": (_copy, ("path", "from")),
        "test": (_test, ("path", "value")),
    }
)
