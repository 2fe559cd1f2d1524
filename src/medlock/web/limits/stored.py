"""Counting in the store's own counters (`store.counting`), which all workers and servers on one store share.

Keys are PRF values: the table says that something was counted, not who or what.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Names(Protocol):
    """The tenant's PRF for counters."""

    def label(self, message: bytes, /) -> int:
        """A name as a number that says nothing."""


class Store(Protocol):
    """The back end's part."""

    async def bump(self, keys: Sequence[int], now_ms: int, windows_ms: Sequence[int]) -> list[tuple[int, int]]:
        """One more for each key, or 1 in a fresh window. Raises Unavailable."""


class StoredCounter:
    """`shares.Shared` over a back end."""

    def __init__(self, store: Store, names: Names) -> None:
        self._store = store
        self._names = names

    async def count(self, key: str, now_ms: int, window_ms: int) -> tuple[int, int]:
        """One more; durable, one statement."""
        label = self._names.label(b"limit:" + key.encode())
        return (await self._store.bump([label], now_ms, [window_ms]))[0]
