"""The composition root: the one place where the parts are put together. Nothing here decides anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from starlette.types import ASGIApp

from medlock import __version__
from medlock.access.mint import mint_principal
from medlock.access.principal import Principal, Role
from medlock.access.roles import DEFAULT_SCOPES
from medlock.access.scopes import parse_scopes
from medlock.audit.events import Action, Event, Outcome
from medlock.clock import Clock, instant
from medlock.console import operator_name
from medlock.errors import MedlockError, SetupError
from medlock.fhir.capability import Instance, capability_statement
from medlock.fhir.question import Question
from medlock.fhir.request import Frame, Request, parse
from medlock.identity.factors.kit import site_of
from medlock.identity.factors.password import Hashing
from medlock.identity.services import Identity, identity_rules, open_identity
from medlock.identity.services import Place as IdentityPlace
from medlock.identity.verify import IdentityCheck
from medlock.oauth.administering import Administration, administration
from medlock.oauth.discovery import oauth_uris
from medlock.oauth.granting import Place
from medlock.oauth.people import AccountPeople
from medlock.oauth.requests import PURPOSES
from medlock.oauth.rows import open_rows
from medlock.oauth.server import AuthorizationServer, Outside
from medlock.oauth.sweeping import SECONDS as SWEEP_SECONDS
from medlock.oauth.tokens import TokenStore
from medlock.oauth.verify import TokenCheck
from medlock.oauth.verify_apps import AppCheck
from medlock.partners.egress import Egress
from medlock.records.glass_endings import GlassEndings
from medlock.records.jobs import JobBook
from medlock.records.opening import Records, keep_house, open_records
from medlock.records.readiness import Readiness
from medlock.records.rotate import ALL, Rotated, Rotator, Turn
from medlock.records.site import consent_site
from medlock.records.traced import TracedDoor
from medlock.records.verify import Check
from medlock.records.vitals import vitals_of
from medlock.rights.services import Rights, Secrets
from medlock.settings import Settings, two_persons
from medlock.store.commands import Renewable
from medlock.web.admin_api.api import AdminApi
from medlock.web.admin_api.gate import AdminGate
from medlock.web.bulk import Bulk
from medlock.web.cors import Origins
from medlock.web.counts import Counts
from medlock.web.declared import Mounted
from medlock.web.fhir_api import FhirApi, Parts
from medlock.web.later import Later
from medlock.web.limits.alarms import Alarms
from medlock.web.limits.limiter import UNLIMITED
from medlock.web.limits.making import Limits, limits_of
from medlock.web.oauth_api.api import OAuthApi
from medlock.web.oauth_api.sight import DoorSight
from medlock.web.oplog import OpLog, Told
from medlock.web.peer import Peers
from medlock.web.pipeline import Outer, Site
from medlock.web.ports import Door
from medlock.web.protection import Protection
from medlock.web.proven import ProofGate
from medlock.web.reply import Replies
from medlock.web.seat import Seat
from medlock.web.sharing.api import Entrance, SharingApi
from medlock.web.signin import mount as pages
from medlock.web.signin.counter import Counter, Office
from medlock.web.signin.desks import desks_of, seated_by
from medlock.web.signin.notice_desk import NoticeDesk
from medlock.web.signin.render import Look
from medlock.web.traced import TracedApi, TracedReplies, Tracer
from medlock.web.watch import RefusalWatch

SAMPLE_SECONDS = 1


def operator(role: Role) -> Principal:
    """The person at the keyboard in a role: who holds the keys is authenticated by that."""
    scopes = parse_scopes(DEFAULT_SCOPES[role])
    return mint_principal(operator_name(), frozenset({role}), scopes, purpose=PURPOSES[role], auth_strength="keystore")


@dataclass(frozen=True, slots=True)
class App:
    """Everything that is open in one process."""

    records: Records
    tokens: TokenStore
    readiness: Readiness
    oauth: Administration
    identity: Identity

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

    async def note_password_list(self, about: str) -> None:
        """Write down that the operator is about to import a list of known passwords. Raises Unavailable."""
        await self.note(Action.PASSWORD_LIST, about)

    async def note_copy(self, about: str) -> None:
        """Write down that the keys are about to be copied, and tell the keystore the log's end. Raises Unavailable."""
        await self.note(Action.KEY_BACKUP, about)
        await self.records.log.seal_checkpoint()

    async def rotate(self, patient: str | None, turn: Turn, *, everybody: bool = False) -> Rotated | None:
        """Rotate data keys, or finish what was interrupted; None: there was nothing."""
        records = self.records
        rotator = Rotator(records.vault, records.log, records.clock, records.settings.keys_dir, operator_name())
        if patient is not None:
            return await rotator.rotate(await rotator.slot_of(patient), turn)
        return await rotator.rotate(ALL, turn) if everybody else await rotator.resume(turn)

    async def ready(self) -> None:
        """Return when store, log and keys can be had. Raises Unavailable."""
        await self.readiness.ready()


