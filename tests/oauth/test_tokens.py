"""Bearer tokens: recognised exactly while they live, silent about why not, and nothing of them on the disk."""

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlock.access.principal import Role
from medlock.audit.copies import MINIMAL_BYTES, minimal_of
from medlock.audit.events import Action, Event, Outcome, Position
from medlock.clock import Clock
from medlock.crypto.aead import Aead
from medlock.crypto.prf import Prf
from medlock.errors import BadRequest, NotAuthenticated, NotFound, Tampered, Unavailable
from medlock.oauth.requests import MAX_SECONDS, TokenRequest
from medlock.oauth.tokens import TokenStore
from medlock.store.memory import Disk, Fault, MemoryBackend
from medlock.store.tables import Table

CLINICIAN = TokenRequest(Role.CLINICIAN, by="cli:test")


class StoppedClock(Clock):
    """Time that moves when told to."""

    ms = 1_700_000_000_000

    def now_ms(self):
        return self.ms


class Keys:
    """The two tenant keys that tokens need."""

    def __init__(self):
        self.token = Aead(bytes(range(32)))
        self.token_labels = Prf(bytes(range(32, 64)))


class PlainLog:
    """Seals nothing, remembers every event."""

    def __init__(self):
        self.events = []

    def seal(self, event):
        self.events.append(event)
        return b"entry"


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


class World:
    """A token store on a disk in memory, and a way to look at it from a second process."""

    def __init__(self):
        self.disk, self.clock, self.log, self.keys = Disk(), StoppedClock(), PlainLog(), Keys()
        self.backend = MemoryBackend(NoLedger(), self.disk)
        self.tokens = self.process()

    def process(self):
        """A store with nothing remembered, over the same disk."""
        return TokenStore(self.backend, self.keys, self.clock, self.log)


@pytest.fixture
def world():
    return World()


async def refused(tokens, secret):
    """The private reason why a secret is refused; the sentence is always the same."""
    with pytest.raises(NotAuthenticated) as refusal:
        await tokens.authenticate(secret)
    assert str(refusal.value) == "Send a valid token."
    return refusal.value.reason


async def test_a_token_stands_for_what_was_asked(world):
    """Role, scopes, patient, account, client and purpose come back in the Principal, in any process."""
    request = TokenRequest(Role.PATIENT, "cli:test", "patient/Goal.read", "p1", "anna", "app", "PATRQT")
    issued = await world.tokens.create(request)
    for tokens in (world.tokens, world.process()):
        principal = await tokens.authenticate(issued.secret)
        assert principal.roles == {Role.PATIENT}
        assert principal.scopes.text == "patient/Goal.rs"
        assert (principal.patient, principal.account, principal.client) == ("p1", "anna", "app")
        assert principal.purpose == "PATRQT"


async def test_an_unknown_or_changed_secret_is_refused(world):
    """Every one-character change of a secret, and other texts, are unknown."""
    issued = await world.tokens.create(CLINICIAN)
    for at in range(len(issued.secret)):
        other = "A" if issued.secret[at] != "A" else "B"
        assert await refused(world.tokens, issued.secret[:at] + other + issued.secret[at + 1 :]) == "unknown token"
    for secret in ("", "x", issued.id, issued.secret + "=", issued.secret * 2):
        assert await refused(world.tokens, secret) == "unknown token"


async def test_a_token_ends_at_its_last_millisecond(world):
    """Valid until the moment it expires, and from then on never again."""
    issued = await world.tokens.create(replace(CLINICIAN, seconds=60))
    assert issued.expires == world.clock.ms + 60_000
    world.clock.ms += 59_999
    await world.tokens.authenticate(issued.secret)
    world.clock.ms += 1
    assert (await refused(world.tokens, issued.secret)).startswith("expired")


async def test_revocation_acts_on_the_next_request_of_every_process(world):
    """A process that has just used the token refuses it as soon as another has revoked it."""
    issued = await world.tokens.create(CLINICIAN)
    elsewhere = world.process()
    await elsewhere.authenticate(issued.secret)
    await world.tokens.revoke(issued.id, "cli:test")
    assert (await refused(elsewhere, issued.secret)).startswith("revoked")
    await world.tokens.revoke(issued.id, "cli:test")
    assert [event.action for event in world.log.events] == [Action.TOKEN_CREATE, Action.TOKEN_REVOKE]


