"""How an open data directory is doing, in numbers that say nothing about anybody in it."""

from __future__ import annotations

from dataclasses import dataclass

from medlock.records.opening import Records
from medlock.store.tally import Tally


@dataclass(frozen=True, slots=True)
class Vitals:
    """As of now; `unwraps` since the start."""

    commits: Tally
    keys_cached: int
    indexes_cached: int
    directory_entries: int
    unwraps: int


def vitals_of(records: Records) -> Vitals:
    """Look at them."""
    keystore, vault = records.keystore, records.vault
    return Vitals(
        records.backend.tally(), keystore.cached, vault.capsules.cached, len(vault.directory), keystore.unwraps
    )