@asynccontextmanager
async def open_app(settings: Settings, *, create: bool = False, clock: Clock | None = None) -> AsyncIterator[App]:
    """A data directory with all that stands on it; `create` makes it when it is new. Raises SetupError."""
    clock = clock or Clock()
    async with open_records(settings, clock, create=create) as records:
        tokens = TokenStore(records.backend, records.keystore.tenant, clock, records.log)
        rows = open_rows(records.backend, records.keystore.tenant, clock, records.log)
        readiness = Readiness(records.backend, records.keystore, settings.data_dir)
        oauth = administration(rows, tokens)
        rules = identity_rules(IdentityPlace(settings.base_url, settings.password_policy, settings.data_dir))
        keys = records.keystore.tenant
        identity = open_identity(
            *(records.backend, keys, clock, records.log),
            rules=rules,
            endings=(oauth.endings, GlassEndings(records.vault, records.log, clock)),
            two_persons=two_persons(settings),
        )
        with closing(identity):
            yield App(records, tokens, readiness, oauth, identity)


def verify_checks(records: Records) -> list[Check]:
    """What `medlock verify` checks beside the records."""
    keys = records.keystore.tenant
    apps = AppCheck(open_rows(records.backend, keys, records.clock, records.log))
    return [TokenCheck(records.backend, keys).findings, IdentityCheck(records.backend, keys).findings, apps.findings]


@asynccontextmanager
async def open_site(settings: Settings, seat: Seat) -> AsyncIterator[ASGIApp]:
    """The whole site over an open data directory, with the work that goes on beside answering."""
    async with open_app(settings, create=True) as app:
        records = app.records
        records.projects.check()
        await app.note(Action.STORE_OPEN, "serve")
        log = OpLog(records.clock, worker=seat.number, requests=settings.log_requests)
        weak = [each for each in await app.oauth.clients.every() if each.pkce_optional and each.status == "active"]
        if weak:
            log.notice(Told.WITHOUT_PKCE, clients=len(weak))
        if seat.number < 2 and not consent_site(settings).related:  # once, whatever the number of workers
            log.notice(Told.RELATIONSHIP_OPEN, text=_OPEN)
        house = asyncio.create_task(keep_house(records, lambda fault: log.fault(fault, "housekeeping")))
        sweeping = asyncio.create_task(_sweep(app, log))
        counts = None if seat.cells is None else Counts(seat.cells)
        sampling = asyncio.create_task(_sample(records, counts))
        try:
            alarms = Alarms(records.log, log, records.clock, counts)
            async with (
                _tracing(settings, seat) as tracer,
                limits_of(
                    settings, records.backend, records.keystore.tenant.counter_labels, records.clock, alarms
                ) as limits,
            ):
                yield _site(app, log, counts, tracer, limits)
        finally:
            for task in (house, sweeping, sampling):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


_OPEN = "Clinical roles see every patient, treated or not: set MEDLOCK_RELATIONSHIP=required to ask for a relationship."