async def test_making_and_revoking_are_written_down(world):
    """Both acts are events by the one who asked, in the commit of the row; neither holds the secret."""
    issued = await world.tokens.create(CLINICIAN)
    await world.tokens.revoke(issued.id, "cli:other")
    created, revoked = world.log.events
    assert (created.account, created.outcome, created.request) == ("cli:test", Outcome.SUCCESS, issued.id)
    assert revoked.account == "cli:other"
    digest = sha256(issued.secret.encode()).hexdigest()
    for event in world.log.events:
        assert issued.secret not in repr(event)
        assert digest not in repr(event)


async def test_nothing_is_made_when_it_cannot_be_written(world):
    """A disk that refuses gives Unavailable, and no token."""
    world.backend.fault = Fault.REFUSE
    with pytest.raises(Unavailable):
        await world.tokens.create(CLINICIAN)
    world.backend.fault = None
    assert await world.tokens.every() == []


async def test_the_list_shows_everything_but_the_secret(world):
    """The list names each token with its claims, newest first, and no secret or digest."""
    first = await world.tokens.create(CLINICIAN)
    world.clock.ms += 1
    second = await world.tokens.create(TokenRequest(Role.PATIENT, "cli:test", patient="p1"))
    await world.tokens.revoke(first.id, "cli:test")
    shown = await world.tokens.every()
    assert [token.id for token in shown] == [second.id, first.id]
    assert (shown[0].patient, shown[0].scopes, shown[0].revoked) == ("p1", "patient/*.rs", 0)
    assert shown[1].revoked == world.clock.ms
    for issued in (first, second):
        assert issued.secret not in repr(shown)
        assert issued.secret not in repr(issued)


@pytest.mark.parametrize("lengths", [(64, 8, 0), (31, 31, 15), (64, 64, 0), (1, 64, 64), (0, 64, 0)])
async def test_names_that_would_lengthen_audit_entries_are_refused(world, lengths):
    """A stolen disk would show which entries are of this account, and which of them are writes."""
    account, client, purpose = ("n" * length for length in lengths)
    with pytest.raises(BadRequest, match="76"):
        await world.tokens.create(replace(CLINICIAN, account=account, client=client, purpose=purpose))


@pytest.mark.parametrize("lengths", [(64, 2, 10), (31, 31, 14), (36, 36, 4), (1, 11, 64)])
@pytest.mark.parametrize("action", list(Action))
@pytest.mark.parametrize("role", [Role.PRIVACY_OFFICER, Role.CLINICIAN, Role.PATIENT, Role.BACKEND])
async def test_no_name_that_a_token_can_have_shows_in_the_length_of_an_entry(world, lengths, action, role):
    """Whoever acts, whatever is done: with the place of an index, as writes have it, or without."""
    account, client, purpose = ("n" * length for length in lengths)
    patient = "p1" if role is Role.PATIENT else ""
    scopes = "system/Goal.rs" if role is Role.BACKEND else ""
    asked = TokenRequest(role, "cli:test", scopes, patient, account, client, purpose)
    principal = await world.tokens.authenticate((await world.tokens.create(asked)).secret)
    slot, now, request = 2**63 - 1, 2**41, "f" * 32
    who = (principal.account, tuple(sorted(principal.roles)), principal.client, principal.purpose)
    for position in (None, Position(slot, 2**31, b"t" * 16)):
        event = Event(action, Outcome.SUCCESS, *who, now, request, slot, position=position)
        assert len(minimal_of(event, (17, 17, 17, 17))) < MINIMAL_BYTES


async def test_a_row_says_nothing_and_has_one_length(world):
    """Neither the secret nor a claim lies in clear, and rows do not differ in size."""
    secrets = [
        (await world.tokens.create(CLINICIAN)).secret,
        (await world.tokens.create(TokenRequest(Role.PATIENT, "cli:test", "patient/Goal.rs", "p1", "marker"))).secret,
    ]
    rows = world.disk.rows[Table.TOKEN]
    assert len({len(row) for row in rows.values()}) == 1
    for row in rows.values():
        for text in (*secrets, "marker", "clinician", "patient", "cruds"):
            assert text.encode() not in row
            assert sha256(text.encode()).digest() not in row


