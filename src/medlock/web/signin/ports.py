"""What the pages need from the inside, and what they show of it. `desks.py` makes these of identity and oauth.

Times are milliseconds since 1970. A method that changes a session answers with an `Arrival`: the new secret goes into
the cookie, the old one is dead. Every method refuses by raising: NotAuthenticated with one sentence for every cause,
TooMany while attempts have to wait, BadRequest or Conflict with a sentence that says what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from medlock.errors import NotAuthenticated
from medlock.identity.review import Point
from medlock.oauth.people import ANYBODY, Choice, Sought
from medlock.oauth.wording import Line


class UnknownPasskey(NotAuthenticated):
    """A passkey that counts no more. `signal`: what the browser is told, so that it offers it no longer (§5.1.10)."""

    def __init__(self, signal: Mapping[str, str]) -> None:
        super().__init__("This passkey does not sign you in any more. Choose another one, or use your password.")
        self.signal = signal


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request comes from: cookies of browser and device, the peer's address, what the browser says it is."""

    browser: str = field(repr=False)
    device: str = field(repr=False)
    address: str
    agent: str


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is signed in.

    methods      what they proved themselves with (RFC 8176 words)
    acr          how strong that is
    proven       when they last did
    strict       an administrator: cookies are SameSite Strict
    unsettled    they must enrol before anything else
    """

    session: str
    account: str
    login: str
    name: str
    methods: tuple[str, ...]
    proven: int
    strict: bool = False
    unsettled: bool = False
    acr: str = ""
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A session that has just begun, or begun anew. `device` is a new device secret, or ""."""

    secret: str = field(repr=False)
    visitor: Visitor
    device: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Pending:
    """The first factor was right; one of `seconds` ("otp", "rcv", "hwk") is missing."""

    secret: str = field(repr=False)
    seconds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ceremony:
    """One use of a passkey about to happen: its handle and what the browser is asked (WebAuthn options as JSON)."""

    handle: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey as its owner sees it. `doubted`: its counter fell, so it may have been copied."""

    id: str
    name: str
    made: int
    used: int
    synced: bool
    doubted: bool = False


@dataclass(frozen=True, slots=True)
class Holdings:
    """Everything an account can prove itself with.

    password_days  days until it must be changed, once a reminder is due; 0 before
    settled        there is a way to sign in again: not so with a short password alone
    accepted       credential ids for the browser (base64url), and the user handle
    """

    passkeys: tuple[Passkey, ...]
    password_changed: int = 0
    password_due: int = 0
    totp: int = 0
    recovery_left: int = 0
    staff: bool = False
    settled: bool = False
    rp: str = ""
    handle: str = ""
    accepted: tuple[str, ...] = ()
    password_days: int = 0

    @property
    def phishable(self) -> bool:
        """Whether a false page could get in with what its owner types."""
        return not self.passkeys


@dataclass(frozen=True, slots=True)
class Seed:
    """An authenticator app about to be enrolled: its secret as text and as the address in a QR code."""

    handle: str
    secret: str = field(repr=False)
    uri: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sheet:
    """Ten recovery codes, shown once."""

    handle: str
    codes: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class PasswordOffer:
    """What a password must be, each rule a sentence. `present`: the one it replaces is asked for."""

    handle: str
    rules: tuple[str, ...]
    present: bool


@dataclass(frozen=True, slots=True)
class SessionView:
    """One session in the list."""

    id: str
    agent: str
    address: str
    begun: int
    used: int
    methods: tuple[str, ...]
    here: bool


@dataclass(frozen=True, slots=True)
class Attempts:
    """Failed sign-ins since the last good one, the last of them, until when new devices wait (0: they do not)."""

    failed: int = 0
    last: int = 0
    waits_until: int = 0


@dataclass(frozen=True, slots=True)
class AppView:
    """An app that may reach something of this person."""

    id: str
    name: str
    verified: bool
    scopes: tuple[str, ...]
    granted: int
    used: int
    until: int


@dataclass(frozen=True, slots=True)
class AppRequest:
    """What an app asks: everything the authorisation page shows.

    redirect       where the browser goes afterwards
    minutes        how long a single access lasts
    days           how long the app may come back by itself, when offline access is allowed
    searchable     other patients may be looked for; more: the page that goes on with these, or ""
    """

    handle: str
    name: str
    verified: bool
    redirect: str
    scopes: tuple[Line, ...]
    patients: tuple[Choice, ...]
    minutes: int
    days: int
    website: str = ""
    searchable: bool = False
    more: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ToApp:
    """Go to the app. Only oauth makes this address, after it checked it. `reason`: why it is refused, for the log."""

    address: str = field(repr=False)
    reason: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class NeedSignIn:
    """Somebody has to sign in first; `redirect` is where it will end, for the form's policy."""

    handle: str
    redirect: str


class SignIn(Protocol):
    """From nobody to somebody."""

    async def password(self, login: str, password: str, place: Place) -> Arrival | Pending:
        """The first factor by password; the same answer and time for accounts that do not exist."""

    async def code(self, pending: str, code: str, place: Place) -> Arrival | Pending:
        """The second factor by an authenticator app."""

    async def recovery(self, pending: str, login: str, code: str, place: Place) -> Arrival | Pending:
        """A recovery code: after the password in place of the second factor, or with the user name alone."""

    async def passkey_options(self, place: Place) -> Ceremony:
        """Options for any passkey of this site."""

    async def passkey(self, handle: str, credential: str, place: Place) -> Arrival | Pending:
        """A passkey's answer as JSON."""

    async def join(self, code: str, login: str, birth: str, place: Place) -> Arrival:
        """An invitation or a clinic's sign-up code becomes an account with a chosen user name, not yet settled."""


