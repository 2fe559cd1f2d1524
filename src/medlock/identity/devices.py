"""Browsers that an account has signed in from: each has a secret of its own, so that it can be told from a stranger's.

A known device proves nothing. It only has its own count of wrong passwords (`lockout`), so that somebody who guesses
from elsewhere cannot keep the owner out. The secret is 256 random bits in a long-lived cookie; the account's row holds
SHA-256 digests. A browser's secret is the same for all who use it; which of them it knows is in their rows.
"""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest

import msgspec
from msgspec.structs import replace

from medlock.identity.ground import Ground, Place
from medlock.ids import random_bytes
from medlock.ids import secret as new_secret
from medlock.store.tables import Batch

KEPT = 20
FORGOTTEN_MS = 180 * 86_400_000
_SECRET_MIN = 40
"""Characters; a cookie that is shorter is none of ours."""
_SECRET_MAX = 100


class Device(msgspec.Struct, frozen=True, array_like=True):
    """One browser. Times in ms. `id` is no secret."""

    digest: bytes
    id: str
    agent: str
    created: int
    seen: int


class Known(msgspec.Struct, frozen=True, array_like=True):
    """An account's devices, the one used last in the end."""

    devices: tuple[Device, ...] = ()


class Devices:
    """The known devices of all accounts."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._rows = ground.cabinet.drawer("devices", Known)

    async def find(self, account_id: str, secret: str) -> Device | None:
        """The known device with this secret, if it was used in the last half year. Takes as long without an account."""
        digest, now = digest_of(secret), self._ground.clock.now_ms()
        held = await self._rows.get(self._rows.key(account_id))
        found = [each for each in (held.value.devices if held else ()) if compare_digest(each.digest, digest)]
        return found[0] if found and secret and now - found[0].seen < FORGOTTEN_MS else None

    async def of(self, account_id: str) -> tuple[Device, ...]:
        """All of an account's."""
        held = await self._rows.get(self._rows.key(account_id))
        return held.value.devices if held else ()

    async def remember(self, account_id: str, place: Place) -> tuple[Batch, str, str]:
        """For a browser in which somebody has just signed in: the batch that keeps it, its id, a new secret or ""."""
        fresh = "" if _SECRET_MIN <= len(place.device) <= _SECRET_MAX else new_secret()
        digest, now = digest_of(fresh or place.device), self._ground.clock.now_ms()
        key = self._rows.key(account_id)
        held = await self._rows.get(key)
        devices = held.value.devices if held else ()
        known = next((each for each in devices if each.digest == digest), None)
        device = replace(known, seen=now, agent=place.agent) if known else _new(digest, place, now)
        kept = Known((*(each for each in devices if each is not known), device)[-KEPT:])
        return (self._rows.replace(held, kept) if held else self._rows.insert(key, kept)), device.id, fresh

    def forget(self, account_id: str) -> Batch:
        """None is known any more."""
        return self._rows.clear(self._rows.key(account_id))


def digest_of(secret: str) -> bytes:
    """What is kept of a device's secret."""
    return sha256(secret.encode(errors="replace")).digest()


def _new(digest: bytes, place: Place, now: int) -> Device:
    return Device(digest, random_bytes(8).hex(), place.agent[:200], now, now)
