"""What would change: before and after, element by element, for people who look before they release.

It shows what is in the input, so it belongs on the screen of somebody who may see the input, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any, Final, NamedTuple

_SHOWN: Final = 60


class Change(NamedTuple):
    """One element: its path, and its value before and after; None where there is none."""

    path: str
    before: str | None
    after: str | None


def changes(before: Any, after: Any, path: str) -> Iterator[Change]:
    """Every plain value that differs, in the order of the input, then what was added."""
    if type(before) is dict and type(after) is dict:
        for key in dict.fromkeys((*before, *after)):
            yield from changes(before.get(key), after.get(key), f"{path}.{key}")
    elif type(before) is dict or type(after) is dict:
        yield from _one_sided(before, after, path)
    elif type(before) is list or type(after) is list:
        left, right = (each if type(each) is list else [] for each in (before, after))
        for index, (old, new) in enumerate(_partners(left, right)):
            yield from changes(old, new, f"{path}[{index}]")
    elif before != after:
        yield Change(path, _text(before), _text(after))


def _partners(left: list[Any], right: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Items that belong together: extensions by their address, all others by their place."""
    if not all(type(each) is dict and "url" in each for each in (*left, *right)):
        yield from zip_longest(left, right)
        return
    rest = list(right)
    for old in left:
        new = next((each for each in rest if each["url"] == old["url"]), None)
        if new is not None:
            rest.remove(new)
        yield old, new
    yield from ((None, new) for new in rest)


def _one_sided(before: Any, after: Any, path: str) -> Iterator[Change]:
    for value, is_old in ((before, True), (after, False)):
        if type(value) is dict:
            for key, item in value.items():
                old, new = (item, None) if is_old else (None, item)
                yield from changes(old, new, f"{path}.{key}")
        elif value is not None:
            yield Change(path, _text(value) if is_old else None, None if is_old else _text(value))


def _text(value: Any) -> str | None:
    if value is None:
        return None
    text = " ".join(str(value).split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "\u2026"
