"""Tamper test: whatever row is changed, in whatever table, `medlock verify` names it; and it never cries wolf."""

from __future__ import annotations

import asyncio
import random
import shutil
from functools import partial
from pathlib import Path

import pytest

from acceptance.scene import DATA, KEYS, SCALE, Past, end, live_through, renew, rotate, shred, weight
from acceptance.tamper import VERIFIED, KeyTamperer, Tamperer, Touched, rows_of
from acceptance.verifier import offline
from medlock.audit.findings import KEYSTORE, Kind
from medlock.audit.heads import INDEX_HEAD, TREE_HEAD
from medlock.audit.ledger import MerkleLedger
from medlock.errors import MedlockError, SetupError, Tampered
from medlock.store.sqlite import open_sqlite
from medlock.store.tables import Batch, Table
from records.world import Keys, StillClock, clinician, open_world

CASES = 100 * SCALE
YOUNG, OLD = 300, 4_200  # reads: little log; more than one run of it, so that its search index has a row


@pytest.fixture(scope="session")
def young(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """A directory with a short log."""
    return asyncio.run(live_through(tmp_path_factory.mktemp("young"), YOUNG))


@pytest.fixture(scope="session")
def old(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """A directory whose log has a search index."""
    return asyncio.run(live_through(tmp_path_factory.mktemp("old"), OLD))


@pytest.fixture(scope="session")
def renewed(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """A directory whose patients have had three keys each."""
    past = asyncio.run(live_through(tmp_path_factory.mktemp("renewed"), YOUNG // 10))
    asyncio.run(renew(past))
    return past


@pytest.fixture(scope="session")
def halfway(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """One in which the second rotation of keys was killed in the middle."""
    past = asyncio.run(live_through(tmp_path_factory.mktemp("halfway"), YOUNG // 10))
    asyncio.run(renew(past, halfway=16))
    return past


def copied(past: Past, to: Path) -> Path:
    """A fresh copy of the directory's two files."""
    to.mkdir(exist_ok=True)
    for name in (DATA, KEYS):
        shutil.copyfile(past.directory / name, to / name)
    return to


async def named(past: Past, case: Path) -> set[tuple[str, int]]:
    """The rows that verification names in a copy."""
    return {(finding.table, finding.key) for finding in await offline(case, past.directory).verify()}


async def changed_rows_are_named(past: Past, case: Path, seed: int, *, former: bool = False) -> None:
    """Change a row of a fresh copy, many times over; exactly what was changed is named.

    While `former` keys exist, an older version may be put back as it was sealed before: it is the same version, opens,
    and says the same. Nothing tells the two apart until the rotation ends.
    """
    earlier = [rows_of(each / DATA) for each in past.earlier]
    tamperer = Tamperer(rows_of(past.directory / DATA), earlier, random.Random(seed))
    for _ in range(CASES):
        way, touched = tamperer.tamper(copied(past, case) / DATA)
        found = await named(past, case)
        if former and way == "roll_back history":
            touched &= found
        assert touched <= found, way
        assert found - touched <= beside(found, touched, tamperer), way


def beside(found: Touched, touched: Touched, tamperer: Tamperer) -> Touched:
    """What may be named as well.

    A row put into an empty search index looks like an index that lost its head. Exchange an entry of the log with
    the tile that vouches for it, and nothing vouches for the other entries of that tile. Exchange it with the head of
    the log, and nothing tells which of entry and tile is right. Exchange a row of an index with a body, and nothing
    names that body any more, nor its further rows. What a body says of its chunks is not known when it does not open.
    """
    tables = {table for table, _ in touched}
    if Table.LOGINDEX in tables and not tamperer.now[Table.LOGINDEX]:
        return {(Table.TIP, INDEX_HEAD)}
    if {Table.LOG, Table.TILE} <= tables:
        return {(table, key) for table, key in found if table == Table.LOG}
    if (Table.TIP, TREE_HEAD) in touched and Table.LOG in tables:
        return {(table, key) for table, key in found if table == Table.TILE}
    unvouched: set[Table] = set()
    if Table.BODY in tables and tables & {Table.CAPSULE, Table.DELTA}:
        unvouched.add(Table.BODY)
    if tables & {Table.BODY, Table.HISTORY, Table.CAPSULE, Table.DELTA}:
        unvouched.add(Table.CHUNK)
    return {(table, key) for table, key in found if table in unvouched}


async def test_an_untouched_directory_has_no_findings(young: Past, old: Past) -> None:
    """Updates, deletes, folds, changes of owner, an erasure and a ratchet are no cause for alarm."""
    for past in (young, old):
        assert await offline(past.directory).verify() == []
    assert all(rows_of(old.directory / DATA)[table] for table in VERIFIED)


@pytest.mark.parametrize("seed", range(8))
async def test_every_changed_row_is_named(young: Past, tmp_path: Path, seed: int) -> None:
    """800 single-row changes over all thirteen tables that records lie in: each is found, and nothing but the changed rows is named."""
    await changed_rows_are_named(young, tmp_path / "case", seed)


@pytest.mark.parametrize("seed", [100, 101])
async def test_every_changed_row_of_a_long_log_is_named(old: Past, tmp_path: Path, seed: int) -> None:
    """200 more where the log is long enough to have a search index."""
    await changed_rows_are_named(old, tmp_path / "case", seed)


@pytest.mark.parametrize("seed", [110, 111])
async def test_every_changed_row_is_named_after_rotations(renewed: Past, tmp_path: Path, seed: int) -> None:
    """200 more where keys were rotated; rows of before, put back, are found like any others."""
    assert await offline(renewed.directory).verify() == []
    await changed_rows_are_named(renewed, tmp_path / "case", seed)


@pytest.mark.parametrize("seed", [120, 121])
async def test_every_changed_row_is_named_in_the_middle_of_a_rotation(halfway: Past, tmp_path: Path, seed: int) -> None:
    """200 more where some rows lie under former keys and some under new ones, and all of them open."""
    keystore = offline(halfway.directory).keystore()
    assert keystore.superseded()
    keystore._spares.clear()
    keystore.close()
    assert await offline(halfway.directory).verify() == []
    await changed_rows_are_named(halfway, tmp_path / "case", seed, former=True)


@pytest.mark.parametrize("seed", [200, 201])
async def test_changes_of_the_keystore_are_found(young: Past, tmp_path: Path, seed: int) -> None:
    """200 changes of key, epoch and meta rows: verification names the keystore, or it says why it does not open."""
    tamperer = KeyTamperer(random.Random(seed), young.earlier)
    for _ in range(CASES):
        case = copied(young, tmp_path / "case")
        way = tamperer.tamper(case / KEYS)
        assert KEYSTORE in await tables_named(young, case), way


async def tables_named(past: Past, case: Path) -> set[str]:
    """The tables named; a keystore that does not open at all is named by the refusal."""
    try:
        return {table for table, _ in await named(past, case)}
    except SetupError as refusal:
        told = any(word in str(refusal) for word in ("keystore", "key file", "passphrase"))
        return {KEYSTORE} if told else set()


async def test_many_changes_at_once_are_never_missed(young: Past, tmp_path: Path) -> None:
    """Two to nine changes together: something is named each time, and verification survives it."""
    rng = random.Random(300)
    earlier = [rows_of(each / DATA) for each in young.earlier]
    now = rows_of(young.directory / DATA)
    for _ in range(CASES // 2):
        case = copied(young, tmp_path / "case")
        tamperer = Tamperer(now, earlier, rng)
        ways = [tamperer.tamper(case / DATA)[0] for _ in range(rng.randrange(2, 10))]
        assert await named(young, case), ways


@pytest.mark.parametrize("copy", [0, 1])
async def test_a_data_file_put_back_whole_is_found(young: Past, tmp_path: Path, copy: int) -> None:
    """An older data file, consistent in itself, is betrayed by what the keystore remembers of the log."""
    case = copied(young, tmp_path / "case")
    shutil.copyfile(young.earlier[copy] / DATA, case / DATA)
    findings = await offline(case, young.directory).verify()
    assert (Table.TIP, TREE_HEAD, Kind.ROLLED_BACK) in {(each.table, each.key, each.kind) for each in findings}


async def test_nothing_is_written_onto_a_data_file_put_back(young: Past, tmp_path: Path) -> None:
    """A server that starts on it refuses to append to the log, and so to do anything."""
    case = copied(young, tmp_path / "case")
    shutil.copyfile(young.earlier[1] / DATA, case / DATA)
    keystore = offline(case, young.directory).keystore()
    mark = keystore.watermark()
    assert mark is not None
    backend = open_sqlite(case / DATA, MerkleLedger(Keys(keystore), StillClock().now_ms, mark[0]))
    with pytest.raises(Tampered):
        await backend.commit(Batch(entries=[b"anything"]))
    await backend.close()
    keystore.close()


async def test_no_false_alarm_beside_a_server(tmp_path: Path) -> None:
    """Verified again and again while patients are made, changed and erased, keys rotated and wrapped anew: nothing is found."""
    world = await open_world(tmp_path / "data")
    await world.put({"resourceType": "Patient", "id": "ann"})
    busy = asyncio.create_task(_live(world))
    verified = 0
    while not busy.done():
        assert await offline(world.directory).verify() == []
        verified += 1
        await asyncio.sleep(0)
    await busy
    assert verified >= 5
    await end(world)
    assert await offline(world.directory).verify() == []


async def _live(world) -> None:
    """A quarter of an hour in a clinic, in a second."""
    for turn in range(8):
        await asyncio.gather(*(world.put(weight(f"w{n}", "ann", n + turn)) for n in range(12)))
        await world.put({"resourceType": "Patient", "id": f"p{turn}"})
        await asyncio.gather(*(world.put(weight(f"p{turn}-{n}", f"p{turn}", n)) for n in range(5)))
        await asyncio.gather(*(world.read(clinician(), f"Observation/w{n}") for n in range(12)))
        await world.log.seal_checkpoint()
        if turn % 3 == 1:
            await _insisted(lambda: rotate(world))
        if turn % 3 == 2:
            await _insisted(partial(shred, world, f"p{turn - 1}"))
            world.keystore.ratchet()


async def _insisted(act) -> None:
    """Erase or rotate, again when a reader is in the way of scrubbing."""
    for _ in range(20):
        try:
            await act()
        except MedlockError:
            await asyncio.sleep(0.05)
            continue
        return
    pytest.fail("it did not come through")
