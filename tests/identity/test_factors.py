"""One suite for all factors: what the shape promises holds for passwords, one-time codes, passkeys and recovery codes."""

from __future__ import annotations

import asyncio
from base64 import b32decode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import pytest

from identity.authenticator import Authenticator
from identity.clinic import ANN, BETTER, BOB, GOOD, Clinic, StoppedClock, clinic
from medlock.crypto.otp import hotp, step_at
from medlock.errors import Conflict, MedlockError, NotAuthenticated, NotFound, Tampered, Unavailable
from medlock.identity.factors.shape import REFUSED, Answer, Factor, Kind, Offer, Owner, Proof, prove
from medlock.store.memory import Fault, MemoryBackend
from medlock.store.postgres import PostgresBackend, open_postgres
from medlock.store.sqlite import open_sqlite
from medlock.store.tables import Backend, Table
from store.backend_conformance import CountingLedger
from store.pgserver import database

PARALLEL = 50
CLOCK = StoppedClock()


@dataclass
class Hand:
    """A person who holds a factor: what they answer. One class for each kind, below."""

    world: Clinic
    secret: str = ""

    once = True

    @property
    def factor(self) -> Factor:
        raise NotImplementedError

    def enrolling(self, offer: Offer) -> str:
        raise NotImplementedError

    def answering(self, challenge: Offer) -> str:
        raise NotImplementedError

    def secrets(self) -> list[str | bytes]:
        raise NotImplementedError


class WithPassword(Hand):
    """Types it."""

    once = False

    @property
    def factor(self):
        return self.world.passwords

    def enrolling(self, _offer):
        self.secret = BETTER if self.secret else GOOD
        return self.secret

    def answering(self, _challenge):
        return self.secret

    def secrets(self):
        return [self.secret]


class WithApp(Hand):
    """Reads the code off an app."""

    @property
    def factor(self):
        return self.world.totp

    def code(self):
        return hotp(b32decode(self.secret), step_at(self.world.clock.ms))

    def enrolling(self, offer):
        self.secret = offer.shown["secret"]
        return self.code()

    def answering(self, _challenge):
        self.world.clock.ms += 30_000
        return self.code()

    def secrets(self):
        return [self.secret, b32decode(self.secret)]


@dataclass
class WithPasskey(Hand):
    """Touches a key."""

    device: Authenticator = field(default_factory=Authenticator)

    @property
    def factor(self):
        return self.world.passkeys

    def enrolling(self, offer):
        self.device = Authenticator()
        return self.device.create(dict(offer.shown))

    def answering(self, challenge):
        return self.device.get(dict(challenge.shown))

    def secrets(self):
        return [self.device.id, self.device.handle]


@dataclass
class WithPaper(Hand):
    """Reads a code off a sheet."""

    codes: list[str] = field(default_factory=list)

    @property
    def factor(self):
        return self.world.recovery

    def enrolling(self, offer):
        self.codes = list(offer.shown["codes"])
        return self.codes[-1]

    def answering(self, _challenge):
        return self.codes.pop(0)

    def secrets(self):
        return [*self.codes, *(code.replace("-", "") for code in self.codes)]


HANDS = {Kind.PASSWORD: WithPassword, Kind.TOTP: WithApp, Kind.PASSKEY: WithPasskey, Kind.RECOVERY: WithPaper}


@pytest.fixture(params=list(HANDS), ids=str)
def hand(request) -> Hand:
    """Somebody with one factor that is not enrolled yet."""
    return HANDS[request.param](clinic())


async def enrol(hand: Hand, owner: Owner = ANN, present: str = "") -> str:
    """From offer to row; its name."""
    offer = await hand.factor.offer(owner, "browser-1")
    answer = Answer(hand.enrolling(offer), offer.ticket, "browser-1", present)
    change = await hand.factor.accept(owner, answer)
    await hand.world.backend.commit(change.batch)
    return change.factor


async def asked(hand: Hand, account: str = ANN.account) -> Answer:
    """A right answer."""
    challenge = await hand.factor.challenge(account, "browser-1")
    return Answer(hand.answering(challenge), challenge.ticket, "browser-1")


