"""What one key of a quota has left in this process, and in which words it is told.

A purse is spent from without waiting: one comparison and one subtraction. Alone, a process fills it anew when its
window ends. Where several share a quota, it is filled with a share of the whole at a time, which the shared counter
gives out (`shares`), so that what all of them give out together is never more than the quota.
"""

from __future__ import annotations

import asyncio

import msgspec

from medlock.errors import Throttled
from medlock.settings import Quota

SHARES = 64
"""Into how many parts a shared quota is cut: what lies unused in a worker's purse is at most one of them."""


class Term:
    """One quota with its name, and how it is given out."""

    def __init__(self, name: str, quota: Quota) -> None:
        self.name = name
        self.quota = quota
        self.begins = b'"%b";r=' % name.encode()

    @property
    def window_ms(self) -> int:
        """Its window."""
        return self.quota.seconds * 1000

    @property
    def share(self) -> int:
        """Units in one share."""
        return -(-self.quota.amount // SHARES)

    @property
    def shares(self) -> int:
        """How many shares there are; what does not fill a whole one is not given out."""
        return self.quota.amount // self.share

    @property
    def most(self) -> int:
        """What one request counts at most: a larger one counts as half of the quota, or it could never be asked."""
        return max(1, self.quota.amount // 2)

    @property
    def policy(self) -> bytes:
        """RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers): the quota and its window in seconds."""
        return b'"%b";q=%d;w=%d' % (self.name.encode(), self.quota.amount, self.quota.seconds)


class Purse(msgspec.Struct):
    """What is left to one key until `ends` (ms); `beyond`: what is left in the shared counter, as last seen.

    spent     nothing is left there: whoever asks is refused without looking again
    refusals  so many in this window; the first is in the audit log
    """

    term: Term
    key: str
    left: int = 0
    ends: int = 0
    beyond: int = 0
    spent: bool = False
    refusals: int = 0
    filling: asyncio.Future[None] | None = None

    def open(self, ends: int, left: int) -> None:
        """Begin a window."""
        self.left, self.ends, self.beyond = left, ends, 0
        self.spent, self.refusals = False, 0

    def state(self, now: int) -> bytes:
        """RateLimit: what remains, and seconds until there is more."""
        return b"%b%d;t=%d" % (self.term.begins, self.left + self.beyond, (self.ends - now + 999) // 1000)

    def refusal(self, now: int) -> Throttled:
        """The error that says so."""
        wait = max(1, (self.ends - now + 999) // 1000)
        return Throttled(wait, self.term.name, self.term.policy, self.state(now))
