"""The PostgreSQL back end: the common suite, and what is its own (servers that would tell, lost connections, shape)."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from audit.world import Keys
from medlock.audit.ledger import MerkleLedger
from medlock.errors import Raced, SetupError, Tampered, Unavailable
from medlock.store.pgconnect import _SESSION
from medlock.store.pgsettings import in_the_open, to_do
from medlock.store.pgwriter import ROWS_MAX, WRITERS
from medlock.store.postgres import PostgresBackend, open_postgres
from medlock.store.tables import Batch, Table
from store.backend_conformance import BackendConformance, CountingLedger, Reopen
from store.pgrelay import relayed
from store.pgserver import ask, database, name_of, server

ROOT = Path(__file__).parents[2]
STORE = b"store 1"


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """The address of an empty database."""
    async with database() as address:
        yield address


@pytest.fixture
async def reopen(url: str) -> AsyncIterator[Reopen]:
    """Opens connections to one database."""
    opened: list[PostgresBackend] = [await open_postgres(url, CountingLedger(), STORE)]

    def again() -> PostgresBackend:
        opened.append(PostgresBackend(url, CountingLedger()))
        return opened[-1]

    yield again
    for each in opened:
        await each.close()


class TestPostgres(BackendConformance):
    """The common suite."""


def documented_partitions() -> str:
    """The statements of docs/postgres.md that make partitioned tables."""
    return (ROOT / "docs/postgres.md").read_text().partition("<!-- partitions -->\n```sql\n")[2].partition("```")[0]


class TestPartitioned(BackendConformance):
    """The common suite on tables partitioned by hash, made as the operator's page says."""

    @pytest.fixture(autouse=True)
    async def partitioned(self, url: str) -> AsyncIterator[None]:
        """Made before the store is opened, and used: every partition of table body may get rows."""
        await ask(url, documented_partitions())
        yield
        parts = await ask(url, "SELECT relid FROM pg_partition_tree('body') WHERE isleaf")
        assert len(parts) == 8


async def test_rows_are_spread_over_partitions(url: str) -> None:
    """A read by keys asks the partitions that can hold them; the rows of one commit lie in several."""
    await ask(url, documented_partitions())
    store = await open_postgres(url, CountingLedger(), STORE)
    await store.commit(Batch(puts=[(Table.BODY, key, b"x") for key in range(64)]))
    await store.close()
    counts = await ask(url, "SELECT count(*) FROM body GROUP BY tableoid")
    assert len(counts) == 8
    assert sum(row["count"] for row in counts) == 64


async def test_a_newer_database_is_refused(url: str, reopen: Reopen) -> None:
    """A database from a newer program is not opened, and the sentence is that of the file."""
    await reopen().commit(Batch(puts=[(Table.BODY, 1, b"x")]))
    await ask(url, "UPDATE medlock SET version = 99")
    with pytest.raises(SetupError, match=r"newer medlock .*99.*upgrade"):
        await open_postgres(url, CountingLedger(), STORE)


async def test_the_role_of_the_operators_page_suffices(url: str) -> None:
    """A role that owns the database and is nothing else makes, fills, scrubs and rewrites the store; a stranger may not."""
    role = f"role_{name_of(url)}"
    await ask(url, f"CREATE ROLE {role} LOGIN")
    own = re.sub(r"//postgres:?@", f"//{role}@", url)
    assert own != url
    with pytest.raises(SetupError, match=r"permission denied.*owns it"):
        await open_postgres(own, CountingLedger(), STORE)
    await ask(url, f"ALTER DATABASE {name_of(url)} OWNER TO {role}")
    store = await open_postgres(own, CountingLedger(), STORE)
    await store.commit(Batch(puts=[(Table.BODY, key, b"x" * 684) for key in range(500)], entries=[b"e"]))
    await store.scrub()
    await store.rewrite()
    async with store.snapshot():
        assert len(await store.scan(Table.BODY, None, 999)) == 500
    await store.close()
    assert (await ask(url, "SELECT count(DISTINCT xmin::text) FROM body"))[0][0] == 1
    await ask(url, f"REASSIGN OWNED BY {role} TO postgres")
    await ask(url, f"DROP ROLE {role}")


