"""The terminology that ships: HL7's own code systems and value sets of R4 (scripts/distill_terms.py).

67 kB compressed, unpacked when it is first asked for. What carries another owner's notice is not in it, nor are value
sets that an installation stores: a search that named one would mean something else after each of its updates, and the
answer would tell what is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import Final

import msgspec
import zstandard

DATA: Final = "data/r4-terms.json.zst"
Above = Mapping[str, tuple[str, ...]]  # code → the codes right above it


class _Part(msgspec.Struct, array_like=True, frozen=True):
    """What a value set takes of a system; without codes, all of it."""

    system: str
    codes: tuple[str, ...] = ()


class _Tables(msgspec.Struct, frozen=True):
    systems: dict[str, tuple[tuple[str, ...], ...]]
    sets: dict[str, tuple[_Part, ...]]


@cache
def _tables() -> _Tables:
    packed = resources.files(__package__).joinpath(DATA).read_bytes()
    return msgspec.json.decode(zstandard.decompress(packed), type=_Tables)


def value_sets() -> frozenset[str]:
    """The addresses of the value sets that are known."""
    return frozenset(_tables().sets)


def code_systems() -> frozenset[str]:
    """The addresses of the code systems that are known."""
    return frozenset(_tables().systems)


def is_layered(code_system: str) -> bool:
    """Whether any code of a known system stands above another."""
    return any(_system(code_system).values())


@cache
def expansion(value_set: str) -> tuple[tuple[str, str], ...] | None:
    """Every (system, code) of a value set, in order; None when it is not known."""
    parts = _tables().sets.get(value_set)
    if parts is None:
        return None
    return tuple((part.system, code) for part in parts for code in part.codes or sorted(_system(part.system)))


@cache
def _system(url: str) -> Above:
    return {code: tuple(above) for code, *above in _tables().systems[url]}


@cache
def _turned(url: str) -> Above:
    """Each code with those right below it."""
    found: dict[str, list[str]] = {}
    for code, above in _system(url).items():
        for each in above:
            found.setdefault(each, []).append(code)
    return {code: tuple(under) for code, under in found.items()}


def at_or_below(system: str, code: str) -> frozenset[str] | None:
    """The code and all that it subsumes; None when the system or the code is not known."""
    return _reached(_turned(system), code) if _knows(system, code) else None


def at_or_above(system: str, code: str) -> frozenset[str] | None:
    """The code and all that subsume it; None when the system or the code is not known."""
    return _reached(_system(system), code) if _knows(system, code) else None


def _knows(system: str, code: str) -> bool:
    return system in _tables().systems and code in _system(system)


def _reached(steps: Above, start: str) -> frozenset[str]:
    found, fresh = {start}, [start]
    while fresh:
        further: Iterable[str] = steps.get(fresh.pop(), ())
        news = [code for code in further if code not in found]
        found.update(news)
        fresh += news
    return frozenset(found)
