"""Passwords: hashed with Argon2id in two slots, judged by the policy of the owner's roles.

A password that was right is judged again at each sign-in, because now it can be: one that has become known to attackers
must be changed before anything else (SP 800-63B-4 §3.1.1.2), one that is too old likewise where the profile has an age.
A hash made with former parameters is made anew, without anybody noticing and without the clock of age starting again.
An account that is not there, or has no password, costs one hash as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from medlock.crypto.passwords import canonical, check_password, hash_password, nobodys_hash, outdated
from medlock.errors import BadRequest, Conflict, NotFound, Raced
from medlock.identity.factors.footing import Footing
from medlock.identity.factors.shape import Answer, Change, Described, Kind, Notice, Offer, Owner, Proof, prove, refused
from medlock.identity.passwords.ageing import Age, age_of, due_at
from medlock.identity.passwords.blocklist import Lookup
from medlock.identity.passwords.check import Candidate, Finding, UnfitPassword, check
from medlock.identity.passwords.profiles import PasswordPolicy, Policies, Rule, described
from medlock.identity.slots import Slots
from medlock.ids import random_bytes
from medlock.store.cabinet import Held

TYPED_MAX = 1_024
"""Characters read of what is typed: four times the longest password, so that nobody normalises a megabyte."""


class PasswordRow(msgspec.Struct, frozen=True, array_like=True):
    """An account's password. `made` is random and names it; `created` starts its age, in ms.

    roles   of the owner when it was set: they decide how it ages until the next change
    long    it has as many characters as the policy exempts from ageing
    former  hashes of those before it, newest first
    alone   it is long enough to be the only factor
    known   when it was last right, attackers knew it
    """

    made: bytes
    encoded: str
    created: int
    roles: tuple[str, ...] = ()
    long: bool = False
    former: tuple[str, ...] = ()
    alone: bool = False
    known: bool = False


class _Offered(msgspec.Struct, frozen=True, array_like=True):
    """What a ticket remembers: the password that is replaced."""

    before: bytes


@dataclass(frozen=True, slots=True)
class Hashing:
    """Where hashes are made, and the key that they are made with."""

    slots: Slots
    pepper: bytes = field(repr=False)

    async def made(self, password: str) -> str:
        """A new hash."""
        return await self.slots.run(hash_password, self.pepper, password)

    async def matches(self, encoded: str, password: str) -> bool:
        """Whether a password is the one behind a hash."""
        return await self.slots.run(check_password, self.pepper, encoded, password)


class Passwords:
    """`Factor`: one password for each account."""

    kind = Kind.PASSWORD

    def __init__(self, on: Footing, hashing: Hashing, policies: Policies, listed: Lookup) -> None:
        self._backend = on.backend
        self._rows = on.identity.drawer("password", PasswordRow)
        self._tickets = on.tickets
        self._clock = on.clock
        self._hashing = hashing
        self._policies = policies
        self._listed = listed
        self._nobodys = nobodys_hash()

    async def offer(self, owner: Owner, browser: str) -> Offer:
        """The rules that a new password must meet."""
        held = await self._held(owner.account)
        policy = self._policies.of(owner.roles)
        ticket = self._tickets.make("password", owner.account, browser, _Offered(held.value.made if held else b""))
        rules = [{"rule": each.rule.value, "sentence": each.sentence} for each in described(policy)]
        return Offer(self.kind, ticket, {"rules": rules, "least": policy.least(second=owner.second)})

    async def accept(self, owner: Owner, answer: Answer) -> Change:
        """A new password, which meets the policy; the present one is asked for unless its owner has lost it."""
        state, _ = self._tickets.open("password", owner.account, answer.browser, answer.ticket, _Offered)
        held = await self._held(owner.account)
        if state.before != (held.value.made if held else b""):
            raise Conflict("Your password was changed meanwhile. Begin again.")
        if held and not owner.recovered and not await self._matches(held.value.encoded, answer.present):
            raise refused("the present password is not right")
        policy, new = self._policies.of(owner.roles), _typed(answer.text)
        present = "" if owner.recovered else answer.present
        candidate = Candidate(new, (owner.login, owner.name, *owner.about), owner.second, present)
        await self._hashing.slots.run(check, candidate, policy, self._listed)
        former = (held.value.encoded, *held.value.former)[: policy.history] if held else ()
        await self._refuse_former(new, former, policy)
        encoded = await self._hashing.made(new)
        length, now = len(canonical(new)), self._clock.now_ms()
        long, alone = bool(policy.exempt_long) and length >= policy.exempt_long, length >= policy.min_alone
        row = PasswordRow(random_bytes(8), encoded, now, owner.roles, long, former, alone)
        key = self._rows.key(owner.account)
        batch = self._rows.replace(held, row) if held else self._rows.insert(key, row)
        return Change(batch, self.kind.value, replaces=held is not None)

    async def challenge(self, account: str, browser: str) -> Offer:  # noqa: ARG002 - nothing to remember
        """A password is asked for."""
        return Offer(self.kind, "", {})

    async def verify(self, account: str, answer: Answer) -> Proof:
        """The right password, and how it stands."""
        held = await self._held(account)
        encoded = held.value.encoded if held else self._nobodys
        right = await self._matches(encoded, answer.text)
        if held is None or not right:
            raise refused("no such password")
        now = self._clock.now_ms()
        known = await self._hashing.slots.run(self._listed.__contains__, answer.text)
        if outdated(encoded):
            encoded = await self._hashing.made(_typed(answer.text))
        await self._rewrite(held, encoded=encoded, known=known)
        age = self._age(held.value, now)
        return prove(account, self.kind, now, ("pwd",), notices=_notices(age, known=known), days_left=age.days_left)

    async def describe(self, account: str) -> list[Described]:
        """The password, if there is one."""
        held = await self._held(account)
        if held is None:
            return []
        row = held.value
        age = self._age(row, self._clock.now_ms())
        return [
            Described(
                self.kind,
                self.kind.value,
                "Password",
                row.created,
                alone=row.alone,
                due=due_at(self._policies.of(row.roles), row.created, long=row.long),
                stale=row.known or age.expired,
                reminder=(age.days_left or 0) if age.reminder else 0,
            )
        ]

    def policy_of(self, roles: Iterable[str]) -> PasswordPolicy:
        """The policy of somebody with these roles."""
        return self._policies.of(roles)

    async def remove(self, account: str, factor: str) -> Change:
        """The password counts no more."""
        held = await self._held(account)
        if held is None or factor != self.kind.value:
            raise NotFound("There is no password to remove.")
        return Change(self._rows.remove(held), factor, replaces=True)

    def _age(self, row: PasswordRow, now: int) -> Age:
        return age_of(self._policies.of(row.roles), row.created, now, long=row.long)

    async def _matches(self, encoded: str, password: str) -> bool:
        """Whether a password is the one behind a hash; one that nobody can have set costs the same time."""
        try:
            return await self._hashing.matches(encoded, _typed(password))
        except BadRequest:
            return await self._hashing.matches(encoded, "") and False

    async def _refuse_former(self, new: str, former: tuple[str, ...], policy: PasswordPolicy) -> None:
        """Raises UnfitPassword when the policy remembers it."""
        for encoded in former:
            if await self._matches(encoded, new):
                sentence = f"You have used this among your last {policy.history} passwords: choose another one."
                raise UnfitPassword([Finding(Rule.HISTORY, sentence)])

    async def _rewrite(self, held: Held[PasswordRow], **fields: Any) -> None:
        """Keep what was learned from a right password; when somebody else was first, that is fine, too."""
        row = msgspec.structs.replace(held.value, **fields)
        if row == held.value:
            return
        with suppress(Raced):
            await self._backend.commit(self._rows.replace(held, row))

    async def _held(self, account: str) -> Held[PasswordRow] | None:
        return await self._rows.get(self._rows.key(account))


def _typed(text: str) -> str:
    """What was typed. Raises BadRequest when it is longer than anybody's password."""
    if len(text) > TYPED_MAX:
        raise BadRequest("This password is too long.")
    return canonical(text)


def _notices(age: Age, *, known: bool) -> frozenset[Notice]:
    """What its owner must do about a right password."""
    notices = {
        Notice.PASSWORD_KNOWN: known,
        Notice.PASSWORD_EXPIRED: age.expired,
        Notice.PASSWORD_REMINDER: bool(age.reminder),
    }
    return frozenset(notice for notice, due in notices.items() if due)
