"""Months, weekdays and spelled days, English and Spanish, and how to read them."""

from __future__ import annotations

import re
from functools import cache

from medlock.deid.text.lexicon import fold

ENGLISH = "january february march april may june july august september october november december".split()
SPANISH = "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split()
_SHORT = {"sept": 9, "set": 9, "setiembre": 9, "agto": 8}
WEEKDAYS = (
    "monday tuesday wednesday thursday friday saturday sunday".split(),
    "lunes martes miércoles jueves viernes sábado domingo".split(),
)
_UNITS = "first second third fourth fifth sixth seventh eighth ninth".split()
_TEENS = [
    *"tenth eleventh twelfth".split(),
    *(f"{teen}teenth" for teen in "thir four fif six seven eigh nine".split()),
    "twentieth",
]
ORDINALS = [*_UNITS, *_TEENS, *(f"twenty-{unit}" for unit in _UNITS), "thirtieth", "thirty-first"]
CARDINALES = (
    "uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis diecisiete "
    "dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro veinticinco veintiséis veintisiete "
    "veintiocho veintinueve treinta"
).split()


@cache
def months() -> dict[str, int]:
    """Every spelling of a month that is read, folded, without a dot."""
    known = {name: number for names in (ENGLISH, SPANISH) for number, name in enumerate(names, 1)}
    return known | {name[:3]: number for name, number in known.items()} | _SHORT


@cache
def spelled() -> dict[str, int]:
    """Spelled days, folded."""
    known = {fold(name): number for names in (ORDINALS, CARDINALES) for number, name in enumerate(names, 1)}
    return known | {name.replace("-", " "): number for name, number in known.items()} | {"primero": 1}


def either(words: list[str]) -> str:
    """A pattern for any of the words, the longest first."""
    return "|".join(sorted(words, key=len, reverse=True))


def number(name: str, value: str) -> int:
    """0 for a word that is no number."""
    digits = re.sub(r"\D", "", value)
    if name == "year" and len(digits) == 2:
        # A two-digit year is the one nearest behind 2050 (POSIX pivots at 69; births reach further back in records).
        return int(digits) + (2000 if int(digits) < 50 else 1900)
    if digits:
        return int(digits)
    plain = fold(value).rstrip(".")
    return months().get(plain, 0) if name == "month" else spelled().get(plain, 0)
