"""Rows of patients' share links (docs/spec/sharing.md §3): how they end, and what the log is told of them.

Each change of a row is an event that names the link and the row's version, so that one that was put back is found.
What a link may show is no matter of this package: a rule in the patient's Consent says it.
"""

from __future__ import annotations

from msgspec import structs

from medlock.audit.events import Action, Event, Outcome
from medlock.oauth.rows import Rows, ShareLink
from medlock.store.cabinet import Held
from medlock.store.tables import Batch, Table


def told(link: ShareLink, action: Action, by: str, now: int, outcome: Outcome = Outcome.SUCCESS) -> Event:
    """The entry of something that happens to a link, by its version after that."""
    return Event(action, outcome, by, (), "", "", now, f"{link.id}:{link.version}", query="share link")


async def forget(rows: Rows, held: Held[ShareLink], by: str) -> None:
    """Take the row of a link away: its address opens nothing any more. Raises Unavailable."""
    now, link = rows.clock.now_ms(), held.value
    ended = structs.replace(link, version=link.version + 1)
    await rows.commit(Batch(deletes=[(Table.OAUTH, held.key)]), told(ended, Action.LINK_END, by, now))


async def forget_all(rows: Rows, by: str) -> int:
    """The same for every link; how many. Raises Unavailable."""
    every = [held async for held in rows.links.every()]
    for held in every:
        await forget(rows, held, by)
    return len(every)
