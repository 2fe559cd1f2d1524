"""Handlers of JSON members: how one value, a list, or a list of primitives with what is beside it is put together.

An empty object or list never reaches the output; an item of a list that has become empty is left out, and of the two
lists of a primitive that repeats (`given`, `_given`) the items stay side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any

from medlock.deid.fhir.run import Json, Leaf, Run, redacted

Inner = Callable[[Any, Run], Any]
Handler = Callable[[Any, Json, Json, Run], None]
Pair = tuple[Inner, Inner]  # for the value and for what is beside it


class Handlers(dict[str, Handler]):
    """JSON member → its handler, made when first met."""

    def __init__(self, make: Callable[[str], Handler]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: str) -> Handler:
        handler = self[key] = self._make(key)
        return handler


def kept(value: Any, _owner: Json, out: Json, _run: Run) -> None:
    """resourceType, which `Compiler.resource` has read."""
    out["resourceType"] = value


def unknown(_value: Any, _owner: Json, _out: Json, run: Run) -> None:
    """What R4 does not know."""
    redacted(run)


def gone(_value: Any, _run: Run) -> None:
    """The value of an item that has only extensions."""


def one_leaf(key: str, leaf: Leaf) -> Handler:
    """A primitive that does not repeat."""

    def handle(value: Any, _owner: Json, out: Json, run: Run) -> None:
        new = leaf(value, run)
        if new is not None:
            out[key] = new

    return handle


def one(key: str, inner: Inner) -> Handler:
    """An object that does not repeat; a list of one is taken for it."""

    def handle(value: Any, _owner: Json, out: Json, run: Run) -> None:
        if type(value) is list and len(value) == 1:
            value = value[0]
        new = inner(value, run)
        if new:
            out[key] = new

    return handle


def many(key: str, inner: Inner) -> Handler:
    """A list of objects; one that stands alone is taken for a list."""

    def handle(value: Any, _owner: Json, out: Json, run: Run) -> None:
        items = value if type(value) is list else [value]
        found = [new for item in items if (new := inner(item, run))]
        if found:
            out[key] = found

    return handle


def aligned(key: str, columns: tuple[Any, Any], pairs: Sequence[Pair], out: Json, run: Run) -> None:
    """A list of primitives and the list of what is beside them, of which items go together."""
    left, right = ([] if each is None else each if type(each) is list else [each] for each in columns)
    found = []
    for index, (value, beside) in enumerate(zip_longest(left, right)):
        leaf, about = pairs[index if index < len(pairs) else -1]
        new = None if value is None else leaf(value, run), (about(beside, run) or None) if beside else None
        if new != (None, None):
            found.append(new)
    for name, at in ((key, 0), (f"_{key}", 1)):
        if any(each[at] is not None for each in found):
            out[name] = [each[at] for each in found]


def paired(key: str, columns: tuple[Any, Any], pairs: Sequence[Pair], out: Json, run: Run) -> None:
    """A primitive that does not repeat and what is beside it."""
    for name, act, old in zip((key, f"_{key}"), pairs[0], columns, strict=True):
        new = None if old is None else act(old, run)
        if new is not None and new != {}:
            out[name] = new
