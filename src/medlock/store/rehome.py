"""Moving a living keystore from one key provider to another: a changed passphrase, a hardware key instead of it.

A move is a ratchet whose new epoch belongs to the new provider. In one transaction both the new epoch key and the
old one are wrapped by the new provider, so from then on it alone is needed; then the old provider destroys its
epochs and the ratchet re-wraps the rows. Killed in the middle, the keystore opens with exactly one of the two
providers: the file says which. Other processes must be started again with the new one.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import msgspec

from medlock.clock import Clock
from medlock.errors import Conflict, SetupError
from medlock.store.epochs import Epoch, Epochs, EpochState, epoch_aad, insert_epoch, read_epochs, wrapped_epoch
from medlock.store.kek.provider import KekProvider
from medlock.store.keyfile import KeyFile
from medlock.store.keysetup import home_record


class Leaving(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The record of a provider that has yet to destroy its epochs up to `epoch`."""

    name: str
    parameters: dict[str, str]
    epoch: int


def move(file: KeyFile, epochs: Epochs, provider: KekProvider, clock: Clock) -> None:
    """Make `provider` the keystore's own; the caller then finishes the ratchet that this begins."""
    former = epochs.provider
    if provider is former:
        raise SetupError("The keystore has this provider already. Hand in a new one for it to move to.")
    old = next(epoch for epoch in read_epochs(file.read) if epoch.state == EpochState.CURRENT)
    home = home_record(provider.name, provider.enrol(epochs.store_id))
    new, _ = wrapped_epoch(provider, epochs.store_id, old.number + 1, clock.now_ms())
    kept = _rewrapped(epochs, provider, old, new.number)
    with file.transaction() as tx:
        epochs.catch_up(tx)
        if [epoch.number for epoch in read_epochs(lambda sql: tx.execute(sql).fetchall())] != [old.number]:
            raise Conflict("A ratchet ran at the same time. Run the command again.")
        _write(tx, epochs.home, home, (kept, new))
    epochs.move(provider, home)
    epochs.load(file.read)
    retire(file, epochs.store_id, former, connect=False)


def retire(file: KeyFile, store_id: bytes, former: KekProvider, *, connect: bool) -> None:
    """Have the provider that guarded the keystore before destroy its epochs. Raises SetupError if it did not."""
    row = file.read("SELECT value FROM meta WHERE name = 'leaving'")
    if not row:
        return
    leaving = msgspec.json.decode(row[0][0], type=Leaving)
    if leaving.name != former.name:
        raise SetupError(f"The provider to be retired is {leaving.name}, not {former.name}.")
    if connect:
        former.connect(store_id, leaving.parameters)
    former.destroy_epoch(leaving.epoch)
    with file.transaction() as tx:
        tx.execute("DELETE FROM meta WHERE name = 'leaving'")


def _rewrapped(epochs: Epochs, provider: KekProvider, old: Epoch, under: int) -> Epoch:
    key = bytearray(epochs.raw(old))
    wrapped = provider.wrap(under, key, epoch_aad(epochs.store_id, old.number, under, old.made))
    key[:] = bytes(len(key))
    return replace(old, under=under, state=EpochState.RETIRING, wrapped=wrapped)


def _write(tx: sqlite3.Connection, old_home: bytes, home: bytes, epochs: tuple[Epoch, Epoch]) -> None:
    kept, new = epochs
    former = msgspec.json.decode(old_home)
    leaving = Leaving(former["name"], former["parameters"], kept.number)
    tx.execute("DELETE FROM epoch WHERE number = ?", (kept.number,))
    insert_epoch(tx, kept)
    insert_epoch(tx, new)
    tx.execute("UPDATE meta SET value = ? WHERE name = 'provider'", (home,))
    record = msgspec.json.encode(leaving)
    tx.execute("INSERT OR REPLACE INTO meta(name, value) VALUES ('leaving', ?)", (record,))
