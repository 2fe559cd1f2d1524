"""Typed sealed rows for what is not a record: accounts and sessions, clients and grants. docs/spec/store.md §11.

A cabinet is one table under one key; a drawer of it holds one kind of thing. Where a thing lies is the PRF of its kind
and its name, so a stolen disk shows neither; its seal binds table, kind and place, so a row that was moved does not
open; all rows are padded to steps, so lengths say little. Drawers read rows and *make* batches; whoever holds them
adds batches up and commits, so that what belongs together happens together, with the event that tells of it.

A row may have changed since it was read. `replace` and `remove` expect it to be as it was read, and lose with `Raced`
otherwise: whoever asked reads again. What is written because of another row (a session of an account) adds `unchanged`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from medlock.crypto.aead import Aead
from medlock.crypto.prf import Prf
from medlock.errors import Tampered
from medlock.store.tables import Backend, Batch, Table

STEP = 256
_PAGE = 1_000
_FORM = b"\x01"
_SIZE = 4

T = TypeVar("T", bound=msgspec.Struct)
_encode = msgspec.msgpack.Encoder().encode


@dataclass(frozen=True, slots=True)
class Held(Generic[T]):
    """A thing, where it lies, and the very bytes it was read from."""

    key: int
    value: T
    row: bytes


class Drawer(Generic[T]):
    """The things of one kind. Use `Cabinet.drawer`.

    Structs are array-like: fields are only ever added at the end, with a default, so that older rows open.
    """

    def __init__(self, cabinet: Cabinet, kind: str, struct: type[T]) -> None:
        if not struct.__struct_config__.array_like:
            raise TypeError("a row's struct is array_like: its fields are positions")
        self._cabinet = cabinet
        self._kind = kind.encode()
        self._decode = msgspec.msgpack.Decoder(struct).decode

    def key(self, *parts: str | bytes) -> int:
        """Where the thing with this name lies: different names, different places, but once in 2^63 pairs."""
        return self._cabinet.label(self._kind, *parts)

    async def get(self, key: int) -> Held[T] | None:
        """What lies there. Raises Tampered."""
        row = await self._cabinet.backend.get(self._cabinet.table, key)
        return None if row is None else Held(key, self.open(key, row), row)

    async def get_many(self, keys: list[int]) -> list[Held[T]]:
        """What lies at those that are there, in their order. Raises Tampered."""
        rows = await self._cabinet.backend.get_many(self._cabinet.table, keys)
        return [Held(key, self.open(key, rows[key]), rows[key]) for key in keys if key in rows]

    def open(self, key: int, row: bytes) -> T:
        """What a row says. Raises Tampered when it is not one of this kind and place."""
        framed = self._cabinet.aead.open(row, self._place(key))
        size = int.from_bytes(framed[1 : 1 + _SIZE], "big")
        if framed[:1] != _FORM or size > len(framed) - 1 - _SIZE:
            raise Tampered("a row opens but has another form")
        try:
            return self._decode(framed[1 + _SIZE : 1 + _SIZE + size])
        except msgspec.MsgspecError:
            raise Tampered("a row opens but holds something else") from None

    def insert(self, key: int, value: T) -> Batch:
        """It is new there; Raced when something is there already."""
        return Batch(inserts=[(self._cabinet.table, key, self._seal(key, value))])

    def replace(self, held: Held[T], value: T) -> Batch:
        """It becomes something else; Raced when it is not any more what was read."""
        return self.unchanged(held) + Batch(puts=[(self._cabinet.table, held.key, self._seal(held.key, value))])

    def remove(self, held: Held[T]) -> Batch:
        """It goes; Raced when it is not any more what was read."""
        return self.unchanged(held) + Batch(deletes=[(self._cabinet.table, held.key)])

    def put(self, key: int, value: T) -> Batch:
        """Whatever lies there becomes this: for what two may write at once without harm."""
        return Batch(puts=[(self._cabinet.table, key, self._seal(key, value))])

    def clear(self, key: int) -> Batch:
        """Whatever lies there goes."""
        return Batch(deletes=[(self._cabinet.table, key)])

    def unchanged(self, held: Held[T]) -> Batch:
        """It stays what was read, until this is committed; else Raced."""
        return Batch(expects=[(self._cabinet.table, held.key, held.row)])

    async def every(self) -> AsyncIterator[Held[T]]:
        """All of this kind, by going through the whole table: for lists that people ask for, and housekeeping."""
        after: int | None = None
        while page := await self._cabinet.backend.scan(self._cabinet.table, after, _PAGE):
            for key, row in page:
                try:
                    value = self.open(key, row)
                except Tampered:  # of another kind; what opens nowhere is found by medlock verify
                    continue
                yield Held(key, value, row)
            after = page[-1][0]

    def _seal(self, key: int, value: T) -> bytes:
        plain = _encode(value)
        framed = _FORM + len(plain).to_bytes(_SIZE, "big") + plain
        return self._cabinet.aead.seal(framed + bytes(-len(framed) % STEP), self._place(key))

    def _place(self, key: int) -> bytes:
        name = f"medlock/1/{self._cabinet.table.value}|".encode()
        return name + _sized(self._kind) + key.to_bytes(8, "big")


class Cabinet:
    """A table of sealed things.

    aead, prf  the tenant's keys of this table; nothing else may use them
    """

    def __init__(self, backend: Backend, table: Table, aead: Aead, prf: Prf) -> None:
        self.backend = backend
        self.table = table
        self.aead = aead
        self._prf = prf

    def drawer(self, kind: str, struct: type[T]) -> Drawer[T]:
        """The things of one kind; a kind's name never changes and is never used for another struct."""
        return Drawer(self, kind, struct)

    def label(self, kind: bytes, *parts: str | bytes) -> int:
        """PRF(kind, parts), each with its length before it, so that no two lists of parts read alike."""
        return named(self._prf, kind, *parts)


def named(prf: Prf, *parts: str | bytes) -> int:
    """A row's or counter's key: the PRF of parts, each with its length before it."""
    return prf.label(b"".join(map(_sized, parts)))


def _sized(part: str | bytes) -> bytes:
    data = part.encode() if isinstance(part, str) else part
    return len(data).to_bytes(4, "big") + data
