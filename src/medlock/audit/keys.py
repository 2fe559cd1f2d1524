"""The keys that the log needs, as the log wants to be handed them, and what binds a sealed row to its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from medlock.crypto.aead import Aead


class LogKeys(Protocol):
    """Keys of one store's log. Entries are never sealed anew, so no audit key of a living patient is ever lost."""

    @property
    def store_id(self) -> bytes:
        """16 bytes that name the store; a row of another store does not open here."""

    @property
    def log(self) -> Aead:
        """Seals what outlives every patient: minimal copies, heads, run indexes."""

    @property
    def detail(self) -> Aead:
        """Seals full copies of events that concern no patient."""

    @property
    def checkpoint_seed(self) -> bytes:
        """32-byte Ed25519 seed of the key that signs checkpoints."""

    def patient(self, slot: int) -> Aead:
        """Seals full copies of events about one patient. Raises NotFound when the key is destroyed."""

    def openers(self, slot: int) -> Iterator[Aead]:
        """Open full copies about one patient: one of these does, the likeliest first. Raises NotFound as `patient`."""


def place(keys: LogKeys, what: str, number: int | None = None, *, version: int = 1) -> bytes:
    """Associated data of a sealed row: what it is, of which store, and its number (docs/spec/audit.md §2)."""
    suffix = b"" if number is None else number.to_bytes(8, "big")
    return f"medlock/{version}/log/{what}|".encode() + keys.store_id + suffix
