"""One data directory as an open whole: keys, sealed tables, log, vault and the door in front of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from medlock.audit.events import Action, Event, Outcome
from medlock.audit.ledger import MerkleLedger
from medlock.audit.log import AuditLog
from medlock.clock import Clock
from medlock.crypto.aead import Aead
from medlock.records.door import Door
from medlock.records.inflow import sweep_uploads
from medlock.records.jobs import JobBook
from medlock.records.projects import Projects
from medlock.records.shred import Shredder
from medlock.records.site import consent_site
from medlock.records.vault import Vault
from medlock.settings import Settings
from medlock.store.backends import open_backend
from medlock.store.kek.provider import KekProvider
from medlock.store.keyport import Keys
from medlock.store.opening import open_keys, open_keystore
from medlock.store.tables import Backend

CHECKPOINT_SECONDS = 10
EPOCH_SECONDS = 7 * 24 * 3_600
"""Age at which an epoch key is replaced: a destroyed key is dead in older copies of the keystore after that."""
EPOCH_LOOK_SECONDS = 600.0
KEY_SECONDS = 1
JOB_SECONDS = 60
INDEX_SECONDS = 0.5
"""Soon, because what the index wants of the newest entries is still in memory then: half the work, in small pieces."""


@dataclass(frozen=True, slots=True)
class StoreKeys:
    """`audit.keys.LogKeys` out of a keystore."""

    keystore: Keys

    @property
    def store_id(self) -> bytes:
        """Names the store."""
        return self.keystore.store_id

    @property
    def log(self) -> Aead:
        """Seals what outlives every patient."""
        return self.keystore.tenant.log

    @property
    def detail(self) -> Aead:
        """Seals full copies that concern no patient."""
        return self.keystore.tenant.detail

    @property
    def checkpoint_seed(self) -> bytes:
        """Signs checkpoints."""
        return self.keystore.tenant.checkpoint_seed

    def patient(self, slot: int) -> Aead:
        """Seals full copies about one patient, under the newest generation. Raises KeyDestroyed."""
        return self.keystore.keys(slot).audit

    def openers(self, slot: int) -> Iterator[Aead]:
        """Open full copies about one patient, of all generations. Raises KeyDestroyed.

        Another process may have sealed under a generation that this one has not heard of: so at last, look again.
        """
        yield from self.keystore.keys(slot).audits
        yield from self.keystore.generations(slot)[0].audits


@dataclass(frozen=True, slots=True)
class Records:
    """An open data directory."""

    settings: Settings
    clock: Clock
    keystore: Keys
    backend: Backend
    log: AuditLog
    vault: Vault
    door: Door
    projects: Projects = field(default_factory=Projects)


@asynccontextmanager
async def open_records(
    settings: Settings, clock: Clock, *, create: bool = False, provider: KekProvider | None = None
) -> AsyncIterator[Records]:
    """A data directory, ready to answer: directory in memory, interrupted erasures and ratchets finished.

    Raises SetupError and what else `open_keys` and `open_backend` raise. Signs the log when it closes.
    """
    async with open_tables(settings, clock, create=create, provider=provider) as records:
        records.keystore.finish_ratchet()
        await records.vault.directory.load()
        await Shredder(records.vault, records.log, clock).resume()
        if create:
            await records.vault.holders.begin()
        yield records
        await records.log.seal_checkpoint()


@asynccontextmanager
async def open_tables(
    settings: Settings, clock: Clock, *, create: bool = False, provider: KekProvider | None = None
) -> AsyncIterator[Records]:
    """The same without touching a row: for verification, which must not depend on what it judges."""
    if provider is None:
        keystore = open_keys(settings, clock, create=create)
    else:
        keystore = open_keystore(settings, clock, create=create, provider=provider)
    try:
        keys = StoreKeys(keystore)
        mark = keystore.watermark()
        logged = 0 if mark is None else mark[0]
        ledger = MerkleLedger(keys, clock.now_ms, logged)
        backend = await open_backend(settings, ledger, keystore.store_id, used=logged > 0)
        try:
            log = AuditLog(backend, keys, clock, keystore.set_watermark)
            vault = Vault(backend, keystore)
            projects = Projects(settings.deid_key_file, settings.deid_preset, settings.deid_text)
            door = Door(vault, log, clock, settings.base_url, settings.limits, projects, site=consent_site(settings))
            yield Records(settings, clock, keystore, backend, log, vault, door, projects)
        finally:
            await backend.close()
    finally:
        keystore.close()


async def keep_house(records: Records, report: Callable[[BaseException], None]) -> None:
    """What a server does beside answering, until cancelled: follow destroyed keys, renew epochs, sign the log, sweep.

    It also finishes erasures that another process left unfinished. What goes wrong is reported, and tried again at the
    next turn.
    """

    async def follow_keys() -> None:
        if records.keystore.refresh():
            await records.vault.forget_erased()

    async def index_log() -> None:
        while await records.log.index_run() is not None:
            pass

    async def sign_log() -> None:
        await records.log.seal_checkpoint()

    async def renew_epoch() -> None:
        if records.keystore.status().epoch_age_seconds >= EPOCH_SECONDS:
            await records.log.append(_ratcheted(records.clock.now_ms()))
            await asyncio.to_thread(records.keystore.ratchet)

    async def sweep() -> None:
        await jobs.sweep()
        await sweep_uploads(records.vault, records.clock.now_ms())

    jobs = JobBook(records.backend, records.vault.notes, records.clock)
    shredder = Shredder(records.vault, records.log, records.clock)
    async with asyncio.TaskGroup() as group:
        group.create_task(_repeat(shredder.resume, CHECKPOINT_SECONDS, report))
        group.create_task(_repeat(sweep, JOB_SECONDS, report))
        group.create_task(_repeat(renew_epoch, EPOCH_LOOK_SECONDS, report))
        group.create_task(_repeat(follow_keys, KEY_SECONDS, report))
        group.create_task(_repeat(index_log, INDEX_SECONDS, report))
        group.create_task(_repeat(sign_log, CHECKPOINT_SECONDS, report))


def _ratcheted(now: int) -> Event:
    """The event of an epoch that the server renews by itself."""
    return Event(Action.KEY_RATCHET, Outcome.SUCCESS, "medlock", (), "", "HSYSADMIN", now, "weekly")


async def _repeat(
    act: Callable[[], Coroutine[Any, Any, None]], seconds: float, report: Callable[[BaseException], None]
) -> None:
    """Do something again and again, failures reported: whatever they are, they must not end the other work."""
    while True:
        await asyncio.sleep(seconds)
        turn = asyncio.create_task(act())
        try:
            await asyncio.wait([turn])
        finally:
            turn.cancel()  # changes nothing for one that is done
        fault = turn.exception()
        if fault is not None:
            report(fault)