async def test_a_row_moved_to_another_place_does_not_open(world):
    """A token row copied over another's place is tampering, not somebody else's rights."""
    weak = await world.tokens.create(TokenRequest(Role.PATIENT, "cli:test", patient="p1"))
    strong = await world.tokens.create(CLINICIAN)
    rows = world.disk.rows[Table.TOKEN]
    rows[int(weak.id, 16)] = rows[int(strong.id, 16)]
    with pytest.raises(Tampered):
        await world.process().authenticate(weak.secret)


async def test_a_changed_row_does_not_open(world):
    """One flipped bit in a row is found, also in a process that knew the token."""
    issued = await world.tokens.create(CLINICIAN)
    await world.tokens.authenticate(issued.secret)
    rows = world.disk.rows[Table.TOKEN]
    label = int(issued.id, 16)
    rows[label] = rows[label][:-1] + bytes([rows[label][-1] ^ 1])
    with pytest.raises(Tampered):
        await world.tokens.authenticate(issued.secret)


async def test_the_digest_inside_decides_when_labels_collide(world):
    """Should two secrets ever fall on one label, only the one whose digest is inside is let in."""
    issued = await world.tokens.create(CLINICIAN)
    world.tokens._label_of = lambda _digest: int(issued.id, 16)
    assert await refused(world.tokens, "another secret") == "unknown token"


async def test_what_is_remembered_is_bounded(world, monkeypatch):
    """Many tokens do not fill the memory, and forgetting one only costs a decoding."""
    monkeypatch.setattr("medlock.oauth.tokens.KNOWN_MAX", 3)
    issued = [await world.tokens.create(CLINICIAN) for _ in range(10)]
    for token in issued * 2:
        await world.tokens.authenticate(token.secret)
        assert len(world.tokens._known) <= 3


@pytest.mark.parametrize(
    "request_",
    [
        TokenRequest(Role.PATIENT, "cli"),
        TokenRequest(Role.BACKEND, "cli"),
        TokenRequest(Role.SECURITY_ADMIN, "cli"),
        TokenRequest(Role.CLINICIAN, "cli", scopes="patient/*.rs"),
        TokenRequest(Role.CLINICIAN, "cli", scopes="system/*.rs"),
        TokenRequest(Role.BACKEND, "cli", scopes="user/*.rs"),
        TokenRequest(Role.CLINICIAN, "cli", scopes="user/Observation.rs?unknown=1"),
        TokenRequest(Role.CLINICIAN, "cli", scopes="everything"),
        TokenRequest(Role.CLINICIAN, "cli", patient="../p1"),
        TokenRequest(Role.CLINICIAN, "cli", account="Anna Müller"),
        TokenRequest(Role.CLINICIAN, "cli", purpose="for\nfun"),
        TokenRequest(Role.CLINICIAN, "cli", seconds=0),
        TokenRequest(Role.CLINICIAN, "cli", seconds=-5),
        TokenRequest(Role.CLINICIAN, "cli", seconds=MAX_SECONDS + 1),
    ],
)
async def test_a_senseless_request_makes_no_token(world, request_):
    """What could never be used, or would not mean what it says, is refused with a sentence, and nothing is written."""
    with pytest.raises(BadRequest):
        await world.tokens.create(request_)
    assert not world.disk.rows[Table.TOKEN]
    assert not world.log.events


@pytest.mark.parametrize("token_id", ["", "zz", "ffffffffffffffff", "0123456789ABCDEF", "-123456789abcdef", "1" * 17])
async def test_a_malformed_id_is_refused(world, token_id):
    """Only 16 hexadecimal digits are looked up."""
    with pytest.raises(BadRequest):
        await world.tokens.revoke(token_id, "cli:test")


async def test_revoking_a_token_that_is_not_there(world):
    """An unknown id is told as such."""
    with pytest.raises(NotFound):
        await world.tokens.revoke("0" * 16, "cli:test")


@given(st.text(max_size=80))
async def test_no_text_is_a_token(text):
    """Whatever a stranger sends is refused in the same words, and leaves nothing behind."""
    world = World()
    assert await refused(world.tokens, text) == "unknown token"
    assert not world.tokens._known


async def test_a_secret_has_256_bits_and_never_repeats(world):
    """43 URL-safe characters each, all different."""
    secrets = [(await world.tokens.create(CLINICIAN)).secret for _ in range(200)]
    assert len(set(secrets)) == 200
    assert {len(secret) for secret in secrets} == {43}
