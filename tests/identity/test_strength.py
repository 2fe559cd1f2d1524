"""What proofs are worth together, what must be proved again, and which factors are a way in: by tables."""

from __future__ import annotations

from itertools import combinations

import pytest

from medlock.errors import NotAuthenticated
from medlock.identity.factors.shape import Described, Kind, prove
from medlock.identity.strength import (
    FRESH_MS,
    NEEDS,
    Acr,
    Act,
    StepUpNeeded,
    can_sign_in,
    demand,
    needed,
    strength,
    words,
)

PASSKEY = prove("a", Kind.PASSKEY, 1, ("hwk", "user"))
DOUBTED = prove("a", Kind.PASSKEY, 1, ("hwk", "user"), doubted=True)
PASSWORD, CODE, PAPER = (
    prove("a", kind, 1, (word,)) for kind, word in ((Kind.PASSWORD, "pwd"), (Kind.TOTP, "otp"), (Kind.RECOVERY, "rcv"))
)


@pytest.mark.parametrize(
    ("proofs", "acr"),
    [
        ([], Acr.AAL1), ([PASSWORD], Acr.AAL1), ([CODE], Acr.AAL1), ([PAPER], Acr.AAL1), ([DOUBTED], Acr.AAL1),
        ([PASSWORD, PASSWORD], Acr.AAL1), ([CODE, PAPER], Acr.AAL1), ([PASSWORD, CODE], Acr.AAL2), ([PASSWORD, PAPER], Acr.AAL2),
        ([PASSKEY], Acr.PHR), ([PASSKEY, PASSWORD], Acr.PHR), ([DOUBTED, CODE], Acr.PHR), ([DOUBTED, DOUBTED], Acr.AAL1),
    ],
)  # fmt: skip
def test_what_proofs_are_worth(proofs: list, acr: Acr) -> None:
    """Two factors only when they are different; what can be relayed is never more than aal2."""
    assert strength(proofs) is acr
    assert ("mfa" in words(proofs)) == (acr is not Acr.AAL1)


def test_more_proofs_are_never_worth_less() -> None:
    """Over all sets of five proofs."""
    every = [PASSKEY, DOUBTED, PASSWORD, CODE, PAPER]
    for size in range(len(every)):
        for given in combinations(every, size):
            assert all(strength([*given, more]).rank >= strength(given).rank for more in every)


def described(*kinds: Kind, alone: bool = False) -> list[Described]:
    return [Described(kind, kind.value, "", 1, alone=alone and kind is Kind.PASSWORD) for kind in kinds]


@pytest.mark.parametrize(
    ("held", "patient", "staff"),
    [
        (described(), False, False), (described(Kind.RECOVERY), False, False), (described(Kind.TOTP), False, False),
        (described(Kind.PASSWORD), False, False), (described(Kind.PASSWORD, alone=True), True, False),
        (described(Kind.PASSWORD, Kind.TOTP), True, False), (described(Kind.PASSWORD, Kind.RECOVERY), False, False),
        (described(Kind.PASSKEY), True, True),
    ],
)  # fmt: skip
def test_ways_in(held: list[Described], patient: bool, staff: bool) -> None:
    """Who works here needs what cannot be relayed; a short password is none without a code."""
    assert can_sign_in(staff=False, held=held) == patient
    assert can_sign_in(staff=True, held=held) == staff


def test_what_a_sign_in_must_reach() -> None:
    """Staff: phr. A patient with an app: two factors. With a password alone: one."""
    assert needed(staff=True, held=described(Kind.PASSWORD)) is Acr.PHR
    assert needed(staff=False, held=described(Kind.PASSWORD, Kind.TOTP)) is Acr.AAL2
    assert needed(staff=False, held=described(Kind.PASSWORD, Kind.PASSKEY)) is Acr.AAL1


@pytest.mark.parametrize("act", Act)
def test_a_proof_is_fresh_for_five_minutes(act: Act) -> None:
    """Every act has its need; too weak, too old, from the future or unknown is refused with what would do."""
    need = NEEDS[act]
    demand(act, need.acr, 1_000, 1_000)
    demand(act, Acr.PHR, 1_000, 1_000 + FRESH_MS - 1)
    wrong = [("", 1_000), (need.acr, 1_000 + FRESH_MS), (need.acr, 999), ("aal9", 1_000)]
    weaker = [(acr, 1_000) for acr in Acr if acr.rank < need.acr.rank]
    for acr, now in [*wrong, *weaker]:
        with pytest.raises(StepUpNeeded) as refusal:
            demand(act, acr, 1_000, now)
        assert refusal.value.need == need
        assert isinstance(refusal.value, NotAuthenticated)
