"""The rows of a backup and its ancestors put into an empty store, and compared with what must be there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from medlock.backup.check import BackupKeys, rows_of
from medlock.backup.create import index_of
from medlock.backup.shelf import Held
from medlock.crypto.prf import ValueHash
from medlock.errors import SetupError, Tampered
from medlock.records.verify_bodies import scan
from medlock.store.tables import Backend, Batch, Table

_ROWS = 4_000
_BYTES = 4 * 1024 * 1024


async def demand_empty(backend: Backend) -> None:
    """Raises SetupError unless there is no row in any table."""
    for table in Table:
        if await backend.last_key(table) is not None:
            raise SetupError("There are records in this store already: restore into an empty one.")


async def fill(backend: Backend, chain: Sequence[Held], keys: BackupKeys) -> int:
    """Write the rows of each backup over those of the one before; how many were written. Raises Tampered."""
    written = size = 0
    for held in chain:
        batch = Batch()
        for table, key, ct in rows_of(held, keys.seal(held)):
            if ct is None:
                batch.deletes.append((table, key))
            else:
                batch.puts.append((table, key, ct))
                size += len(ct)
            written += 1
            if written % _ROWS == 0 or size > _BYTES:
                await backend.commit(batch)
                batch, size = Batch(), 0
        await backend.commit(batch)
        await asyncio.sleep(0)
    return written


async def compare(backend: Backend, held: Held, keys: BackupKeys, hashes: ValueHash) -> int:
    """Hold every row against the backup's index and counts; how many there are. Raises Tampered.

    The log has no index: its root, which the manifest names, vouches for each of its entries.
    """
    total = 0
    for table in Table:
        count = await _compared(backend, held, keys, hashes, table)
        if count != held.manifest.counts.get(table, 0):
            raise Tampered(f"table {table} has {count} rows instead of {held.manifest.counts.get(table, 0)}")
        total += count
    return total


async def _compared(backend: Backend, held: Held, keys: BackupKeys, hashes: ValueHash, table: Table) -> int:
    """The rows of one table, each in its place in the index."""
    entries = index_of(held, keys.seal(held), table)
    count = 0
    async for key, ct in scan(backend, table):
        if table is not Table.LOG and next(entries, None) != (key, hashes.of(ct)):
            raise Tampered(f"a row of {table} is not the one that backup {held.name} names")
        count += 1
    if next(entries, None) is not None:
        raise Tampered(f"rows of {table} are missing that backup {held.name} names")
    return count
