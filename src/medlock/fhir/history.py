"""Reads the parameters of a history: _count, _since, _at (R4 §3.1.0.8.1). Others are refused.

`_since` keeps versions made at or after an instant; `_at` those that were current at some time within a date.
`_list` is not offered, and `_sort` has one value in R4, the order that is given anyway.
"""

from __future__ import annotations

from medlock.fhir import dates
from medlock.fhir.directives import refusal
from medlock.fhir.form import Pairs
from medlock.fhir.grammar import canonical_text
from medlock.fhir.options import HistoryOptions, Interval

_KNOWN = frozenset({"_count", "_since", "_at"})


def read_history(params: Pairs, max_count: int) -> HistoryOptions:
    """The options in these parameters. Raises BadRequest naming the parameter that is not one."""
    once = only(params, _KNOWN, "a history")
    since, at = once.get("_since"), once.get("_at")
    return HistoryOptions(
        page_size(once.get("_count"), max_count),
        None if since is None else instant("_since", since),
        None if at is None else moment("_at", at),
        canonical_text(params),
    )


def only(params: Pairs, known: frozenset[str], where: str) -> dict[str, str]:
    """The parameters by name. Raises BadRequest for one that is unknown there, or given twice."""
    once: dict[str, str] = {}
    for name, value in params:
        if name not in known:
            raise refusal(name, f"is not known for {where}.", "not-supported")
        if name in once:
            raise refusal(name, "may be given only once.")
        once[name] = value
    return once


def page_size(text: str | None, max_count: int) -> int | None:
    """How many a page shall hold, cut to what the server gives. Raises BadRequest."""
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
        raise refusal("_count", "takes a positive whole number.", "value")
    return min(int(text[:9]), max_count)


def instant(name: str, text: str) -> int:
    """An instant: a date with a time and a zone (R4 §2.24.0.1). Raises BadRequest."""
    low, _ = moment(name, text)
    if len(text) < len("2024-01-01T00:00Z") or not (text.endswith("Z") or text[-6] in "+-"):
        raise refusal(name, "takes an instant such as 2024-05-01T09:30:00Z.", "value")
    return low


def moment(name: str, text: str) -> Interval:
    """The time that a date covers, at any precision. Raises BadRequest."""
    try:
        return dates.parse(text)
    except ValueError:
        raise refusal(name, "takes a date such as 2024, 2024-05-01 or 2024-05-01T09:30:00Z.", "value") from None
