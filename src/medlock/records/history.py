"""history of an instance, a type or everything within reach (R4 §3.1.0.8), newest first, by sealed page links.

Two streams are merged: current versions, in order from the indexes, and older ones, each pushed when the version after
it was shown. A later page begins in the middle of some resources: where, is found by halving, since a later version
was made later. So a page opens what it shows and one version more, and for each resource that was changed again since
the place where it begins a few; how many those may be is bounded, and `_since` lowers it.

A version is shown when the current version is within reach and this very version is: as `vread` tells it. Where rules
look into bodies, a page looks on for one more version that it could show before it says that there is another page.
"""

from __future__ import annotations

import asyncio
from heapq import heappop, heappush

import msgspec
import numpy as np

from medlock.access.grant import Grant
from medlock.clock import instant
from medlock.errors import BadRequest, Conflict, NotFound, Problem
from medlock.fhir import bundle
from medlock.fhir.options import HistoryOptions
from medlock.fhir.question import Interaction, Question
from medlock.records.admitting import told
from medlock.records.changes import Lines, is_stored, line_of, newest_lines, row_of
from medlock.records.consents import ready_for
from medlock.records.finding import Finding
from medlock.records.minimise import minimised
from medlock.records.reach import reach_of
from medlock.records.read import NOT_FOUND, visible
from medlock.records.search import Links, Page
from medlock.records.turns import TURN, in_turns
from medlock.records.vault import Vault
from medlock.store.bodies import Opened
from medlock.store.capsule import IndexRow

ENTERED_MAX = 5_000
"""Resources in whose middle one page may begin."""
LOOKED_MAX = 5_000
"""Versions that one page looks at; a page that finds little says where to go on."""
_TRIES = 4
_FOREVER = 1 << 62
_STATUS = {"DELETE": "204", "POST": "201", "PUT": "200"}

Place = tuple[int, int, int]
"""Minus the time, the row, minus the version: in this order versions are shown."""


class _Step(msgspec.Struct, order=True):
    """A version that waits for its turn, and until when it was the current one."""

    place: Place
    opened: Opened = msgspec.field(default=None)  # type: ignore[assignment] # never compared: places differ
    newest: Opened = msgspec.field(default=None)  # type: ignore[assignment]
    until: int = _FOREVER


class _Changed(Exception):
    """A body is not what its row says: another process wrote in between."""


async def history(vault: Vault, grant: Grant, question: Question, page: Page, links: Links) -> Finding:
    """One page. Raises NotFound for an instance that is not there, or out of reach."""
    options = question.options if isinstance(question.options, HistoryOptions) else HistoryOptions()
    for _ in range(_TRIES):
        lines = await _lines(vault, grant, question)
        try:
            walk = _Walk(vault, grant, options, _after(page, options))
            await walk.begin(lines)
            await walk.take(page.size)
        except _Changed:
            continue
        return _assemble(walk, question, page, links)
    raise Conflict("These records are being changed right now; try again.")


async def _lines(vault: Vault, grant: Grant, question: Question) -> Lines:
    """The current rows that the history is of."""
    if question.interaction is Interaction.HISTORY:
        newest = await visible(vault, grant, question)
        return line_of(newest)
    if question.type and not is_stored(question.type):
        raise NotFound(NOT_FOUND, reason="a view has no history")
    reach = await reach_of(vault, grant)
    types = grant.types() if not question.type else frozenset({question.type})
    return await newest_lines(vault, reach, types)


def _after(page: Page, options: HistoryOptions) -> Place:
    """The place after which the page begins."""
    if page.last:
        return -page.shown, page.last, -page.version
    return (-options.at[1] if options.at else -_FOREVER), _FOREVER, 0


