"""Rows of passkeys: one for each account, one from each passkey to its account, one for each spent challenge."""

from __future__ import annotations

from hashlib import sha256

import msgspec

from medlock.store.cabinet import Cabinet, Held
from medlock.store.tables import Batch


class Passkey(msgspec.Struct, frozen=True, array_like=True):
    """One passkey. Times in ms. Fields are added at the end.

    public_key  COSE_Key (RFC 9052 §7); count: the last that it sent
    eligible    it may be in several devices (BE); backed_up: it is (BS)
    verified    its owner was verified when it was made (UV)
    prf         it can make keys (docs/spec/factors.md §6)
    doubted     its counter fell, and its owner has not yet said that it is theirs alone
    """

    id: bytes
    public_key: bytes
    count: int
    transports: tuple[str, ...]
    aaguid: str
    eligible: bool
    backed_up: bool
    verified: bool
    created: int
    label: str
    used: int = 0
    prf: bool = False
    doubted: bool = False


class PasskeyRow(msgspec.Struct, frozen=True, array_like=True):
    """An account's passkeys. `made` changes with every one that comes or goes; `salt` goes into keys that they make."""

    made: bytes
    handle: bytes
    salt: bytes
    keys: tuple[Passkey, ...] = ()
    account: str = ""


class PasskeyId(msgspec.Struct, frozen=True, array_like=True):
    """Whose a passkey is."""

    account: str


class Spent(msgspec.Struct, frozen=True, array_like=True):
    """A challenge that was answered; the mark may go at `expires`, in ms."""

    expires: int


class PasskeyRows:
    """Reads rows and makes batches."""

    def __init__(self, identity: Cabinet, once: Cabinet) -> None:
        self._rows = identity.drawer("passkeys", PasskeyRow)
        self._ids = identity.drawer("passkey-id", PasskeyId)
        self._once = once.drawer("passkey-challenge", Spent)
        self._backend = once.backend

    async def of(self, account: str) -> Held[PasskeyRow] | None:
        """An account's row."""
        return await self._rows.get(self._rows.key(account))

    async def owner(self, credential_id: bytes) -> str | None:
        """The account that has a passkey."""
        held = await self._ids.get(self._ids.key(credential_id))
        return held.value.account if held else None

    def write(self, account: str, held: Held[PasskeyRow] | None, row: PasskeyRow) -> Batch:
        """An account's row becomes this; Raced when it is not any more what was read."""
        row = msgspec.structs.replace(row, account=account)
        return self._rows.replace(held, row) if held else self._rows.insert(self._rows.key(account), row)

    def claim(self, credential_id: bytes, account: str) -> Batch:
        """A passkey becomes an account's; Raced when any account has it."""
        return self._ids.insert(self._ids.key(credential_id), PasskeyId(account))

    def release(self, credential_id: bytes) -> Batch:
        """A passkey is nobody's."""
        return self._ids.clear(self._ids.key(credential_id))

    async def answered(self, challenge: bytes) -> bool:
        """Whether a challenge was answered."""
        return await self._once.get(self._once.key(challenge)) is not None

    async def sweep(self, now_ms: int) -> int:
        """Remove marks of challenges that are over anyway; how many. Raises Unavailable."""
        gone = 0
        async for held in self._once.every():
            if now_ms >= held.value.expires:
                await self._backend.commit(self._once.clear(held.key))
                gone += 1
        return gone

    def mark(self, challenge: bytes, spent: Spent) -> Batch:
        """A challenge is answered; Raced when it was before."""
        return self._once.insert(self._once.key(challenge), spent)


def fingerprint(credential_id: bytes) -> str:
    """How people's pages name a passkey: 16 characters that say nothing without the id."""
    return sha256(credential_id).hexdigest()[:16]
