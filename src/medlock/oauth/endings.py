"""How what was given ends: all of an account's approvals, all of a client's, one approval, one token.

`identity.endings.Endings` for the authorization server. Ending deletes rows: a token is looked up on every request, so
what is deleted is dead on the next one, on every worker. What is being issued at that very moment loses: it expects the
account's list, or the approval, as it was read, and this changes both.
"""

from __future__ import annotations

from medlock.audit.events import Action, Event, Outcome
from medlock.errors import Raced
from medlock.oauth.rows import Approval, Listed, Rows
from medlock.oauth.tokens import TokenStore
from medlock.store.cabinet import Held
from medlock.store.tables import Batch, Table

_TRIES = 5


class ApprovalEndings:
    """Makes the batches that end things; `end_*` commit them too."""

    def __init__(self, rows: Rows, tokens: TokenStore) -> None:
        self._rows = rows
        self._tokens = tokens

    async def of_account(self, account_id: str) -> Batch:
        """All that was issued for an account, for a batch that changes the account. Raced when committed too late.

        The list is written even when it was empty, so that an approval given meanwhile makes one of the two lose.
        """
        rows = self._rows
        key = rows.listed.key(account_id)
        held = await rows.listed.get(key)
        if held is None:
            return rows.listed.insert(key, Listed())
        batch = rows.listed.replace(held, Listed())
        approvals = await rows.approvals.get_many([rows.approvals.key(name) for name in held.value.approvals])
        for approval in approvals:
            batch += self.of_approval(approval) + self._told(approval.value, "account", "medlock")
        return batch

    def of_approval(self, held: Held[Approval]) -> Batch:
        """One approval and the tokens that came of it."""
        tokens = [(Table.TOKEN, label) for label, _ in held.value.tokens]
        return self._rows.approvals.remove(held) + Batch(deletes=tokens)

    async def end_account(self, account_id: str) -> None:
        """End all of an account's. Raises Raced, Unavailable."""
        for _ in range(_TRIES):
            try:
                await self._rows.commit(await self.of_account(account_id))
            except Raced:
                continue
            return
        raise Raced

    async def end_approval(self, approval_id: str, why: str, by: str) -> bool:
        """End one approval; whether there was one. Raises Raced, Unavailable."""
        for _ in range(_TRIES):
            held = await self._rows.approvals.get(self._rows.approvals.key(approval_id))
            if held is None:
                return False
            try:
                await self._rows.commit(self.of_approval(held) + self._told(held.value, why, by))
            except Raced:
                continue
            return True
        raise Raced

    async def end_client(self, client_id: str, by: str) -> int:
        """End all that a client was given; how many approvals. The client was changed before, so nothing new comes."""
        ended = 0
        async for held in self._rows.approvals.every():
            if held.value.client == client_id:
                ended += await self.end_approval(held.value.id, "client", by)
        for label in await self._tokens.of_client(client_id):
            await self.end_token(label, client_id, by)
        return ended

    async def end_token(self, label: int, client_id: str, by: str) -> None:
        """End one access token."""
        now = self._rows.clock.now_ms()
        event = Event(Action.OAUTH_END, Outcome.SUCCESS, by, (), client_id, "", now, f"{label:016x}", query="token")
        await self._rows.commit(Batch(deletes=[(Table.TOKEN, label)]), event)

    async def of(self, account_id: str) -> list[Approval]:
        """What an account let apps do and has not ended, newest first: for the person's own list."""
        held = await self._rows.listed.get(self._rows.listed.key(account_id))
        names = () if held is None else held.value.approvals
        found = await self._rows.approvals.get_many([self._rows.approvals.key(name) for name in names])
        now = self._rows.clock.now_ms()
        return sorted((each.value for each in found if now < each.value.ends), key=lambda each: -each.created)

    def _told(self, approval: Approval, why: str, by: str) -> Batch:
        """The entry that an approval ended."""
        now = self._rows.clock.now_ms()
        whose = f"approval of {approval.account}: {why}"
        event = Event(
            Action.OAUTH_END, Outcome.SUCCESS, by, (), approval.client, "", now, approval.id, query=whose, reason=why
        )
        return Batch(entries=self._rows.log.seal(event))
