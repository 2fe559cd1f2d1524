"""The composition root: the one place where the parts are put together. Nothing here decides anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache

from starlette.types import ASGIApp

from medlock import __version__
from medlock.access.mint import mint_principal
from medlock.access.principal import Principal, Role
from medlock.access.roles import DEFAULT_SCOPES
from medlock.access.scopes import parse_scopes
from medlock.audit.events import Action, Event, Outcome
from medlock.clock import Clock, instant
from medlock.fhir.capability import Instance, capability_statement
from medlock.oauth.commands import operator_name
from medlock.oauth.requests import PURPOSES
from medlock.oauth.tokens import TokenStore
from medlock.oauth.verify import TokenCheck
from medlock.records.opening import Records, keep_house, open_records
from medlock.records.rotate import ALL, Rotated, Rotator, Turn
from medlock.records.verify import Check
from medlock.settings import Settings
from medlock.store.commands import Renewable
from medlock.store.tables import Table
from medlock.web.fhir_api import FhirApi, Parts
from medlock.web.oplog import OpLog
from medlock.web.pipeline import Outer, Site
from medlock.web.reply import Replies
from medlock.web.watch import RefusalWatch


def operator(role: Role) -> Principal:
    """The person at the keyboard in a role: who holds the keys is authenticated by that."""
    scopes = parse_scopes(DEFAULT_SCOPES[role])
    return mint_principal(operator_name(), frozenset({role}), scopes, purpose=PURPOSES[role], auth_strength="keystore")


@dataclass(frozen=True, slots=True)
class App:
    """Everything that is open in one process."""

    records: Records
    tokens: TokenStore

    def operator(self, role: Role) -> Principal:
        """The person at the keyboard in one of the operator's roles."""
        return operator(role)

    @property
    def keystore(self) -> Renewable:
        """The keys of the records."""
        return self.records.keystore

    async def note(self, action: Action, about: str) -> None:
        """Write down an act of the operator. Raises Unavailable."""
        now = self.records.clock.now_ms()
        event = Event(action, Outcome.SUCCESS, operator_name(), (), "", "HSYSADMIN", now, about, query=about)
        await self.records.log.append(event)

    async def note_keys(self, about: str) -> None:
        """Write down that the operator is about to renew keys. Raises Unavailable."""
        await self.note(Action.KEY_RATCHET, about)

    async def note_move(self, about: str) -> None:
        """Write down that the operator is about to move the store. Raises Unavailable."""
        await self.note(Action.STORE_MOVE, about)

    async def note_copy(self, about: str) -> None:
        """Write down that the keys are about to be copied, and tell the keystore the log's end. Raises Unavailable."""
        await self.note(Action.KEY_BACKUP, about)
        await self.records.log.seal_checkpoint()

    async def rotate(self, patient: str | None, turn: Turn, *, everybody: bool = False) -> Rotated | None:
        """Rotate data keys, or finish what was interrupted; None: there was nothing."""
        records = self.records
        rotator = Rotator(records.vault, records.log, records.clock, records.settings.data_dir, operator_name())
        if patient is not None:
            return await rotator.rotate(await rotator.slot_of(patient), turn)
        return await rotator.rotate(ALL, turn) if everybody else await rotator.resume(turn)

    async def ready(self) -> None:
        """Return when the store can be read. Raises Unavailable."""
        await self.records.backend.last_key(Table.TIP)


@asynccontextmanager
async def open_app(settings: Settings, *, create: bool = False) -> AsyncIterator[App]:
    """A data directory with all that stands on it; `create` makes it when it is new. Raises SetupError."""
    clock = Clock()
    async with open_records(settings, clock, create=create) as records:
        yield App(records, TokenStore(records.backend, records.keystore.tenant, clock, records.log))


def verify_checks(records: Records) -> list[Check]:
    """What `medlock verify` checks beside the records."""
    return [TokenCheck(records.backend, records.keystore.tenant).findings]


@asynccontextmanager
async def open_site(settings: Settings) -> AsyncIterator[ASGIApp]:
    """The whole site over an open data directory, with the work that goes on beside answering."""
    async with open_app(settings, create=True) as app:
        records = app.records
        await app.note(Action.STORE_OPEN, "serve")
        log = OpLog(records.clock, requests=settings.log_requests)
        house = asyncio.create_task(keep_house(records, lambda fault: log.fault(fault, "housekeeping")))
        try:
            yield _site(app, log)
        finally:
            house.cancel()
            with suppress(asyncio.CancelledError):
                await house


def _site(app: App, log: OpLog) -> ASGIApp:
    """The ASGI application."""
    records, settings = app.records, app.records.settings
    replies = Replies(settings.base_url, tls=settings.tls)
    started = instant(records.clock.now_ms())

    @cache
    def capability() -> bytes:
        return capability_statement(Instance(settings.base_url, __version__, started))

    watch = RefusalWatch(records.log, records.clock)
    parts = Parts(
        app.tokens, records.door, watch, replies, settings.limits, settings.base_url, records.clock, log, capability
    )
    return Site(FhirApi(parts), Outer(replies, app, log, tls=settings.tls).app())