async def test_two_who_open_a_new_database_at_once(url: str) -> None:
    """The schema is made once; both go on."""
    stores = await asyncio.gather(*(open_postgres(url, CountingLedger(), STORE) for _ in range(4)))
    assert await asyncio.gather(*(store.commit(Batch(entries=[b"e"])) for store in stores))
    await asyncio.gather(*(store.close() for store in stores))
    assert len(await ask(url, "SELECT FROM medlock")) == 1


@pytest.mark.parametrize("password", ["sec/ret", "sec#ret", "sec?ret", "sec?ret&ret"])
async def test_an_address_that_cannot_be_read_is_not_quoted(password: str) -> None:
    """A password with signs of an address in it breaks it anywhere: none of its pieces stands in the sentence."""
    with pytest.raises(SetupError, match="percent-encode") as refusal:
        await open_postgres(f"postgresql://role:{password}@127.0.0.1:1/name", CountingLedger(), STORE)
    assert "sec" not in str(refusal.value) + refusal.value.reason
    assert "ret" not in str(refusal.value) + refusal.value.reason


async def test_another_keystore_is_refused(url: str, reopen: Reopen) -> None:
    """A database belongs to one keystore."""
    await reopen().commit(Batch(puts=[(Table.BODY, 1, b"x")]))
    with pytest.raises(SetupError, match="another keystore"):
        await open_postgres(url, CountingLedger(), b"store 2")


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE body ADD COLUMN patient TEXT",
        "CREATE INDEX ON capsule (length(ct))",
        "ALTER TABLE log SET UNLOGGED",
        "ALTER TABLE token DROP CONSTRAINT token_pkey",
        "ALTER TABLE job ALTER key TYPE NUMERIC",
        "CREATE TRIGGER t BEFORE UPDATE ON log FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE RULE r AS ON DELETE TO body DO INSTEAD NOTHING",
        "ALTER TABLE body ENABLE ROW LEVEL SECURITY",
    ],
)
@pytest.mark.usefixtures("reopen")
async def test_tables_of_another_shape_are_refused(url: str, change: str) -> None:
    """What was added to a table would tell or change something: the table is named."""
    await ask(url, change)
    with pytest.raises(SetupError, match=r"Table \w+ of the PostgreSQL database is not"):
        await open_postgres(url, CountingLedger(), STORE)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("log_statement", "all"),
        ("log_statement", "mod"),
        ("log_min_duration_statement", "250"),
        ("log_min_duration_sample", "0"),
        ("log_transaction_sample_rate", "0.5"),
        ("log_parameter_max_length_on_error", "-1"),
        ("debug_print_plan", "on"),
        ("auto_explain.log_min_duration", "0"),
    ],
)
async def test_a_server_that_would_tell_is_refused(url: str, reopen: Reopen, setting: str, value: str) -> None:
    """Settings under which the server's log names rows are named, at start and for a running process's new connections."""
    running = reopen()
    await ask(url, f"ALTER DATABASE {name_of(url)} SET {setting} = '{value}'")
    if "." in setting:
        await ask(url, f"ALTER DATABASE {name_of(url)} SET session_preload_libraries = 'auto_explain'")
    with pytest.raises(SetupError, match=f"not fit for a sealed store.*{setting}"):
        await open_postgres(url, CountingLedger(), STORE)
    with pytest.raises(SetupError, match=setting):
        await running.get(Table.BODY, 1)


async def test_statements_may_be_logged_without_parameters(url: str, reopen: Reopen) -> None:
    """With log_parameter_max_length = 0 a server that logs every statement logs no key and no row."""
    await ask(url, f"ALTER DATABASE {name_of(url)} SET log_parameter_max_length = 0")
    await ask(url, f"ALTER DATABASE {name_of(url)} SET log_statement = 'all'")
    store, key = reopen(), 8_123_456_789_012_345
    await store.commit(Batch(inserts=[(Table.BODY, key, b"MARKER")], entries=[b"e"]))
    with pytest.raises(Raced):
        await store.commit(Batch(inserts=[(Table.BODY, key, b"MARKER")]))
    assert await store.get(Table.BODY, key) == b"MARKER"
    logged = server().log.read_bytes()
    assert b"FROM body WHERE key = ANY" in logged
    assert str(key).encode() not in logged
    assert b"4d41524b4552" not in logged.lower()


