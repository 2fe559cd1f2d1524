"""The keys that sign id_tokens (OpenID Connect Core §10.1): made here, sealed in the store, changed with overlap.

RS256, because SMART demands it of every server; nothing else that this server issues is signed. A new key signs at
once; the one before stays published for two days, twice the life of what it signed and of what others cache. All
workers and servers read the same row, and a key that is made twice at a first start is made by whoever was first.
"""

from __future__ import annotations

from typing import Any

import msgspec

from medlock.audit.events import Action, Event, Outcome
from medlock.crypto.jose import Signer, new_signer, signer_of
from medlock.errors import Raced, SetupError
from medlock.oauth.lifetimes import KEY_OVERLAP
from medlock.oauth.rows import Key, Keys, Rows
from medlock.store.cabinet import Held

ALGORITHM = "RS256"
_TRIES = 5
_NAME = "all"


class SigningKeys:
    """Finds, makes and changes them."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._signers: dict[str, Signer] = {}

    async def current(self) -> Signer:
        """The key that signs now; made if there is none yet. Raises Unavailable."""
        held = await self._held()
        living = [key for key in (held.value.keys if held else ()) if not key.retired]
        if living:
            return self._signer(living[-1])
        await self.rotate("medlock")
        return await self.current()

    async def published(self) -> dict[str, Any]:
        """The JWK Set that everybody may fetch: every key whose signatures may still be met."""
        await self.current()
        return {"keys": [self._signer(key).public() for key in await self.every() if not self._over(key)]}

    async def every(self) -> tuple[Key, ...]:
        """All keys, oldest first."""
        held = await self._held()
        return () if held is None else held.value.keys

    async def rotate(self, by: str) -> str:
        """A new key that signs from now on; its kid. Keys that are over are forgotten. Raises Unavailable."""
        signer = new_signer(ALGORITHM)
        for _ in range(_TRIES):
            held = await self._held()
            now = self._rows.clock.now_ms()
            made = Key(signer.kid, ALGORITHM, msgspec.json.encode(signer.jwk), now)
            former = held.value.keys if held else ()
            kept = [msgspec.structs.replace(key, retired=key.retired or now) for key in former if not self._over(key)]
            row = Keys((*kept, made))
            key = self._rows.keys.key(_NAME)
            batch = self._rows.keys.insert(key, row) if held is None else self._rows.keys.replace(held, row)
            event = Event(Action.SIGNING_ROTATE, Outcome.SUCCESS, by, (), "", "HSYSADMIN", now, signer.kid[:32])
            try:
                await self._rows.commit(batch, event)
            except Raced:
                if held is None and by == "medlock":
                    return (await self.current()).kid  # another process was first
                continue
            return signer.kid
        raise SetupError("The signing keys were changed by others all the while: try again.")

    async def _held(self) -> Held[Keys] | None:
        return await self._rows.keys.get(self._rows.keys.key(_NAME))

    def _over(self, key: Key) -> bool:
        """Whether nothing that it signed can still be valid."""
        return bool(key.retired) and self._rows.clock.now_ms() >= key.retired + KEY_OVERLAP * 1000

    def _signer(self, key: Key) -> Signer:
        """The key, read once."""
        known = self._signers.get(key.kid)
        if known is None:
            known = self._signers[key.kid] = signer_of(msgspec.json.decode(key.jwk), key.algorithm, key.kid)
        return known
