"""search-type (R4 §3.1.0.10): find, sort, cut a page, open it, include, and assemble the searchset Bundle."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from medlock.access.grant import Grant
from medlock.errors import Conflict
from medlock.fhir import bundle
from medlock.fhir.document import elements_subset, summary
from medlock.fhir.query import SearchQuery
from medlock.records.consents import ready_for
from medlock.records.finding import Finding
from medlock.records.hitlist import Hit, Hits
from medlock.records.hits import Finder
from medlock.records.includes import Includer
from medlock.records.minimise import minimised_all
from medlock.records.paging import Place
from medlock.records.reach import Reach, reach_of
from medlock.records.sorting import sort_hits
from medlock.records.vault import Vault
from medlock.store.bodies import Opened

_TRIES = 4


class Page(msgspec.Struct, frozen=True):
    """Which part of the answer is wanted: how many at most, how many were shown before, and the last of them.

    In a history the last of them is told by its time (`shown`), row and version.
    """

    size: int
    shown: int = 0
    last: int = 0
    version: int = 0


class Cut(msgspec.Struct, frozen=True):
    """A page cut from the ordered hits."""

    hits: Sequence[Hit]
    start: int
    shown: list[Opened]


class Links(msgspec.Struct, frozen=True):
    """The address of this page, and how to address the one after it."""

    base: str
    here: str
    include_max: int
    account: str
    expires: int
    interaction: str
    subject: str = ""

    def next(self, vault: Vault, query_text: str, type_: str, shown: int, last: int, *, version: int = 0) -> str:
        """The address of the page that starts after `shown` resources, the last of which is row `last`."""
        place = Place(self.interaction, type_, self.subject, query_text, shown, last, self.expires, version)
        return f"{self.here.partition('?')[0]}?_page={vault.page_token(self.account, place)}"


async def search(vault: Vault, grant: Grant, query: SearchQuery, page: Page, links: Links) -> Finding:
    """One page of a search. Bodies that change while they are fetched make it start again."""
    for _ in range(_TRIES):
        reach = await reach_of(vault, grant)
        counted = query.summary == "count" or query.count == 0
        finder = Finder(vault, reach, prove_later=not counted and not query.sort)
        hits = await finder.find(query)
        if query.sort:
            hits = await sort_hits(vault, hits, query.sort)
        if counted:
            body = bundle.searchset([], total=len(hits), links={"self": links.here})
            return Finding(200, body, about=finder.about)
        start = _start(hits, page)
        opened = await vault.fetch([hit.row for hit in hits[start : start + page.size]], finder.unproven)
        if None not in opened:
            shown = [each for each in opened if each is not None]
            await ready_for(grant, shown)
            finding = await _assemble(vault, reach, query, Cut(hits, start, shown), links)
            finding.about = finder.about
            return finding
    raise Conflict("These records are being changed right now; try again.")


def _start(hits: Sequence[Hit], page: Page) -> int:
    """Where the page starts: after the last one shown, wherever that is now; by count when it is gone."""
    if not page.last:
        return page.shown
    found = hits.place_of(page.last) if isinstance(hits, Hits) else _place_of(hits, page.last)
    return min(page.shown, len(hits)) if found < 0 else found + 1


def _place_of(hits: Sequence[Hit], rid: int) -> int:
    return next((at for at, hit in enumerate(hits) if hit.row.rid == rid), -1)


async def _assemble(vault: Vault, reach: Reach, query: SearchQuery, cut: Cut, links: Links) -> Finding:
    """The Bundle: matches and included resources, minimised and cut down to what was asked for."""
    grant = reach.grant
    matches = cut.shown
    if not grant.admits_all(matches):
        admits = grant.judge()
        matches = [opened for opened in matches if admits(opened)]
    included: list[Opened] = []
    if query.includes or query.revincludes:
        included = await Includer(vault, reach, links.include_max).collect(query, matches)
    entries = _entries(grant, query, matches, "match", links.base)
    entries += _entries(grant, query, included, "include", links.base)
    addresses = {"self": links.here}
    end = cut.start + len(cut.shown)
    if cut.shown and end < len(cut.hits):
        addresses["next"] = links.next(vault, query.text, query.type, end, cut.shown[-1].rid)
    total = None if query.total == "none" else len(cut.hits)
    return Finding(200, bundle.searchset(entries, total=total, links=addresses), disclosed=matches + included)


def _entries(
    grant: Grant, query: SearchQuery, found: Sequence[Opened], mode: str, base: str
) -> list[bundle.SearchEntry]:
    bodies = minimised_all(grant, found)
    if query.elements:
        bodies = [
            elements_subset(body, each.meta.type, query.elements) for body, each in zip(bodies, found, strict=True)
        ]
    elif query.summary in {"true", "text", "data"}:
        bodies = [summary(body, each.meta.type, query.summary) for body, each in zip(bodies, found, strict=True)]
    return [
        bundle.SearchEntry(f"{base}/{each.meta.type}/{each.meta.id}", body, mode)
        for body, each in zip(bodies, found, strict=True)
    ]


def self_link(base: str, type_: str, text: str, patient: str = "") -> str:
    """The address of a search as it was understood: of one type, or with "" of several; in a patient's compartment."""
    within = f"{base}/Patient/{patient}/{quote(type_ or '*', safe='*')}" if patient else f"{base}/{quote(type_)}"
    return within.removesuffix("/") + (f"?{text}" if text else "")
