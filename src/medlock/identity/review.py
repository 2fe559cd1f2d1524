"""The yearly look at one's own credentials: what stands in place of passwords that expire. Pure.

Requirements of "periodic refresh" mean that secrets must not be left lying for ever. NIST SP 800-63B-4 §3.1.1.2
forbids change by the calendar, and does not forbid to ask: every stored password is compared with lists at each
sign-in, and once a year its owner is shown what they can sign in with and what is better changed. Nothing expires by
it, and nobody is kept out. `Accounts.confirm` writes down that it was done.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from medlock.identity.factors.recovery import FEW
from medlock.identity.factors.shape import Described, Kind
from medlock.identity.passwords.ageing import DAY_MS
from medlock.identity.passwords.profiles import PasswordPolicy

UNUSED_MS = 365 * DAY_MS


class Ask(StrEnum):
    """What its owner is asked."""

    ADD_PASSKEY = "add-passkey"  # everything they have can be typed into a false page
    SECOND_PASSKEY = "second-passkey"  # one device is all that there is
    MAKE_CODES = "make-codes"  # no recovery codes, or few
    LOOK_AT = "look-at"  # a passkey that may have been copied
    STILL_YOURS = "still-yours"  # not used for a year


@dataclass(frozen=True, slots=True)
class Point:
    """One thing to look at; `factor` names which, where it is one."""

    ask: Ask
    factor: str = ""


def due(policy: PasswordPolicy, reviewed_ms: int, now_ms: int) -> bool:
    """Whether a review is due, `reviewed_ms` being the last."""
    return now_ms - reviewed_ms >= policy.review * DAY_MS


def points(held: Iterable[Described], now_ms: int) -> list[Point]:
    """What to look at, the most pressing first; empty when all is well."""
    factors = list(held)
    passkeys = [each for each in factors if each.kind is Kind.PASSKEY]
    found = [Point(Ask.LOOK_AT, each.factor) for each in passkeys if each.doubted]
    if not passkeys:
        found.append(Point(Ask.ADD_PASSKEY))
    if sum(each.left for each in factors) <= FEW:
        found.append(Point(Ask.MAKE_CODES))
    if len(passkeys) == 1 and not passkeys[0].synced and len(factors) == 1:
        found.append(Point(Ask.SECOND_PASSKEY))
    return [*found, *(Point(Ask.STILL_YOURS, each.factor) for each in factors if _unused(each, now_ms))]


def _unused(each: Described, now_ms: int) -> bool:
    """Whether a device was not used for a year; passwords and paper do not say when they were."""
    return each.kind in {Kind.PASSKEY, Kind.TOTP} and now_ms - (each.used or each.created) >= UNUSED_MS
