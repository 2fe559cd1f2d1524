"""The keys that this process has opened, least recently used first out."""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeVar

from medlock.store.keyring import PatientKeys

_Key = TypeVar("_Key")

# Half a kilobyte bare, five once it has opened a body and a capsule (measured): at most 80 MB.
CACHE_ENTRIES = 16_384


class KeyCache:
    """Slot → its newest keys; older generations under (slot, generation)."""

    def __init__(self, entries: int = CACHE_ENTRIES) -> None:
        self._entries = entries
        self._newest: OrderedDict[int, PatientKeys] = OrderedDict()
        self._older: OrderedDict[tuple[int, int], PatientKeys] = OrderedDict()

    def get(self, slot: int, generation: int | None = None) -> PatientKeys | None:
        """What is cached, or None. Another thread may evict while we look; then it is None, too."""
        found = self._newest.get(slot)
        if found is None:
            return None
        if generation is not None and generation != found.generation:
            return self._older.get((slot, generation))
        try:
            self._newest.move_to_end(slot)
        except KeyError:
            return None
        return found

    def put(self, keys: PatientKeys, *, newest: bool) -> None:
        """Remember keys; `newest` when they are what `get(slot)` shall answer."""
        if newest:
            self._newest[keys.slot] = keys
            _trim(self._newest, self._entries)
        else:
            self._older[keys.slot, keys.generation] = keys
            _trim(self._older, self._entries)

    def drop(self, slot: int) -> None:
        """Forget every generation of a slot."""
        self._newest.pop(slot, None)
        for key in [key for key in self._older if key[0] == slot]:
            self._older.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self._newest.clear()
        self._older.clear()

    def __len__(self) -> int:
        return len(self._newest) + len(self._older)


def _trim(entries: OrderedDict[_Key, PatientKeys], limit: int) -> None:
    while len(entries) > limit:
        entries.popitem(last=False)
