"""A search whose hits are sifted by what their bodies say, before they are cut into pages.

$docref and $lastn ask for what no search parameter can: the latest of each kind. Both are about one patient, so their
hits are few; how many bodies are opened is bounded all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import NamedTuple

from medlock.access.grant import Grant
from medlock.errors import BadRequest, Conflict, Problem
from medlock.fhir import bundle
from medlock.fhir.extract import extract
from medlock.fhir.parse import parse_json
from medlock.fhir.query import SearchQuery
from medlock.fhir.values import Values
from medlock.records.consents import ready_for
from medlock.records.finding import Finding
from medlock.records.hits import Finder
from medlock.records.minimise import minimised_all
from medlock.records.reach import reach_of
from medlock.records.search import Links, Page
from medlock.records.turns import TURN
from medlock.records.vault import Vault
from medlock.store.bodies import Opened
from medlock.store.capsule import IndexRow

SIFTED_MAX = 20_000
_TRIES = 4


class Sought(NamedTuple):
    """A hit with its body and its search values."""

    opened: Opened
    values: Values


Sieve = Callable[[Sequence[Sought]], list[Sought]]


async def sifted(vault: Vault, grant: Grant, query: SearchQuery, sieve: Sieve) -> tuple[list[Sought], tuple[int, str]]:
    """What the sieve leaves of everything within reach that matches, and the patient that it is about.

    Raises BadRequest when there is too much to look through.
    """
    for _ in range(_TRIES):
        reach = await reach_of(vault, grant)
        finder = Finder(vault, reach)
        hits = await finder.find(query)
        if len(hits) > SIFTED_MAX:
            text = f"More than {SIFTED_MAX} resources would have to be looked through: name a code, a type or a date."
            raise BadRequest(text, problems=(Problem("too-costly", text),))
        found = await looked_into(vault, grant, [hit.row for hit in hits])
        if found is not None:
            return sieve(found), finder.about
    raise Conflict("These records are being changed right now; try again.")


async def looked_into(vault: Vault, grant: Grant, rows: Sequence[IndexRow]) -> list[Sought] | None:
    """What lies in these rows and may be seen, a few at a time; None when one has changed since."""
    admits, found = grant.judge(), []
    for start in range(0, len(rows), TURN):
        opened = await vault.fetch(rows[start : start + TURN])
        if None in opened:
            return None
        await ready_for(grant, opened)
        seen = [each for each in opened if each is not None and admits(each)]
        found += [Sought(each, extract(parse_json(each.body))) for each in seen]
        await asyncio.sleep(0)
    return found


class Answer(NamedTuple):
    """What is to be shown of, page by page: everything found, about whom, and the question's text for the links."""

    found: list[Sought]
    about: tuple[int, str]
    type: str
    text: str


def page_of(vault: Vault, grant: Grant, answer: Answer, page: Page, links: Links) -> Finding:
    """One page as a searchset; a later one starts after the last that was shown, by count when that is gone."""
    rids = [each.opened.rid for each in answer.found]
    start = rids.index(page.last) + 1 if page.last in rids else min(page.shown, len(rids))
    shown = [each.opened for each in answer.found[start : start + page.size]]
    entries = [
        bundle.SearchEntry(f"{links.base}/{each.meta.reference}", body)
        for each, body in zip(shown, minimised_all(grant, shown), strict=True)
    ]
    addresses, end = {"self": links.here}, start + len(shown)
    if shown and end < len(rids):
        addresses["next"] = links.next(vault, answer.text, answer.type, end, shown[-1].rid)
    body = bundle.searchset(entries, total=len(rids), links=addresses)
    return Finding(200, body, disclosed=shown, about=answer.about)
