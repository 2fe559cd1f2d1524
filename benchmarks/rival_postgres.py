"""The rival of `rival.py` on PostgreSQL: JSON as text in one table, a table of index rows for each kind of value."""

from __future__ import annotations

from typing import Any

from rival import INDEXES, Item, rows_of

from medlock.clock import instant
from medlock.fhir.document import with_identity

_JOIN = """
SELECT r.json FROM v_reference p
    JOIN v_token t ON t.key = p.key AND t.param = $3 AND t.code = $4 AND t.system = $5
    JOIN v_date d ON d.key = p.key AND d.param = $6 AND d.high > $7
    JOIN resource r ON r.key = p.key
WHERE p.param = $1 AND p.target = $2
"""


class PostgresRival:
    """The plain store on one connection."""

    def __init__(self, db: Any) -> None:
        self._db = db
        self._search: Any = None

    async def fill(self, items: list[Item]) -> None:
        """All resources and index rows, compact and with statistics."""
        await self._db.execute(
            "CREATE TABLE resource (key BIGINT PRIMARY KEY, type TEXT, id TEXT, version INTEGER, json TEXT)"
        )
        values: dict[str, list[tuple[Any, ...]]] = {name: [] for name in INDEXES}
        resources = []
        for key, item in enumerate(items, 1):
            body = with_identity(item.body, item.type, item.id, 1, instant(0))
            resources.append((key, item.type, item.id, 1, body.decode()))
            for name, rows in rows_of(key, item).items():
                values[name] += rows
        await self._db.copy_records_to_table("resource", records=resources)
        for name, (columns, index) in INDEXES.items():
            await self._db.execute(f"CREATE TABLE v_{name} (key BIGINT, {columns.replace('INTEGER', 'BIGINT')})")
            await self._db.copy_records_to_table(f"v_{name}", records=values[name])
            await self._db.execute(f"CREATE INDEX ON v_{name} ({index}, key)")
            await self._db.execute(f"CREATE INDEX ON v_{name} (key)")
        await self._db.execute("VACUUM ANALYZE")
        self._search = await self._db.prepare(_JOIN)

    async def observations(self, patient: str, system: str, code: str, since: int) -> list[bytes]:
        """The JSON of a patient's Observations with a code, on or after an instant."""
        given = ("Observation.patient", patient, "Observation.code", code, system, "Observation.date", since)
        return [row[0].encode() for row in await self._search.fetch(*given)]
