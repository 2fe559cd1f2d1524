"""The public keys of clients: given at registration, or fetched from the URL that was registered (SMART 2.2).

A fetched set is kept as long as its server lets it (`Cache-Control: max-age`, within bounds). A `kid` that is not in
it may be a new key, so it is fetched once more, at most once a minute; a host that is down, slow or lying costs one
bounded try every few seconds, however many assertions arrive. How the fetch is guarded (no private addresses, no
redirects, size and time) is `partners.egress`' matter; this module only asks.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Protocol

from medlock.clock import Clock
from medlock.crypto.jose import BadToken, KeySet, VerifyKey, key_set
from medlock.errors import MedlockError
from medlock.oauth.client import Client

KEPT = 512
USUAL_AGE = 300
AGE_MIN, AGE_MAX = 60, 86_400
FORCED_SECONDS = 60
RETRY_SECONDS = 5


class Fetched(Protocol):
    """An answer: its body, and how many seconds it may be kept (None: its server did not say)."""

    @property
    def body(self) -> bytes:
        """The bytes."""

    @property
    def max_age(self) -> int | None:
        """Cache-Control: max-age; 0 for no-store and no-cache."""


class Fetch(Protocol):
    """Gets a document from an https address outside; `partners.egress` does."""

    async def __call__(self, url: str) -> Fetched:
        """The answer, when it is a 200 within bounds. Raises MedlockError for anything else."""


@dataclass(slots=True)
class _Remote:
    """What is known of one URL. Times in milliseconds."""

    keys: KeySet | None = None
    fresh_until: int = 0
    tried: int = 0
    forced: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class KeySets:
    """Finds the key that a client says it signed with."""

    def __init__(self, clock: Clock, fetch: Fetch | None) -> None:
        self._clock = clock
        self._fetch = fetch
        self._remote: OrderedDict[str, _Remote] = OrderedDict()
        self._given: OrderedDict[bytes, KeySet] = OrderedDict()

    async def one(self, client: Client, kid: str, alg: str) -> VerifyKey:
        """The one key of this name that fits. Raises BadToken when there is none, or more than one."""
        if client.jwks:
            return self._registered(client.jwks).one(kid, alg)
        remote = self._known(client.jwks_url)
        keys = await self._current(client.jwks_url, remote)
        if any(key.kid == kid for key in keys.keys):
            return keys.one(kid, alg)
        return (await self._again(client.jwks_url, remote, keys)).one(kid, alg)

    def _registered(self, document: bytes) -> KeySet:
        """A set that was given, parsed once."""
        found = self._given.get(document)
        if found is None:
            found = self._given[document] = key_set(document)
            if len(self._given) > KEPT:
                self._given.popitem(last=False)
        return found

    def _known(self, url: str) -> _Remote:
        remote = self._remote.setdefault(url, _Remote())
        self._remote.move_to_end(url)
        if len(self._remote) > KEPT:
            self._remote.popitem(last=False)
        return remote

    async def _current(self, url: str, remote: _Remote) -> KeySet:
        """The set as it may still be used, or fetched. Raises BadToken."""
        async with remote.lock:
            now = self._clock.now_ms()
            if remote.keys is None or now >= remote.fresh_until:
                if remote.tried and now < remote.tried + RETRY_SECONDS * 1000:
                    raise BadToken("its keys could not be fetched a moment ago")
                await self._renew(url, remote, now)
            if remote.keys is None:
                raise BadToken("its keys cannot be fetched")
            return remote.keys

    async def _again(self, url: str, remote: _Remote, seen: KeySet) -> KeySet:
        """The set once more, because of an unknown name; at most once a minute, whoever asks."""
        async with remote.lock:
            now = self._clock.now_ms()
            if remote.keys is seen and now >= remote.forced + FORCED_SECONDS * 1000:
                remote.forced = now
                await self._renew(url, remote, now)
            return remote.keys or seen

    async def _renew(self, url: str, remote: _Remote, now: int) -> None:
        """Fetch and remember. What cannot be fetched leaves what there was. Raises BadToken."""
        if self._fetch is None:
            raise BadToken("this server fetches nothing")
        remote.tried = now
        try:
            answer = await self._fetch(url)
        except MedlockError as refusal:
            raise BadToken(f"its keys cannot be fetched: {refusal.reason}") from None
        remote.keys = key_set(answer.body)
        age = USUAL_AGE if answer.max_age is None else answer.max_age
        remote.fresh_until = now + 1000 * min(max(age, AGE_MIN), AGE_MAX)
        remote.tried = 0
