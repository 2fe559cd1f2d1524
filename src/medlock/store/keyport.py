"""What the layers above ask of a keystore, be it open in this process or behind the key broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from medlock.store.directory import Keys as DirectoryKeys
from medlock.store.generations import Place
from medlock.store.kek.provider import KekProvider
from medlock.store.keyring import PatientKeys, TenantKeys
from medlock.store.keystatus import KeystoreStatus

Turn = Callable[[int, int], None]


def silent(done: int, total: int) -> None:
    """Nobody watches."""


class Keys(Protocol):
    """An open keystore. What its methods promise and raise stands with `Keystore`."""

    tenant: TenantKeys
    unwraps: int  # keys of patients that were unwrapped since the start

    @property
    def cleared(self) -> bool:
        """Whether it gives the keys to sensitive classes."""

    @property
    def store_id(self) -> bytes:
        """Names the store."""

    @property
    def cached(self) -> int:
        """How many keys are held in memory."""

    @property
    def entries(self) -> DirectoryKeys:
        """The keys of directory entries."""

    def keys(self, slot: int, generation: int | None = None) -> PatientKeys:
        """The keys of one slot."""

    def allot(self, count: int = 1) -> list[PatientKeys]:
        """Fresh keys, durable."""

    def destroy(self, *slots: int) -> None:
        """Destroy all generations of these slots."""

    def forget(self, slot: int) -> None:
        """Drop a slot from the cache."""

    def refresh(self) -> bool:
        """Drop the cache if others destroyed or renewed keys; whether it did."""

    def new_generation(self, slot: int) -> PatientKeys:
        """A fresh key for a slot."""

    def generations(self, slot: int) -> list[PatientKeys]:
        """The keys of every generation of a slot, newest first."""

    def candidates(self, slot: int) -> Iterator[PatientKeys]:
        """Keys to try."""

    def superseded(self) -> list[Place]:
        """Generations that may be destroyed."""

    def drop_generations(self, places: Sequence[Place]) -> None:
        """Destroy older generations."""

    def ratchet(self, progress: Turn = silent) -> None:
        """Wrap all keys under a new epoch."""

    def finish_ratchet(self, progress: Turn = silent) -> None:
        """End what a killed ratchet left over."""

    def rewrap_to(self, provider: KekProvider, progress: Turn = silent) -> None:
        """Put the keystore under another provider."""

    def status(self) -> KeystoreStatus:
        """Its condition."""

    def verify(self) -> Iterator[str]:
        """A sentence for each thing that is wrong."""

    def watermark(self) -> tuple[int, bytes] | None:
        """Size and root that the audit log is known to have had."""

    def set_watermark(self, size: int, root: bytes) -> None:
        """Remember how far the log has grown."""

    def close(self) -> None:
        """Let go."""
