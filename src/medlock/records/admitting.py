"""What residual rules let through, where only bodies can tell: asked before counting, paging, sorting or following.

A tombstone says nothing by itself, so it is told of where the last version before it may be told of: who could not
know of a resource cannot know that it was deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from medlock.access.grant import Grant
from medlock.errors import BadRequest, Problem
from medlock.records.consents import ready_for
from medlock.records.turns import TURN
from medlock.records.vault import Vault
from medlock.store.bodies import Opened
from medlock.store.capsule import IndexRow

WEIGHED_MAX = 50_000
"""Bodies that one question may open to learn which of them rules let through."""


async def told(vault: Vault, grant: Grant, opened: Opened) -> bool:
    """Whether a caller may know of this version, be it a tombstone."""
    if not (opened.meta.deleted and grant.needs_body(opened.meta.type)):
        return grant.admits(opened)
    if not grant.covers(opened.meta):
        return False
    for number in range(opened.meta.version - 1, 0, -1):
        before = await vault.version(opened, number)
        if before is not None and not before.meta.deleted:
            return grant.admits(before)
    return False


async def admitted(vault: Vault, grant: Grant, rows: Sequence[IndexRow]) -> set[int] | None:
    """Which of these living rows the Grant admits; None when one has changed since (look again).

    Raises BadRequest when there are too many to look at.
    """
    if len(rows) > WEIGHED_MAX:
        text = f"More than {WEIGHED_MAX} records would have to be looked at one by one: name a type, a code or a date."
        raise BadRequest(text, problems=(Problem("too-costly", text),))
    found: set[int] = set()
    for start in range(0, len(rows), TURN):
        opened = await vault.fetch(rows[start : start + TURN])
        if None in opened:
            return None
        await ready_for(grant, opened)
        found |= {each.rid for each in opened if each is not None and grant.admits(each)}
        await asyncio.sleep(0)
    return found
