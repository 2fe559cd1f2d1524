"""An authorization server with all its endpoints over a store in memory, a clock that stands, and people who are there.

Everything but people and what they may see is the real thing: rows, log entries, JSON over ASGI. A person signs in and
decides through `oauth.authorize`, as the pages do. tests/smart/site.py is the same against the running program.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import httpx

from medlock.access.principal import Role
from medlock.audit.events import Action
from medlock.clock import Clock
from medlock.crypto.jose import new_signer
from medlock.errors import NotAuthenticated
from medlock.oauth.administering import administration
from medlock.oauth.authorize import NeedConsent, NeedSignIn, Redirect
from medlock.oauth.client import Kind
from medlock.oauth.granting import Place
from medlock.oauth.people import Choice, Found, KnownPeople, Person
from medlock.oauth.registering import Registration
from medlock.oauth.rows import open_rows
from medlock.oauth.server import AuthorizationServer, Outside
from medlock.oauth.tokens import TokenStore
from medlock.settings import Limits
from medlock.store.keyring import TenantKeys
from medlock.store.memory import Disk, MemoryBackend
from medlock.web.admin_api.api import AdminApi
from medlock.web.admin_api.gate import AdminGate
from medlock.web.oauth_api.api import OAuthApi
from medlock.web.oplog import OpLog
from medlock.web.pipeline import Outer
from medlock.web.reply import Replies
from web.small_world import Lines, SmallProbe

BASE = "https://localhost:8443"
FHIR = BASE + "/fhir"
TOKEN = BASE + "/oauth/token"
VERIFIER = "v" * 60
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
CALLBACK = "https://app.example.org/callback"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIMITS = Limits()

ANN = Person("acc-ann", "Ann Example", (Role.PATIENT,), "Patient/ann", ("ann",))
MAY = Person("acc-may", "May Example", (Role.PATIENT,), "RelatedPerson/may", ("ann", "bob"))
DOC = Person("acc-doc", "Dr. Doc", (Role.CLINICIAN,), "Practitioner/doc", (), ("Organization/ward",))


class StoppedClock(Clock):
    """Time that moves when told to; it begins now, so that real clients may be used with it."""

    def __init__(self) -> None:
        self.ms = time.time_ns() // 1_000_000

    def now_ms(self) -> int:
        return self.ms

    def pass_(self, seconds: float) -> None:
        """Later."""
        self.ms += int(seconds * 1000)


class Log:
    """Seals nothing, remembers every event."""

    def __init__(self) -> None:
        self.events = []

    def seal(self, *events):
        self.events += events
        return [b"entry"] * len(events)

    async def append(self, *events):
        self.events += events
        return 0

    def of(self, action: Action):
        """The events of one action."""
        return [event for event in self.events if event.action is action]


class NoLedger:
    """A log that takes entries and keeps no tree."""

    def resume(self, _tip):
        return ()

    def load(self, rows):
        """Nothing was asked for."""

    def extend(self, _entries):
        return 0, []

    def forget(self):
        """Nothing is kept."""


@dataclass
class Session:
    """Somebody who is signed in."""

    account: str
    id: str = "session-1"
    amr: tuple[str, ...] = ("hwk", "user")
    acr: str = "phr"
    auth_time: int = 0


class NoSessions:
    """Nobody is signed in."""

    async def find(self, _secret):
        raise NotAuthenticated("Please sign in.")


class SeeingSight:
    """Everybody sees these and nothing else."""

    def __init__(self) -> None:
        self.visible = {"Patient/ann", "Patient/bob", "Encounter/e1"}

    async def sees(self, person, reference, patient=""):
        assert not patient or patient in person.patients or person.is_staff
        mine = person.is_staff or reference.removeprefix("Patient/") in {*person.patients, "Encounter/e1"}
        return reference in self.visible and mine

    async def names(self, person, sought):
        ids = person.patients or (("ann", "bob") if person.is_staff else ())
        return Found(tuple(Choice(each, each.title()) for each in ids if each.startswith(sought.name)))


@dataclass
class App:
    """A registered client, from its own side."""

    id: str
    secret: str = ""
    signer: object = None
    kid: str = ""
    redirect: str = CALLBACK

    def credentials(self, world, **claims):
        """Form fields and headers with which it proves who it is."""
        if self.signer is not None:
            return {"client_assertion_type": ASSERTION, "client_assertion": self.assertion(world, **claims)}, {}
        if self.secret:
            basic = base64.b64encode(f"{self.id}:{self.secret}".encode()).decode()
            return {}, {"authorization": f"Basic {basic}"}
        return {"client_id": self.id}, {}

    def assertion(self, world, *, header=None, signer=None, **claims):
        """A client assertion; claims given replace the usual ones, None takes one out."""
        now = world.clock.now_ms() // 1000
        world.jtis += 1
        usual = {"iss": self.id, "sub": self.id, "aud": TOKEN, "exp": now + 300, "iat": now, "jti": f"j{world.jtis}"}
        merged = {name: value for name, value in (usual | claims).items() if value is not None}
        return (signer or self.signer).sign(merged, {"kid": self.kid} | (header or {}))


@dataclass
class World:
    """Everything together."""

    fetch: object = None
    disk: Disk = field(default_factory=Disk)
    clock: StoppedClock = field(default_factory=StoppedClock)
    log: Log = field(default_factory=Log)
    people: KnownPeople = field(default_factory=lambda: KnownPeople(ANN, MAY, DOC))
    sight: SeeingSight = field(default_factory=SeeingSight)
    sittings: object = None
    jtis: int = 0

    def __post_init__(self) -> None:
        self.server, self.app, self.tokens = self.process()
        self.signed_in = None
        self.desk = self.server_desk

    def process(self):
        """The server as another process would have it: the same disk, nothing remembered."""
        keys = TenantKeys(bytes(range(32)))
        backend = MemoryBackend(NoLedger(), self.disk)
        tokens = TokenStore(backend, keys, self.clock, self.log)
        rows = open_rows(backend, keys, self.clock, self.log)
        self.server_desk = administration(rows, tokens)
        outside = Outside(self.people, self.sittings or self.people, self.sight, self.fetch)
        server = AuthorizationServer(self.server_desk, Place(BASE, FHIR), outside)
        replies, log = Replies(FHIR, tls=True), OpLog(self.clock, Lines())
        self.api = OAuthApi(server, Watching(), self.who)
        gate = AdminGate(NoSessions(), self.clock, BASE)
        self.admin = AdminApi(self.server_desk.clerk, gate, Watching())
        app = Outer(replies, SmallProbe(), log, tls=True).app(self.mounted())
        return server, app, tokens

    def mounted(self):
        """What answers: endpoints for apps, and the administration, which nobody is let into."""
        return [*self.api.mounted(), *self.admin.mounted()]

    async def who(self, _request):
        if self.signed_in is None:
            raise NotAuthenticated("Please sign in.", reason="no session")
        return self.signed_in

    def http(self, app=None):
        """A client of the site."""
        transport = httpx.ASGITransport(app=app or self.app)
        return httpx.AsyncClient(transport=transport, base_url=BASE, headers={"accept": "application/json"})

    async def register(self, kind=Kind.PUBLIC, *, signer=None, **more):
        """A client of a kind, registered by an operator."""
        kid = "key-1"
        if kind is Kind.ASYMMETRIC and "jwks_url" not in more and "jwks" not in more:
            signer = signer or new_signer("ES384")
            more["jwks"] = jwks_of(signer, kid)
        if "redirect_uris" not in more and "client_credentials" not in more.get("grants", ()):
            more["redirect_uris"] = (CALLBACK,)
        more.setdefault("scopes", ALL_SCOPES if more.get("redirect_uris") else "system/*.rs")
        client, secret = await self.desk.clients.register(Registration("Test App", kind, **more), "test")
        return App(client.id, secret, signer, kid, (client.redirect_uris or ("",))[0])

    async def backend_app(self, signer=None, **more):
        """A program that acts for itself."""
        return await self.register(Kind.ASYMMETRIC, signer=signer, grants=("client_credentials",), **more)

    def asking(self, app, scope, **more):
        """The parameters of an authorization request."""
        fields = {
            "response_type": "code",
            "client_id": app.id,
            "redirect_uri": app.redirect,
            "scope": scope,
            "state": "state-1",
            "aud": FHIR,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return [(name, value) for name, value in (fields | more).items() if value is not None]

    async def begin(self, app, scope, person=ANN, **more):
        """A request, by somebody who is signed in (None: by nobody)."""
        return await self.server.authorize.begin(self.asking(app, scope, **more), self.session(person))

    def session(self, person):
        """A session that lives."""
        if person is None:
            return None
        self.people.sessions.add((person.id, "session-1"))
        return Session(person.id, auth_time=self.clock.now_ms())

    async def approve(self, app, scope, person=ANN, patient="", scopes=None, **more):
        """The answer at the redirect URI, after they allowed all (or `scopes`)."""
        asked = await self.begin(app, scope, person, **more)
        if isinstance(asked, Redirect):
            return answer(asked)
        assert isinstance(asked, NeedConsent), asked
        chosen = tuple(line.scope for line in asked.view.lines) if scopes is None else scopes
        return answer(await self.server.authorize.decide(asked.handle, self.session(person), chosen, patient))

    async def code(self, app, scope, person=ANN, **more):
        """An authorization code."""
        found = await self.approve(app, scope, person, **more)
        assert "code" in found, found
        return found["code"]

    async def post(self, path, form, headers=None, app=None):
        """A form to an endpoint."""
        async with self.http(app) as http:
            return await http.post(path, data=form, headers=headers or {})

    async def redeem(self, app, code, verifier=VERIFIER, site=None, **more):
        """A code at the token endpoint."""
        fields, headers = app.credentials(self)
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": app.redirect} | fields | more
        form |= {} if verifier is None else {"code_verifier": verifier}
        return await self.post("/oauth/token", form, headers, site)

    async def tokens_for(self, app, scope, person=ANN, **more):
        """The token answer of a whole flow."""
        done = await self.redeem(app, await self.code(app, scope, person, **more))
        assert done.status_code == 200, done.text
        return done.json()

    async def refresh(self, app, token, site=None, **more):
        """A refresh token at the token endpoint."""
        fields, headers = app.credentials(self)
        form = {"grant_type": "refresh_token", "refresh_token": token} | fields | more
        return await self.post("/oauth/token", form, headers, site)

    async def credentials(self, app, scope="system/*.rs", site=None, **claims):
        """client_credentials at the token endpoint."""
        fields, headers = app.credentials(self, **claims)
        return await self.post(
            "/oauth/token", {"grant_type": "client_credentials", "scope": scope} | fields, headers, site
        )

    async def introspect(self, app, token):
        """What a client is told of a token."""
        fields, headers = app.credentials(self)
        return await self.post("/oauth/introspect", {"token": token} | fields, headers)


class Watching:
    """Remembers refusals."""

    def __init__(self) -> None:
        self.reasons = []

    async def refused(self, reason, request):
        assert request
        self.reasons.append(reason)


def answer(redirect):
    """The parameters that the app gets."""
    assert isinstance(redirect, Redirect), redirect
    return {name: values[0] for name, values in parse_qs(urlsplit(redirect.address).query).items()}


def jwks_of(signer, kid):
    """A JWK Set with one key."""
    return json.dumps({"keys": [signer.public() | {"kid": kid}]}).encode()


def signs_in(found):
    """Whether somebody has to sign in."""
    return isinstance(found, NeedSignIn)


TYPES = (
    "AllergyIntolerance CarePlan CareTeam Condition DiagnosticReport DocumentReference Goal Immunization "
    "MedicationRequest Observation Patient Procedure Provenance ServiceRequest Coverage MedicationDispense Specimen "
    "Location Practitioner Organization Encounter"
).split()
ALL_SCOPES = (
    "openid fhirUser profile launch launch/patient launch/encounter offline_access online_access "
    "patient/*.cruds user/*.cruds"
)
