"""The keystore: one random key per patient, wrapped under an epoch key, in a file of its own.

A patient's records live as long as the patient's key does. The keystore hands keys out (`keys`), makes new ones
that are on the disk before anybody seals with them (`allot`), and destroys them (`destroy`). `ratchet` carries
destruction to copies made earlier. It remembers how far the audit log had grown (`watermark`), since it does not
travel with the data that the log lies in.

Calls are synchronous: a cached key costs well under a microsecond, a key from the file some ten; what writes
waits for one fsync. Reads and writes may come from different threads. Several processes may have the keystore
open; each learns of the others' changes through `refresh`. Nothing here may be carried across a fork.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from medlock.clock import Clock
from medlock.crypto.aead import KEY_BYTES
from medlock.errors import Conflict, MedlockError, Tampered
from medlock.ids import random_bytes
from medlock.ids import slot as random_slot
from medlock.store.epochs import Epochs
from medlock.store.generations import Place, begin_generation, destroy_generations, generations_of, superseded
from medlock.store.kek.provider import KekProvider
from medlock.store.keyaudit import findings
from medlock.store.keycache import CACHE_ENTRIES, KeyCache
from medlock.store.keychange import KeyChanges
from medlock.store.keycopy import KeyExport, export
from medlock.store.keyfile import KeyFile
from medlock.store.keymend import discard_damaged
from medlock.store.keyring import SHARED, KeyDestroyed, PatientKeys, TenantKeys, patient_keys
from medlock.store.keysetup import create_keystore, explained, open_epochs, tenant_key
from medlock.store.keystatus import KeystoreStatus, status_of
from medlock.store.ratchet import Progress, Ratchet
from medlock.store.rehome import move, retire

_AT_ONCE = 1_000  # slots in one statement
SPARES = 64  # keys made durable at once; one fsync serves as many new patients


def _silent(done: int, total: int) -> None:
    """Nobody watches."""


class Keystore:
    """An open keystore. `tenant` holds the keys of the whole store, `store_id` names it in 16 random bytes."""

    def __init__(self, file: KeyFile, epochs: Epochs, clock: Clock, cache_entries: int) -> None:
        self.store_id = epochs.store_id
        self._file = file
        self._epochs = epochs
        self._clock = clock
        self._cache = KeyCache(cache_entries)
        self._spares: list[PatientKeys] = []
        self._lock = threading.Lock()
        self._root = tenant_key(file, epochs)
        self._changes = KeyChanges(file, epochs, TenantKeys(self._root))
        self._erasures = self._changes.state().erasures
        self._seen = file.changes()
        self.unwraps = 0
        self.tenant = TenantKeys(self._root, self.keys(SHARED))

    @classmethod
    def create(
        cls, path: Path, provider: KekProvider, *, clock: Clock | None = None, cache_entries: int = CACHE_ENTRIES
    ) -> Self:
        """A new keystore with a tenant key and its first epoch. Raises SetupError when there is one already."""
        clock = clock or Clock()
        create_keystore(path, provider, clock.now_ms())
        return cls.open(path, provider, clock=clock, cache_entries=cache_entries)

    @classmethod
    def open(
        cls,
        path: Path,
        provider: KekProvider,
        *,
        expect: bytes | None = None,
        clock: Clock | None = None,
        cache_entries: int = CACHE_ENTRIES,
    ) -> Self:
        """The keystore at `path`; `expect` is the store id that the data store recorded.

        Raises SetupError with a sentence for the operator: missing, of a newer version, of another store, of
        another provider, wrong passphrase, an old copy, damaged.
        """
        file, epochs = open_epochs(path, provider, expect)
        with ExitStack() as opened:
            opened.callback(file.close)
            with explained(path):
                keystore = cls(file, epochs, clock or Clock(), cache_entries)
            opened.pop_all()
        return keystore

    def keys(self, slot: int, generation: int | None = None) -> PatientKeys:
        """The keys of one slot, the newest generation unless another is named.

        Raises KeyDestroyed when there are none, Tampered when the row does not open.
        """
        return self._cache.get(slot, generation) or self._load(slot, generation)

    def secret(self, slot: int, generation: int | None = None) -> tuple[int, bytes]:
        """Generation and secret of one row, past the cache; for the broker, which hands it on. Raises as `keys`."""
        return self._epochs.read_key(self._file, slot, generation)

    @property
    def cleared(self) -> bool:
        """It has every key."""
        return True

    @property
    def entries(self) -> Self:
        """What opens directory entries."""
        return self

    @property
    def erasures(self) -> int:
        """Counts changes after which a cached key may be wrong, as the last `refresh` found it."""
        return self._erasures

    @property
    def cached(self) -> int:
        """How many keys are held in memory."""
        return len(self._cache)

    def every(self) -> Iterator[PatientKeys]:
        """The newest keys of every slot but the tenant's, ascending, past the cache; for start-up and checks."""
        after = SHARED
        while page := self._epochs.read_page(self._file, after):
            yield from (PatientKeys(*row) for row in page)
            after = page[-1][0]

    def many(self, slots: Sequence[int]) -> dict[int, PatientKeys]:
        """The newest keys of those of these slots that have any, read anew. Raises Tampered.

        The cache takes in what it has room for: a start opens the keys of all patients, and they are asked for next.
        """
        found: dict[int, PatientKeys] = {}
        for start in range(0, len(slots), _AT_ONCE):
            rows = self._epochs.read_many(self._file, slots[start : start + _AT_ONCE])
            found.update((row[0], PatientKeys(*row)) for row in rows)
        for keys in found.values():
            self._cache.spare(keys)
        return found

    def slots(self) -> Iterator[int]:
        """Every slot that has a key, ascending, without the tenant's; slots that were never used among them."""
        after = SHARED
        while page := self._file.read("SELECT DISTINCT slot FROM key WHERE slot > ? ORDER BY slot LIMIT 1000", after):
            yield from (slot for (slot,) in page)
            after = page[-1][0]

    def allot(self, count: int = 1) -> list[PatientKeys]:
        """Fresh keys under slots that nobody else has or will be given, already durable."""
        with self._lock:
            missing = count - len(self._spares)
            if missing > 0:
                self._spares += self._make(max(missing, SPARES))
            allotted, self._spares = self._spares[:count], self._spares[count:]
        for keys in allotted:
            self._cache.put(keys, newest=True)
        return allotted

    def destroy(self, *slots: int) -> None:
        """Destroy all generations of these slots for ever, and every trace of them in the keystore's files.

        May be repeated. Earlier copies of the file die with the next `ratchet`. Raises Unavailable when the
        journal could not be scrubbed: the keys are destroyed, call again to be rid of the trace.
        """
        if SHARED in slots:
            raise Conflict("The keys of the whole store cannot be destroyed one by one.")
        with self._changes.begin() as change:
            for slot in slots:
                for generation in change.generations(slot):
                    change.remove(slot, generation)
            change.unsettle()
        for slot in slots:
            self._cache.drop(slot)
        self._file.scrub()

    def forget(self, slot: int) -> None:
        """Drop a slot from this process's cache: another process changed or destroyed its keys."""
        self._cache.drop(slot)

    def refresh(self) -> bool:
        """Drop the cache if another process destroyed or renewed keys since the last call; whether it did.

        A microsecond when nothing was committed, so it can be called before each batch of work.
        """
        seen = self._file.changes()
        if seen == self._seen:
            return False
        self._seen = seen
        erasures = self._changes.state().erasures
        stale, self._erasures = erasures != self._erasures, erasures
        if stale:
            self._cache.clear()
        return stale

    def new_generation(self, slot: int) -> PatientKeys:
        """A fresh key for a slot, beside those it has; from now on `keys(slot)` answers this one."""
        keys = begin_generation(self._changes, slot)
        self._cache.drop(slot)
        self._cache.put(keys, newest=True)
        if slot == SHARED:
            self.tenant = TenantKeys(self._root, keys)
        return keys

    def generations(self, slot: int) -> list[PatientKeys]:
        """The keys of every generation of a slot, newest first, as the file has them now. Raises KeyDestroyed."""
        self._cache.drop(slot)
        found = [self.keys(slot)]
        for generation in generations_of(self._file, slot):
            if generation < found[-1].generation:
                with suppress(KeyDestroyed):  # dropped a moment ago
                    found.append(self.keys(slot, generation))
        return found

    def candidates(self, slot: int) -> Iterator[PatientKeys]:
        """Keys to try on what does not say under which generation it lies: what we take for the newest, then all.

        Another process may have begun a generation that this one has not heard of. Raises KeyDestroyed.
        """
        yield self.keys(slot)
        yield from self.generations(slot)

    def superseded(self) -> list[Place]:
        """Slot and generation of every key that a later one has replaced and that may be destroyed."""
        return superseded(self._file)

    def drop_generation(self, slot: int, generation: int) -> None:
        """Destroy an older generation once nothing is sealed under it. Raises Conflict for the newest."""
        self.drop_generations([(slot, generation)])

    def drop_generations(self, places: Sequence[Place]) -> None:
        """The same for many, and every trace of them in the keystore's files. Raises as `destroy` besides."""
        destroy_generations(self._changes, places)
        for slot, _ in places:
            self._cache.drop(slot)
        self._file.scrub()

    def ratchet(self, progress: Progress = _silent) -> None:
        """Wrap all keys under a new epoch and destroy the old one: copies made before the call are dead then.

        Ends first what a killed ratchet left over. `progress(done, total)` is called after each batch. Raises
        Unavailable when the provider or the disk does not answer (call again), Tampered when a row does not open
        (see `verify` and `discard_damaged`).
        """
        self._ratchet().run(progress)

    def finish_ratchet(self, progress: Progress = _silent) -> None:
        """End what a killed ratchet left over, if anything; for the start of a server. Raises as `ratchet`."""
        self._ratchet().finish(progress)

    def rewrap_to(self, provider: KekProvider, progress: Progress = _silent) -> None:
        """Put the keystore under another provider (or passphrase), and all keys under a new epoch.

        If it is killed, one of the two providers opens the keystore. With the former, call this again; with the
        new one, call `finish_ratchet` and, if `status` says so, `retire_provider`.
        """
        ratchet = self._ratchet()
        ratchet.finish(progress)
        move(self._file, self._epochs, provider, self._clock)
        ratchet.finish(progress)

    def retire_provider(self, former: KekProvider) -> None:
        """Have the provider before this one destroy what it still holds, after an interrupted `rewrap_to`."""
        retire(self._file, self.store_id, former, connect=True)

    def status(self) -> KeystoreStatus:
        """What `medlock keys status` shows."""
        return status_of(self._file, self._epochs, self._changes.state(), len(self._spares), self._clock.now_ms())

    def verify(self) -> Iterator[str]:
        """A sentence for each thing that is wrong with the file; nothing when all is well."""
        return findings(self._file, self._epochs, self.tenant)

    def discard_damaged(self) -> list[int]:
        """Give up the keys that no longer open, so that the rest can go on; the slots that lost one."""
        lost = discard_damaged(self._changes)
        self._cache.clear()
        return lost

    def watermark(self) -> tuple[int, bytes] | None:
        """Size and Merkle root (32 bytes) that the audit log is known to have had, or None."""
        state = self._changes.state()
        return None if state.log_size < 0 else (state.log_size, state.log_root)

    def set_watermark(self, size: int, root: bytes) -> None:
        """Remember that the log had this root at this size; a smaller size than known changes nothing.

        Raises Tampered when the same size is known with another root.
        """
        if len(root) != 32:
            raise ValueError("a Merkle root has 32 bytes")
        with self._changes.begin() as change:
            if size == change.state.log_size and root != change.state.log_root:
                raise Tampered("two audit logs of the same size with different roots")
            if size > change.state.log_size:
                change.state = replace(change.state, log_size=size, log_root=root)

    def export(self) -> KeyExport:
        """Every key in clear, of one moment, for `keycopy.seal_export`. Raises Tampered when the file is not whole."""
        return export(self._file, self._epochs, self.tenant, self._clock.now_ms())

    def copy(self, target: Path) -> None:
        """The file as it is now under a new name: whoever opens it needs the provider. Raises Unavailable."""
        self._file.copy(target)

    def close(self) -> None:
        """Delete the spare keys of this process and let go of the file."""
        try:
            with suppress(MedlockError):  # a crash leaves them, too: no harm but a few dozen bytes
                self._delete_spares()
        finally:
            self._cache.clear()
            self._file.close()

    def _ratchet(self) -> Ratchet:
        return Ratchet(self._file, self._epochs, self._changes, self._clock)

    def _load(self, slot: int, generation: int | None) -> PatientKeys:
        newest = self._opened(slot, None)
        self._cache.put(newest, newest=True)
        if generation is None or generation == newest.generation:
            return newest
        older = self._opened(slot, generation)
        self._cache.put(older, newest=False)
        return older

    def _opened(self, slot: int, generation: int | None) -> PatientKeys:
        self.unwraps += 1
        return patient_keys(slot, *self._epochs.read_key(self._file, slot, generation))

    def _make(self, count: int) -> list[PatientKeys]:
        made = [(random_slot(), 0, random_bytes(KEY_BYTES)) for _ in range(count)]
        with self._changes.begin() as change:
            change.add(*made)
        return [PatientKeys(*fresh) for fresh in made]

    def _delete_spares(self) -> None:
        """They never sealed anything, so no trace of them matters and nothing is scrubbed."""
        if not self._spares:
            return
        with self._changes.begin() as change:
            for keys in self._spares:
                change.remove(keys.slot, keys.generation)
        self._spares.clear()
