"""The authorization endpoint, without its pages (RFC 6749 §4.1, SMART 2.2 "Obtain authorization code").

    begin    what a browser brought → go back to the app, sign in first, or decide
    resume   the same request, after somebody signed in or proved themselves
    decide   what they allow → back to the app, with a code or with access_denied

A request waits in a sealed row under a handle; whoever signs in and decides may do so on any worker. A refusal that
must not leave this site is raised (`BadRequest`, for the page); every other one goes to the app's own address. Nobody
is ever asked by the bare existence of a former approval: each request is decided anew (ASVS 10.7.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from medlock.access.scopes import Kind
from medlock.audit.events import Action, Event, Outcome
from medlock.errors import BadRequest, Denied, NotAuthenticated, OAuthRefused, Raced
from medlock.ids import secret as new_secret
from medlock.oauth import scope
from medlock.oauth.approving import Approving, Decision
from medlock.oauth.asking import Asking, Pairs, SentBack
from medlock.oauth.client import Client, Status
from medlock.oauth.clients import Clients
from medlock.oauth.crowding import Crowd
from medlock.oauth.granting import Place
from medlock.oauth.launching import Launching, check_sight
from medlock.oauth.lifetimes import ACCESS, DAY, MINUTE, PENDING, REFRESH_IDLE
from medlock.oauth.people import ANYBODY, Choice, Found, People, Person, Sight, SignedIn, Sought
from medlock.oauth.rows import Context, Launch, Pending, Request, Rows
from medlock.oauth.wording import Line, lines
from medlock.store.cabinet import Held
from medlock.store.tables import Batch

_GONE = "This request is not waiting any more. Start again in the app."
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Redirect:
    """Go to the app. The address was checked; only this module makes one.

    `reason`: for the log, when a request was refused before anybody was asked; the caller writes it down.
    """

    address: str = field(repr=False)
    reason: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class NeedSignIn:
    """Somebody has to sign in, or to sign in again. `redirect`: where it will end."""

    handle: str
    redirect: str


@dataclass(frozen=True, slots=True)
class View:
    """Everything the page shows.

    lines     one for each scope, each of which can be refused
    patients  whose record may be chosen; empty when the app reaches no single one, or was launched with one
    more      the page that goes on with them, or ""; searchable: others may be looked for
    minutes   how long one access lasts; `days` how long the app may come back by itself, when that is allowed
    """

    client: str
    name: str
    verified: bool
    redirect: str
    lines: tuple[Line, ...]
    patients: tuple[Choice, ...]
    more: str = field(default="", repr=False)
    searchable: bool = False
    minutes: int = ACCESS // MINUTE
    days: int = REFRESH_IDLE // DAY


@dataclass(frozen=True, slots=True)
class NeedConsent:
    """Somebody has to decide."""

    handle: str
    view: View


Next = Redirect | NeedSignIn | NeedConsent


@dataclass(frozen=True, slots=True)
class Around:
    """What the endpoint works with."""

    rows: Rows
    clients: Clients
    people: People
    sight: Sight
    asking: Asking
    launching: Launching
    place: Place


class Authorize:
    """Leads a request from the app to its decision."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._rows = around.rows
        self._approving = Approving(around.rows)
        self._crowd = Crowd(around.rows)

    async def begin(self, pairs: Pairs, session: SignedIn | None, address: str = "") -> Next:
        """A request as it came, from a network address. Raises BadRequest: to be shown, and sent nowhere; Crowded."""
        try:
            sound = await self._around.asking.sound(pairs)
        except SentBack as fault:
            back = self._back(fault.request, {"error": fault.code, "error_description": str(fault)})
            return Redirect(back.address, f"client {fault.request.client}: {fault.reason}")
        request, now = sound.request, self._rows.clock.now_ms()
        if request.prompt == "none":
            code = "login_required" if session is None else "consent_required"
            return self._back(request, {"error": code})
        await self._crowd.waits(session, address)
        handle = new_secret()
        pending = Pending(request, now + PENDING * 1000, now)
        batch = self._rows.pending.insert(self._rows.pending.key(handle), pending)
        if sound.pushed is not None:
            batch += self._rows.pushed.remove(sound.pushed)
        try:
            await self._rows.commit(batch)
        except Raced:
            raise BadRequest(_GONE, reason="a pushed request that was used") from None
        return await self._next(handle, pending, sound.client, session)

    async def resume(self, handle: str, session: SignedIn | None, sought: Sought = ANYBODY) -> Next:
        """A request that waits; `sought`: whose record is looked for. Raises BadRequest when it does not wait."""
        held, client = await self._waiting(handle)
        return await self._next(handle, held.value, client.value, session, sought)

    async def decide(self, handle: str, session: SignedIn, scopes: Sequence[str], patient: str = "") -> Redirect:
        """What they allow: some of the scopes, or none at all. Raises BadRequest with what is missing."""
        for _ in range(_TRIES):
            held, client = await self._waiting(handle)
            try:
                if not scopes:
                    await self._approving.refuse(held, session.account)
                    return self._back(held.value.request, {"error": "access_denied"})
                code = await self._approved(held, client, session, (tuple(scopes), patient))
            except Raced:
                continue
            except Denied as refusal:
                await self._approving.refuse(held, session.account, refusal.reason)
                return self._back(held.value.request, {"error": "access_denied"})
            return self._back(held.value.request, {"code": code})
        raise Raced

    async def _waiting(self, handle: str) -> tuple[Held[Pending], Held[Client]]:
        """The request behind a handle and its client. Raises BadRequest."""
        held = await self._rows.pending.get(self._rows.pending.key(handle))
        if held is None or self._rows.clock.now_ms() >= held.value.expires:
            raise BadRequest(_GONE, reason="unknown or old handle")
        client = await self._around.clients.find(held.value.request.client)
        if client is None or client.value.status is not Status.ACTIVE:
            raise BadRequest(_GONE, reason="its client is not active")
        return held, client

    async def _next(
        self, handle: str, pending: Pending, client: Client, session: SignedIn | None, sought: Sought = ANYBODY
    ) -> Next:
        """Sign in, or decide."""
        request = pending.request
        if session is None or self._is_old(pending, session):
            return NeedSignIn(handle, request.redirect_uri)
        try:
            person = (await self._around.people.standing(session.account)).person
            launch = await self._launch(request, session.account)
        except NotAuthenticated:
            return NeedSignIn(handle, request.redirect_uri)
        except Denied as refusal:
            await self._note(request, session.account, refusal.reason)
            return self._back(request, {"error": "invalid_request", "error_description": "The launch is not valid."})
        return NeedConsent(handle, await self._view(client, request, (person, sought), launch))

    def _is_old(self, pending: Pending, session: SignedIn) -> bool:
        """Whether the app wants a fresher sign-in (OpenID Connect Core §3.1.2.1).

        One since the request began is fresh enough for any: `max_age=0` could not be met otherwise.
        """
        request = pending.request
        if session.auth_time >= pending.begun:
            return False
        if request.prompt == "login":
            return True
        return request.max_age >= 0 and self._rows.clock.now_ms() - session.auth_time > request.max_age * 1000

    async def _launch(self, request: Request, account: str) -> Held[Launch] | None:
        """The launch that the request came of. Raises Denied."""
        if not request.launch:
            return None
        return await self._around.launching.found(request.launch, account, request.client)

    async def _view(
        self, client: Client, request: Request, looks: tuple[Person, Sought], launch: Held[Launch] | None
    ) -> View:
        """What the page shows to a person who looks for patients."""
        asked, (person, sought) = scope.asked(request.scopes), looks
        encounter = launch is not None and launch.value.context.encounter != ""
        shown = tuple(line for line in lines(asked) if encounter or line.scope != scope.LAUNCH_ENCOUNTER)
        found, chooses = Found(), (launch is None or not launch.value.context.patient) and reaches_one(asked, person)
        if chooses:
            found = await self._around.sight.names(person, sought)
        return View(
            client.id,
            client.name,
            client.verified,
            request.redirect_uri,
            shown,
            found.choices,
            found.more,
            searchable=chooses and person.finds,
        )

    async def _approved(
        self, held: Held[Pending], client: Held[Client], session: SignedIn, chosen: tuple[tuple[str, ...], str]
    ) -> str:
        """The code for what was allowed. Raises BadRequest, Denied, Raced."""
        request, (scopes, patient) = held.value.request, chosen
        if self._is_old(held.value, session):
            raise BadRequest("Please sign in once more.", reason="the app wants a fresher sign-in")
        try:
            allowed = scope.narrowed(scope.asked(request.scopes), " ".join(scopes))
        except OAuthRefused as refusal:
            raise BadRequest("More was allowed than the app asked for.", reason=refusal.reason) from None
        standing = await self._around.people.standing(session.account)
        launch = await self._launch(request, session.account)
        context = await self._context(standing.person, allowed, launch, patient)
        decision = Decision(held, client, standing, session, allowed, context, launch)
        return await self._approving.approve(decision)

    async def _context(
        self, person: Person, allowed: scope.Asked, launch: Held[Launch] | None, patient: str
    ) -> Context:
        """What the app is told of where it is used. Raises BadRequest, and Denied for a patient they may not see."""
        told = Context() if launch is None else launch.value.context
        if told.patient:
            await check_sight(self._around.sight, person, told.patient, told.encounter)
            return told
        if not reaches_one(allowed, person):
            return told
        if not patient and len(person.patients) == 1:
            patient = person.patients[0]
        if not patient:
            raise BadRequest("Choose whose record the app may reach.")
        await check_sight(self._around.sight, person, patient, told.encounter)
        return Context(patient, told.encounter, told.intent, told.tenant, told.banner, told.fhir_context)

    def _back(self, request: Request, answer: dict[str, str]) -> Redirect:
        """To the app, with the state it gave and the name of this server (RFC 9207)."""
        told = answer | ({"state": request.state} if request.state else {}) | {"iss": self._around.place.issuer}
        joint = "&" if urlsplit(request.redirect_uri).query else "?"
        return Redirect(request.redirect_uri + joint + urlencode(told))

    async def _note(self, request: Request, account: str, reason: str) -> None:
        """Write down a request that went no further."""
        now = self._rows.clock.now_ms()
        event = Event(
            Action.OAUTH_REFUSED, Outcome.DENIED, account, (), request.client, "", now, request.client, reason=reason
        )
        await self._rows.commit(Batch(), event)


def reaches_one(asked: scope.Asked, person: Person) -> bool:
    """Whether one patient's record has to be chosen."""
    return Kind.PATIENT in asked.kinds() or scope.LAUNCH_PATIENT in asked or not person.is_staff
