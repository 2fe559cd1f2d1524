"""What the log testifies about other tables: acts on tokens and loads, by the row that each one names.

Tokens and receipts are rows without an index that would miss them. Their events name the row in the minimal copy, so
the log itself is that index. Entries that do not open are passed over here: `audit.verify` names them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass

from medlock.audit.entries import AnyMinimal, EntrySealer
from medlock.audit.events import Action, Outcome, Position
from medlock.audit.index import RUN, IndexSealer, RunIndex, Terms
from medlock.audit.keys import LogKeys
from medlock.errors import Tampered
from medlock.store.tables import Backend, Table

_PAGE = 512


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verified log says.

    positions  slot → where its index stood after its last write
    requests   action → the `request` of each event, for the actions asked for
    whole      nothing in the log was changed: what it does not say did not happen
    """

    positions: Mapping[int, Position]
    requests: Mapping[Action, frozenset[str]]
    whole: bool


async def requests_of(backend: Backend, keys: LogKeys, actions: Sequence[Action]) -> dict[Action, frozenset[str]]:
    """The `request` of every event of these actions, found through the search index where that opens."""
    found: dict[Action, set[str]] = {action: set() for action in actions}
    async for _, minimal in _Reader(backend, keys).minimals(actions):
        if minimal.action in found:
            found[minimal.action].add(minimal.request)
    return {action: frozenset(requests) for action, requests in found.items()}


async def erased_slots(backend: Backend, keys: LogKeys, since: int = 0) -> set[int]:
    """The slots of patients who were erased, as the log tells it from entry `since` on, where a commit begins.

    Of the events of one erasure the first is about who was erased, the others about whose indexes pointed there.
    """
    found: set[int] = set()
    seen: set[str] = set()
    async for _, minimal in _Reader(backend, keys).minimals((Action.SHRED,), since):
        if minimal.action is Action.SHRED and minimal.outcome is Outcome.SUCCESS and minimal.request not in seen:
            seen.add(minimal.request)
            found.add(minimal.slot)
    return found


class _Reader:
    """Reads minimal copies: of indexed runs only those that may matter, behind them all."""

    def __init__(self, backend: Backend, keys: LogKeys) -> None:
        self._backend = backend
        self._entries = EntrySealer(keys)
        self._sealer = IndexSealer(keys)

    async def minimals(self, actions: Sequence[Action], since: int = 0) -> AsyncIterator[tuple[int, AnyMinimal]]:
        """Every event of these actions from entry `since` on, others among them, ascending."""
        number = since // RUN
        while (index := await self._index(number)) is not None:
            wanted = sorted({seq for action in actions for seq in index.matches(Terms(action=action)) if seq >= since})
            for start in range(0, len(wanted), _PAGE):
                rows = await self._backend.get_many(Table.LOG, wanted[start : start + _PAGE])
                for opened in self._opened(sorted(rows.items())):
                    yield opened
            number += 1
        after = max(since, number * RUN) - 1
        while page := await self._backend.scan(Table.LOG, after, _PAGE):
            for opened in self._opened(page):
                yield opened
            after = page[-1][0]

    async def _index(self, number: int) -> RunIndex | None:
        row = await self._backend.get(Table.LOGINDEX, number)
        try:
            return None if row is None else self._sealer.open(number, row)
        except Tampered:
            return None

    def _opened(self, rows: Iterable[tuple[int, bytes]]) -> list[tuple[int, AnyMinimal]]:
        opened = []
        for seq, row in rows:
            try:
                opened.append((seq, self._entries.minimal(row)))
            except Tampered:
                continue
        return opened
