"""What every back end must do, as one suite. A back end's test module subclasses it and gives `reopen`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from medlock.errors import Raced
from medlock.store.counting import Claim, Pace
from medlock.store.tables import Backend, Batch, Row, Table, Wanted


class CountingLedger:
    """The smallest honest ledger: numbers entries, keeps its count in TIP row 0, and can be made to forget."""

    def __init__(self) -> None:
        self._size: int | None = None
        self.loaded: list[Row] = []

    def resume(self, tip: bytes | None) -> list[Wanted]:
        on_disk = int.from_bytes(tip or b"", "big")
        if self._size == on_disk:
            return []
        self._size = on_disk
        return [(Table.LOG, range(max(0, on_disk - 2), on_disk)), (Table.BODY, range(1, 3))]

    def load(self, rows: Sequence[Row]) -> None:
        self.loaded = list(rows)

    def extend(self, entries: Sequence[bytes]) -> tuple[int, list[Row]]:
        assert self._size is not None, "resume comes before extend"
        first, self._size = self._size, self._size + len(entries)
        rows: list[Row] = [(Table.LOG, first + at, entry) for at, entry in enumerate(entries)]
        return first, [*rows, (Table.TIP, 0, self._size.to_bytes(8, "big"))]

    def forget(self) -> None:
        self._size = None


Reopen = Callable[[], Backend]
PACE = Pace(free=3, first_ms=100, longest_ms=400, forget_ms=1_000)


class BackendConformance:
    """Inherit, and give a fixture `reopen` that opens one more connection to the same store each time it is called."""

    async def test_rows_come_back(self, reopen: Reopen) -> None:
        """What was put is got, alone and together; what was not is absent."""
        store = reopen()
        await store.commit(Batch(puts=[(Table.BODY, 2**62, b"a"), (Table.BODY, 1, b"b"), (Table.DELTA, 1, b"c")]))
        assert await store.get(Table.BODY, 2**62) == b"a"
        assert await store.get(Table.BODY, 3) is None
        assert await store.get_many(Table.BODY, [1, 3, 2**62]) == {1: b"b", 2**62: b"a"}
        assert await store.get_many(Table.BODY, []) == {}

    async def test_commits_are_counted(self, reopen: Reopen) -> None:
        """The tally has each batch in the size of one commit, a time for each commit, and nobody waiting afterwards."""
        store = reopen()
        await asyncio.gather(*(store.commit(Batch(puts=[(Table.BODY, key, b"x")])) for key in range(20)))
        tally = store.tally()
        assert tally.sizes[-1] == 20
        assert 1 <= sum(tally.sizes[:-1]) == sum(tally.seconds[:-1]) <= 20
        assert tally.seconds[-1] > 0
        assert tally.waiting == 0

    async def test_many_keys(self, reopen: Reopen) -> None:
        """More keys than fit one statement are all found."""
        store = reopen()
        await store.commit(Batch(puts=[(Table.BODY, key, b"%d" % key) for key in range(1000)]))
        assert await store.get_many(Table.BODY, range(0, 2000, 2)) == {k: b"%d" % k for k in range(0, 1000, 2)}

    async def test_only_what_was_asked_for(self, reopen: Reopen) -> None:
        """A row that nobody asked for never comes along, whatever its key."""
        store = reopen()
        await store.commit(Batch(puts=[(Table.BODY, key, b"x") for key in range(-3, 9)]))
        for count in range(1, 9):
            assert set(await store.get_many(Table.BODY, range(count))) == set(range(count))

    async def test_scan_is_ordered_and_resumable(self, reopen: Reopen) -> None:
        """A scan goes up by key and goes on where it stopped."""
        store = reopen()
        await store.commit(Batch(puts=[(Table.HISTORY, key, b"x") for key in (5, 3, 9, 0)]))
        assert [key for key, _ in await store.scan(Table.HISTORY, None, 2)] == [0, 3]
        assert [key for key, _ in await store.scan(Table.HISTORY, 3, 9)] == [5, 9]
        assert await store.last_key(Table.HISTORY) == 9
        assert await store.last_key(Table.JOB) is None

    async def test_an_insert_that_exists_undoes_its_batch_alone(self, reopen: Reopen) -> None:
        """A conflict raises Raced, writes nothing of its batch, and leaves batches committed beside it whole."""
        store = reopen()
        await store.commit(Batch(inserts=[(Table.DELTA, 7, b"first")]))
        losing = Batch(
            inserts=[(Table.DELTA, 8, b"x"), (Table.DELTA, 7, b"second")], puts=[(Table.BODY, 1, b"x")], entries=[b"e"]
        )
        winning = Batch(inserts=[(Table.DELTA, 9, b"y")], entries=[b"f"])
        lost, won = await asyncio.gather(store.commit(losing), store.commit(winning), return_exceptions=True)
        assert isinstance(lost, Raced)
        assert won == 0
        assert await store.get_many(Table.DELTA, [7, 8, 9]) == {7: b"first", 9: b"y"}
        assert await store.get(Table.BODY, 1) is None
        assert await store.scan(Table.LOG, None, 9) == [(0, b"f")]

    async def test_a_required_row_that_is_gone_undoes_its_batch_alone(self, reopen: Reopen) -> None:
        """A batch on top of a row is refused once that row was deleted, and writes nothing; one beside it goes through."""
        store = reopen()
        await store.commit(Batch(inserts=[(Table.DELTA, 7, b"first")]))
        await store.commit(Batch(inserts=[(Table.DELTA, 8, b"x")], requires=[(Table.DELTA, 7)]))
        await store.commit(Batch(deletes=[(Table.DELTA, 7)]))
        losing = Batch(inserts=[(Table.DELTA, 9, b"x")], entries=[b"e"], requires=[(Table.DELTA, 8), (Table.DELTA, 7)])
        winning = Batch(puts=[(Table.BODY, 1, b"y")], entries=[b"f"], requires=[(Table.DELTA, 8)])
        lost, won = await asyncio.gather(store.commit(losing), store.commit(winning), return_exceptions=True)
        assert isinstance(lost, Raced)
        assert won == 0
        assert await store.get_many(Table.DELTA, [7, 8, 9]) == {8: b"x"}
        assert await store.get(Table.BODY, 1) == b"y"

    async def test_an_insert_that_exists_undoes_a_batch_that_is_alone(self, reopen: Reopen) -> None:
        """The same when nobody commits beside it: nothing of it is left, and the log goes on without a gap."""
        store = reopen()
        await store.commit(Batch(inserts=[(Table.DELTA, 7, b"first")], entries=[b"e"]))
        losing = Batch(
            inserts=[(Table.DELTA, 6, b"x"), (Table.BODY, 2, b"x"), (Table.DELTA, 7, b"second")],
            puts=[(Table.BODY, 1, b"x")],
            deletes=[(Table.DELTA, 7)],
            entries=[b"lost"],
        )
        with pytest.raises(Raced):
            await store.commit(losing)
        assert await store.commit(Batch(entries=[b"f"])) == 1
        assert await store.scan(Table.DELTA, None, 9) == [(7, b"first")]
        assert await store.last_key(Table.BODY) is None
        assert await store.scan(Table.LOG, None, 9) == [(0, b"e"), (1, b"f")]

    async def test_batches_committed_together_see_each_other(self, reopen: Reopen) -> None:
        """Batches of one turn go one after the other: what one inserts or deletes counts for the next ones."""
        store = reopen()
        await store.commit(Batch(inserts=[(Table.DELTA, 1, b"a")]))
        batches = [
            Batch(inserts=[(Table.DELTA, 2, b"first")], entries=[b"e0"]),
            Batch(inserts=[(Table.DELTA, 2, b"second")], puts=[(Table.BODY, 1, b"x")], entries=[b"lost"]),
            Batch(requires=[(Table.DELTA, 2)], deletes=[(Table.DELTA, 1)], entries=[b"e1"]),
            Batch(requires=[(Table.DELTA, 1)], puts=[(Table.BODY, 2, b"x")], entries=[b"lost"]),
            Batch(inserts=[(Table.DELTA, 1, b"b")], puts=[(Table.DELTA, 2, b"third")], entries=[b"e2"]),
        ]
        got = await asyncio.gather(*map(store.commit, batches), return_exceptions=True)
        assert [one if isinstance(one, int) else type(one) for one in got] == [0, Raced, 1, Raced, 2]
        assert await store.scan(Table.DELTA, None, 9) == [(1, b"b"), (2, b"third")]
        assert await store.last_key(Table.BODY) is None
        assert [ct for _, ct in await store.scan(Table.LOG, None, 9)] == [b"e0", b"e1", b"e2"]

    async def test_a_row_that_is_written_and_deleted_is_gone(self, reopen: Reopen) -> None:
        """Within a batch inserts come first, then puts, then deletes."""
        store = reopen()
        row, name = (Table.BODY, 1, b"a"), (Table.BODY, 1)
        await store.commit(Batch(inserts=[row], deletes=[name]))
        assert await store.get(*name) is None
        await store.commit(Batch(inserts=[row], puts=[(*name, b"b"), (*name, b"c")]))
        assert await store.get(*name) == b"c"
        await store.commit(Batch(puts=[(*name, b"d")], deletes=[name]))
        assert await store.get(*name) is None

    async def test_deletes(self, reopen: Reopen) -> None:
        """A deleted row is gone; deleting what is not there is no error; insert may follow."""
        store = reopen()
        await store.commit(Batch(puts=[(Table.CAPSULE, 1, b"a")]))
        await store.commit(Batch(deletes=[(Table.CAPSULE, 1), (Table.CAPSULE, 2)]))
        await store.commit(Batch(inserts=[(Table.CAPSULE, 1, b"b")]))
        assert await store.get(Table.CAPSULE, 1) == b"b"

    async def test_entries_are_numbered_in_order_of_commit(self, reopen: Reopen) -> None:
        """Each commit learns the number of its first entry; numbers have no gap under concurrency."""
        store = reopen()
        numbers = await asyncio.gather(*(store.commit(Batch(entries=[b"%d" % n, b"+"])) for n in range(50)))
        rows = dict(await store.scan(Table.LOG, None, 200))
        assert sorted(rows) == list(range(100))
        assert all(rows[number] == b"%d" % n for n, number in enumerate(numbers))

    async def test_two_writers_share_one_log(self, reopen: Reopen) -> None:
        """Two connections that commit in turn resume each other's log: no number twice, none left out."""
        one, other = reopen(), reopen()
        for turn in range(20):
            await (one if turn % 2 else other).commit(Batch(entries=[b"%d" % turn]))
        assert [ct for _, ct in await one.scan(Table.LOG, None, 99)] == [b"%d" % turn for turn in range(20)]

    async def test_a_commit_is_seen_by_others(self, reopen: Reopen) -> None:
        """When commit returns, every other connection sees the whole batch."""
        one, other = reopen(), reopen()
        await one.commit(Batch(puts=[(Table.BODY, 1, b"a"), (Table.DIROP, 1, b"b")]))
        assert await other.get(Table.BODY, 1) == b"a"
        assert await other.get(Table.DIROP, 1) == b"b"

    async def test_no_lost_update_between_writers(self, reopen: Reopen) -> None:
        """Many writers who insert the next number each get it exactly once: losers start over."""
        stores = [reopen(), reopen()]

        async def claim(store: Backend, mark: bytes) -> int:
            for number in range(1, 99):
                try:
                    await store.commit(Batch(inserts=[(Table.DIROP, number, mark)]))
                except Raced:
                    continue
                return number
            pytest.fail("no number was free")

        got = await asyncio.gather(*(claim(stores[n % 2], b"%d" % n) for n in range(24)))
        assert sorted(got) == list(range(1, 25))
        rows = dict(await stores[0].scan(Table.DIROP, None, 99))
        assert all(rows[number] == b"%d" % n for n, number in enumerate(got))

    async def test_scrub_keeps_the_rows(self, reopen: Reopen) -> None:
        """Scrubbing takes away traces, not rows."""
        store = reopen()
        await store.commit(Batch(puts=[(Table.BODY, 1, b"kept"), (Table.BODY, 2, b"gone")]))
        await store.commit(Batch(deletes=[(Table.BODY, 2)]))
        await store.scrub()
        assert await store.get_many(Table.BODY, [1, 2]) == {1: b"kept"}

    async def test_rewriting_keeps_the_rows(self, reopen: Reopen) -> None:
        """Laying the rows out anew changes none, and others go on reading and writing."""
        one, other = reopen(), reopen()
        rows = {key * 7_919 % 1_009: b"%d" % key * 99 for key in range(500)}
        await one.commit(Batch(puts=[(Table.BODY, key, ct) for key, ct in rows.items()]))
        await one.rewrite()
        assert dict(await other.scan(Table.BODY, None, 999)) == rows
        await other.commit(Batch(puts=[(Table.BODY, 1, b"after")]))
        assert await one.get(Table.BODY, 1) == b"after"

    async def test_a_snapshot_stands_still(self, reopen: Reopen) -> None:
        """Inside a snapshot nothing that others commit is seen, afterwards all of it; commits go on meanwhile."""
        one, other = reopen(), reopen()
        await one.commit(Batch(puts=[(Table.BODY, 1, b"before")]))
        assert await one.get(Table.BODY, 2) is None
        async with one.snapshot():
            await other.commit(Batch(puts=[(Table.BODY, 1, b"after"), (Table.BODY, 2, b"new")]))
            assert await one.scan(Table.BODY, None, 9) == [(1, b"before")]
        assert await one.scan(Table.BODY, None, 9) == [(1, b"after"), (2, b"new")]

    async def test_rows_and_deltas_as_of_one_moment(self, reopen: Reopen) -> None:
        """Rows come with word of which deltas exist, for few and for many keys, and for none."""
        store = reopen()
        rows = [(Table.BODY, key, b"%d" % key) for key in range(600)]
        await store.commit(Batch(puts=[*rows, *((Table.DELTA, key, b"d") for key in range(0, 40, 2))]))
        for count in (0, 1, 3, 200, 600):
            for deltas in ([], [4], [4, 5], range(40)):
                found, there = await store.get_proven(Table.BODY, range(count), deltas)
                assert found == {key: b"%d" % key for key in range(count)}
                assert there == {key for key in deltas if key % 2 == 0}

    async def test_a_row_that_is_not_as_expected_undoes_its_batch_alone(self, reopen: Reopen) -> None:
        """A batch on top of exact bytes is refused once they changed or went; one beside it goes through."""
        store, row = reopen(), (Table.IDENTITY, 7, b"as read")
        await store.commit(Batch(inserts=[row]))
        await store.commit(Batch(puts=[(Table.IDENTITY, 7, b"changed")], expects=[row]))
        losing = Batch(inserts=[(Table.OAUTH, 9, b"x")], entries=[b"lost"], expects=[row])
        absent = Batch(puts=[(Table.OAUTH, 9, b"x")], entries=[b"lost"], expects=[(Table.ONCE, 1, b"")])
        winning = Batch(puts=[(Table.ONCE, 2, b"y")], entries=[b"e"], expects=[(Table.IDENTITY, 7, b"changed")])
        got = await asyncio.gather(*map(store.commit, (losing, absent, winning)), return_exceptions=True)
        assert [one if isinstance(one, int) else type(one) for one in got] == [Raced, Raced, 0]
        with pytest.raises(Raced):
            await store.commit(losing)
        assert await store.get(Table.OAUTH, 9) is None
        assert await store.get(Table.ONCE, 2) == b"y"

    async def test_of_many_who_replace_the_same_bytes_one_wins(self, reopen: Reopen) -> None:
        """Batches of one turn see what those before them made of an expected row, on either connection."""
        stores = reopen(), reopen()
        await stores[0].commit(Batch(puts=[(Table.IDENTITY, 1, b"first")]))
        batches = [
            Batch(puts=[(Table.IDENTITY, 1, b"%d" % at)], expects=[(Table.IDENTITY, 1, b"first")]) for at in range(20)
        ]
        tries = (stores[at % 2].commit(batch) for at, batch in enumerate(batches))
        got = await asyncio.gather(*tries, return_exceptions=True)
        won = [at for at, one in enumerate(got) if one == -1]
        assert len(won) == 1
        assert sum(isinstance(one, Raced) for one in got) == 19
        assert await stores[1].get(Table.IDENTITY, 1) == b"%d" % won[0]

    async def test_batches_add_up(self, reopen: Reopen) -> None:
        """The sum of two batches is both or neither."""
        store = reopen()
        await store.commit(Batch(puts=[(Table.ONCE, 1, b"a")]))
        both = Batch(inserts=[(Table.ONCE, 2, b"b")], entries=[b"e"]) + Batch(requires=[(Table.ONCE, 1)])
        assert await store.commit(both + Batch(deletes=[(Table.ONCE, 1)], entries=[b"f"])) == 0
        assert await store.scan(Table.ONCE, None, 9) == [(2, b"b")]
        with pytest.raises(Raced):
            await store.commit(Batch(puts=[(Table.ONCE, 3, b"c")]) + Batch(requires=[(Table.ONCE, 1)]))
        assert await store.get(Table.ONCE, 3) is None

    async def test_a_counter_counts_in_windows(self, reopen: Reopen) -> None:
        """One more each time; when its window has ended, one in a fresh one; several keys at once, each its own."""
        store = reopen()
        assert await store.bump([5, 3], 1_000, [100, 500]) == [(1, 1_100), (1, 1_500)]
        assert await store.bump([3, 5], 1_099, [500, 100]) == [(2, 1_500), (2, 1_100)]
        assert await store.bump([5, 3], 1_100, [100, 500]) == [(1, 1_200), (3, 1_500)]
        assert await store.peek([5, 4, 3]) == [(1, 1_200), (0, 0), (3, 1_500)]

    async def test_counters_are_not_raced(self, reopen: Reopen) -> None:
        """Those who count at once, on two connections, get every number once; what they hold is on disk."""
        stores = reopen(), reopen()
        got = await asyncio.gather(*(stores[at % 2].bump([1, 2 + at % 3], 10, [100, 100]) for at in range(60)))
        assert sorted(n for (n, _), _ in got) == list(range(1, 61))
        assert await reopen().peek([1, 2, 3, 4]) == [(60, 110), (20, 110), (20, 110), (20, 110)]

    async def test_counters_are_refunded_and_settled(self, reopen: Reopen) -> None:
        """A refund is one less, never less than none, and makes no counter; a settled one begins anew."""
        store = reopen()
        await store.bump([1, 2], 0, [100, 100])
        await store.bump([1], 0, [100])
        await store.refund([1, 2, 3])
        await store.refund([2])
        assert await store.peek([1, 2, 3]) == [(1, 100), (0, 100), (0, 0)]
        await store.settle([1, 3])
        assert await store.peek([1, 2]) == [(0, 0), (0, 100)]

    async def test_counters_whose_time_is_over_are_removed(self, reopen: Reopen) -> None:
        """And no others."""
        store = reopen()
        await store.bump([1, 2, 3], 0, [100, 101, 99])
        assert await store.lapse(100) == 2
        assert await store.peek([1, 2, 3]) == [(0, 0), (1, 101), (0, 0)]

    async def test_a_pace_lets_some_through_and_then_one_after_each_wait(self, reopen: Reopen) -> None:
        """Waits double up to the longest; what is refused changes nothing; after long enough it begins anew."""
        store = reopen()
        for n in (1, 2):
            assert await store.claim(1, 5, PACE) == Claim(allowed=True, n=n, until=5)
        assert await store.claim(1, 4, PACE) == Claim(allowed=True, n=3, until=104)
        now, n = 5, 3
        for wait in (100, 200, 400, 400):
            until = (await store.claim(1, now, PACE)).until
            assert await store.claim(1, until - 1, PACE) == Claim(allowed=False, n=n, until=until)
            now, n = until, n + 1
            got = await store.claim(1, now, PACE)
            assert (got.allowed, got.n) == (True, n)
            assert got.until == now + min(400, 2 * wait)
        until = got.until
        assert await store.claim(1, until + 999, PACE) == Claim(allowed=True, n=n + 1, until=until + 999 + 400)
        assert await store.claim(1, until + 999 + 400 + 1_000, PACE) == Claim(allowed=True, n=1, until=until + 2_399)

    async def test_a_pace_is_not_raced(self, reopen: Reopen) -> None:
        """Of those who ask at once, on two connections, exactly as many get through as are free, and one after the wait."""
        stores = reopen(), reopen()

        async def all_at(now: int) -> list[int]:
            got = await asyncio.gather(*(stores[at % 2].claim(9, now, PACE) for at in range(40)))
            return sorted(claim.n for claim in got if claim.allowed)

        assert await all_at(0) == [1, 2, 3]
        assert await all_at(99) == []
        assert await all_at(100) == [4]
        assert await all_at(299) == []
        assert await all_at(300) == [5]

    async def test_a_single_free_claim_waits_at_once(self, reopen: Reopen) -> None:
        """With one free, the wait begins with the first."""
        store, pace = reopen(), Pace(1, 50, 50, 1_000)
        assert await store.claim(1, 0, pace) == Claim(allowed=True, n=1, until=50)
        assert await store.claim(1, 49, pace) == Claim(allowed=False, n=1, until=50)
