"""A verifier that comes to a stopped or running directory with nothing but the passphrase, as `medlock verify` does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from acceptance.scene import KEYS
from medlock.app import verify_checks
from medlock.audit.findings import Finding
from medlock.audit.ledger import MerkleLedger
from medlock.audit.log import AuditLog
from medlock.records.door import Door
from medlock.records.opening import Records
from medlock.records.projects import Projects
from medlock.records.vault import Vault
from medlock.records.verify import verify_all
from medlock.settings import Limits, Settings
from medlock.store.backends import open_backend
from medlock.store.kek.passphrase import Cost, PassphraseFile
from medlock.store.keystore import Keystore
from records.world import BASE, Keys, StillClock, store_of


@dataclass
class Offline:
    """A directory opened as `medlock verify` opens it, with a passphrase that lies elsewhere."""

    directory: Path
    passphrase: Path

    def keystore(self) -> Keystore:
        """The keystore alone."""
        kek = PassphraseFile(self.passphrase, self.directory, Cost(memory_kib=64, iterations=1))
        return Keystore.open(self.directory / KEYS, kek)

    async def verify(self) -> list[Finding]:
        """What verification finds. Raises MedlockError when the directory does not open at all."""
        keystore = self.keystore()
        try:
            return await self._judged(keystore)
        finally:
            keystore.close()

    async def _judged(self, keystore: Keystore) -> list[Finding]:
        clock, keys = StillClock(), Keys(keystore)
        settings = Settings(self.directory, store=store_of(self.directory))
        backend = await open_backend(settings, MerkleLedger(keys, clock.now_ms), keystore.store_id)
        try:
            vault, log = Vault(backend, keystore), AuditLog(backend, keys, clock)
            door = Door(vault, log, clock, BASE, Limits())
            records = Records(settings, clock, keystore, backend, log, vault, door, Projects())
            return await verify_all(records, verify_checks(records))
        finally:
            await backend.close()


def offline(directory: Path, of: Path | None = None) -> Offline:
    """The verifier for a directory; `of` is the directory that it is a copy of."""
    place = of or directory
    return Offline(directory, place.with_name(f"{place.name}.passphrase"))
