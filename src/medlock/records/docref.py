"""DocumentReference/$docref (US Core operation docref): the documents of one patient, of a type, about a time of care.

Without dates the most recent document of each type is meant. The time of care is the document's context.period, and
its date where it names none. Documents are never made on demand here, so asking for such only finds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from medlock.access.grant import Grant
from medlock.fhir.options import DocRefOptions
from medlock.fhir.query import SearchQuery
from medlock.fhir.question import Question
from medlock.records.finding import Finding
from medlock.records.search import Links, Page
from medlock.records.sifted import Answer, Sought, page_of, sifted
from medlock.records.vault import Vault


async def docref(vault: Vault, grant: Grant, question: Question, page: Page, links: Links) -> Finding:
    """One page of DocumentReferences, newest first."""
    options = question.options if isinstance(question.options, DocRefOptions) else DocRefOptions()
    query = question.query or SearchQuery("DocumentReference")

    def sieve(found: Sequence[Sought]) -> list[Sought]:
        if options.on_demand:
            return []
        ordered = sorted(found, key=_date, reverse=True)
        care = options.care
        return _latest(ordered) if care is None else [each for each in ordered if _about(each, *care)]

    shown, about = await sifted(vault, grant, query, sieve)
    return page_of(vault, grant, Answer(shown, about, "DocumentReference", options.text), page, links)


def _date(each: Sought) -> tuple[int, int, int]:
    dates = [low for param, low, _ in each.values.dates if param == "date"]
    return max(dates, default=0), each.opened.meta.updated, each.opened.rid


def _latest(ordered: Sequence[Sought]) -> list[Sought]:
    """The current document of each type, of which `ordered` has the latest first."""
    kept: dict[tuple[str, ...], Sought] = {}
    for each in ordered:
        tokens = each.values.tokens
        if any(param == "status" and code == "current" for param, _, code in tokens):
            kept.setdefault(
                tuple(sorted(f"{system}|{code}" for param, system, code in tokens if param == "type")), each
            )
    return list(kept.values())


def _about(each: Sought, low: int, high: int) -> bool:
    """Whether the care that a document speaks of was given within [low, high)."""
    named = [row for row in each.values.dates if row[0] == "period"]
    dates = named or [row for row in each.values.dates if row[0] == "date"]
    return any(begin < high and end > low for _, begin, end in dates)
