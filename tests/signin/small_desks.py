"""A small clinic behind the pages: everything they speak with, in memory, with one password and one valid code.

It stands for `web.signin.desks`, whose answers have the same form; it checks nothing that identity and oauth have tests
for. `faults` makes the next call of a method raise.
"""

# ruff: noqa: ARG002 - it has the pages' ports

from dataclasses import dataclass, field, replace

from medlock.errors import BadRequest, NotAuthenticated, NotFound
from medlock.oauth.people import ANYBODY, Choice
from medlock.oauth.wording import Line
from medlock.web.signin.ports import (
    AppRequest,
    AppView,
    Arrival,
    Attempts,
    Ceremony,
    Desks,
    Holdings,
    NeedSignIn,
    Passkey,
    PasswordOffer,
    Pending,
    Seed,
    SessionView,
    Sheet,
    ToApp,
    UnknownPasskey,
    Visitor,
)

NOW = 1_796_028_360_000  # 30 November 2026, 08:46 UTC
HOUR, DAY = 3_600_000, 86_400_000
WRONG = "This did not work. Check what you entered and try again, or use another way to sign in."
APP = "https://app.example:4443"
CODES = tuple(f"{n:04}-ABCD-EFGH-JKMN-PQRS-TVWX" for n in range(10))
AGENT = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1"


class SmallClock:
    """Stands still until it is told to move."""

    def __init__(self):
        self.ms = NOW

    def now_ms(self):
        return self.ms


@dataclass
class World:
    """One account, `ann`, her sessions, and one app's request."""

    clock: SmallClock = field(default_factory=SmallClock)
    held: Holdings = field(
        default_factory=lambda: Holdings((), password_changed=NOW - 40 * DAY, recovery_left=10, settled=True)
    )
    seconds: tuple = ()
    unsettled: bool = False
    strict: bool = False
    sessions: dict = field(default_factory=dict)
    faults: dict = field(default_factory=dict)
    attempts: Attempts = field(default_factory=Attempts)
    apps: list = field(default_factory=list)
    notices: list = field(default_factory=list)
    decided: list = field(default_factory=list)
    ended: list = field(default_factory=list)
    patients: tuple = ()
    searchable: bool = False
    review: tuple | None = None
    sought: list = field(default_factory=list)
    made: int = 0

    def arrive(self, *methods):
        """A new session."""
        self.made += 1
        secret = f"session-secret-{self.made:08}"
        visitor = Visitor(
            f"s{self.made}",
            "acc-1",
            "ann@example.org",
            "Ann Okafor",
            methods,
            self.clock.now_ms(),
            strict=self.strict,
            unsettled=self.unsettled,
            secret=secret,
        )
        self.sessions[secret] = visitor
        return Arrival(secret, visitor, f"device-secret-{self.made:08}")

    def renew(self, visitor):
        """The same session under a new secret, proven now."""
        self.sessions.pop(visitor.secret)
        return self.arrive(*visitor.methods)

    def trip(self, name):
        """Raise what was planned for this call."""
        if name in self.faults:
            raise self.faults.pop(name)

    def desks(self):
        """All of it as the pages take it."""
        others = SmallSessions(self), SmallProofs(self), SmallFactors(self), SmallApps(self), SmallNotices(self)
        return Desks(SmallSignIn(self), *others)


@dataclass
class SmallSignIn:
    """From nobody to somebody."""

    world: World

    async def password(self, login, password, place):
        self.world.trip("password")
        if (login, password) != ("ann@example.org", "right horse"):
            raise NotAuthenticated(WRONG)
        return Pending("pending-secret-0001", self.world.seconds) if self.world.seconds else self.world.arrive("pwd")

    async def code(self, pending, code, place):
        if (pending, code) != ("pending-secret-0001", "123456"):
            raise NotAuthenticated(WRONG)
        return self.world.arrive("pwd", "otp")

    async def recovery(self, pending, login, code, place):
        if (pending or login) not in {"pending-secret-0001", "ann@example.org"} or code != CODES[0]:
            raise NotAuthenticated(WRONG)
        return self.world.arrive("rcv")

    async def passkey_options(self, place):
        return Ceremony("ticket-1", {"challenge": "AAAA", "rpId": "localhost", "userVerification": "required"})

    async def passkey(self, handle, credential, place):
        self.world.trip("passkey")
        if (handle, credential) != ("ticket-1", "{}"):
            raise UnknownPasskey({"rpId": "localhost", "credentialId": "gone"})
        return self.world.arrive("hwk", "user")

    async def join(self, code, login, birth, place):
        if code != "WELCOME":
            raise NotAuthenticated("This code is not valid. Ask your clinic for a new one.")
        self.world.unsettled, self.world.held = True, Holdings(())
        return self.world.arrive("inv")


