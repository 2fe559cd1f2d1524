"""What waits to be fetched, as sealed rows: exports and questions that are answered later. docs/spec/store.md §8.1.

A row holds the request as it was made, whose it is, how far the work has come and until when it is kept; never an
output, nor any resource. Each time the request is read and decided anew, so a row gives nobody a right.

A row lies under the account and one of its few places, so that no account has more rows than places, one cannot even
look for another's, and any worker of any host finds it. It is the caller's own when name, account, client, role,
scopes, patient and purpose are those of the one who asked; every other one is told that there is nothing.

Whoever works on a row says until when in the row itself. A worker that dies leaves a claim that ends by itself, and
the next who is asked goes on. A row changes only from the very bytes that were read (`Raced` otherwise): of two who go
on, one does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from typing import Final, NamedTuple

import msgspec

from medlock.access.principal import Principal
from medlock.clock import Clock
from medlock.crypto.kdf import derive
from medlock.errors import NotFound, Raced, Tampered, TooLarge
from medlock.fhir.request import Request
from medlock.ids import random_bytes
from medlock.ids import secret as new_secret
from medlock.records.notes import Notes
from medlock.store.tables import Backend, Batch, Row, Table

PLACES: Final = 4
"""Rows of one kind that an account may have."""
ASKED_BYTES: Final = 32 * 1024
_STEP: Final = 1_024
_PAGE: Final = 1_000
_KEPT_HEADERS: Final = (b"accept", b"content-type", b"prefer")
_LABEL: Final = "medlock/1/export/drawn"
_UNKNOWN: Final = "There is nothing here, or it is not yours."


class Kind(StrEnum):
    """What a row is of; the first part of its name."""

    EXPORT = "export"
    LATER = "later"


class Owner(msgspec.Struct, frozen=True, array_like=True):
    """Who asked, and as what: another token of theirs will do, one of another app or with other rights will not."""

    account: str
    client: str
    roles: tuple[str, ...]
    scopes: str
    patient: str
    purpose: str


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """A request as it was made, without what says who made it."""

    method: str
    path: bytes
    query: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def request(self) -> Request:
        """The same, to be read again."""
        return Request(self.method, self.path, self.query, dict(self.headers), self.body)


class Stream(msgspec.Struct, frozen=True, array_like=True):
    """A file that is being sent, and until when that is taken for granted (ms)."""

    id: int
    until: int


class Job(msgspec.Struct, frozen=True, array_like=True):
    """What a row says; times in ms. Fields are added at the end.

    check    SHA-256 of the name's secret part, which is kept nowhere
    secret   what keys of its own are drawn from, together with the name
    claim    until when some worker is at it
    after    where the next piece of counting begins; "" when all is `counted`
    """

    check: bytes
    owner: Owner
    asked: Asked
    began: int
    expires: int
    secret: bytes
    claim: int = 0
    types: dict[str, int] = {}
    done: int = 0
    of: int = 0
    after: str = ""
    counted: bool = False
    deidentified: bool = False
    streams: tuple[Stream, ...] = ()

    def busy(self, now: int) -> bool:
        """Whether some worker counts in it or sends of it."""
        return self.claim > now or any(each.until > now for each in self.streams)


class Held(NamedTuple):
    """A job, and the row that says so."""

    key: int
    name: bytes
    row: bytes
    job: Job


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Job).decode


def read_job(state: bytes) -> Job:
    """What the note of a job says. Raises Tampered."""
    try:
        return _decode(state)
    except msgspec.MsgspecError:
        raise Tampered("a note of a job holds none") from None


class JobBook:
    """The rows of all accounts. Everything raises Unavailable when the store does."""

    def __init__(self, backend: Backend, notes: Notes, clock: Clock) -> None:
        self._backend = backend
        self._notes = notes
        self._now_ms = clock.now_ms

    async def of(self, kind: Kind, account: str) -> list[Held | None]:
        """What an account has in its places, as long as it is kept."""
        names = [_name(kind, account, place) for place in range(PLACES)]
        rows = await self._backend.get_many(Table.JOB, [self._notes.key(name) for name in names])
        held = [self._open(name, rows.get(self._notes.key(name))) for name in names]
        return [None if each is None or each.job.expires < self._now_ms() else each for each in held]

    async def begin(self, kind: Kind, place: int, job: Job) -> Held:
        """Take a place in which nothing is kept any more. Raises Raced when somebody was first."""
        name = _name(kind, job.owner.account, place)
        row = self._row(name, job)
        former = await self._backend.get(Table.JOB, row[1])
        if former is None:
            await self._backend.commit(Batch(inserts=[row]))
        else:
            held = self._open(name, former)
            if held is not None and held.job.expires >= self._now_ms():
                raise Raced
            await self._backend.commit(Batch(puts=[row], expects=[(Table.JOB, row[1], former)]))
        return Held(row[1], name, row[2], job)

    async def find(self, kind: Kind, principal: Principal, name: str) -> Held:
        """The caller's own by its name. Raises NotFound for every other one."""
        place, secret = name[:1], name[1:]
        if place not in "0123" or len(name) < 2:
            raise NotFound(_UNKNOWN)
        noted = _name(kind, principal.account, int(place))
        held = self._open(noted, await self._backend.get(Table.JOB, self._notes.key(noted)))
        if held is None or not compare_digest(held.job.check, sha256(secret.encode()).digest()):
            raise NotFound(_UNKNOWN)
        if held.job.owner != owner_of(principal) or held.job.expires < self._now_ms():
            raise NotFound(_UNKNOWN)
        return held

    async def replace(self, held: Held, job: Job) -> Held:
        """Let a row say something else. Raises Raced when it is not as it was read, or gone."""
        row = self._row(held.name, job)
        await self._backend.commit(Batch(puts=[row], expects=[(Table.JOB, held.key, held.row)]))
        return held._replace(row=row[2], job=job)

    async def end(self, held: Held) -> None:
        """Take a row away. Raises Raced when it is not as it was read."""
        await self._backend.commit(Batch(deletes=[(Table.JOB, held.key)], expects=[(Table.JOB, held.key, held.row)]))

    async def again(self, held: Held) -> Held | None:
        """The same job as it stands now; None when it is over."""
        found = self._open(held.name, await self._backend.get(Table.JOB, held.key))
        same = found is not None and found.job.check == held.job.check and found.job.expires >= self._now_ms()
        return found if same else None

    async def sweep(self) -> None:
        """Take away what is kept no longer: it says what was asked."""
        async for key, row in self._rows():
            held = self._opened(key, row)
            if held is not None and held.job.expires < self._now_ms():
                with suppress(Raced):
                    await self.end(held)

    async def _rows(self) -> AsyncIterator[tuple[int, bytes]]:
        after: int | None = None
        while page := await self._backend.scan(Table.JOB, after, _PAGE):
            for each in page:
                yield each
            after = page[-1][0]

    def _opened(self, key: int, row: bytes) -> Held | None:
        """A row of table JOB as a job; None for other notes, and for what verification is there to find."""
        try:
            name, _ = self._notes.open(key, row)
        except Tampered:
            return None
        return self._open(name, row) if is_job(name) else None

    def _open(self, name: bytes, row: bytes | None) -> Held | None:
        if row is None:
            return None
        key = self._notes.key(name)
        found, state = self._notes.open(key, row)
        return Held(key, found, row, read_job(state))

    def _row(self, name: bytes, job: Job) -> Row:
        return self._notes.seal(name, _encode(job), _STEP)


