"""The end of every sign-in: are these proofs enough, and if so, a session; if not, what is missing.

    enough          a session that may do everything
    one is missing  a pending sign-in, and which factors would complete it
    none is left    a session that may only enrol: staff without a passkey, somebody who came in by a recovery code, a
                    password that is known to attackers or too old

Staff without a factor that cannot be phished never get further than enrolling one (`unsettled`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from medlock.errors import NotAuthenticated, Raced
from medlock.identity.account import Account
from medlock.identity.accounts import Accounts
from medlock.identity.attempts import AttemptBook
from medlock.identity.devices import Devices
from medlock.identity.factors.kit import Kit
from medlock.identity.factors.shape import REFUSED, Described, Kind, Notice, Proof
from medlock.identity.ground import TRIES, Ground, Place
from medlock.identity.lockout import Lockout
from medlock.identity.pending import Pending, PendingBook
from medlock.identity.sessions import Begun, Proven, Session, Sessions
from medlock.identity.strength import can_sign_in, needed, strength, words
from medlock.store.tables import Batch

CODES = ("totp", "recovery")
_WORDS = {Kind.PASSKEY: "hwk", Kind.TOTP: "otp", Kind.RECOVERY: "rcv"}
_MUST_CHANGE = frozenset({Notice.PASSWORD_KNOWN, Notice.PASSWORD_EXPIRED})


@dataclass(frozen=True, slots=True)
class Arrival:
    """Somebody is in. `device` is a new secret for the browser to keep, or "" when it has one."""

    secret: str = field(repr=False)
    session: Session
    device: str = field(default="", repr=False)
    notices: frozenset[Notice] = frozenset()


@dataclass(frozen=True, slots=True)
class Desk:
    """What sign-in works with; one for a process."""

    ground: Ground
    accounts: Accounts
    sessions: Sessions
    pendings: PendingBook
    devices: Devices
    lockout: Lockout
    book: AttemptBook
    kit: Kit


@dataclass(frozen=True, slots=True)
class Proofs:
    """What somebody has proven so far, and what is to be done when they are in.

    settling  counters that begin anew
    beside    committed with the session: what made this way in is used up
    """

    given: list[Proof]
    settling: tuple[int, ...] = ()
    beside: Batch = field(default_factory=Batch)


async def enter(desk: Desk, proofs: Proofs, place: Place) -> Arrival | Pending:
    """In, or what is missing. Raises NotAuthenticated for an account that may not act, Unavailable."""
    account = (await desk.accounts.standing(proofs.given[0].account)).value
    held = await desk.kit.held(account.id)
    missing = () if enough(account, proofs.given, held) else lacking(proofs.given, held)
    if missing:
        return await desk.pendings.open(proofs.given, proofs.settling, place, missing)
    return await _arrive(desk, account, held, proofs, place)


def enough(account: Account, given: Sequence[Proof], held: Sequence[Described]) -> bool:
    """Whether proofs reach what this account needs."""
    if all(proof.doubted for proof in given):
        return False
    return strength(given).rank >= needed(staff=account.is_staff, held=held).rank


def lacking(given: Sequence[Proof], held: Sequence[Described]) -> tuple[str, ...]:
    """The factors that could still be asked for, best first.

    None after a recovery code, which says that they are lost, nor when there is nothing but recovery codes left: those
    stand in for a second factor that there is. But a passkey that may be a copy needs whatever there is beside it.
    """
    kinds = {each.kind for each in held} - {proof.kind for proof in given}
    doubted = all(proof.doubted for proof in given)
    lost = any(proof.kind is Kind.RECOVERY for proof in given)
    if not doubted and (lost or not kinds & {Kind.PASSKEY, Kind.TOTP}):
        return ()
    return tuple(word for kind, word in _WORDS.items() if kind in kinds)


async def _arrive(desk: Desk, account: Account, held: list[Described], proofs: Proofs, place: Place) -> Arrival:
    """A session, and everything that ends or begins with it, in one commit."""
    if all(proof.doubted for proof in proofs.given):
        raise NotAuthenticated(REFUSED, reason="a doubted passkey and nothing beside it")
    notices = frozenset(notice for proof in proofs.given for notice in proof.notices)
    settled = enough(account, proofs.given, held) and can_sign_in(staff=account.is_staff, held=held)
    for attempt in range(TRIES):
        standing = await desk.accounts.standing(account.id)
        remembered, device, secret = await desk.devices.remember(account.id, place)
        proven = Proven(
            words(proofs.given),
            strength(proofs.given).value,
            unsettled=not settled or bool(notices & _MUST_CHANGE),
            device=device,
        )
        beside = proofs.beside + remembered + desk.book.cleared(account.id)
        try:
            begun: Begun = await desk.sessions.start(standing, proven, place, beside)
        except Raced:
            if attempt == TRIES - 1 or not await _may_go_on(desk, proofs):
                raise NotAuthenticated(REFUSED, reason="this way in was used at the same moment") from None
            continue
        await _settle(desk, account.id, proofs)
        return Arrival(begun.secret, begun.session, secret, notices)
    raise AssertionError  # pragma: no cover - the loop ends by itself


async def _may_go_on(desk: Desk, proofs: Proofs) -> bool:
    """Whether what is used up by this sign-in is still there."""
    backend = desk.ground.backend
    return all([await backend.get(table, key) == row for table, key, row in proofs.beside.expects])


async def _settle(desk: Desk, account_id: str, proofs: Proofs) -> None:
    """Counters: those that this sign-in was on begin anew, and factors that were suspended answer again."""
    if proofs.settling:
        await desk.lockout.settle(proofs.settling)
    best = next((proof for proof in proofs.given if proof.kind is not Kind.PASSWORD and not proof.doubted), None)
    if best is not None:
        await desk.lockout.proven(account_id, best.kind.value, CODES)