GOOD = {
    "server_version_num": "150000",
    "fsync": "on",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "log_parameter_max_length": "-1",
    "log_parameter_max_length_on_error": "0",
    "debug_print_parse": "off",
    "debug_print_rewritten": "off",
    "debug_print_plan": "off",
}


@pytest.mark.parametrize(
    ("changed", "demand"),
    [
        ({}, None),
        ({"log_statement": "ddl"}, None),
        ({"log_statement": "all", "log_parameter_max_length": "0"}, None),
        ({"auto_explain.log_min_duration": "-1", "pgaudit.log_parameter": "off"}, None),
        ({"log_statement": "all", "log_parameter_max_length": "1"}, "log_parameter_max_length = 0"),
        ({"fsync": "off"}, "fsync = on"),
        ({"server_version_num": "140012"}, "PostgreSQL 15"),
        ({"pgaudit.log_parameter": "on"}, "pgaudit.log_parameter = off"),
    ],
)
def test_what_is_demanded_of_settings(changed: dict[str, str], demand: str | None) -> None:
    """Nothing of a server as it comes out of the box, one sentence for each setting that would harm."""
    demands = to_do(GOOD | changed)
    assert len(demands) == (demand is not None)
    assert demand is None or demand in demands[0]


def test_which_ways_are_in_the_open() -> None:
    """Sockets and loopback are not; anything else is, unless it is encrypted."""
    assert not any(in_the_open(address, encrypted=False) for address in (None, "127.0.0.1", "::1"))
    assert in_the_open("10.0.0.7", encrypted=False)
    assert not in_the_open("10.0.0.7", encrypted=True)


async def kill(url: str, waiting_for: str | None = None) -> int:
    """End medlock's connections, or those that wait for something; how many."""
    found = await ask(
        url,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'medlock'"
        " AND datname = current_database() AND ($1::text IS NULL OR wait_event_type = $1)",
        waiting_for,
    )
    return len(found)


async def test_lost_connections_are_made_anew(url: str, reopen: Reopen) -> None:
    """When the server ends all connections, what was acknowledged is there and the process goes on by itself."""
    store = reopen()
    await store.commit(Batch(puts=[(Table.BODY, 1, b"a")], entries=[b"e0"]))
    assert await store.get(Table.BODY, 1) == b"a"
    assert await kill(url) >= 2
    await asyncio.sleep(0.1)
    assert await store.get(Table.BODY, 1) == b"a"
    assert await store.commit(Batch(puts=[(Table.BODY, 2, b"b")], entries=[b"e1"])) == 1
    assert [ct for _, ct in await store.scan(Table.LOG, None, 9)] == [b"e0", b"e1"]


async def test_a_connection_lost_in_a_transaction_is_a_refusal(url: str, reopen: Reopen) -> None:
    """Killed while it waits for its turn, a commit is Unavailable and nothing of it is there; the next one goes through."""
    store = reopen()
    await store.commit(Batch(puts=[(Table.BODY, 1, b"a")], entries=[b"e0"]))
    holder = await asyncpg.connect(url)
    await holder.execute(f"SELECT pg_advisory_lock({WRITERS})")
    lost = asyncio.ensure_future(store.commit(Batch(puts=[(Table.BODY, 2, b"b")], entries=[b"lost"])))
    while not await kill(url, "Lock"):
        assert not lost.done()
    with pytest.raises(Unavailable, match="nothing was changed"):
        await lost
    await holder.close()
    assert await store.commit(Batch(puts=[(Table.BODY, 3, b"c")], entries=[b"e1"])) == 1
    assert await store.get_many(Table.BODY, [1, 2, 3]) == {1: b"a", 3: b"c"}


