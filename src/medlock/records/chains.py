"""Chains, `_has` and `_list`: from a condition on other resources to one on the resource searched.

The other resources are found first, by a search within the same reach: whoever asks learns nothing of a resource that
they could not have found themselves, for one out of reach is as if it were not there. What is found becomes plain
values: the references that lead to it, or the ids that it refers to. Every step is bounded; what would cost more is
refused, whoever asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import cache

import msgspec

from medlock.access.grant import Grant
from medlock.errors import BadRequest, Conflict, Problem
from medlock.fhir.extract import visit_of
from medlock.fhir.parse import parse_json
from medlock.fhir.paths import Visit
from medlock.fhir.query import Condition, Kind, Linked, ReferenceValue, SearchQuery, TokenValue, Wanted
from medlock.fhir.searchparams import parameter
from medlock.fhir.targets import split_local
from medlock.fhir.values import Values
from medlock.records.consents import ready_for
from medlock.records.hitlist import Hit
from medlock.records.vault import Vault
from medlock.store.bodies import Opened

LINKED_MAX = 10_000
"""Resources that one step may lead over, each opened; beyond it the answer is 400."""
VALUES_MAX = 1_000
"""Targets that a step may leave to be looked up in every index; patients, who stand in one directory, aside."""
_TRIES = 4
_YIELD_EVERY = 64
Find = Callable[[SearchQuery], Awaitable[Sequence[Hit]]]


class Chains:
    """Follows the links of a query within one reach; `find` answers a query within it."""

    def __init__(self, vault: Vault, grant: Grant, find: Find) -> None:
        self._vault = vault
        self._grant = grant
        self._admits = grant.judge()
        self._find = find

    async def unlinked(self, query: SearchQuery) -> SearchQuery:
        """The query with a condition in place of each link. Raises BadRequest when a step leads over too many."""
        followed = [await self._followed(query.type, link) for link in query.links]
        return msgspec.structs.replace(query, links=(), conditions=(*query.conditions, *followed))

    async def _followed(self, type_: str, link: Linked) -> Condition:
        found = [(wanted, each) for wanted in link.wanted for each in await self._linked(wanted)]
        if not link.reverse:
            _bound(len(found), VALUES_MAX)
            values = tuple(ReferenceValue(each.meta.type, each.meta.id) for _, each in found)
            return Condition(link.param, Kind.REFERENCE, values)
        ids: dict[str, None] = {}
        for count, (wanted, each) in enumerate(found, 1):
            ids |= dict.fromkeys(_referred(wanted.type, link.param, each, type_))
            if count % _YIELD_EVERY == 0:
                await asyncio.sleep(0)
        _bound(len(ids), LINKED_MAX if type_ == "Patient" else VALUES_MAX)
        return Condition("_id", Kind.TOKEN, tuple(TokenValue(None, each) for each in ids))

    async def _linked(self, wanted: Wanted) -> list[Opened]:
        """The resources at the other end that the caller may see and that meet what is wanted."""
        asked = SearchQuery(wanted.type, *_asked(wanted))
        for _ in range(_TRIES):
            hits = await self._find(asked)
            _bound(len(hits), LINKED_MAX)
            opened = await self._opened(hits)
            if opened is not None:
                await ready_for(self._grant, opened)
                return [each for each in opened if self._admits(each)]
        raise Conflict("These records are being changed right now; try again.")

    async def _opened(self, hits: Sequence[Hit]) -> list[Opened] | None:
        """The bodies of these hits, a few at a time; None when one has changed since it was found."""
        found: list[Opened] = []
        for start in range(0, len(hits), _YIELD_EVERY):
            part = await self._vault.fetch([hit.row for hit in hits[start : start + _YIELD_EVERY]])
            found += [each for each in part if each is not None]
            if None in part:
                return None
            await asyncio.sleep(0)
        return found


def _asked(wanted: Wanted) -> tuple[tuple[Condition, ...], tuple[Linked, ...]]:
    """What is wanted, as the conditions and links of a query."""
    condition = wanted.condition
    return ((), (condition,)) if isinstance(condition, Linked) else ((condition,), ())


def _referred(source: str, param: str, opened: Opened, type_: str) -> list[str]:
    """Ids of the resources of one type that a resource refers to through a parameter."""
    out = Values()
    take, known = _visit(source, param)
    take(parse_json(opened.body), out, known)
    local = [split_local(target) for _, target in out.references]
    return [found[1] for found in local if found is not None and found[0] == type_]


@cache
def _visit(source: str, param: str) -> Visit:
    known = parameter(source, param)
    return visit_of([known] if known is not None else [])


def _bound(found: int, most: int) -> None:
    if found > most:
        text = f"A chain or _has of this search leads over more than {most} resources: narrow its condition."
        raise BadRequest(text, problems=(Problem("too-costly", text),))
