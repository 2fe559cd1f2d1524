"""The back end in memory does what the protocol says, and misbehaves as it is told."""

from __future__ import annotations

import pytest

from audit.world import World
from medlock.errors import Conflict, Unavailable
from medlock.store.memory import Fault
from medlock.store.tables import Batch, Table

BODY = Table.BODY


async def test_rows_come_back_in_order_of_their_keys():
    """Get, get_many, scan and last_key agree on what was put."""
    memory = World().backend
    assert await memory.last_key(BODY) is None
    await memory.commit(Batch(puts=[(BODY, key, b"%d" % key) for key in (7, 3, 9)]))
    await memory.commit(Batch(puts=[(BODY, 3, b"three")], deletes=[(BODY, 7), (BODY, 8)]))
    assert await memory.get(BODY, 3) == b"three"
    assert await memory.get(BODY, 7) is None
    assert await memory.get_many(BODY, [9, 8, 3]) == {3: b"three", 9: b"9"}
    assert await memory.scan(BODY, None, 10) == [(3, b"three"), (9, b"9")]
    assert await memory.scan(BODY, 3, 10) == [(9, b"9")]
    assert await memory.scan(BODY, None, 1) == [(3, b"three")]
    assert await memory.last_key(BODY) == 9


async def test_an_insert_over_an_existing_row_writes_nothing_at_all():
    """A batch happens whole or not, its audit entries included."""
    world = World()
    (entry,) = world.log.seal(world.event())
    await world.backend.commit(Batch(inserts=[(BODY, 1, b"first")]))
    with pytest.raises(Conflict):
        await world.backend.commit(Batch([(BODY, 1, b"second")], [(BODY, 2, b"x")], [(BODY, 1)], [entry]))
    assert world.disk.rows[BODY] == {1: b"first"}
    assert await world.log.size() == 0


async def test_a_write_and_its_entry_commit_together():
    """The sequence number comes back, and both are there."""
    world = World()
    entries = world.log.seal(*(world.event(number) for number in range(3)))
    assert await world.backend.commit(Batch(puts=[(BODY, 1, b"x")])) == -1
    assert await world.backend.commit(Batch(puts=[(BODY, 2, b"y")], entries=entries)) == 0
    assert await world.backend.commit(Batch(entries=entries[:1])) == 3
    assert await world.log.size() == 4


async def test_it_refuses_loses_repeats_and_forgets_as_told():
    """Each fault shows as storage shows it: an error, a lost write, a double one, an old answer."""
    world = World()
    memory = world.backend
    memory.fault = Fault.REFUSE
    with pytest.raises(Unavailable):
        await memory.commit(Batch(puts=[(BODY, 1, b"x")]))
    memory.fault = Fault.DROP
    await memory.commit(Batch(puts=[(BODY, 1, b"x")]))
    assert await memory.get(BODY, 1) is None
    memory.fault = Fault.DUPLICATE
    await memory.commit(Batch(inserts=[(BODY, 1, b"x")], entries=world.log.seal(world.event())))
    assert (await memory.get(BODY, 1), await world.log.size()) == (b"x", 2)
    memory.fault = Fault.STALE
    await memory.commit(Batch(puts=[(BODY, 1, b"y")]))
    assert await memory.get(BODY, 1) == b"x"
    memory.fault = None
    assert await memory.get(BODY, 1) == b"y"


async def test_closing_and_scrubbing_keep_what_is_there():
    """Both are harmless in memory."""
    memory = World().backend
    await memory.commit(Batch(puts=[(BODY, 1, b"x")]))
    await memory.scrub()
    await memory.close()
    assert await memory.get(BODY, 1) == b"x"
