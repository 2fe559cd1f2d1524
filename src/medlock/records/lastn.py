"""Observation/$lastn (R4 Observation-lastn): the most recent observations of each code, of one patient.

Codes that one observation bears together are translations of each other, so whatever shares a coding is one group; an
observation without a coding is grouped by its text. Within a group the latest time of effect comes first, and those
without one last.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from medlock.access.grant import Grant
from medlock.fhir.options import LastNOptions
from medlock.fhir.query import SearchQuery
from medlock.fhir.question import Question
from medlock.fhir.values import MIN_MS
from medlock.records.finding import Finding
from medlock.records.search import Links, Page
from medlock.records.sifted import Answer, Sought, page_of, sifted
from medlock.records.vault import Vault


class _Concept(msgspec.Struct):
    text: str = ""


class _Coded(msgspec.Struct):
    code: _Concept = msgspec.field(default_factory=_Concept)


async def lastn(vault: Vault, grant: Grant, question: Question, page: Page, links: Links) -> Finding:
    """One page: group after group, the group with the latest observation first."""
    options = question.options if isinstance(question.options, LastNOptions) else LastNOptions()
    query = question.query or SearchQuery("Observation")

    def sieve(found: Sequence[Sought]) -> list[Sought]:
        ordered = sorted(found, key=_when, reverse=True)
        return [each for group in _groups(ordered) for each in group[: options.most]]

    shown, about = await sifted(vault, grant, query, sieve)
    return page_of(vault, grant, Answer(shown, about, "Observation", options.text), page, links)


def _when(each: Sought) -> tuple[int, int, int]:
    dates = [high for param, _, high in each.values.dates if param == "date"]
    return max(dates, default=MIN_MS), each.opened.meta.updated, each.opened.rid


def _groups(ordered: Sequence[Sought]) -> list[list[Sought]]:
    """Observations by code, joined where one bears the codes of two groups."""
    leader: dict[str, str] = {}

    def lead(name: str) -> str:
        while leader.setdefault(name, name) != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    names = [_codings(each) for each in ordered]
    for first, *others in names:
        for other in others:
            leader[lead(other)] = lead(first)
    groups: dict[str, list[Sought]] = {}
    for each, (first, *_) in zip(ordered, names, strict=True):
        groups.setdefault(lead(first), []).append(each)
    return list(groups.values())


def _codings(each: Sought) -> list[str]:
    """The codings of an observation; its text when it has none."""
    codings = sorted({f"{system}|{code}" for param, system, code in each.values.tokens if param == "code"})
    if codings:
        return codings
    return ["text " + msgspec.json.decode(each.opened.body, type=_Coded).code.text]
