"""How much proofs are worth together, what an account's roles need, and what must be proved again. Pure.

Three levels, in the words that ID tokens carry (`acr`):

    aal1  one factor                                                 NIST SP 800-63B-4 §2.1
    aal2  two that are different, one of them relayable              §2.2
    phr   one that cannot be relayed and verifies its owner          §2.2 phishing resistance; OpenID EAP ACR values

Who works here needs `phr`, at every sign-in. A patient who enrolled a second factor needs `aal2`; one who did not may
come in with a password that is long enough alone. Some acts need a fresh proof, however well somebody is signed in
(ASVS 5.0 7.5.3).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from medlock.errors import NotAuthenticated
from medlock.identity.factors.shape import Described, Kind, Proof

FRESH_MS = 300_000


class Acr(StrEnum):
    """How strongly somebody proved who they are, weakest first."""

    AAL1 = "aal1"
    AAL2 = "aal2"
    PHR = "phr"

    @property
    def rank(self) -> int:
        """0, 1, 2."""
        return tuple(Acr).index(self)


class Act(StrEnum):
    """What must be proved again."""

    FACTOR_CHANGE = "factor-change"
    EXPORT = "export"
    BREAK_GLASS = "break-glass"
    KEY_USE = "key-use"
    ADMINISTER = "administer"


@dataclass(frozen=True, slots=True)
class Need:
    """The least level, and how long ago the last proof may be, in ms."""

    acr: Acr
    within_ms: int = FRESH_MS

    @property
    def levels(self) -> tuple[Acr, ...]:
        """All that would do, strongest first (RFC 9470 §3, `acr_values`)."""
        return tuple(each for each in reversed(Acr) if each.rank >= self.acr.rank)


NEEDS = {
    Act.FACTOR_CHANGE: Need(Acr.AAL1),  # whatever they sign in with: a first second factor must be possible
    Act.EXPORT: Need(Acr.AAL1),
    Act.BREAK_GLASS: Need(Acr.PHR),
    Act.KEY_USE: Need(Acr.AAL2),
    Act.ADMINISTER: Need(Acr.PHR),
}
"""Every Act has its Need; a test walks both."""


class StepUpNeeded(NotAuthenticated):
    """Somebody is who they are, but must prove it again, or better (RFC 9470). `need` says what would do."""

    def __init__(self, need: Need) -> None:
        super().__init__("Prove again that it is you, then go on.", reason=f"{need.acr} within {need.within_ms} ms")
        self.need = need


def strength(proofs: Iterable[Proof]) -> Acr:
    """What proofs of one account are worth together; a doubted passkey counts only beside another factor."""
    given = list(proofs)
    kinds = {proof.kind for proof in given}
    sound = any(proof.resistant and not proof.doubted for proof in given)
    if sound or (Kind.PASSKEY in kinds and len(kinds) > 1):
        return Acr.PHR
    return Acr.AAL2 if Kind.PASSWORD in kinds and len(kinds) > 1 else Acr.AAL1


def words(proofs: Iterable[Proof]) -> tuple[str, ...]:
    """The `amr` of proofs (RFC 8176): their words, and `mfa` when there is more than one factor in them."""
    given = list(proofs)
    said = dict.fromkeys(word for proof in given for word in proof.amr)
    several = strength(given) is not Acr.AAL1
    return (*said, "mfa") if several else tuple(said)


def needed(*, staff: bool, held: Collection[Described]) -> Acr:
    """What a sign-in of an account with these factors must reach."""
    if staff:
        return Acr.PHR
    kinds = {each.kind for each in held}
    return Acr.AAL2 if {Kind.PASSWORD, Kind.TOTP} <= kinds else Acr.AAL1


def can_sign_in(*, staff: bool, held: Collection[Described]) -> bool:
    """Whether these factors are a way in. Recovery codes are none: they lead to enrolling something that is."""
    kinds = {each.kind for each in held}
    if Kind.PASSKEY in kinds:
        return True
    alone = any(each.alone for each in held if each.kind is Kind.PASSWORD)
    return not staff and Kind.PASSWORD in kinds and (alone or Kind.TOTP in kinds)


def demand(act: Act, acr: str, proven_ms: int, now_ms: int) -> None:
    """Return when somebody proved enough, and lately enough, for an act. Raises StepUpNeeded."""
    need = NEEDS[act]
    late = not 0 <= now_ms - proven_ms < need.within_ms
    if late or acr not in tuple(Acr) or Acr(acr).rank < need.acr.rank:
        raise StepUpNeeded(need)