@pytest.mark.parametrize("heard", [True, False])
async def test_a_commit_whose_answer_is_lost_is_looked_up(url: str, reopen: Reopen, *, heard: bool) -> None:
    """The way breaks at COMMIT: when the server heard it, it counts; when not, nothing was written. Never a guess."""
    reopen()
    async with relayed(url) as (relay, address):
        store = PostgresBackend(address, CountingLedger())
        await store.commit(Batch(puts=[(Table.BODY, 1, b"a")], entries=[b"e0"]))
        relay.word, relay.heard = b"COMMIT\0", heard
        doubtful = store.commit(Batch(puts=[(Table.BODY, 2, b"b")], entries=[b"e1"]))
        if heard:
            assert await doubtful == 1
        else:
            with pytest.raises(Unavailable, match="nothing was changed"):
                await doubtful
        assert relay.cut == 1
        assert (await store.get(Table.BODY, 2) == b"b") is heard
        assert await store.commit(Batch(entries=[b"e2"])) == 1 + heard
        await store.close()


@pytest.mark.parametrize("heard", [True, False])
async def test_a_short_append_whose_answer_is_lost_is_looked_up(url: str, *, heard: bool) -> None:
    """The same for entries alone, which are one statement."""
    async with relayed(url) as (relay, address):
        store = await open_postgres(address, CountingLedger(), STORE)
        for entry in (b"e0", b"e1"):
            await store.commit(Batch(entries=[entry]))
        relay.word, relay.heard = b"an entry", heard
        doubtful = store.commit(Batch(entries=[b"an entry"]))
        if heard:
            assert await doubtful == 2
        else:
            with pytest.raises(Unavailable, match="nothing was changed"):
                await doubtful
        assert relay.cut == 1
        assert await store.commit(Batch(entries=[b"e2"])) == 2 + heard
        await store.close()


