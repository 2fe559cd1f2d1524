"""When a password is due to be changed, in profiles that have an age, and which reminder is due.

The clock starts when a password is set, and only then: signing in does not start it again, and neither does a hash made
anew. An account without a password has nothing to change; a long one is exempt where the operator says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from medlock.identity.passwords.profiles import PasswordPolicy

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Age:
    """How a password stands. `days_left` is None when it does not age; `reminder` the mark that was passed, or 0."""

    expired: bool = False
    days_left: int | None = None
    reminder: int = 0


def due_at(policy: PasswordPolicy, set_ms: int, *, long: bool) -> int:
    """When a password set at `set_ms` must be changed, in ms; 0 when it does not age."""
    ages = policy.max_age and not (policy.exempt_long and long)
    return set_ms + policy.max_age * DAY_MS if ages else 0


def age_of(policy: PasswordPolicy, set_ms: int, now_ms: int, *, long: bool) -> Age:
    """How a password set at `set_ms` stands now; `long` when it was as long as the policy exempts."""
    due = due_at(policy, set_ms, long=long)
    if not due:
        return Age()
    left_ms = due - now_ms
    if left_ms <= 0:
        return Age(expired=True, days_left=0)
    left = -(-left_ms // DAY_MS)
    passed = [mark for mark in policy.reminders if left <= mark]
    return Age(days_left=left, reminder=min(passed, default=0))