async def test_enrolled_verified_described_removed(hand: Hand) -> None:
    """The whole life of a factor; afterwards it counts no more."""
    assert await hand.factor.describe(ANN.account) == []
    name = await enrol(hand)
    proof = await hand.factor.verify(ANN.account, await asked(hand))
    assert (proof.account, proof.kind, proof.factor) == (ANN.account, hand.factor.kind, name)
    assert proof.resistant == (hand.factor.kind is Kind.PASSKEY)
    assert not proof.doubted
    (shown,) = await hand.factor.describe(ANN.account)
    assert (shown.kind, shown.factor, shown.resistant) == (proof.kind, name, proof.resistant)
    assert shown.label
    change = await hand.factor.remove(ANN.account, name)
    assert change.replaces
    right = await asked(hand)
    await hand.world.backend.commit(change.batch)
    with pytest.raises(NotAuthenticated):
        await hand.factor.verify(ANN.account, right)
    assert await hand.factor.describe(ANN.account) == []
    with pytest.raises(NotFound):
        await hand.factor.remove(ANN.account, name)


async def test_an_answer_counts_once(hand: Hand) -> None:
    """What may be used once is refused the second time; a password may be typed again."""
    await enrol(hand)
    answer = await asked(hand)
    await hand.factor.verify(ANN.account, answer)
    if hand.once:
        with pytest.raises(NotAuthenticated):
            await hand.factor.verify(ANN.account, answer)
    else:
        await hand.factor.verify(ANN.account, answer)


