"""Passkeys (WebAuthn Level 3): the factor that no page that looks like ours can relay.

An account has one row with its random user handle, its salt for made keys, and its passkeys; each passkey's id is a
row of its own that leads to the account, inserted once, so that no two accounts can have the same (§7.1 step 26). A
challenge is random, sealed into a ticket of one browser, and leaves a mark in the batch that accepts its answer: it
is accepted once.

A counter that does not rise means that a passkey may have been copied (§6.1.1). The proof is then doubted: it counts
together with another factor only, its owner is told, and that stays so until they say that it is theirs, or remove
it. Counters of 0 stay 0 in passkeys that are synced. What may never change is whether it can be backed up at all
(§7.2 step 19).
"""

from __future__ import annotations

from typing import Any

import msgspec

from medlock.errors import Conflict, NotAuthenticated, NotFound, Raced
from medlock.identity.factors import ceremony, signals
from medlock.identity.factors.ceremony import Asserted, Known, Registered, Site
from medlock.identity.factors.footing import Footing
from medlock.identity.factors.passkeyrows import Passkey, PasskeyRow, PasskeyRows, Spent, fingerprint
from medlock.identity.factors.providers import provider
from medlock.identity.factors.shape import (
    LABEL_MAX,
    REFUSED,
    Answer,
    Change,
    Described,
    Kind,
    Notice,
    Offer,
    Owner,
    Proof,
    prove,
    refused,
)
from medlock.ids import random_bytes
from medlock.store.cabinet import Held
from medlock.store.tables import Batch

CHALLENGE_BYTES = 32
HANDLE_BYTES = 64
PASSKEYS_MAX = 20
TRIES = 4


class UnknownPasskey(NotAuthenticated):
    """A passkey that counts no more; `signal` is for the browser, so that it is not offered again."""

    def __init__(self, signal: dict[str, Any]) -> None:
        super().__init__(REFUSED, reason="an unknown passkey")
        self.signal = signal


class _Creation(msgspec.Struct, frozen=True, array_like=True):
    """What a registration's ticket remembers."""

    challenge: bytes
    handle: bytes
    salt: bytes
    before: bytes
    conditional: bool


class _Request(msgspec.Struct, frozen=True, array_like=True):
    """What a challenge's ticket remembers."""

    challenge: bytes


