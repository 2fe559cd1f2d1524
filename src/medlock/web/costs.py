"""What a question weighs against the limits of its caller: a read is one.

Weights follow what a question makes the server open, and so what it can take out at once: a search a page, $everything
a record, an export all of them. Each include, chain or further type of a search is one more search, and so is each
hundred on a page. A bundle weighs what its entries weigh, so that nothing is cheaper inside one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from medlock.fhir.query import ReferenceValue, SearchQuery
from medlock.fhir.question import EXPORTS, Interaction, Question

SEARCH = 5
EVERYTHING = 50
EXPORT = 200
PAGE = 100

WEIGHTS: Mapping[Interaction, int] = MappingProxyType(
    {
        Interaction.READ: 1,
        Interaction.VREAD: 1,
        Interaction.HISTORY: SEARCH,
        Interaction.HISTORY_TYPE: SEARCH,
        Interaction.HISTORY_SYSTEM: SEARCH,
        Interaction.CREATE: 1,
        Interaction.UPDATE: 1,
        Interaction.PATCH: 1,
        Interaction.DELETE: 1,
        Interaction.SEARCH: SEARCH,
        Interaction.SEARCH_SYSTEM: SEARCH,
        Interaction.BATCH: 1,  # and what its entries weigh
        Interaction.TRANSACTION: 1,
        Interaction.EVERYTHING: EVERYTHING,
        Interaction.VALIDATE: 1,
        Interaction.DOCREF: SEARCH,
        Interaction.LASTN: SEARCH,
        Interaction.ACCESS_REASONS: 1,
        Interaction.MATCH: 2 * SEARCH,  # it may look at the whole directory
        Interaction.BREAK_GLASS: EVERYTHING,  # it may open a whole record
        Interaction.BREAK_GLASS_END: 1,
        Interaction.BREAK_GLASS_CASES: SEARCH,
        Interaction.BREAK_GLASS_REVIEW: 1,
    }
    | dict.fromkeys(EXPORTS, EXPORT)
)
_WITHIN = frozenset({Interaction.SEARCH, Interaction.SEARCH_SYSTEM})  # of a compartment, when there is an id
_SUBJECTS = frozenset({"patient", "subject"})
_FURTHER = (".", "include", "_has", "_count", "%")  # in a parameter's name; what is encoded there counts as the worst
_BUNDLES = frozenset({Interaction.BATCH, Interaction.TRANSACTION})


def weight(question: Question) -> int:
    """What a question weighs."""
    interaction = question.interaction
    base = WEIGHTS[interaction]
    if interaction in _BUNDLES:
        return base + _entries(question.body)
    return base if question.query is None else base + SEARCH * _further(question.query)


def _further(query: SearchQuery) -> int:
    """How many more searches one is."""
    hops = len(query.includes) + len(query.revincludes) + len(query.links)
    return hops + (query.count or 0) // PAGE + sum(1 + _further(part) for part in query.parts[1:])


def patient_named(question: Question) -> str:
    """The one patient whom a question names in its address or by `patient` or `subject`; "" for none or several."""
    if question.id:
        return question.id if question.type == "Patient" or question.interaction in _WITHIN else ""
    query = question.query
    for condition in () if query is None else query.conditions:
        if condition.param in _SUBJECTS and len(condition.values) == 1:
            value = condition.values[0]
            if isinstance(value, ReferenceValue) and value.type in {"", "Patient"}:
                return value.id
    return ""


class _Request(msgspec.Struct):
    method: str = ""
    url: str = ""


class _Entry(msgspec.Struct):
    request: _Request | None = None


class _Bundle(msgspec.Struct):
    """What of a bundle tells its weight; the rest is skipped, not built."""

    entry: list[_Entry] = []


def _entries(body: bytes) -> int:
    """What the entries of a bundle weigh; one that cannot be read is refused by the door, and weighs nothing here."""
    try:
        entries = msgspec.json.decode(body, type=_Bundle).entry
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return 0
    return sum(_entry(each.request) for each in entries if each.request is not None)


def _entry(request: _Request) -> int:
    """One entry: its url tells a read from what opens more."""
    if request.method != "GET":
        return 1
    path, _, query = request.url.partition("?")
    if path.endswith("$everything"):
        return EVERYTHING
    if path.strip("/").count("/") == 1 and not query:
        return 1
    names = [part.partition("=")[0] for part in query.split("&")]
    return SEARCH * (1 + sum(any(sign in name for sign in _FURTHER) for name in names))
