"""Rows of what waits: each place once, changed only from what was read, found by their owner, swept when over."""

import pytest

from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.scopes import parse_scopes
from medlock.clock import Clock
from medlock.errors import NotFound, Raced, Tampered, TooLarge
from medlock.fhir.request import Request
from medlock.records.jobs import ASKED_BYTES, JobBook, Kind, asked_of, drawn_key, new_job
from medlock.records.notes import Notes
from medlock.store.keyring import TenantKeys
from medlock.store.memory import MemoryBackend
from medlock.store.tables import Batch, Table

NOW = 1_700_000_000_000
DR = mint_principal("dr", frozenset({Role.CLINICIAN}), parse_scopes("user/*.rs"))
ASKED = asked_of(Request("GET", b"/$export", b"_type=Patient", {b"prefer": b"respond-async", b"cookie": b"x"}))


class Book:
    """A book over memory, at a time that can be set."""

    def __init__(self):
        clock = Clock()
        self.now = NOW
        clock.now_ms = lambda: self.now
        self.backend = MemoryBackend(None)
        self.notes = Notes(TenantKeys(bytes(32)))
        self.book = JobBook(self.backend, self.notes, clock)


@pytest.fixture
def world():
    return Book()


def job(seconds=60):
    return new_job(DR, ASKED, NOW, NOW + seconds * 1000)


async def test_a_place_is_taken_once(world):
    """Until what is in it is over: then it is taken over, by one of two who try."""
    secret, first = job()
    await world.book.begin(Kind.EXPORT, 0, first)
    with pytest.raises(Raced):
        await world.book.begin(Kind.EXPORT, 0, job()[1])
    await world.book.begin(Kind.LATER, 0, job()[1])
    world.now += 61_000
    await world.book.begin(Kind.EXPORT, 0, job(180)[1])
    with pytest.raises(Raced):
        await world.book.begin(Kind.EXPORT, 0, job(180)[1])
    with pytest.raises(NotFound):
        await world.book.find(Kind.EXPORT, DR, f"0{secret}")


async def test_a_row_changes_only_from_what_was_read(world):
    """Of two who replace, end or replace and end the same row, the second is told so and changes nothing."""
    secret, made = job()
    held = await world.book.begin(Kind.EXPORT, 1, made)
    newer = await world.book.replace(held, made)
    for act in (world.book.replace(held, made), world.book.end(held)):
        with pytest.raises(Raced):
            await act
    assert await world.book.find(Kind.EXPORT, DR, f"1{secret}") == newer
    await world.book.end(newer)
    with pytest.raises(Raced):
        await world.book.replace(newer, made)
    assert await world.book.again(newer) is None


async def test_a_name_finds_its_own_row_only(world):
    """Another place, kind, account or secret: nothing is found."""
    secret, made = job()
    await world.book.begin(Kind.EXPORT, 2, made)
    other = mint_principal("else", DR.roles, DR.scopes)
    for kind, who, name in (
        *((Kind.EXPORT, DR, f"{place}{secret}") for place in "013"),
        (Kind.LATER, DR, f"2{secret}"),
        (Kind.EXPORT, other, f"2{secret}"),
        (Kind.EXPORT, DR, f"2{secret[:-1]}"),
        (Kind.EXPORT, DR, f"2{job()[0]}"),
    ):
        with pytest.raises(NotFound):
            await world.book.find(kind, who, name)
    assert (await world.book.find(Kind.EXPORT, DR, f"2{secret}")).job == made


async def test_a_row_in_another_place_does_not_open(world):
    """Copied to the next place, or edited, it is refused; nobody's export becomes another's."""
    secret, made = job()
    held = await world.book.begin(Kind.EXPORT, 0, made)
    elsewhere = world.notes.key(b"export|1|dr")
    await world.backend.commit(Batch(puts=[(Table.JOB, elsewhere, held.row)]))
    with pytest.raises(Tampered):
        await world.book.find(Kind.EXPORT, DR, f"1{secret}")
    await world.book.sweep()


async def test_sweeping_takes_what_is_over_and_nothing_else(world):
    """Of rows that lie together only those whose time has passed go; other notes stay."""
    await world.book.begin(Kind.EXPORT, 0, job(10)[1])
    kept = await world.book.begin(Kind.LATER, 1, job(100)[1])
    receipt = world.notes.receipt(bytes(32))
    await world.backend.commit(Batch(puts=[receipt]))
    world.now += 11_000
    await world.book.sweep()
    assert {key for key, _ in await world.backend.scan(Table.JOB, None, 10)} == {kept.key, receipt[1]}


def test_a_request_is_kept_without_its_credentials():
    """Only headers that decide the answer; a long request is refused."""
    assert ASKED.headers == ((b"prefer", b"respond-async"),)
    with pytest.raises(TooLarge):
        new_job(DR, asked_of(Request("POST", b"/$export", body=b"x" * ASKED_BYTES)), NOW, NOW)


def test_a_drawn_key_needs_row_and_name():
    """The key of an export changes with what its row keeps, and with the name that only its caller has."""
    (secret, made), (_, other) = job(), job()
    key = drawn_key(made, f"0{secret}")
    assert key == drawn_key(made, f"0{secret}")
    assert len({key, drawn_key(other, f"0{secret}"), drawn_key(made, f"0{secret}x")}) == 3