@dataclass
class SmallSessions:
    """Who is signed in."""

    world: World

    async def find(self, secret):
        if secret not in self.world.sessions:
            raise NotAuthenticated("Please sign in.")
        return replace(self.world.sessions[secret], unsettled=self.world.unsettled)

    async def of(self, visitor):
        now = self.world.clock.now_ms()
        mine = SessionView(visitor.session, AGENT, "203.0.113.7", visitor.proven, now, visitor.methods, here=True)
        other = SessionView(
            "other",
            "Mozilla/5.0 (Windows NT 10.0) Chrome/150 Safari/537",
            "198.51.100.4",
            now - 3 * DAY,
            now - 5 * HOUR,
            ("pwd",),
            here=False,
        )
        return [mine, other]

    async def end(self, visitor, session):
        self.world.ended.append(session)
        if session not in {visitor.session, "other"}:
            raise NotFound("no such session")
        if session == visitor.session:
            del self.world.sessions[visitor.secret]

    async def end_others(self, visitor):
        self.world.ended.append("others")

    async def attempts(self, visitor):
        return self.world.attempts

    async def unlock(self, visitor):
        self.world.attempts = Attempts()

    async def review(self, visitor):
        return self.world.review

    async def reviewed(self, visitor):
        self.world.review = None


@dataclass
class SmallProofs:
    """Proving oneself again."""

    world: World

    async def options(self, visitor, place):
        return Ceremony("ticket-2", {"challenge": "AAAA", "rpId": "localhost"})

    async def passkey(self, visitor, handle, credential, place):
        if handle != "ticket-2":
            raise NotAuthenticated(WRONG)
        return self.world.renew(visitor)

    async def password(self, visitor, password, code, place):
        if password != "right horse":
            raise NotAuthenticated(WRONG)
        return self.world.renew(visitor)


@dataclass
class SmallFactors:
    """What proves."""

    world: World

    async def held(self, visitor):
        return self.world.held

    async def passkey_options(self, visitor, place, *, conditional):
        return Ceremony("ticket-3", {"challenge": "AAAA"})

    async def passkey_add(self, visitor, place, handle, credential):
        if handle != "ticket-3":
            raise NotAuthenticated(WRONG)
        self.world.unsettled = False
        made = Passkey("k1", "Security key", self.world.clock.now_ms(), 0, synced=False)
        self.world.held = replace(self.world.held, passkeys=(*self.world.held.passkeys, made), settled=True)
        return made.id, None

    async def passkey_rename(self, visitor, passkey, name):
        keys = tuple(replace(key, name=name) if key.id == passkey else key for key in self.world.held.passkeys)
        self.world.held = replace(self.world.held, passkeys=keys)

    async def passkey_trust(self, visitor, passkey):
        keys = tuple(replace(key, doubted=False) for key in self.world.held.passkeys)
        self.world.held = replace(self.world.held, passkeys=keys)

    async def passkey_remove(self, visitor, place, passkey):
        self.world.held = replace(
            self.world.held, passkeys=tuple(key for key in self.world.held.passkeys if key.id != passkey)
        )
        return self.world.renew(visitor)

    async def totp_begin(self, visitor, place):
        secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
        return Seed(
            "ticket-4",
            secret,
            f"otpauth://totp/medlock%3Aann%40example.org?secret={secret}&issuer=medlock&algorithm=SHA1&digits=6&period=30",
        )

    async def totp_finish(self, visitor, place, handle, code):
        if code != "123456":
            raise NotAuthenticated(WRONG)
        self.world.held = replace(self.world.held, totp=self.world.clock.now_ms())

    async def totp_remove(self, visitor, place):
        self.world.held = replace(self.world.held, totp=0)
        return self.world.renew(visitor)

    async def recovery_begin(self, visitor, place):
        return Sheet("ticket-5", CODES)

    async def recovery_finish(self, visitor, place, handle, code):
        if code not in CODES:
            raise NotAuthenticated(WRONG)
        self.world.held = replace(self.world.held, recovery_left=10)

    async def password_begin(self, visitor, place):
        rules = (
            "At least 15 characters.",
            "Not among passwords that are known to attackers.",
            "Without your name, your address or your date of birth.",
        )
        return PasswordOffer("ticket-6", rules, present=bool(self.world.held.password_changed))

    async def password_set(self, visitor, place, handle, password, present):
        if len(password) < 15:
            raise BadRequest("This password is too short: it needs 15 characters or more.")
        self.world.held = replace(self.world.held, password_changed=self.world.clock.now_ms(), settled=True)
        self.world.unsettled = False
        return self.world.renew(visitor)