async def test_appending_alone_is_one_statement(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries of a process that appended last go by one statement; after another's, by the way that looks first.

    For some groups: two who append by turns would guess wrong every time.
    """
    monkeypatch.setattr("medlock.store.pgwriter.LONG_WAYS", 2)
    one, other = [await open_postgres(url, CountingLedger(), STORE) for _ in range(2)]
    await one.commit(Batch(entries=[b"0"]))
    tried: list[bool] = []
    short = one._writer._extend

    async def watched(group) -> bool:
        tried.append(await short(group))
        return tried[-1]

    monkeypatch.setattr(one._writer, "_extend", watched)
    assert await one.commit(Batch(entries=[b"1"])) == 1
    assert await other.commit(Batch(entries=[b"2"])) == 2
    assert await one.commit(Batch(entries=[b"3"])) == 3
    for number in (4, 5, 6):
        assert await one.commit(Batch(entries=[b"%d" % number])) == number
    assert tried == [True, False, True]
    assert [ct for _, ct in await one.scan(Table.LOG, None, 9)] == [b"%d" % number for number in range(7)]
    await one.close()
    await other.close()


async def test_only_a_head_of_its_own_is_guessed_from(url: str) -> None:
    """A head that a process read, but did not leave, is old by the time it guesses: the tiles behind it have gone on."""
    one, other = [await open_postgres(url, MerkleLedger(Keys(), lambda: 1), STORE) for _ in range(2)]
    assert await other.commit(Batch(entries=[b"e"] * 300)) == 0
    assert await one.commit(Batch(puts=[(Table.BODY, 1, b"x")])) == -1
    assert await other.commit(Batch(entries=[b"e"] * 300)) == 300
    assert await one.commit(Batch(entries=[b"e"])) == 600
    assert await one.commit(Batch(puts=[(Table.BODY, 2, b"x")])) == -1
    assert await one.commit(Batch(entries=[b"e"])) == 601
    await one.close()
    await other.close()


async def test_a_commit_of_nothing_leaves_the_head_alone(url: str) -> None:
    """Neither the long way nor the short one writes a head that nobody made."""
    store = await open_postgres(url, CountingLedger(), STORE)
    for number in range(2):
        assert await store.commit(Batch(entries=[b"e"])) == number
        assert await store.commit(Batch()) == -1
    await store.close()


async def test_two_processes_append_in_turn_and_at_once(url: str) -> None:
    """Short appends of two processes, and commits with rows between them: no number twice, none left out, none lost."""
    stores = [await open_postgres(url, CountingLedger(), STORE) for _ in range(2)]
    rows = [[(Table.BODY, number, b"x")] if number % 3 == 0 else [] for number in range(120)]
    batches = [Batch(puts=row, entries=[b"%d" % number]) for number, row in enumerate(rows)]

    async def work(at: int) -> list[int]:
        return [await stores[at].commit(batch) for batch in batches[at::2]]

    numbers = [number for some in await asyncio.gather(work(0), work(1)) for number in some]
    assert sorted(numbers) == list(range(120))
    logged = dict(await stores[0].scan(Table.LOG, None, 200))
    assert logged == {
        number: b"%d" % at for number, at in zip(numbers, [*range(0, 120, 2), *range(1, 120, 2)], strict=True)
    }
    assert len(await stores[1].scan(Table.BODY, None, 200)) == 40
    for store in stores:
        await store.close()


async def test_a_short_append_finds_entries_that_the_head_does_not_know(url: str) -> None:
    """A row put into the log behind the head is tampering, on the short way as well."""
    store = await open_postgres(url, CountingLedger(), STORE)
    await store.commit(Batch(entries=[b"0"]))
    await ask(url, "INSERT INTO log VALUES (1, '\\x00')")
    with pytest.raises(Tampered):
        await store.commit(Batch(entries=[b"1"]))
    await store.close()


async def test_a_commit_without_entries_whose_answer_is_lost(url: str, reopen: Reopen) -> None:
    """When the row is there it counts; when it is not, somebody may have written over it: nothing is claimed."""
    reopen()
    async with relayed(url) as (relay, address):
        store = PostgresBackend(address, CountingLedger())
        relay.word, relay.heard = b"COMMIT\0", True
        assert await store.commit(Batch(puts=[(Table.BODY, 1, b"a")])) == -1
        relay.word, relay.heard = b"COMMIT\0", False
        with pytest.raises(Unavailable, match="not known"):
            await store.commit(Batch(puts=[(Table.BODY, 2, b"b")]))
        assert relay.cut == 2
        await store.close()


async def test_who_waits_too_long_is_refused(url: str, reopen: Reopen, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that is not let go makes commits and reads Unavailable after the time in settings, not hang."""
    monkeypatch.setitem(_SESSION, "lock_timeout", "100ms")
    store = reopen()
    holder = await asyncpg.connect(url)
    await holder.execute(f"BEGIN; SELECT pg_advisory_lock({WRITERS}); LOCK TABLE body IN ACCESS EXCLUSIVE MODE")
    with pytest.raises(Unavailable, match="lock timeout"):
        await store.commit(Batch(puts=[(Table.BODY, 1, b"a")]))
    with pytest.raises(Unavailable, match="lock timeout"):
        await store.get(Table.BODY, 1)
    await holder.close()
    await store.commit(Batch(puts=[(Table.BODY, 1, b"a")]))


async def test_reads_of_one_turn_are_asked_together(reopen: Reopen) -> None:
    """A hundred reads of two tables take few statements, never more than two at once, and each gets its own answer."""
    store = reopen()
    await store.commit(Batch(puts=[(Table.BODY, key, b"%d" % key) for key in range(0, 100, 2)]))
    asked, busy, most = [], 0, 0
    ask_server = store._reads._ask

    async def counted(statement: str, *bound):
        nonlocal busy, most
        asked.append(statement)
        busy += 1
        most = max(most, busy)
        try:
            return await ask_server(statement, *bound)
        finally:
            busy -= 1

    store._reads._ask = counted
    reads = [store.get(Table.BODY, key) for key in range(100)]
    reads += [store.get(Table.HISTORY, 1), store.get(Table.TOKEN, 1)]
    got = await asyncio.gather(*reads, store.get_proven(Table.BODY, [2], [3]))
    assert got[:100] == [b"%d" % key if key % 2 == 0 else None for key in range(100)]
    assert got[100:] == [None, None, ({2: b"2"}, set())]
    assert (len(asked), most) == (3, 2)


async def test_a_reader_who_leaves_takes_nobody_along(reopen: Reopen) -> None:
    """A read that is cancelled leaves those that were asked together with it alone."""
    store = reopen()
    await store.commit(Batch(puts=[(Table.BODY, 1, b"a")]))
    one, other = (asyncio.ensure_future(store.get(Table.BODY, 1)) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    assert await other == b"a"


async def test_what_was_committed_is_read(reopen: Reopen) -> None:
    """Whoever was told that a write is durable reads it, however many read and write beside."""
    store = reopen()

    async def write_and_read(key: int) -> None:
        for number in range(10):
            await store.get(Table.BODY, key)
            await store.commit(Batch(puts=[(Table.BODY, key, b"%d" % number)]))
            assert await store.get(Table.BODY, key) == b"%d" % number

    await asyncio.gather(*(write_and_read(key) for key in range(16)))


async def test_rows_laid_out_anew_have_one_transaction_and_the_order_of_keys(url: str, reopen: Reopen) -> None:
    """After a load neither transaction numbers nor places of rows tell which were written together."""
    store = reopen()
    for patient in range(5):
        await store.commit(Batch(puts=[(Table.BODY, key, os.urandom(684)) for key in range(patient, 200, 5)]))
    told = "SELECT count(DISTINCT xmin::text), array_agg(key ORDER BY ctid) = array_agg(key ORDER BY key) AS sorted FROM body"
    assert tuple((await ask(url, told))[0]) == (5, False)
    await store.rewrite()
    assert tuple((await ask(url, told))[0]) == (1, True)


async def test_deleted_rows_are_swept(url: str, reopen: Reopen) -> None:
    """After scrub no dead row is left in the table, for whoever reads its pages."""
    store = reopen()
    await ask(url, "CREATE EXTENSION pgstattuple")
    await store.commit(Batch(puts=[(Table.BODY, key, b"x" * 684) for key in range(50)]))
    await store.commit(Batch(deletes=[(Table.BODY, key) for key in range(0, 50, 2)]))
    dead = "SELECT dead_tuple_count FROM pgstattuple('body')"
    assert (await ask(url, dead))[0][0] == 25
    await store.scrub()
    assert (await ask(url, dead))[0][0] == 0


async def test_a_log_is_never_written_over(url: str, reopen: Reopen) -> None:
    """When the head was put back behind our back, appending is refused: the entries it forgot are still there."""
    await reopen().commit(Batch(entries=[b"first", b"second"]))
    await ask(url, "DELETE FROM tip")
    store = reopen()
    with pytest.raises(Tampered):
        await store.commit(Batch(puts=[(Table.BODY, 1, b"x")], entries=[b"third"]))
    assert [ct for _, ct in await store.scan(Table.LOG, None, 9)] == [b"first", b"second"]
    assert await store.get(Table.BODY, 1) is None


async def test_long_rows_and_many_rows(url: str, reopen: Reopen) -> None:
    """More rows than one statement takes go in one transaction, and long ones are not compressed."""
    store = reopen()
    many = [(Table.BODY, key, b"x") for key in range(2 * ROWS_MAX + 1)]
    await store.commit(Batch(inserts=many, puts=[(Table.CAPSULE, 1, b"\0" * 3_500)]))
    assert (await ask(url, "SELECT count(*), count(DISTINCT xmin::text) FROM body"))[0][:] == (len(many), 1)
    assert (await ask(url, "SELECT pg_column_size(ct), pg_column_compression(ct) FROM capsule"))[0][:] == (3_500, None)
    assert await store.get(Table.CAPSULE, 1) == b"\0" * 3_500


async def test_what_is_queued_is_finished_at_close(reopen: Reopen) -> None:
    """Closing waits for commits that were submitted."""
    store, other = reopen(), reopen()
    queued = [store._writer.submit(Batch(puts=[(Table.BODY, key, b"x")])) for key in range(20)]
    await store.close()
    await asyncio.gather(*queued)
    assert await other.last_key(Table.BODY) == 19


async def test_commits_are_flushed_whatever_the_database_says(url: str, reopen: Reopen) -> None:
    """synchronous_commit = off in the database does not reach medlock's writers."""
    await ask(url, f"ALTER DATABASE {name_of(url)} SET synchronous_commit = off")
    store = reopen()
    await store.commit(Batch(puts=[(Table.BODY, 1, b"x")]))
    assert await store._writer._db.fetchval("SHOW synchronous_commit") == "on"


class FaultyLedger(CountingLedger):
    """Breaks once, in a way that no contract mentions."""

    broken = True

    def extend(self, entries):
        if self.broken:
            self.broken = False
            raise ValueError("a fault of ours")
        return super().extend(entries)


async def test_a_fault_answers_all_and_frees_the_lock(url: str) -> None:
    """All who waited get a refusal, another host can write, and the next commit goes through."""
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    here, there = await open_postgres(url, FaultyLedger(), STORE), await open_postgres(url, CountingLedger(), STORE)
    waiting = [here.commit(Batch(entries=[b"%d" % n])) for n in range(600)]
    outcomes = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 30)
    assert {type(each) for each in outcomes[:512]} == {Unavailable}
    assert sorted(outcomes[512:]) == list(range(88))
    assert await there.commit(Batch(entries=[b"other"])) == 88
    assert await here.commit(Batch(entries=[b"after"])) == 89
    await here.close()
    with pytest.raises(Unavailable):
        await here.commit(Batch(entries=[b"late"]))
    await there.close()


async def recovered(url: str) -> None:
    """Wait until the server answers again: after a crash it flushes every file first."""
    async with asyncio.timeout(120):
        while True:
            try:
                await ask(url, "SELECT 1")
            except (asyncpg.PostgresError, OSError):
                await asyncio.sleep(0.2)
            else:
                return


async def test_a_crash_of_the_server_loses_nothing_that_was_acknowledged(url: str, reopen: Reopen) -> None:
    """A killed server process makes PostgreSQL recover from its journal: what was acknowledged is there, and no more.

    But for what was said not to be known, when recovery took longer than the writer asks for.
    """
    stores = [reopen(), reopen()]
    acknowledged: set[int] = set()
    unknown: set[int] = set()
    refusals: list[str] = []
    enough = asyncio.Event()

    async def write(store: PostgresBackend, start: int) -> None:
        for key in range(start, start + 40):
            rows = [(Table.BODY, key, b"b"), (Table.HISTORY, key, b"h")]
            try:
                await store.commit(Batch(inserts=rows, entries=[b"%d" % key]))
            except Unavailable as refusal:
                refusals.append(str(refusal))
                if "nothing was changed" not in refusals[-1]:
                    assert "not known" in refusals[-1]
                    unknown.add(key)
                await recovered(url)
            else:
                acknowledged.add(key)
                if len(acknowledged) == 30:
                    enough.set()

    writing = asyncio.gather(*(write(stores[n % 2], 100 * n) for n in range(6)))
    await enough.wait()
    for row in await ask(url, "SELECT pid FROM pg_stat_activity WHERE application_name = 'medlock' LIMIT 1"):
        os.kill(row["pid"], signal.SIGKILL)
    await writing
    assert refusals
    assert len(acknowledged) > 60
    bodies = {key for key, _ in await stores[0].scan(Table.BODY, None, 999)}
    older = {key for key, _ in await stores[1].scan(Table.HISTORY, None, 999)}
    assert bodies == older
    assert acknowledged <= bodies <= acknowledged | unknown
    log = await stores[0].scan(Table.LOG, None, 999)
    assert [number for number, _ in log] == list(range(len(log)))
    assert {int(ct) for _, ct in log} == acknowledged
