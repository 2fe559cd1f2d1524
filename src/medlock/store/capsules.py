"""Opens capsules and keeps the recently used ones, always current: no cached answer outlives another's write.

Before a cached capsule is used, one statement asks for its last delta (which a fold by another process would have
deleted) and for the next (which a write would have added). Both as expected: the capsule is current.

A write need not ask: its commit is refused when what it was made from is not current. So it is asked only about
indexes that a race was lost for before.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from itertools import chain
from typing import NamedTuple

from medlock.errors import Tampered
from medlock.store.capsule import (
    FOLD_DELTAS,
    Appended,
    Capsule,
    Head,
    empty_head,
    kill_replaced,
    read_delta,
    read_head,
    read_segment,
)
from medlock.store.capsulerows import CapsuleCipher
from medlock.store.keyring import PatientKeys
from medlock.store.segment import Segment
from medlock.store.tables import Backend, Table

CACHED = 1_024
CACHED_ROWS = 400_000
_FIRST_LOOK = 8
_READ_AHEAD = FOLD_DELTAS + 2
"""Deltas asked for at once, the last known among them: few at first, for after a load or a fold there are no more."""
_BEYOND = 4
"""So many numbers without a row show where the deltas end: fewer may have been taken away between others."""
_TRIES = 8


Candidates = Callable[[int], Iterable[PatientKeys]]
"""Slot → keys to try, the likeliest first; raises KeyDestroyed when there are none."""


class Probe(NamedTuple):
    """What must exist in table DELTA, and what must not, for the capsule of a slot to be current."""

    slot: int
    last: int
    following: int


class Capsules:
    """Current capsules by slot. An index does not say under which of a slot's keys it lies: one opens all of it."""

    def __init__(self, backend: Backend, keys: Candidates) -> None:
        self._backend = backend
        self._keys = keys
        self._cache: OrderedDict[int, Capsule] = OrderedDict()
        self._cached_rows = 0
        self._contested: set[int] = set()

    @property
    def cached(self) -> int:
        """How many are held in memory."""
        return len(self._cache)

    async def open(self, slot: int) -> Capsule:
        """The capsule of a slot as it stands now. Raises Tampered when its rows do not fit together."""
        capsule = self._cache.get(slot)
        if capsule is not None:
            found = await self._backend.get_many(Table.DELTA, capsule.probe)
            if len(found) == 1 and capsule.probe[0] in found:
                if slot in self._cache:  # or forgotten while this was asked
                    self._cache.move_to_end(slot)
                return capsule
            self.forget(slot)
        capsule = await self._load(slot)
        if slot and not capsule.number:
            raise Tampered("a patient's index is gone")
        self._keep(slot, capsule)
        return capsule

    async def for_change(self, slot: int) -> Capsule:
        """The capsule of a slot as this process last saw it, for a change that is committed with its `requires`."""
        capsule = None if slot in self._contested else self._cache.get(slot)
        return await self.open(slot) if capsule is None else capsule

    def lost(self, slot: int) -> None:
        """A change was refused because another process had written this index: it may again, so we ask from now on."""
        self.forget(slot)
        if len(self._contested) >= CACHED:
            self._contested.clear()
        self._contested.add(slot)

    async def peek(self, slot: int) -> tuple[Capsule, Probe | None]:
        """The capsule of a slot; one in memory without asking whether it is current: its probe tells, later.

        Whoever uses it must have `proven` say so, with the probe's keys that exist, before anything of it is told.
        """
        capsule = self._cache.get(slot)
        if capsule is None:
            return await self.open(slot), None
        self._cache.move_to_end(slot)
        return capsule, Probe(slot, *capsule.probe)

    def proven(self, probe: Probe, deltas: Collection[int]) -> bool:
        """Whether what `peek` gave was current, by which deltas exist; when it was not it is forgotten."""
        if probe.last in deltas and probe.following not in deltas:
            return True
        self.forget(probe.slot)
        return False

    def fresh(self, slot: int) -> Capsule:
        """The empty capsule of a patient who is being created."""
        return Capsule(CapsuleCipher(next(iter(self._keys(slot)))), slot, empty_head())

    def committed(self, appended: Appended) -> None:
        """Bring a capsule up to the change that was just committed."""
        capsule = appended.capsule
        capsule.settle(appended)
        if self._cache.get(capsule.slot) is not capsule:
            self.forget(capsule.slot)
        self._keep(capsule.slot, capsule)

    def forget(self, slot: int) -> None:
        """Drop a capsule from memory."""
        dropped = self._cache.pop(slot, None)
        if dropped is not None:
            self._cached_rows -= dropped.cached_rows

    def clear(self) -> None:
        """Drop all capsules from memory."""
        self._cache.clear()
        self._cached_rows = 0

    def _keep(self, slot: int, capsule: Capsule) -> None:
        known = self._cache.get(slot)
        before = 0 if known is None else known.cached_rows
        capsule.cached_rows = capsule.size()
        self._cache[slot] = capsule
        self._cache.move_to_end(slot)
        self._cached_rows += capsule.cached_rows - before
        while len(self._cache) > CACHED or (self._cached_rows > CACHED_ROWS and len(self._cache) > 1):
            _, oldest = self._cache.popitem(last=False)
            self._cached_rows -= oldest.cached_rows

    async def _load(self, slot: int) -> Capsule:
        """Head, segments, deltas; again from the start when a fold came in between."""
        reason = "no deltas"
        for _ in range(_TRIES):
            capsule = await self._opened(slot)
            if isinstance(capsule, Capsule):
                return capsule
            reason = capsule
        raise Tampered(f"an index does not load: {reason}")

    async def _opened(self, slot: int) -> Capsule | str:
        """One try with each key that may be the one."""
        fault = Tampered("an index has no keys")
        for keys in self._keys(slot):
            try:
                return await self._attempt(CapsuleCipher(keys), slot)
            except Tampered as found:
                fault = found
        raise fault

    async def _attempt(self, cipher: CapsuleCipher, slot: int) -> Capsule | str:
        """One try; the reason why it failed when rows that the head names are not there."""
        sealed = await self._backend.get(Table.CAPSULE, cipher.key("head"))
        head = empty_head() if sealed is None else read_head(cipher, sealed)
        capsule = Capsule(cipher, slot, head)
        segments = await self._segments(cipher, head)
        if segments is None:
            return "a segment is missing"
        capsule.hold(segments)
        for at in range(1, len(segments)):
            kill_replaced(segments[:at], segments[at : at + 1])
        return await self._deltas(capsule)

    async def _segments(self, cipher: CapsuleCipher, head: Head) -> list[Segment] | None:
        keys = [cipher.piece_keys(name) for name in head.segments]
        wanted = list(chain.from_iterable(keys))
        found = await self._backend.get_many(Table.CAPSULE, wanted) if wanted else {}
        if len(found) < len(wanted):
            return None
        pieces = [[found[key] for key in each] for each in keys]
        return [read_segment(cipher, name, each) for name, each in zip(head.segments, pieces, strict=True)]

    async def _deltas(self, capsule: Capsule) -> Capsule | str:
        """Apply every delta after the head; each read includes the last one applied, which must still be there."""
        ahead = _FIRST_LOOK
        while True:
            first = capsule.number
            keys = [capsule.cipher.key("delta", first + n) for n in range(ahead)]
            found = await self._backend.get_many(Table.DELTA, keys)
            if first and keys[0] not in found:
                return "the anchor delta is missing"
            if first and found[keys[0]][-16:] != capsule.tag:
                raise Tampered("the anchor delta of an index is not the one its head names")
            if first and first == capsule.head.base:
                read_delta(capsule.cipher, first, found[keys[0]])
            following = [found.get(key) for key in keys[1:]]
            present = following.index(None) if None in following else len(following)
            if any(ct is not None for ct in following[present:]):
                raise Tampered("a delta of an index is missing between others")
            for ct in following[:present]:
                if ct is not None:
                    capsule.apply(read_delta(capsule.cipher, capsule.number + 1, ct), ct[-16:])
            if len(following) - present >= _BEYOND:
                return capsule
            ahead = _READ_AHEAD
