"""The log on PostgreSQL, where a process that appended last appends in one statement, without looking first."""

from __future__ import annotations

from audit.world import World
from medlock.audit.ledger import MerkleLedger
from medlock.audit.log import AuditLog
from medlock.audit.verify import verify_log
from medlock.crypto.tiles import WIDTH
from medlock.store.postgres import open_postgres
from medlock.store.tables import Batch, Table
from store.pgserver import database


async def test_a_head_that_was_only_looked_at_is_not_appended_to():
    """A process far behind, that wrote rows but no entries, looks again before it appends: tiles have grown since."""
    world = World()
    async with database() as url:
        stores = [await open_postgres(url, MerkleLedger(world.keys, world.clock.now_ms), b"store 1") for _ in range(2)]
        idle, busy = (AuditLog(store, world.keys, world.clock, world._remember) for store in stores)
        await idle.append(world.event(0))
        await busy.append(*(world.event(1 + number) for number in range(2 * WIDTH)))
        await stores[0].commit(Batch(puts=[(Table.BODY, 1, b"a row")]))
        await busy.append(*(world.event(600 + number) for number in range(WIDTH)))
        await idle.append(world.event(900))
        assert await idle.size() == 3 * WIDTH + 2
        await idle.seal_checkpoint()
        assert [each async for each in verify_log(stores[0], world.keys, world.watermark)] == []
        for store in stores:
            await store.close()
