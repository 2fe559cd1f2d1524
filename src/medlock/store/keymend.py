"""Going on after damage: accept the loss of key rows that no longer open.

A row that does not open is a patient who is lost, and it also holds up the ratchet, and with it everybody's
erasure. When no good copy of the keystore is left, the operator decides to do without those rows.
"""

from __future__ import annotations

from dataclasses import replace

from medlock.crypto.aead import TAG_BYTES
from medlock.crypto.setdigest import EMPTY
from medlock.errors import Tampered
from medlock.store.keychange import KeyChange, KeyChanges
from medlock.store.keyfile import Row


def discard_damaged(changes: KeyChanges) -> list[int]:
    """Delete every row that does not open and account anew for those that do; the slots that lost a key."""
    with changes.begin(mend=True) as change:
        rows = change.tx.execute("SELECT slot, generation, epoch, wrapped FROM key").fetchall()
        kept = [row for row in rows if _opens(change, row)]
        lost = set(rows).difference(kept)
        change.tx.executemany("DELETE FROM key WHERE slot IS ? AND generation IS ?", [row[:2] for row in lost])
        change.state = replace(change.state, keys=len(kept), digest=EMPTY)
        change.tags = [wrapped[-TAG_BYTES:] for *_, wrapped in kept]
        change.unsettle()
    return sorted({row[0] for row in lost})


def _opens(change: KeyChange, row: Row) -> bool:
    try:
        change.epochs.open_key(*row)
    except Tampered:
        return False
    return True
