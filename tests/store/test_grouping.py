"""Groups settled in memory come to what the batches do one after the other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from medlock.errors import Raced
from medlock.store.grouping import Group, Write, chunked, conditions, expected
from medlock.store.memory import MemoryBackend
from medlock.store.tables import Batch, Table
from store.backend_conformance import CountingLedger

TABLES = (Table.BODY, Table.DELTA)
names = st.tuples(st.sampled_from(TABLES), st.integers(0, 3))
rows = st.tuples(st.sampled_from(TABLES), st.integers(0, 3), st.binary(max_size=2))
batches = st.builds(
    Batch,
    inserts=st.lists(rows, max_size=2, unique_by=lambda row: row[:2]),
    puts=st.lists(rows, max_size=2),
    deletes=st.lists(names, max_size=2),
    requires=st.lists(names, max_size=2),
    expects=st.lists(rows, max_size=1),
)


@given(st.lists(rows, max_size=6), st.lists(batches, max_size=6))
async def test_a_group_is_its_batches_in_turn(before, group):
    """The same batches lose and the same rows are left as when each was committed alone."""
    memory = MemoryBackend(CountingLedger())
    await memory.commit(Batch(puts=before))
    state = {table: dict(memory.disk.rows[table]) for table in TABLES}
    asked = conditions(group)
    held = {(table, key): state[table].get(key) for table, keys in expected(group).items() for key in keys}
    settled = Group(
        ((table, key) for table, keys in asked.items() for key in keys if key in state[table]),
        {name: ct for name, ct in held.items() if ct is not None},
    )
    for batch in group:
        try:
            await memory.commit(batch)
        except Raced:
            assert not settled.play(batch)
        else:
            assert settled.play(batch)
    for how, table, keys, cts in settled.pieces():
        assert keys == sorted(set(keys))
        assert how is not Write.INSERT or not set(keys) & set(state[table])
        for key, ct in zip(keys, cts, strict=True):
            state[table].pop(key, None)
            state[table] |= {} if how is Write.DELETE else {key: ct}
    assert state == {table: memory.disk.rows[table] for table in TABLES}


def test_a_row_inserted_twice_in_one_batch_is_a_conflict():
    """As it is in SQL."""
    assert not Group(()).play(Batch(inserts=[(Table.BODY, 1, b"a"), (Table.BODY, 1, b"b")]))


@given(st.lists(st.integers(0, 9), max_size=5), st.integers(1, 4))
def test_portions_hold_everything_in_order(lengths, room):
    """Cutting pieces into portions loses no row, and no portion has more rows than it may."""
    pieces = [(Write.PUT, Table.BODY, list(range(n)), [b"%d" % at] * n) for at, n in enumerate(lengths)]
    portions = chunked(pieces, room)
    assert all(0 < sum(len(keys) for _, _, keys, _ in portion) <= room for portion in portions)
    flat = [(key, ct) for portion in portions for *_, keys, cts in portion for key, ct in zip(keys, cts, strict=True)]
    assert flat == [(key, ct) for *_, keys, cts in pieces for key, ct in zip(keys, cts, strict=True)]