async def _sweep(app: App, log: OpLog) -> None:
    """Delete now and then what of identity and the authorization server is over, until cancelled."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            await app.oauth.sweeper.sweep()
            await app.identity.sweep()
        except MedlockError as fault:
            log.fault(fault, "sweep")


async def _sample(records: Records, counts: Counts | None) -> None:
    """Show every second what the store counts by itself, until cancelled."""
    while counts is not None:
        counts.sample(vitals_of(records))
        await asyncio.sleep(SAMPLE_SECONDS)


@asynccontextmanager
async def _tracing(settings: Settings, seat: Seat) -> AsyncIterator[Tracer | None]:
    """What makes traces, where the operator wants them. Raises SetupError."""
    if not settings.otlp:
        yield None
        return
    try:
        otlp = import_module("medlock.web.otlp")
    except ModuleNotFoundError as missing:
        raise SetupError("MEDLOCK_OTLP_ENDPOINT needs more packages: pip install 'medlock[otel]'.") from missing
    tracer = otlp.Otlp(settings.otlp, seat.number)
    try:
        yield tracer
    finally:
        await asyncio.to_thread(tracer.close)


def _site(
    app: App, log: OpLog, counts: Counts | None = None, tracer: Tracer | None = None, limits: Limits | None = None
) -> ASGIApp:
    """The ASGI application. Without `limits` nothing is counted."""
    records, settings = app.records, app.records.settings
    replies, door = Replies(settings.base_url, tls=settings.tls), records.door
    if tracer is not None:
        replies = TracedReplies(settings.base_url, tracer, tls=settings.tls)
        parts = records.vault, records.log, records.clock, settings.base_url, settings.limits, records.projects
        door = TracedDoor(tracer, *parts, site=consent_site(settings))
    started, server = instant(records.clock.now_ms()), _authorization(app, door)

    @cache
    def capability() -> bytes:
        authorization = oauth_uris(server.place)
        return capability_statement(Instance(settings.base_url, __version__, started, authorization=authorization))

    def read(request: Request, now: int) -> Question:
        return parse(request, Frame(now, settings.limits.page_size_max, settings.base_url))

    book = JobBook(records.backend, records.vault.notes, records.clock)
    bulk = Bulk(
        door, records.projects, book, read, records.clock, settings.base_url, lambda fault: log.fault(fault, "bulk")
    )
    watch = RefusalWatch(records.log, records.clock)
    origins = Origins(app.oauth.clients.origins, records.clock)
    protection = Protection(UNLIMITED if limits is None else limits.limiter, Peers(settings.proxies), origins)
    if limits is not None:
        door.watched_by(limits.patients)
    proven = ProofGate(app.oauth.rows, app.tokens, server.proofs, server.place.issuer)
    made = Parts(
        app.tokens,
        door,
        watch,
        replies,
        settings.limits,
        settings.base_url,
        records.clock,
        log,
        capability,
        counts,
        Later(door, book, read, records.clock),
        bulk,
        protection,
        proven,
    )
    api = FhirApi(made) if tracer is None else TracedApi(made, tracer)
    outer = Outer(replies, app, log, tls=settings.tls, protection=protection)
    sharing = SharingApi(_rights(app, door), Entrance(app.tokens, proven, watch, protection))
    rest = outer.app([*_mounted(app, server, protection, door), *sharing.mounted()])
    return Site(api, rest, outer.preflights(rest))


def _rights(app: App, door: Door) -> Rights:
    """What patients decide themselves."""
    keys = app.records.keystore.tenant
    secrets = Secrets(Hashing(app.identity.slots, keys.pepper), keys.share_links)
    people = AccountPeople(app.identity.accounts, app.records.clock)
    return Rights(app.records.settings, door, app.oauth, secrets, people)


def _authorization(app: App, door: Door) -> AuthorizationServer:
    """The authorization server of this site."""
    records, settings = app.records, app.records.settings
    sight = DoorSight(door, records.clock, settings.base_url, settings.limits.page_size_max)
    place = Place(settings.base_url.removesuffix("/fhir"), settings.base_url)
    people, fetch = AccountPeople(app.identity.accounts, records.clock), Egress(app.oauth.clients.fetches_from)
    return AuthorizationServer(app.oauth, place, Outside(people, app.identity.sessions, sight, fetch))


def _mounted(app: App, server: AuthorizationServer, protection: Protection, door: Door) -> list[Mounted]:
    """What answers outside the FHIR API: the authorization server's endpoints, administration, and pages for people."""
    refusals = RefusalWatch(app.records.log, app.records.clock, Action.OAUTH_REFUSED)
    counter = Counter(_office(app, server, protection, refusals, door))
    origin = site_of(app.records.settings.base_url).origin
    admin = AdminApi(app.oauth.clerk, AdminGate(app.identity.sessions, app.records.clock, origin), refusals)
    apps = OAuthApi(server, refusals, seated_by(counter))
    return [*apps.mounted(), *admin.mounted(), *pages.mounted(counter)]


def _office(
    app: App, server: AuthorizationServer, protection: Protection, refusals: RefusalWatch, door: Door
) -> Office:
    """What the pages stand on."""
    records, settings = app.records, app.records.settings
    origin, watch = site_of(settings.base_url).origin, RefusalWatch(records.log, records.clock)
    notices = NoticeDesk(door, app.identity.accounts, records.clock, settings.base_url)
    desks, look = desks_of(app.identity, server, notices), Look("medlock")
    return Office(desks, records.clock, look, origin, settings.tls, watch, refusals, protection.peers)