class _Walk:
    """One page in the making."""

    def __init__(self, vault: Vault, grant: Grant, options: HistoryOptions, after: Place) -> None:
        self.vault = vault
        self.grant = grant
        self._weighs = bool(grant.by_body) or grant.consents is not None
        self._more = False
        self._hidden: set[int] = set()  # of which the current version may not be told of
        self._options = options
        self._after = after
        self._fresh: list[IndexRow] = []
        self._times: list[int] = []
        self._waiting: list[_Step] = []
        self._ready: dict[int, Opened] = {}
        self.shown: list[Opened] = []
        self.last = after

    async def begin(self, lines: Lines) -> None:
        """Sort out what comes later, what is over, and in whose middle the page begins. Raises BadRequest."""
        if self._options.since is not None:
            lines = lines[lines["updated"] >= self._options.since]
        time, rid, version = -self._after[0], self._after[1], -self._after[2]
        same = lines["updated"] == time
        later = lines["updated"] < time
        if rid < _FOREVER:  # within the very millisecond where the page before ended
            further = (lines["rid"] > np.uint64(rid)) | (
                (lines["rid"] == np.uint64(rid)) & (lines["version"] < version)
            )
            later |= same & further
        self._fresh = [row_of(line) for line in lines[later]]
        self._times = lines[later]["updated"].tolist()
        begun = lines[~later & (lines["version"] > 1)]
        if len(begun) > ENTERED_MAX:
            raise _too_costly()
        async for line in in_turns(begun):
            await self._enter(*await self._fetched([row_of(line)]))

    async def _fetched(self, rows: list[IndexRow]) -> list[Opened]:
        opened = await self.vault.fetch(rows)
        found = [each for each in opened if each is not None]
        if len(found) < len(rows):
            raise _Changed
        await ready_for(self.grant, found)
        return found

    async def _enter(self, newest: Opened) -> None:
        """Find the newest version of a resource that comes after the place where the page begins."""
        if not await told(self.vault, self.grant, newest):
            return
        low, high, at, until = 0, newest.meta.version, None, newest
        while high - low > 1:
            middle = (low + high) // 2
            found = await self.vault.version(newest, middle)
            if found is None or _place(found) > self._after:
                low, at = middle, found or at
            else:
                high, until = middle, found
        if low and at is not None:
            self._wait(at, newest, until.meta.updated)

    def _wait(self, opened: Opened, newest: Opened, until: int) -> None:
        """Push a version, unless the history ends before it."""
        options = self._options
        if options.since is not None and opened.meta.updated < options.since:
            return
        if options.at is None or until > options.at[0]:
            heappush(self._waiting, _Step(_place(opened), opened, newest, until))

    async def take(self, size: int) -> None:
        """The next versions in order, until the page is full, nothing is left, or enough was looked at."""
        self._fresh.reverse()
        self._times.reverse()
        looked = 0
        most = size + (1 if self._weighs else 0)
        while len(self.shown) < most and looked < LOOKED_MAX and (step := await self._next(size)) is not None:
            looked += 1
            if looked % TURN == 0:
                await asyncio.sleep(0)
            if len(self.shown) < size:
                self.last = step.place
            if await self._shows(step):
                self.shown.append(step.opened)
            await self._push_previous(step)
        if len(self.shown) > size:
            self.shown.pop()
            self._more = True

    async def _shows(self, step: _Step) -> bool:
        """Whether a version may be told of: it may, and so may what is current now."""
        await ready_for(self.grant, [step.opened])
        if not self._weighs:
            return self.grant.covers(step.opened.meta)
        if step.opened is step.newest and not await told(self.vault, self.grant, step.newest):
            self._hidden.add(step.newest.rid)
        return step.newest.rid not in self._hidden and await told(self.vault, self.grant, step.opened)

    async def _next(self, size: int) -> _Step | None:
        """The version whose turn it is."""
        if self._fresh:
            place = -self._times[-1], self._fresh[-1].rid, -self._fresh[-1].version
            if not self._waiting or place < self._waiting[0].place:
                newest = await self._open_fresh(size)
                return _Step(place, newest, newest)
        return heappop(self._waiting) if self._waiting else None

    async def _open_fresh(self, size: int) -> Opened:
        """The next current version; opened together with those after it."""
        row = self._fresh.pop()
        self._times.pop()
        if row.rid not in self._ready:
            batch = [row, *reversed(self._fresh[-size:])]
            self._ready = {each.rid: each for each in await self._fetched(batch)}
        return self._ready.pop(row.rid)

    async def _push_previous(self, step: _Step) -> None:
        """The version before takes its place in the order; one that is not there is passed over."""
        if step.newest.rid in self._hidden:
            return
        for number in range(step.opened.meta.version - 1, 0, -1):
            found = await self.vault.version(step.newest, number)
            if found is not None:
                self._wait(found, step.newest, step.opened.meta.updated)
                return

    @property
    def ended(self) -> bool:
        """Whether nothing is left."""
        return not self._fresh and not self._waiting and not self._more


def _place(opened: Opened) -> Place:
    return -opened.meta.updated, opened.rid, -opened.meta.version


def _assemble(walk: _Walk, question: Question, page: Page, links: Links) -> Finding:
    """The Bundle. Only a history that fits one page says how many versions it has."""
    addresses = {"self": links.here}
    if not walk.ended:
        text = question.options.text if isinstance(question.options, HistoryOptions) else ""
        time, rid, version = walk.last
        addresses["next"] = links.next(walk.vault, text, question.type, -time, rid, version=-version)
    entries = [_entry(walk.grant, each, links.base) for each in walk.shown]
    total = len(entries) if walk.ended and not page.last else None
    return Finding(200, bundle.history(entries, total=total, links=addresses), disclosed=walk.shown)


def _entry(grant: Grant, opened: Opened, base: str) -> bundle.HistoryEntry:
    meta = opened.meta
    method = "DELETE" if meta.deleted else "POST" if meta.version == 1 else "PUT"
    body = b"" if meta.deleted else minimised(grant, opened)
    return bundle.HistoryEntry(
        f"{base}/{meta.reference}", body, method, meta.reference, _STATUS[method], meta.version, instant(meta.updated)
    )


def _too_costly() -> BadRequest:
    text = f"More than {ENTERED_MAX} resources changed since this place in the history: ask from a later _since."
    return BadRequest(text, problems=(Problem("too-costly", text, "_since"),))