class Sessions(Protocol):
    """Who is signed in where."""

    async def find(self, secret: str) -> Visitor:
        """Whose session this is. Raises NotAuthenticated."""

    async def of(self, visitor: Visitor) -> list[SessionView]:
        """Every session of theirs, newest use first."""

    async def end(self, visitor: Visitor, session: str) -> None:
        """End one of theirs. Raises NotFound."""

    async def end_others(self, visitor: Visitor) -> None:
        """End all but this one."""

    async def attempts(self, visitor: Visitor) -> Attempts:
        """Failed sign-ins at their account."""

    async def unlock(self, visitor: Visitor) -> None:
        """Failed sign-ins count no longer."""

    async def review(self, visitor: Visitor) -> tuple[Point, ...] | None:
        """What to look at in the yearly review; None while it is not due."""

    async def reviewed(self, visitor: Visitor) -> None:
        """They have looked through what they sign in with."""


class Proofs(Protocol):
    """Proving oneself again: every method answers with the session under a new secret."""

    async def options(self, visitor: Visitor, place: Place) -> Ceremony:
        """Options for their passkeys."""

    async def passkey(self, visitor: Visitor, handle: str, credential: str, place: Place) -> Arrival:
        """A passkey's answer."""

    async def password(self, visitor: Visitor, password: str, code: str, place: Place) -> Arrival:
        """A password, with a code where there is an authenticator app."""


class Factors(Protocol):
    """What an account proves itself with. What gives the session a new secret answers with it."""

    async def held(self, visitor: Visitor) -> Holdings:
        """All of it."""

    async def passkey_options(self, visitor: Visitor, place: Place, *, conditional: bool) -> Ceremony:
        """Options for a new passkey; `conditional`: one that the browser may make by itself."""

    async def passkey_add(
        self, visitor: Visitor, place: Place, handle: str, credential: str
    ) -> tuple[str, Arrival | None]:
        """The new passkey; its id."""

    async def passkey_rename(self, visitor: Visitor, passkey: str, name: str) -> None:
        """Call it something else."""

    async def passkey_trust(self, visitor: Visitor, passkey: str) -> None:
        """A doubted passkey is their own after all."""

    async def passkey_remove(self, visitor: Visitor, place: Place, passkey: str) -> Arrival | None:
        """It signs nobody in any more."""

    async def totp_begin(self, visitor: Visitor, place: Place) -> Seed:
        """A new authenticator app."""

    async def totp_finish(self, visitor: Visitor, place: Place, handle: str, code: str) -> Arrival | None:
        """It showed the right code."""

    async def totp_remove(self, visitor: Visitor, place: Place) -> Arrival | None:
        """Its codes count no longer."""

    async def recovery_begin(self, visitor: Visitor, place: Place) -> Sheet:
        """Ten new codes, not in force yet."""

    async def recovery_finish(self, visitor: Visitor, place: Place, handle: str, code: str) -> Arrival | None:
        """One of them was typed back: they are in force, former ones worthless."""

    async def password_begin(self, visitor: Visitor, place: Place) -> PasswordOffer:
        """What a new password must be."""

    async def password_set(
        self, visitor: Visitor, place: Place, handle: str, password: str, present: str
    ) -> Arrival | None:
        """A new password in the place of the present one, if there is one."""


class Apps(Protocol):
    """What apps may do."""

    async def begin(
        self, fields: tuple[tuple[str, str], ...], visitor: Visitor | None, place: Place
    ) -> ToApp | NeedSignIn | AppRequest:
        """A request at the authorisation endpoint. Raises BadRequest: shown, and never sent to an address in it."""

    async def resume(
        self, handle: str, visitor: Visitor | None, sought: Sought = ANYBODY
    ) -> ToApp | NeedSignIn | AppRequest:
        """The same request, after somebody signed in; with the patients that they look for. Raises BadRequest."""

    async def decide(self, handle: str, visitor: Visitor, scopes: tuple[str, ...], patient: str) -> ToApp:
        """Some of the scopes are allowed; none at all: the person refused."""

    async def of(self, visitor: Visitor) -> list[AppView]:
        """Apps that may reach something of theirs."""

    async def revoke(self, visitor: Visitor, app: str) -> None:
        """An app may nothing more, from its next request on."""


@dataclass(frozen=True, slots=True)
class NoticeView:
    """Somebody opened this person's record in an emergency; `reason` is what they typed."""

    at: int
    who: str
    roles: tuple[str, ...]
    reason: str


class Notices(Protocol):
    """What a patient is told of by itself."""

    async def of(self, visitor: Visitor) -> list[NoticeView]:
        """The latest, newest first; none for who is no patient."""


class NoNotices:
    """Of a site without records."""

    async def of(self, _visitor: Visitor) -> list[NoticeView]:
        """None."""
        return []


@dataclass(frozen=True, slots=True)
class Desks:
    """Everything the pages speak with."""

    sign_in: SignIn
    sessions: Sessions
    proofs: Proofs
    factors: Factors
    apps: Apps
    notices: Notices = field(default_factory=NoNotices)
