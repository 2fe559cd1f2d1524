"""Typed sealed rows: they open in their own place only, say nothing outside, and are changed by nobody unseen."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlock.crypto.aead import Aead
from medlock.crypto.prf import Prf
from medlock.errors import Raced, Tampered
from medlock.store.cabinet import STEP, Cabinet, named
from medlock.store.memory import MemoryBackend
from medlock.store.tables import Table
from store.backend_conformance import CountingLedger


class Pet(msgspec.Struct, frozen=True, array_like=True):
    """A thing."""

    name: str
    legs: int = 4


class OldPet(msgspec.Struct, frozen=True, array_like=True):
    """The thing before it had legs."""

    name: str


@pytest.fixture
def cabinet() -> Cabinet:
    """One in memory."""
    return Cabinet(MemoryBackend(CountingLedger()), Table.IDENTITY, Aead(b"k" * 32), Prf(b"p" * 32))


async def test_what_was_put_in_is_found(cabinet: Cabinet) -> None:
    """By its name, by its kind, and not by another."""
    pets, others = cabinet.drawer("pet", Pet), cabinet.drawer("other", Pet)
    key = pets.key("by-name", "Rex")
    await cabinet.backend.commit(pets.insert(key, Pet("Rex")))
    await cabinet.backend.commit(others.insert(others.key("by-name", "Rex"), Pet("Tom")))
    held = await pets.get(key)
    assert held is not None
    assert held.value == Pet("Rex", 4)
    assert await pets.get(pets.key("by-name", "Tom")) is None
    assert [each.value async for each in pets.every()] == [Pet("Rex", 4)]
    assert [each.value for each in await pets.get_many([1, key, 2])] == [Pet("Rex", 4)]


async def test_a_thing_that_changed_meanwhile_is_not_replaced(cabinet: Cabinet) -> None:
    """Two who read the same: the second to write loses, whether it replaces, removes or only builds on it."""
    pets = cabinet.drawer("pet", Pet)
    await cabinet.backend.commit(pets.insert(1, Pet("Rex")))
    held = await pets.get(1)
    assert held is not None
    await cabinet.backend.commit(pets.replace(held, Pet("Rex", 3)))
    for late in (pets.replace(held, Pet("Rex", 5)), pets.remove(held), pets.insert(2, Pet("x")) + pets.unchanged(held)):
        with pytest.raises(Raced):
            await cabinet.backend.commit(late)
    now = await pets.get(1)
    assert now is not None
    assert now.value.legs == 3
    await cabinet.backend.commit(pets.remove(now))
    assert await pets.get(1) is None


async def test_a_row_opens_in_its_own_place_only(cabinet: Cabinet) -> None:
    """Not under another key, as another kind, from another table, under another tenant's key, nor changed or cut."""
    pets = cabinet.drawer("pet", Pet)
    ((_, key, row),) = pets.insert(7, Pet("Rex")).inserts
    assert pets.open(key, row) == Pet("Rex")
    elsewhere = Cabinet(cabinet.backend, Table.OAUTH, cabinet.aead, Prf(b"p" * 32)).drawer("pet", Pet)
    foreign = Cabinet(cabinet.backend, Table.IDENTITY, Aead(b"x" * 32), Prf(b"p" * 32)).drawer("pet", Pet)
    for drawer, at, ct in [
        (pets, 8, row),
        (cabinet.drawer("other", Pet), 7, row),
        (elsewhere, 7, row),
        (foreign, 7, row),
        (pets, 7, row[:-1]),
        (pets, 7, row[:20] + bytes([row[20] ^ 1]) + row[21:]),
        (pets, 7, b""),
    ]:
        with pytest.raises(Tampered):
            drawer.open(at, ct)


def test_fields_are_added_at_the_end(cabinet: Cabinet) -> None:
    """A row from before a field was added opens, with the default; a struct without positions is refused."""
    ((_, _, row),) = cabinet.drawer("pet", OldPet).insert(1, OldPet("Rex")).inserts
    assert cabinet.drawer("pet", Pet).open(1, row) == Pet("Rex", 4)

    class Loose(msgspec.Struct):
        name: str

    with pytest.raises(TypeError):
        cabinet.drawer("loose", Loose)


@given(st.text(max_size=600))
def test_lengths_come_in_steps(name: str) -> None:
    """A row's length tells its step and nothing finer."""
    cabinet = Cabinet(MemoryBackend(CountingLedger()), Table.IDENTITY, Aead(b"k" * 32), Prf(b"p" * 32))
    pets = cabinet.drawer("pet", Pet)
    ((_, key, row),) = pets.insert(pets.key(name), Pet(name)).inserts
    assert (len(row) - 28) % STEP == 0
    assert pets.open(key, row) == Pet(name)


@given(st.lists(st.text(max_size=4), max_size=3), st.lists(st.text(max_size=4), max_size=3))
def test_names_are_not_run_together(one: list[str], other: list[str]) -> None:
    """Two lists of parts share a key only when they are the same list."""
    prf = Prf(b"p" * 32)
    assert (named(prf, *one) == named(prf, *other)) is (one == other)
