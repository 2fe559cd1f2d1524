"""Do these keys and this backup belong together, and is neither from before something that must not be undone?

Every refusal says how to mend it. docs/spec/backup.md §7, steps 1 to 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from medlock.audit.checkpoints import read_checkpoint
from medlock.backup.check import BackupKeys, backup_keys
from medlock.backup.create import erased_by
from medlock.backup.shelf import Held, Shelf
from medlock.crypto.notes import Checkpoint
from medlock.errors import SetupError, Tampered
from medlock.store.keycopy import KeyExport
from medlock.store.keystatus import HORIZON_DAYS

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Fit:
    """A backup that may be restored with these keys.

    chain     the backup and its ancestors, the full one first
    exported  the keys without those of the erased
    erased    slots of all who were erased before any backup that there is
    remarks   what the operator must know
    known     a checkpoint that the restored log must continue, as far as it goes
    """

    chain: tuple[Held, ...]
    keys: BackupKeys
    exported: KeyExport
    erased: frozenset[int]
    remarks: tuple[str, ...]
    known: Checkpoint | None = None

    @property
    def held(self) -> Held:
        """The backup itself."""
        return self.chain[-1]


def fit(shelf: Shelf, exported: KeyExport, name: str, checkpoint: str, now_ms: int) -> Fit:
    """Choose and judge. `name` is the beginning of an id, empty for the newest; `checkpoint` a signed note or empty.

    Raises SetupError: mismatched, stale, rolled back, damaged.
    """
    keys = backup_keys(exported.store_id, exported.tenant)
    held, newest = shelf.chosen(name), shelf.chosen()
    shelf.demand(keys.store, keys.verifier)
    chain = shelf.chain(held)
    _demand_fresh(shelf, held, exported)
    remarks = [*_behind(held, newest, exported), *_forked(held, shelf), *_aged(exported, now_ms)]
    known = _known(newest, keys, checkpoint) if checkpoint else None
    erased = frozenset().union(*(_erased(each, keys) for each in shelf.last()))
    return Fit(tuple(chain), keys, exported.without(erased), erased, tuple(remarks), known)


def _erased(held: Held, keys: BackupKeys) -> frozenset[int]:
    """Who was erased when a backup was made. Raises SetupError."""
    try:
        return erased_by(held, keys.seal(held))
    except Tampered as fault:
        raise SetupError(
            f"{fault.reason}. Put back a good copy of backup {held.name}, or move it elsewhere."
        ) from fault


def _demand_fresh(shelf: Shelf, held: Held, exported: KeyExport) -> None:
    """A ratchet after the keys were copied has declared them dead."""
    if exported.epoch >= held.manifest.epoch:
        return
    older = [each for each in shelf.held if each.manifest.epoch <= exported.epoch]
    mend = f", or restore the older backup {older[-1].name} with --backup {older[-1].name}" if older else ""
    raise SetupError(
        f"This copy of the keystore is stale: it is of epoch {exported.epoch}, made {_day(exported.made)}, and a "
        f"ratchet had begun epoch {held.manifest.epoch} before backup {held.name} was made. Use a newer copy of the "
        f"keystore{mend}."
    )


def _behind(held: Held, newest: Held, exported: KeyExport) -> list[str]:
    """What is lost, as far as the keys and newer backups know."""
    known = max(exported.log_size, newest.manifest.size)
    if known <= held.manifest.size:
        return []
    lost = known - held.manifest.size
    return [f"Lost: {lost} entries of the log and what they tell of. {known} were known, the backup has the rest."]


def _forked(held: Held, shelf: Shelf) -> list[str]:
    """Backups that are younger although their log is not longer: the store was put back to an older state before."""
    mine = held.manifest
    later = [each for each in shelf.last() if each.manifest.made > mine.made and each.manifest.size <= mine.size]
    return [
        f"Backup {each.name} was made later, of another history of this store: it was put back to an older state "
        f"meanwhile. Is that the one to restore? Then name it: --backup {each.name}."
        for each in later
    ]


def _aged(exported: KeyExport, now_ms: int) -> list[str]:
    days = (now_ms - exported.made) // _DAY_MS
    if days < HORIZON_DAYS:
        return []
    return [f"The copy of the keystore is {days} days old: who was erased since is only known from newer backups."]


def _known(newest: Held, keys: BackupKeys, checkpoint: str) -> Checkpoint:
    """A checkpoint that somebody kept elsewhere. Raises SetupError when the log was longer then."""
    try:
        known = read_checkpoint(checkpoint, keys.verifier)
    except Tampered as fault:
        raise SetupError(f"The checkpoint is not one of this store's log: {fault.reason}.") from fault
    size = newest.manifest.size
    if known.size > size:
        raise SetupError(
            f"Rolled back: the log had {known.size} entries at the checkpoint, {size} in the newest backup. "
            "Look for newer backups; without --checkpoint this one is restored, and what came after it is lost."
        )
    return known


def stale(lacking: int, held: Held, others: Sequence[Held], exported: KeyExport) -> SetupError:
    """The refusal of keys that are older than the patients in a backup."""
    older = [each for each in others if each.manifest.size <= exported.log_size]
    mend = f", or restore the older backup {older[-1].name} with --backup {older[-1].name}" if older else ""
    return SetupError(
        f"This copy of the keystore is stale: it was made {_day(exported.made)}, before backup {held.name}, and lacks "
        f"the keys of {lacking} patients in it. Use a newer copy of the keystore{mend}."
    )


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
