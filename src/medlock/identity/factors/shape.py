"""The shape that every factor has: offered, accepted, asked for, verified, described, removed.

A factor is one slice: its formats, its rows, its rules. What they share is here, so that sign-in, enrolment and pages
treat a fifth one as they treat these four, and one suite of tests holds all of them to the same promises:

- An offer is good for one person, one browser, five minutes, and the state of the account in which it was made.
- What may be used once is spent, durably, before `verify` answers; of fifty at the same moment one is answered with a
  Proof.
- Every refusal is the same NotAuthenticated; the reason is private. An account that is not there costs the same time.
- Nothing secret is in a repr, in an error, or readable in a row.

A `Proof` says that somebody is there, not that they may come in: `identity.strength` judges whether proofs suffice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from medlock.errors import NotAuthenticated
from medlock.store.tables import Batch

_MINTED = object()
REFUSED = "This did not work. Check what you entered and try again, or use another way to sign in."
LABEL_MAX = 64


class Kind(StrEnum):
    """The factors there are."""

    PASSWORD = "password"
    TOTP = "totp"
    PASSKEY = "passkey"
    RECOVERY = "recovery"


class Notice(StrEnum):
    """What the owner must be told or asked for after a proof."""

    PASSWORD_KNOWN = "password-known"  # to attackers: change it before anything else (800-63B-4 §3.1.1.2)
    PASSWORD_EXPIRED = "password-expired"
    PASSWORD_REMINDER = "password-reminder"
    COUNTER_FELL = "counter-fell"  # a passkey may have been copied: another factor is needed
    CODES_FEW = "codes-few"
    CODE_USED = "code-used"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose factor it is to be.

    account    the account's id
    login      what they sign in with; authenticators show it
    name       what they are called
    about      what an attacker would try first: names, address, birth date, record numbers, organisation
    roles      decide the password policy
    second     another factor is asked for after the password
    recovered  they came in by a recovery code: the present password is not asked for
    """

    account: str
    login: str
    name: str = ""
    about: tuple[str, ...] = field(default=(), repr=False)
    roles: tuple[str, ...] = ()
    second: bool = True
    recovered: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person sends.

    text      password, code, or the browser's JSON of a passkey
    ticket    the one of the offer or challenge that this answers; "" where none was needed
    browser   the browser's own random id, from its cookie
    present   the password that a new one replaces
    label     what the owner calls this device
    """

    text: str = field(repr=False)
    ticket: str = field(default="", repr=False)
    browser: str = field(default="", repr=False)
    present: str = field(default="", repr=False)
    label: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """What is put before a person: `shown` for the page (it may hold a new secret), `ticket` to be sent back."""

    kind: Kind
    ticket: str = field(repr=False)
    shown: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Change:
    """A change of factors that is not written yet. Whoever commits `batch` adds the event that tells of it.

    replaces   something that was there before ends by it
    told       what the browser's authenticators should be told (WebAuthn §5.1.10), or empty
    """

    batch: Batch
    factor: str
    replaces: bool = False
    told: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Described:
    """A factor as its owner sees it. Times in ms, 0 when unknown.

    alone      the password is long enough to be the only factor; due: when it must be changed, 0 when it does not age
    reminder   days until then, once a reminder of the policy is due; 0 before
    stale      it must be changed now: it is too old, or attackers know it
    left       recovery codes that are left; synced: the passkey is in a cloud; doubted: its counter fell
    resistant  it cannot be relayed by a page that looks like ours
    """

    kind: Kind
    factor: str
    label: str
    created: int
    used: int = 0
    resistant: bool = False
    left: int = 0
    synced: bool = False
    doubted: bool = False
    provider: str = ""
    alone: bool = False
    due: int = 0
    stale: bool = False
    reminder: int = 0


@dataclass(frozen=True, slots=True)
class Proof:
    """Somebody proved to be the owner of an account, at a time, by a factor. Made by factors only.

    amr      words of RFC 8176, and `rcv` for a recovery code
    doubted  it does not count alone: another factor is needed
    """

    account: str
    kind: Kind
    factor: str
    amr: tuple[str, ...]
    resistant: bool
    at_ms: int
    notices: frozenset[Notice] = frozenset()
    doubted: bool = False
    days_left: int | None = None
    _minted: object = field(repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        """Refuse to be built anywhere but in `prove`."""
        if self._minted is not _MINTED:
            raise TypeError("a Proof comes from a factor")


def prove(account: str, kind: Kind, at_ms: int, amr: tuple[str, ...], **more: Any) -> Proof:
    """The one maker of Proofs, for factors."""
    return Proof(
        account, kind, more.pop("factor", kind.value), amr, kind is Kind.PASSKEY, at_ms, **more, _minted=_MINTED
    )


def refused(reason: str) -> NotAuthenticated:
    """The one refusal of all factors."""
    return NotAuthenticated(REFUSED, reason=reason)


class Factor(Protocol):
    """One way to prove who one is."""

    @property
    def kind(self) -> Kind:
        """Which one."""

    async def offer(self, owner: Owner, browser: str) -> Offer:
        """Begin to enrol: what the owner is shown. Raises Conflict when they have all they may have."""

    async def accept(self, owner: Owner, answer: Answer) -> Change:
        """End of enrolling: the owner has shown that it works.

        Raises NotAuthenticated when the answer is not one to the offer, Conflict when the account has changed since,
        Unprocessable when rules are broken.
        """

    async def challenge(self, account: str, browser: str) -> Offer:
        """What is asked at sign-in (`account` "": not known yet) or step-up."""

    async def verify(self, account: str, answer: Answer) -> Proof:
        """Proof that the owner answered; what may be used once is spent. Raises NotAuthenticated, Unavailable."""

    async def describe(self, account: str) -> list[Described]:
        """What there is of this kind."""

    async def remove(self, account: str, factor: str) -> Change:
        """Take it away. Raises NotFound."""