REQUEST = AppRequest(
    "handle-of-a-request",
    "Heart Diary",
    verified=False,
    redirect=f"{APP}/callback",
    scopes=(
        Line("patient/Patient.rs", "See who you are: name, date of birth, address", "data"),
        Line(
            "patient/Observation.rs",
            "See your measurements and test results",
            "data",
            (
                (
                    "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|vital-signs",
                    "Vital signs",
                ),
                (
                    "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory",
                    "Laboratory results",
                ),
            ),
        ),
        Line("patient/MedicationRequest.rs", "See your prescriptions", "data"),
        Line("openid", "Know that it is you who signed in", "identity"),
        Line("launch/patient", "", "launch"),
        Line("offline_access", "Come back while you are not here", "offline"),
    ),
    patients=(),
    minutes=10,
    days=365,
    website="https://heartdiary.example",
)


@dataclass
class SmallApps:
    """One app that asks."""

    world: World

    async def begin(self, fields, visitor, place):
        asked = dict(fields)
        if asked.get("client_id") != "diary" or asked.get("redirect_uri") != f"{APP}/callback":
            raise BadRequest("This app is not known here, or it asks to be answered at an address that is not its own.")
        return await self.resume(REQUEST.handle, visitor)

    async def resume(self, handle, visitor, sought=ANYBODY):
        if handle != REQUEST.handle:
            raise BadRequest("This request is over. Go back to the app and begin again.")
        if visitor is None:
            return NeedSignIn(REQUEST.handle, REQUEST.redirect)
        if sought.birth == "nonsense":
            raise BadRequest("A date of birth is written year-month-day: 1980-02-29.")
        self.world.sought.append(sought)
        found = tuple(each for each in self.world.patients if sought.name.lower() in each.name.lower())
        more = "next-page" if self.world.searchable and not sought.page else ""
        return replace(REQUEST, patients=found, searchable=self.world.searchable, more=more)

    async def decide(self, handle, visitor, scopes, patient):
        self.world.decided.append((scopes, patient))
        return ToApp(f"{APP}/callback?{'code=c' if scopes else 'error=access_denied'}&state=s")

    async def of(self, visitor):
        return self.world.apps

    async def revoke(self, visitor, app):
        self.world.ended.append(app)
        self.world.apps = [each for each in self.world.apps if each.id != app]


@dataclass
class SmallNotices:
    """What the world says."""

    world: World

    async def of(self, visitor):
        return self.world.notices


KEYS = (
    Passkey("k1", "My phone", NOW - 90 * DAY, NOW - 5 * HOUR, synced=True),
    Passkey("k2", "Blue security key", NOW - 400 * DAY, 0, synced=False, doubted=True),
)
APPS = [
    AppView(
        "a1",
        "Heart Diary",
        verified=False,
        scopes=("See your measurements and test results", "See your prescriptions"),
        granted=NOW - 12 * DAY,
        used=NOW - 2 * HOUR,
        until=NOW + 350 * DAY,
    ),
    AppView("a2", "Clinic Messenger", verified=True, scopes=("See who you are",), granted=NOW, used=0, until=0),
]
PATIENTS = (Choice("ann", "Ann Okafor", "4 May 1961"), Choice("ben", "Ben Okafor", "19 July 2015"))