async def test_of_fifty_at_once_one_gets_in(hand: Hand) -> None:
    """The same answer fifty times at the same moment, in two processes: one Proof."""
    if not hand.once:
        pytest.skip("a password may be typed by fifty")
    await enrol(hand)
    answer = await asked(hand)
    other = HANDS[hand.factor.kind](clinic(hand.world.backend, clock=hand.world.clock))
    tries = [each.factor.verify(ANN.account, answer) for each in (hand, other) * (PARALLEL // 2)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(each, Proof) for each in results) == 1
    assert sum(isinstance(each, NotAuthenticated) for each in results) == PARALLEL - 1


async def test_every_refusal_is_the_same(hand: Hand) -> None:
    """Wrong, empty, endless, of somebody else, of nobody: one sentence, and nothing of what was sent in it."""
    await enrol(hand)
    theirs = HANDS[hand.factor.kind](hand.world, "another")
    await enrol(theirs, BOB)
    right, ticket = await asked(hand), (await asked(theirs, BOB.account)).ticket
    for account, text in [
        (ANN.account, "Wr0ng-secret"), (ANN.account, ""), (ANN.account, "9" * 100_000), (ANN.account, "\udcff"),
        (BOB.account, right.text), ("acc-nobody", right.text), ("", "Wr0ng-secret"), (ANN.account, "{}"),
        (ANN.account, "[1]"), (ANN.account, '{"response": 1}'), (ANN.account, "[" * 50_000),
    ]:  # fmt: skip
        tickets = (right.ticket, ticket) if ticket else ("",)
        for answer in (replace(right, text=text, ticket=each) for each in tickets):
            with pytest.raises(NotAuthenticated) as refusal:
                await hand.factor.verify(account, answer)
            assert str(refusal.value) == REFUSED
            assert "Wr0ng" not in refusal.value.reason
    await hand.factor.verify(ANN.account, right)


async def test_an_offer_is_for_one_person_one_browser_five_minutes(hand: Hand) -> None:
    """A ticket of another person, browser, purpose or time enrols nothing."""
    offer = await hand.factor.offer(ANN, "browser-1")
    right = Answer(hand.enrolling(offer), offer.ticket, "browser-1")
    with pytest.raises(NotAuthenticated):
        await hand.factor.accept(BOB, right)
    for wrong in (replace(right, browser="browser-2"), replace(right, ticket=""), replace(right, ticket="*" * 9)):
        with pytest.raises(NotAuthenticated):
            await hand.factor.accept(ANN, wrong)
    hand.world.clock.ms += 300_000
    with pytest.raises(NotAuthenticated):
        await hand.factor.accept(ANN, right)


async def test_an_offer_is_good_once(hand: Hand) -> None:
    """The same answer again enrols nothing: the account has changed since the offer."""
    offer = await hand.factor.offer(ANN, "browser-1")
    answer = Answer(hand.enrolling(offer), offer.ticket, "browser-1")
    first, second = await hand.factor.accept(ANN, answer), await hand.factor.accept(ANN, answer)
    await hand.world.backend.commit(first.batch)
    with pytest.raises(Conflict):
        await hand.world.backend.commit(second.batch)
    with pytest.raises(Conflict):
        await hand.factor.accept(ANN, answer)


async def test_a_new_one_in_the_place_of_the_old(hand: Hand) -> None:
    """Enrolling again replaces what there can be one of; passkeys are several."""
    await enrol(hand)
    before = await asked(hand)
    await enrol(hand, present=GOOD)
    assert len(await hand.factor.describe(ANN.account)) == (2 if hand.factor.kind is Kind.PASSKEY else 1)
    if hand.factor.kind is not Kind.PASSKEY:
        with pytest.raises(NotAuthenticated):
            await hand.factor.verify(ANN.account, before)
    await hand.factor.verify(ANN.account, await asked(hand))


async def test_nothing_secret_is_shown(hand: Hand) -> None:
    """Not in a repr, not in a row, not in an error."""
    offer = await hand.factor.offer(ANN, "browser-1")
    answer = Answer(hand.enrolling(offer), offer.ticket, "browser-1")
    change = await hand.factor.accept(ANN, answer)
    await hand.world.backend.commit(change.batch)
    proof = await hand.factor.verify(ANN.account, await asked(hand))
    described = await hand.factor.describe(ANN.account)
    texts = [repr(each) for each in (offer, answer, ANN, proof, described, hand.factor)]
    rows = b"".join(b"".join(rows.values()) for rows in hand.world.backend.disk.rows.values())
    for secret in [*hand.secrets(), ANN.account]:
        data = secret.encode() if isinstance(secret, str) else secret
        assert data not in rows
        if secret != ANN.account:
            assert not any(str(secret) in text or data.hex() in text for text in texts)


async def test_a_store_that_fails_lets_nobody_in(hand: Hand) -> None:
    """When the use cannot be written down there is no Proof; a row that was swapped does not open."""
    await enrol(hand)
    answer = await asked(hand)
    backend = hand.world.backend
    assert isinstance(backend, MemoryBackend)
    if hand.once:
        backend.fault = Fault.REFUSE
        with pytest.raises(Unavailable):
            await hand.factor.verify(ANN.account, answer)
        backend.fault = None
    theirs = HANDS[hand.factor.kind](hand.world, "another")
    before = set(backend.disk.rows[Table.IDENTITY])
    await enrol(theirs, BOB)
    rows = backend.disk.rows[Table.IDENTITY]
    mine, other = min(before), min(set(rows) - before)
    rows[mine] = rows[other]
    for key in before:
        rows[key] = rows[mine]
    with pytest.raises((Tampered, NotAuthenticated)):
        await hand.factor.verify(ANN.account, await asked(hand) if hand.factor.kind is not Kind.PASSKEY else answer)


@pytest.fixture(params=["file", "postgres"])
async def disk(request, tmp_path) -> AsyncIterator[tuple[Backend, Backend]]:
    """Two processes' views of one real back end."""
    if request.param == "file":
        pair = tuple(open_sqlite(tmp_path / "x.db", CountingLedger()) for _ in range(2))
        yield pair
    else:
        async with database() as url:
            pair = await open_postgres(url, CountingLedger(), b"store 1"), PostgresBackend(url, CountingLedger())
            yield pair
            for each in pair:
                await each.close()
        return
    for each in pair:
        await each.close()


@pytest.mark.parametrize("kind", HANDS, ids=str)
async def test_real_back_ends_let_one_in(disk: tuple[Backend, Backend], kind: Kind) -> None:
    """The same life on the file and on PostgreSQL: of many answers in two processes one counts, where once is enough."""
    hand, other = (HANDS[kind](clinic(each, clock=CLOCK)) for each in disk)
    name = await enrol(hand)
    answer = await asked(hand)
    count = PARALLEL if hand.once else 4
    tries = (each.factor.verify(ANN.account, answer) for each in (hand, other) * (count // 2))
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(each, Proof) for each in results) == (1 if hand.once else count)
    assert sum(isinstance(each, NotAuthenticated) for each in results) == (count - 1 if hand.once else 0)
    await disk[1].commit((await other.factor.remove(ANN.account, name)).batch)
    assert await hand.factor.describe(ANN.account) == []


def test_a_proof_is_made_by_factors_only() -> None:
    """Nobody builds one by hand."""
    with pytest.raises(TypeError):
        Proof("a", Kind.PASSKEY, "x", ("hwk",), resistant=True, at_ms=0)
    assert prove("a", Kind.TOTP, 1, ("otp",)).resistant is False


def test_refusals_are_of_the_tree() -> None:
    """A refusal is an error that the edge knows how to answer."""
    assert issubclass(NotAuthenticated, MedlockError)
