"""Recovery codes: ten on paper, each good once, for when everything else is lost.

A code is 120 random bits, written as 24 characters that cannot be mistaken for each other. That is more than the 112
bits from which on a plain hash is enough (SP 800-63B-4 §3.1.2.2, ASVS 5.0 6.5.2); ours is keyed besides, and the row
is sealed. They are shown once, by the offer; typing one back shows that they were kept, and only then do former codes
end. A used one is taken out in a replacement of the row as it was read, so of fifty at once one gets in. The owner
sees how many are left.
"""

from __future__ import annotations

import hmac
from hmac import compare_digest

import msgspec

from medlock.crypto.kdf import derive
from medlock.errors import Conflict, NotFound, Raced
from medlock.identity.factors.footing import Footing
from medlock.identity.factors.shape import Answer, Change, Described, Kind, Notice, Offer, Owner, Proof, prove, refused
from medlock.ids import random_bytes
from medlock.store.cabinet import Held

CODES = 10
CODE_BYTES = 15
FEW = 3
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U
_READ_AS = str.maketrans("ILO", "110", " -\N{EN DASH}\N{EM DASH}\t")  # what people write for what they read


class RecoveryRow(msgspec.Struct, frozen=True, array_like=True):
    """An account's codes. `made` is random and names this set; `left` are keyed hashes; times in ms."""

    made: bytes
    left: list[bytes]
    created: int
    used: int = 0


class _Offered(msgspec.Struct, frozen=True, array_like=True):
    """What a ticket remembers: the codes, and the set that they replace."""

    codes: list[str]
    before: bytes


class Recovery:
    """`Factor`: one set of codes for each account."""

    kind = Kind.RECOVERY

    def __init__(self, on: Footing, pepper: bytes) -> None:
        self._backend = on.backend
        self._rows = on.identity.drawer("recovery", RecoveryRow)
        self._tickets = on.tickets
        self._clock = on.clock
        self._key = derive(pepper, "medlock/1/identity/recovery")

    async def offer(self, owner: Owner, browser: str) -> Offer:
        """Ten new codes, shown now and never again."""
        held = await self._held(owner.account)
        codes = [new_code() for _ in range(CODES)]
        state = _Offered([plain(code) for code in codes], held.value.made if held else b"")
        return Offer(self.kind, self._tickets.make("recovery", owner.account, browser, state), {"codes": codes})

    async def accept(self, owner: Owner, answer: Answer) -> Change:
        """One of the codes was typed back: the set counts, and a former one ends."""
        state, _ = self._tickets.open("recovery", owner.account, answer.browser, answer.ticket, _Offered)
        held = await self._held(owner.account)
        if state.before != (held.value.made if held else b""):
            raise Conflict("Your recovery codes were changed meanwhile. Begin again.")
        typed = plain(answer.text)
        if not sum(compare_digest(typed, code) for code in state.codes):
            raise refused("not one of the offered codes")
        hashes = [self._hash(owner.account, code) for code in state.codes]
        row = RecoveryRow(random_bytes(8), hashes, self._clock.now_ms())
        key = self._rows.key(owner.account)
        batch = self._rows.replace(held, row) if held else self._rows.insert(key, row)
        return Change(batch, self.kind.value, replaces=held is not None)

    async def challenge(self, account: str, browser: str) -> Offer:  # noqa: ARG002 - paper needs nothing
        """A code is asked for."""
        return Offer(self.kind, "", {"characters": CODE_BYTES * 8 // 5})

    async def verify(self, account: str, answer: Answer) -> Proof:
        """A code of the set, once."""
        held = await self._held(account)
        now, wanted = self._clock.now_ms(), self._hash(account, plain(answer.text))
        listed = held.value.left if held else [bytes(32)] * CODES
        matches = [compare_digest(wanted, each) for each in listed]
        if held is None or not any(matches):
            raise refused("no such code, or a used one")
        left = [each for each, same in zip(listed, matches, strict=True) if not same]
        try:
            row = msgspec.structs.replace(held.value, left=left, used=now)
            await self._backend.commit(self._rows.replace(held, row))
        except Raced:
            raise refused("the code was used at the same moment") from None
        notices = {Notice.CODE_USED} | ({Notice.CODES_FEW} if len(left) <= FEW else set())
        return prove(account, self.kind, now, ("rcv",), notices=frozenset(notices))

    async def describe(self, account: str) -> list[Described]:
        """The set, and how many are left."""
        held = await self._held(account)
        if held is None:
            return []
        row = held.value
        return [Described(self.kind, self.kind.value, "Recovery codes", row.created, row.used, left=len(row.left))]

    async def remove(self, account: str, factor: str) -> Change:
        """The codes count no more."""
        held = await self._held(account)
        if held is None or factor != self.kind.value:
            raise NotFound("There are no recovery codes to remove.")
        return Change(self._rows.remove(held), factor, replaces=True)

    def _hash(self, account: str, code: str) -> bytes:
        """What is kept of a code. Bound to the account, so that equal codes of two people would not look equal."""
        return hmac.digest(self._key, f"{account}|{code}".encode(), "sha256")

    async def _held(self, account: str) -> Held[RecoveryRow] | None:
        return await self._rows.get(self._rows.key(account))


def new_code() -> str:
    """120 random bits in six groups of four characters."""
    number = int.from_bytes(random_bytes(CODE_BYTES), "big")
    letters = "".join(_LETTERS[number >> shift & 31] for shift in range(0, CODE_BYTES * 8, 5))
    return "-".join(letters[place : place + 4] for place in range(0, len(letters), 4))


def plain(text: str) -> str:
    """A code as it was meant: capitals, without spaces and dashes, and with I, L and O read as 1, 1 and 0."""
    form = text[:64].upper().translate(_READ_AS)
    return form if form.isascii() else ""
