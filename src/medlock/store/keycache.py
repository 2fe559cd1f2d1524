"""The keys that this process has opened, least recently used first out.

A key that has opened a body and a capsule carries ciphers of six kilobytes; bare it takes a third of one (measured).
So the two thousand used last keep what they derived, the others only themselves: deriving again costs 4 µs for each
use, reading and unwrapping anew twice that.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

from medlock.store.keyring import PatientKeys

_Key = TypeVar("_Key")

CACHE_ENTRIES = 16_384
READY_ENTRIES = 2_048  # of them with what they derived: 13 MB at most, and 5 MB for the rest


class KeyCache:
    """Slot → its newest keys; older generations under (slot, generation)."""

    def __init__(self, entries: int = CACHE_ENTRIES, ready: int = READY_ENTRIES) -> None:
        self._ready_entries = min(ready, entries)
        self._bare_entries = entries - self._ready_entries
        self._ready: OrderedDict[int, PatientKeys] = OrderedDict()
        self._bare: OrderedDict[int, PatientKeys] = OrderedDict()
        self._older: OrderedDict[tuple[int, int], PatientKeys] = OrderedDict()

    def get(self, slot: int, generation: int | None = None) -> PatientKeys | None:
        """What is cached, or None. Another thread may evict while we look; then it is None, too."""
        found = self._ready.get(slot) or self._warm(slot)
        if found is None:
            return None
        if generation is not None and generation != found.generation:
            return self._older.get((slot, generation))
        try:
            self._ready.move_to_end(slot)
        except KeyError:
            return None
        return found

    def _warm(self, slot: int) -> PatientKeys | None:
        """Bare keys that are wanted again."""
        found = self._bare.pop(slot, None)
        if found is not None:
            self._keep(found)
        return found

    def _keep(self, keys: PatientKeys) -> None:
        """These were used last."""
        self._ready[keys.slot] = keys
        for bared in _trimmed(self._ready, self._ready_entries):
            bared.bare()
            self._bare[bared.slot] = bared
        _trimmed(self._bare, self._bare_entries)

    def put(self, keys: PatientKeys, *, newest: bool) -> None:
        """Remember keys; `newest` when they are what `get(slot)` shall answer."""
        if newest:
            self._bare.pop(keys.slot, None)
            self._keep(keys)
        else:
            self._older[keys.slot, keys.generation] = keys
            _trimmed(self._older, self._ready_entries)

    def spare(self, keys: PatientKeys) -> None:
        """Keep newest keys that were read on the way, bare, if there is room: nobody has to leave for them."""
        if keys.slot not in self._ready and len(self._bare) < self._bare_entries:
            self._bare.setdefault(keys.slot, keys)

    def drop(self, slot: int) -> None:
        """Forget every generation of a slot."""
        self._ready.pop(slot, None)
        self._bare.pop(slot, None)
        for key in [key for key in self._older if key[0] == slot]:
            self._older.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self._ready.clear()
        self._bare.clear()
        self._older.clear()

    def __len__(self) -> int:
        return len(self._ready) + len(self._bare) + len(self._older)


def _trimmed(entries: OrderedDict[_Key, PatientKeys], limit: int) -> list[PatientKeys]:
    """What had to leave, the longest unused first."""
    return [entries.popitem(last=False)[1] for _ in range(len(entries) - limit)]