def new_job(principal: Principal, asked: Asked, now: int, expires: int) -> tuple[str, Job]:
    """A job, and the secret part of its name. Raises TooLarge for a request that is too long to be kept."""
    if len(asked.path) + len(asked.query) + len(asked.body) > ASKED_BYTES:
        raise TooLarge(f"A request that is kept has at most {ASKED_BYTES} bytes.")
    secret = new_secret()
    check = sha256(secret.encode()).digest()
    return secret, Job(check, owner_of(principal), asked, now, expires, random_bytes(32))


def asked_of(request: Request) -> Asked:
    """What of a request decides its answer."""
    headers = tuple((each, request.headers[each]) for each in _KEPT_HEADERS if each in request.headers)
    return Asked(request.method, request.path, request.query, headers, request.body)


def owner_of(principal: Principal) -> Owner:
    """Who a caller is to a job."""
    roles = tuple(sorted(each.value for each in principal.roles))
    return Owner(
        principal.account, principal.client, roles, principal.scopes.text, principal.patient, principal.purpose
    )


def drawn_key(job: Job, name: str) -> bytes:
    """A key that is this job's alone: of what its row keeps and its caller does not know, and the other way round.

    So neither the caller, nor whoever finds the row in an old copy of the store and has its keys, can make it again.
    """
    return derive(job.secret + sha256(name[1:].encode()).digest(), _LABEL)


def is_job(name: bytes) -> bool:
    """Whether a note is one of these."""
    return name.partition(b"|")[0] in _KINDS


_KINDS: Final = frozenset(each.encode() for each in Kind)


def _name(kind: Kind, account: str, place: int) -> bytes:
    return f"{kind}|{place}|{account}".encode()
