"""The keystore as a worker sees it through the key broker: the same promises, and no epoch key in this process.

Keys that were opened stay in this process's cache, so a patient costs one question for as long as the cache holds
them, and reads of opened patients go on while the broker is away. What only an operator does (rotating, moving,
verifying) is refused here: those commands open the keystore themselves. Raises Unavailable whenever the broker does
not answer.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

import msgspec

from medlock.crypto.aead import Aead
from medlock.errors import Conflict
from medlock.store.broker.channel import Channel
from medlock.store.broker.desk import ENTRIES_MOST
from medlock.store.broker.frames import NEWEST, Operation
from medlock.store.directory import EntryKeys
from medlock.store.generations import Place
from medlock.store.kek.provider import KekProvider
from medlock.store.keycache import CACHE_ENTRIES, KeyCache
from medlock.store.keyport import Turn, silent
from medlock.store.keyring import SHARED, CommonKeys, KeyDestroyed, PatientKeys, TenantKeys, patient_keys
from medlock.store.keystatus import KeystoreStatus

SPARES = 64
RATCHET_SECONDS = 3_600  # a ratchet of a million keys takes seconds; its provider may take minutes
_OPEN = struct.Struct(">QI")
_ENTRY = struct.Struct(">QI32s")
_ALLOTTED = struct.Struct(">Q32s")
_ALLOTTED_COMMON = struct.Struct(">Q160s")
_MARK = struct.Struct(">q32s")


@dataclass(frozen=True)
class NarrowKeys:
    """The one key of a patient that opens the directory entry, and nothing else of theirs."""

    slot: int
    generation: int
    key: bytes

    def __repr__(self) -> str:
        return "<NarrowKeys>"

    @cached_property
    def directory(self) -> Aead:
        """Seals the entry."""
        return Aead(self.key)

    def bare(self) -> None:
        """Let go of what was made of the key."""
        self.__dict__.pop("directory", None)


class _Entries:
    """`directory.Keys` through the broker: a directory of all patients is loaded without a key to any record."""

    def __init__(self, keys: BrokeredKeys, channel: Channel) -> None:
        self._keys = keys
        self._channel = channel

    def many(self, slots: Sequence[int]) -> Mapping[int, EntryKeys]:
        """The newest ones of those that have any."""
        found: dict[int, EntryKeys] = {}
        for start in range(0, len(slots), ENTRIES_MOST):
            asked = slots[start : start + ENTRIES_MOST]
            answer = self._channel.ask(Operation.ENTRIES, struct.pack(f">{len(asked)}Q", *asked))
            found.update((entry[0], NarrowKeys(*entry)) for entry in _ENTRY.iter_unpack(answer))
        return found

    def candidates(self, slot: int) -> Iterable[EntryKeys]:
        """The newest one; then, for an entry that a rotation has not reached, whole keys of all generations."""
        newest = self.many([slot])
        if not newest:
            raise KeyDestroyed
        yield newest[slot]
        yield from self._keys.generations(slot)


class BrokeredKeys:
    """A `keyport.Keys` over a broker's socket. `cleared`: with the keys to sensitive classes."""

    def __init__(self, path: Path, cache_entries: int = CACHE_ENTRIES, *, cleared: bool = True) -> None:
        self.cleared = cleared
        self._channel = Channel(path)
        self.store_id = self._channel.greet().store_id
        self._cache = KeyCache(cache_entries)
        self._spares: list[PatientKeys] = []
        self._lock = threading.Lock()
        self.unwraps = 0
        self._root = self._opened(SHARED, 0)[1]
        self._erasures = self._asked_erasures()
        self.tenant = TenantKeys(self._root, self.keys(SHARED))
        self.entries = _Entries(self, self._channel)

    def __repr__(self) -> str:
        return "<BrokeredKeys>"

    @property
    def cached(self) -> int:
        """How many keys are held in memory."""
        return len(self._cache)

    def keys(self, slot: int, generation: int | None = None) -> PatientKeys:
        """The keys of one slot, the newest generation unless another is named. Raises KeyDestroyed, Capped."""
        return self._cache.get(slot, generation) or self._load(slot, generation)

    def allot(self, count: int = 1) -> list[PatientKeys]:
        """Fresh keys that nobody else has or will be given, already durable."""
        with self._lock:
            missing = count - len(self._spares)
            while missing > 0:
                self._spares += self._made(SPARES)
                missing -= SPARES
            allotted, self._spares = self._spares[:count], self._spares[count:]
        for keys in allotted:
            self._cache.put(keys, newest=True)
        return allotted

    def destroy(self, *slots: int) -> None:
        """Have the broker destroy all generations of these slots. Raises Capped."""
        self._channel.ask(Operation.DESTROY, struct.pack(f">{len(slots)}Q", *slots))
        for slot in slots:
            self._cache.drop(slot)

    def forget(self, slot: int) -> None:
        """Drop a slot from this process's cache."""
        self._cache.drop(slot)

    def refresh(self) -> bool:
        """Drop the cache if keys were destroyed or renewed since the last call; whether it did."""
        erasures = self._asked_erasures()
        stale, self._erasures = erasures != self._erasures, erasures
        if stale:
            self._cache.clear()
        return stale

    def generations(self, slot: int) -> list[PatientKeys]:
        """The keys of every generation of a slot, newest first, as the broker has them now. Raises KeyDestroyed."""
        numbers = self._channel.ask(Operation.GENERATIONS, slot.to_bytes(8, "big"))
        self._cache.drop(slot)
        found = [self.keys(slot)]
        for (generation,) in struct.iter_unpack(">I", numbers):
            if generation < found[-1].generation:
                with suppress(KeyDestroyed):  # dropped a moment ago
                    found.append(self.keys(slot, generation))
        return found

    def candidates(self, slot: int) -> Iterator[PatientKeys]:
        """Keys to try: what we take for the newest, then all. Raises KeyDestroyed."""
        yield self.keys(slot)
        yield from self.generations(slot)

    def ratchet(self, progress: Turn = silent) -> None:
        """Have the broker begin a new epoch, unless this one is younger than an hour."""
        del progress
        self._channel.ask(Operation.RATCHET, patience=RATCHET_SECONDS)

    def finish_ratchet(self, progress: Turn = silent) -> None:
        """The broker has done so before it listened."""

    def status(self) -> KeystoreStatus:
        """The keystore's condition, from the broker."""
        return msgspec.json.decode(self._channel.ask(Operation.STATUS), type=KeystoreStatus)

    def watermark(self) -> tuple[int, bytes] | None:
        """Size and Merkle root that the audit log is known to have had, or None."""
        size, root = _MARK.unpack(self._channel.ask(Operation.MARK))
        return None if size < 0 else (size, root)

    def set_watermark(self, size: int, root: bytes) -> None:
        """Remember that the log had this root at this size."""
        self._channel.ask(Operation.SET_MARK, _MARK.pack(size, root))

    def close(self) -> None:
        """Forget all keys and let go of the broker. Spare keys stay behind: rows that sealed nothing."""
        self._cache.clear()
        self._spares.clear()
        self._channel.close()

    def new_generation(self, slot: int) -> NoReturn:
        """Refused."""
        raise _operators(slot)

    def superseded(self) -> NoReturn:
        """Refused."""
        raise _operators()

    def drop_generations(self, places: Sequence[Place]) -> NoReturn:
        """Refused."""
        raise _operators(*places)

    def rewrap_to(self, provider: KekProvider, progress: Turn = silent) -> NoReturn:
        """Refused."""
        raise _operators(provider, progress)

    def verify(self) -> NoReturn:
        """Refused."""
        raise _operators()

    def _load(self, slot: int, generation: int | None) -> PatientKeys:
        newest = self._made_of(slot, *self._opened(slot, None))
        self._cache.put(newest, newest=True)
        if generation is None or generation == newest.generation:
            return newest
        older = self._made_of(slot, *self._opened(slot, generation))
        self._cache.put(older, newest=False)
        return older

    def _opened(self, slot: int, generation: int | None) -> tuple[int, bytes]:
        self.unwraps += 1
        asked = Operation.OPEN if self.cleared or slot == SHARED else Operation.OPEN_COMMON
        answer = self._channel.ask(asked, _OPEN.pack(slot, NEWEST if generation is None else generation))
        return int.from_bytes(answer[:4], "big"), answer[4:]

    def _made_of(self, slot: int, generation: int, given: bytes) -> PatientKeys:
        whole = self.cleared or slot == SHARED
        return patient_keys(slot, generation, given) if whole else CommonKeys(slot, generation, given)

    def _made(self, count: int) -> list[PatientKeys]:
        asked, form = (Operation.ALLOT, _ALLOTTED) if self.cleared else (Operation.ALLOT_COMMON, _ALLOTTED_COMMON)
        answer = self._channel.ask(asked, count.to_bytes(2, "big"))
        return [self._made_of(slot, 0, given) for slot, given in form.iter_unpack(answer)]

    def _asked_erasures(self) -> int:
        return int.from_bytes(self._channel.ask(Operation.ERASURES), "big")


def _operators(*_asked: object) -> Conflict:
    return Conflict("This is the operator's to do, with a command that opens the keystore itself.")
