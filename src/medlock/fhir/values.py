"""What a resource says under each search parameter: the output of `fhir.extract`, the input of matching.

Plain lists of tuples, because this is made for every resource written and must cost microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(slots=True)
class Values:
    """Search values of one resource. The first item of each tuple is the search parameter's name.

    tokens       (param, system, code)       system "" when there is none; code "" when only a system
    references   (param, target)             "Type/id" when local, else the absolute or urn form as written
    identifiers  (param, system, value)      Reference.identifier, for the :identifier modifier
    dates        (param, low, high)          ms since 1970Z, high exclusive; open ends use MIN_MS and MAX_MS
    strings      (param, text)               as written
    quantities   (param, value, system, code, unit)
    numbers      (param, value)
    uris         (param, uri)
    """

    tokens: list[tuple[str, str, str]] = field(default_factory=list)
    references: list[tuple[str, str]] = field(default_factory=list)
    identifiers: list[tuple[str, str, str]] = field(default_factory=list)
    dates: list[tuple[str, int, int]] = field(default_factory=list)
    strings: list[tuple[str, str]] = field(default_factory=list)
    quantities: list[tuple[str, Decimal, str, str, str]] = field(default_factory=list)
    numbers: list[tuple[str, Decimal]] = field(default_factory=list)
    uris: list[tuple[str, str]] = field(default_factory=list)


MIN_MS = -(1 << 62)
MAX_MS = 1 << 62
