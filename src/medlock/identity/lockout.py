"""Growing waits instead of a lock: guessing is hopeless, and nobody can be locked out by somebody else.

Everything is counted in the store **before** it is looked at, each count in one statement (`store.counting`), so that
parallel guesses, other workers and other hosts gain nothing. When it cannot be counted, the answer is no (Unavailable).

Passwords. A guess at a user name from a browser that is not known counts

    for its address (/24 or /64)   50 an hour        over that the account's count is not touched: a spray locks nobody
    for the whole store            1,000 in 5 minutes
    for the user name              5 free, then one after 30 s, 1, 2, 4 … 60 minutes (NIST SP 800-63B-4 §3.2.2)

A browser that has signed in to this account before counts for itself alone, at the same pace: a stranger who guesses
all day does not keep the owner out at home, and the owner's sign-in does not free the stranger's count. What was right
is taken back from the counts of address and store. A user name without an account is counted like any other: counts
and answers are the same. Passkeys cannot be guessed and are not counted here at all.

One-time and recovery codes are asked for only after something else was right, so they count for the account: 5 in 5
minutes, 20 an hour, 50 a day, and after 100 wrong ones in a row that factor is suspended until another one was proven
(keycloak#46164: a wait alone lets who has the password guess codes for ever). Codes of invitations count for the
address and the store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from medlock.errors import TooMany
from medlock.identity.devices import Device
from medlock.identity.ground import Ground
from medlock.store.counting import Pace

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
PASSWORD_PACE = Pace(free=5, first_ms=30 * SECOND, longest_ms=HOUR, forget_ms=DAY)
ADDRESS_MAX, ADDRESS_MS = 50, HOUR
STORE_MAX, STORE_MS = 1_000, 5 * MINUTE
CODE_WINDOWS = ((5, 5 * MINUTE), (20, HOUR), (50, DAY))
IN_A_ROW = 100
JOIN_MAX, JOIN_MS = 20, HOUR
_FOR_EVER = 10 * 365 * DAY
_V4_BITS, _V6_BITS = 24, 64


class Waits(TooMany):
    """So many attempts failed that the next one must wait. `began`: this is the first one refused of its kind."""

    def __init__(self, wait_ms: int, reason: str, *, began: bool = False) -> None:
        seconds = max(1, -(-wait_ms // SECOND))
        super().__init__(f"Too many attempts. Try again in {_span(seconds)}, or sign in with a passkey.", reason=reason)
        self.retry_after = seconds
        self.began = began


class Suspended(TooMany):
    """A factor answers no more until its owner has proven another one."""

    def __init__(self, factor: str) -> None:
        super().__init__("Too many wrong codes: use a passkey or a recovery code, or ask for help.", reason=factor)
        self.retry_after = HOUR // SECOND


@dataclass(frozen=True, slots=True)
class Guess:
    """A password that may be looked at, and what was counted for it. `waits` is this guess the last for some time."""

    passing: tuple[int, ...]
    settling: tuple[int, ...]
    n: int
    waits: bool


class Lockout:
    """Counts attempts."""

    def __init__(self, ground: Ground) -> None:
        self._counters = ground.backend
        self._name = ground.counter
        self._clock = ground.clock

    async def guess(self, login: str, address: str, device: Device | None) -> Guess:
        """A password is about to be looked at. Raises Waits, Unavailable."""
        now = self._clock.now_ms()
        if device is not None:
            return await self._claim(now, self._name("password", "device", login, device.digest), ())
        passing = await self._pass("password", address, now, (ADDRESS_MAX, ADDRESS_MS))
        return await self._claim(now, self._name("password", "login", login), passing)

    async def right(self, guess: Guess) -> None:
        """The password was right: it does not count for address and store. Raises Unavailable."""
        if guess.passing:
            await self._counters.refund(guess.passing)

    async def entered(self, guess: Guess) -> None:
        """Its owner is in: the count that this guess was on begins anew. Raises Unavailable."""
        await self._counters.settle(guess.settling)

    async def code(self, account_id: str, factor: str) -> None:
        """A code is about to be looked at. Raises Waits, Suspended, Unavailable.

        The shorter windows first, so that what they refuse does not use up the longer ones.
        """
        now = self._clock.now_ms()
        for name, (most, window) in zip(self._code_windows(account_id, factor), CODE_WINDOWS, strict=True):
            ((n, until),) = await self._counters.bump([name], now, [window])
            if n > most:
                raise Waits(until - now, f"too many codes of {factor}", began=n == most + 1)
        ((row, _),) = await self._counters.bump([self._row(account_id, factor)], now, [_FOR_EVER])
        if row > IN_A_ROW:
            raise Suspended(factor)

    async def code_right(self, account_id: str, factor: str) -> None:
        """A code was right: its counts begin anew. Raises Unavailable."""
        await self._counters.settle((*self._code_windows(account_id, factor), self._row(account_id, factor)))

    async def proven(self, account_id: str, by: str, others: Sequence[str]) -> None:
        """The owner proved a factor: others that were suspended answer again. Raises Unavailable."""
        await self._counters.settle([self._row(account_id, factor) for factor in others if factor != by])

    async def join(self, address: str) -> tuple[int, ...]:
        """A code of an invitation is about to be looked at; what was counted. Raises Waits, Unavailable."""
        return await self._pass("join", address, self._clock.now_ms(), (JOIN_MAX, JOIN_MS))

    async def joined(self, names: tuple[int, ...]) -> None:
        """The code was right."""
        await self._counters.refund(names)

    async def proof(self, session_id: str) -> int:
        """A password is about to be looked at in a session; the name of its count. Raises Waits, Unavailable."""
        guess = await self._claim(self._clock.now_ms(), self._name("password", "session", session_id), ())
        return guess.settling[0]

    async def settle(self, names: Sequence[int]) -> None:
        """Begin these anew."""
        await self._counters.settle(names)

    async def standing(self, login: str) -> tuple[int, int]:
        """How many passwords from unknown browsers failed for a user name, and until when such must wait (0: now)."""
        n, until = (await self._counters.peek([self._name("password", "login", login)]))[0]
        now = self._clock.now_ms()
        return n, until if n >= PASSWORD_PACE.free and until > now else 0

    async def suspended(self, account_id: str, factors: Sequence[str]) -> list[str]:
        """Those of an account's factors that answer no more."""
        counts = await self._counters.peek([self._row(account_id, factor) for factor in factors])
        return [factor for factor, (n, _) in zip(factors, counts, strict=True) if n > IN_A_ROW]

    async def unlock(self, account_id: str, login: str, factors: Sequence[str], devices: Sequence[Device]) -> None:
        """Everything that is counted for an account begins anew. Raises Unavailable."""
        names = [self._name("password", "login", login)]
        names += [self._name("password", "device", login, device.digest) for device in devices]
        for factor in factors:
            names += [*self._code_windows(account_id, factor), self._row(account_id, factor)]
        await self._counters.settle(names)

    async def _pass(self, what: str, address: str, now: int, of_address: tuple[int, int]) -> tuple[int, ...]:
        """Count for an address, then for the whole store; the names of these counts. Raises Waits.

        One after the other: what an address may not try any more must not use up what the others have.
        """
        names = self._name(what, "address", prefix_of(address)), self._name(what, "store")
        for name, (most, window) in zip(names, (of_address, (STORE_MAX, STORE_MS)), strict=True):
            ((n, until),) = await self._counters.bump([name], now, [window])
            if n > most:
                raise Waits(until - now, f"too many of {what} from one place", began=n == most + 1)
        return names

    async def _claim(self, now: int, name: int, passing: tuple[int, ...]) -> Guess:
        claim = await self._counters.claim(name, now, PASSWORD_PACE)
        if not claim.allowed:
            raise Waits(claim.until - now, "too many passwords")
        return Guess(passing, (name,), claim.n, claim.n >= PASSWORD_PACE.free)

    def _code_windows(self, account_id: str, factor: str) -> list[int]:
        return [self._name("code", factor, account_id, str(window)) for _, window in CODE_WINDOWS]

    def _row(self, account_id: str, factor: str) -> int:
        return self._name("code", factor, account_id, "row")


def prefix_of(address: str) -> str:
    """The network that an address is counted as: /24 of IPv4, /64 of IPv6; what is no address counts as itself."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    bits = _V4_BITS if found.version == 4 else _V6_BITS
    return f"{int(found) >> (found.max_prefixlen - bits):x}/{bits}"


def _span(seconds: int) -> str:
    """A wait in words."""
    if seconds < 2 * MINUTE // SECOND:
        return f"{seconds} second{'s' * (seconds != 1)}"
    return f"{-(-seconds * SECOND // MINUTE)} minutes"