class Passkeys:
    """`Factor`: up to twenty passkeys for each account."""

    kind = Kind.PASSKEY

    def __init__(self, on: Footing, site: Site) -> None:
        self._backend = on.backend
        self._rows = PasskeyRows(on.identity, on.once)
        self._tickets = on.tickets
        self._clock = on.clock
        self._site = site

    async def offer(self, owner: Owner, browser: str) -> Offer:
        """Options for `navigator.credentials.create`."""
        return await self._offer(owner, browser, conditional=False)

    async def offer_conditional(self, owner: Owner, browser: str) -> Offer:
        """The same for a passkey that the browser may make by itself, right after a sign-in with a password."""
        return await self._offer(owner, browser, conditional=True)

    async def _offer(self, owner: Owner, browser: str, *, conditional: bool) -> Offer:
        held = await self._rows.of(owner.account)
        row = held.value if held else PasskeyRow(b"", random_bytes(HANDLE_BYTES), random_bytes(signals.SALT_BYTES))
        if len(row.keys) >= PASSKEYS_MAX:
            raise Conflict(f"You have {PASSKEYS_MAX} passkeys: remove one that you do not use any more first.")
        state = _Creation(random_bytes(CHALLENGE_BYTES), row.handle, row.salt, row.made, conditional)
        names = owner.login, owner.name
        known = _known(row.keys)
        options = ceremony.creation_options(
            self._site, names, row.handle, state.challenge, known, conditional=conditional
        )
        shown = options | {"extensions": signals.creation_extensions(row.salt)}
        return Offer(self.kind, self._tickets.make("passkey-create", owner.account, browser, state), shown)

    async def accept(self, owner: Owner, answer: Answer) -> Change:
        """The browser's answer to the options: a new passkey."""
        state, _ = self._tickets.open("passkey-create", owner.account, answer.browser, answer.ticket, _Creation)
        held = await self._rows.of(owner.account)
        if state.before != (held.value.made if held else b""):
            raise Conflict("Your passkeys were changed meanwhile. Begin again.")
        response = ceremony.parsed(answer.text)
        made = ceremony.register(self._site, response, state.challenge, conditional=state.conditional)
        key = _passkey(made, answer.label, self._clock.now_ms())
        earlier = held.value if held else PasskeyRow(b"", state.handle, state.salt)
        row = msgspec.structs.replace(earlier, made=random_bytes(8), keys=(*earlier.keys, key))
        batch = self._rows.write(owner.account, held, row) + self._rows.claim(key.id, owner.account)
        return Change(batch, fingerprint(key.id), told=self._accepted(row))

    async def challenge(self, account: str, browser: str) -> Offer:
        """Options for `navigator.credentials.get`: of an account's passkeys, or (account "") of any of this site."""
        held = await self._rows.of(account) if account else None
        state = _Request(random_bytes(CHALLENGE_BYTES))
        options = ceremony.request_options(self._site, state.challenge, _known(held.value.keys if held else ()))
        if held:
            options["extensions"] = signals.request_extensions(held.value.salt)
        return Offer(self.kind, self._tickets.make("passkey-get", account, browser, state), options)

    async def verify(self, account: str, answer: Answer) -> Proof:
        """The browser's answer to a challenge. `account` "" at sign-in: the passkey says whose it is.

        Raises NotAuthenticated; UnknownPasskey when the passkey counts no more.
        """
        state, expires = self._tickets.open("passkey-get", account, answer.browser, answer.ticket, _Request)
        response = ceremony.parsed(answer.text)
        for _ in range(TRIES):
            held, key = await self._find(account, response)
            asserted = ceremony.authenticate(self._site, response, state.challenge, key.public_key)
            if asserted.eligible != key.eligible:
                raise refused("a passkey that could not be backed up can, or the reverse")
            try:
                return await self._spend(held, key, asserted, Spent(expires), state.challenge)
            except Raced:
                if await self._rows.answered(state.challenge):
                    break
        raise refused("the challenge was answered at the same moment, or before")

    async def describe(self, account: str) -> list[Described]:
        """Every passkey, oldest first."""
        held = await self._rows.of(account)
        return [_described(key) for key in held.value.keys] if held else []

    async def remove(self, account: str, factor: str) -> Change:
        """A passkey counts no more."""
        held, key = await self._named(account, factor)
        left = tuple(each for each in held.value.keys if each is not key)
        row = msgspec.structs.replace(held.value, made=random_bytes(8), keys=left)
        batch = self._rows.write(account, held, row) + self._rows.release(key.id)
        return Change(batch, factor, replaces=True, told=signals.unknown_credential(self._site.rp_id, key.id))

    async def forget(self, account: str) -> Batch:
        """None of an account's passkeys counts any more; its handle stays."""
        held = await self._rows.of(account)
        if held is None:
            return Batch()
        batch = self._rows.write(account, held, msgspec.structs.replace(held.value, made=random_bytes(8), keys=()))
        for key in held.value.keys:
            batch += self._rows.release(key.id)
        return batch

    async def rename(self, account: str, factor: str, label: str) -> Change:
        """Its owner calls it something else. Raises NotFound."""
        fields = {"label": _label(label)} if _label(label) else {}
        return await self._changed(account, factor, **fields)

    async def trust(self, account: str, factor: str) -> Change:
        """Its owner, who proved it by another factor, says that a doubted passkey is theirs alone. Raises NotFound."""
        return await self._changed(account, factor, doubted=False)

    async def sweep(self) -> int:
        """Housekeeping: forget which challenges were answered when they are over anyway. Raises Unavailable."""
        return await self._rows.sweep(self._clock.now_ms())

    async def details(self, owner: Owner) -> dict[str, Any]:
        """What to tell browsers when somebody is called something else; empty without passkeys."""
        held = await self._rows.of(owner.account)
        return signals.current_details(self._site.rp_id, held.value.handle, owner.login, owner.name) if held else {}

    async def accepted(self, account: str) -> dict[str, Any]:
        """What to tell browsers after a sign-in: all passkeys that count; empty without passkeys."""
        held = await self._rows.of(account)
        return self._accepted(held.value) if held else {}

    def _accepted(self, row: PasskeyRow) -> dict[str, Any]:
        return signals.all_accepted(self._site.rp_id, row.handle, [key.id for key in row.keys])

    async def _find(self, account: str, response: dict[str, Any]) -> tuple[Held[PasskeyRow], Passkey]:
        """The passkey that answers, and its account's row (§7.2 steps 5 and 6)."""
        wanted, handle = ceremony.credential_id(response), ceremony.user_handle(response)
        owner = await self._rows.owner(wanted)
        if owner is None:
            raise UnknownPasskey(signals.unknown_credential(self._site.rp_id, wanted))
        held = await self._rows.of(owner)
        key = next((each for each in held.value.keys if each.id == wanted), None) if held else None
        if held is None or key is None:
            raise refused("a passkey whose account does not have it")
        if account not in {"", owner}:
            raise refused("a passkey of another account")
        if handle != held.value.handle and (handle or not account):
            raise refused("a passkey with another user handle")
        return held, key

    async def _spend(
        self, held: Held[PasskeyRow], key: Passkey, asserted: Asserted, mark: Spent, challenge: bytes
    ) -> Proof:
        """Write down that the challenge was answered, with what the passkey says of itself.

        Raises Raced: it was answered before, or the account's row changed (another of its passkeys was used).
        """
        now = self._clock.now_ms()
        fell = asserted.count <= key.count and (asserted.count > 0 or key.count > 0)
        used = msgspec.structs.replace(
            key, count=asserted.count, backed_up=asserted.backed_up, used=now, doubted=key.doubted or fell
        )
        keys = tuple(used if each is key else each for each in held.value.keys)
        row = msgspec.structs.replace(held.value, keys=keys)
        account = held.value.account
        await self._backend.commit(self._rows.write(account, held, row) + self._rows.mark(challenge, mark))
        amr = ("swk" if key.eligible else "hwk", "user")
        notices = frozenset({Notice.COUNTER_FELL} if used.doubted else ())
        factor = fingerprint(key.id)
        return prove(account, self.kind, now, amr, factor=factor, notices=notices, doubted=used.doubted)

    async def _named(self, account: str, factor: str) -> tuple[Held[PasskeyRow], Passkey]:
        held = await self._rows.of(account)
        for key in held.value.keys if held else ():
            if held and fingerprint(key.id) == factor:
                return held, key
        raise NotFound("There is no such passkey.")

    async def _changed(self, account: str, factor: str, **fields: Any) -> Change:
        held, key = await self._named(account, factor)
        changed = msgspec.structs.replace(key, **fields)
        keys = tuple(changed if each is key else each for each in held.value.keys)
        return Change(self._rows.write(account, held, msgspec.structs.replace(held.value, keys=keys)), factor)


def _known(keys: tuple[Passkey, ...]) -> list[Known]:
    return [Known(key.id, key.transports) for key in keys]


def _passkey(made: Registered, label: str, now: int) -> Passkey:
    """What is kept of a registration."""
    return Passkey(
        made.id,
        made.public_key,
        made.count,
        made.transports,
        made.aaguid,
        made.eligible,
        made.backed_up,
        made.verified,
        now,
        _label(label) or provider(made.aaguid),
        prf=made.prf,
    )


def _described(key: Passkey) -> Described:
    return Described(
        Kind.PASSKEY,
        fingerprint(key.id),
        key.label,
        key.created,
        key.used,
        resistant=True,
        synced=key.backed_up,
        doubted=key.doubted,
        provider=provider(key.aaguid),
    )


def _label(text: str) -> str:
    """What an owner calls a device, without what is not printable."""
    return "".join(each for each in text if each.isprintable()).strip()[:LABEL_MAX]
