"""Generations of a patient's key: begin the next, find those that a later one has replaced, destroy them.

A generation is never seen half: its row is durable before anybody seals under it, and takes over from the one before
what does not move to new keys (`PatientKeys.succession`). So when the older row goes, index rows are still found and
audit copies still open, while what it sealed of bodies and indexes is dead in every copy.
"""

from __future__ import annotations

from collections.abc import Iterable

from medlock.crypto.aead import KEY_BYTES
from medlock.errors import Conflict
from medlock.ids import random_bytes
from medlock.store.keychange import KeyChange, KeyChanges
from medlock.store.keyfile import KeyFile
from medlock.store.keyring import SHARED, KeyDestroyed, PatientKeys, patient_keys

BATCH = 4_096  # rows a transaction, so that others who write keys wait for no more than some 20 ms
_SUPERSEDED = (
    "SELECT slot, generation FROM key AS old WHERE NOT (slot = 0 AND generation = 0) "
    "AND EXISTS (SELECT 1 FROM key WHERE slot = old.slot AND generation > old.generation)"
)
_GENERATIONS = "SELECT generation FROM key WHERE slot = ? ORDER BY generation DESC"

Place = tuple[int, int]  # slot and generation


def begin_generation(changes: KeyChanges, slot: int) -> PatientKeys:
    """A fresh key for a slot, beside those it has. Raises KeyDestroyed when it has none."""
    with changes.begin() as change:
        generations = change.generations(slot)
        if not generations:
            raise KeyDestroyed
        former = patient_keys(slot, generations[-1], change.secret(slot, generations[-1]))
        secret = random_bytes(KEY_BYTES) + former.succession()
        change.add((slot, former.generation + 1, secret))
        change.unsettle()
    return PatientKeys(slot, former.generation + 1, secret)


def generations_of(file: KeyFile, slot: int) -> list[int]:
    """The generations of a slot that there are, newest first."""
    return [generation for (generation,) in file.read(_GENERATIONS, slot)]


def superseded(file: KeyFile) -> list[Place]:
    """Keys that a later generation has replaced and that may be destroyed; the tenant key never may."""
    return [(slot, generation) for slot, generation in file.read(_SUPERSEDED)]


def destroy_generations(changes: KeyChanges, places: Iterable[Place]) -> None:
    """Delete older generations, for good. Raises Conflict for one that is the newest, or the tenant key."""
    waiting = list(places)
    while waiting:
        with changes.begin() as change:
            for slot, generation in waiting[:BATCH]:
                _remove(change, slot, generation)
            change.unsettle()
        del waiting[:BATCH]


def _remove(change: KeyChange, slot: int, generation: int) -> None:
    if slot == SHARED and generation == 0:
        raise Conflict("The tenant key cannot be dropped: all labels hang on it.")
    if generation == max(change.generations(slot), default=generation + 1):
        raise Conflict("The newest generation of a key is in use; only older ones can be dropped.")
    change.remove(slot, generation)
