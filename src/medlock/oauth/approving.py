"""A decision becomes an approval and a code, or is written down as a refusal; either way it is used up by that.

All in one commit: the request stops waiting, the launch is used, the approval is there and in the account's list, and
the log says so. It expects account, client, request and launch as they were read, so that what was ended or decided
meanwhile gives nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from medlock.audit.events import Action, Event, Outcome
from medlock.oauth import scope
from medlock.oauth.client import Client
from medlock.oauth.handles import new_code, new_name
from medlock.oauth.lifetimes import CODE, SPENT
from medlock.oauth.people import SignedIn, Standing
from medlock.oauth.rows import Approval, Context, Launch, Listed, Pending, Rows
from medlock.oauth.scope import Asked
from medlock.store.cabinet import Held
from medlock.store.tables import Batch, Table

APPROVALS_MAX = 200
"""Approvals that one account may have; the one used longest ago makes room."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, by whom, over what."""

    pending: Held[Pending]
    client: Held[Client]
    standing: Standing
    session: SignedIn
    allowed: Asked
    context: Context
    launch: Held[Launch] | None


class Approving:
    """Writes decisions down."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def approve(self, decision: Decision) -> str:
        """The authorization code. Raises Raced when something that it stands on has changed."""
        rows, request, now = self._rows, decision.pending.value.request, self._rows.clock.now_ms()
        name = new_name()
        code, digest = new_code(name)
        words, session = decision.allowed.words, decision.session
        approval = Approval(
            name,
            session.account,
            request.client,
            decision.allowed.text,
            decision.context,
            now,
            now + (CODE + SPENT) * 1000,
            request.redirect_uri,
            request.challenge,
            request.nonce,
            digest,
            now + CODE * 1000,
            session=session.id,
            online=scope.ONLINE in words,
            offline=scope.OFFLINE in words,
            amr=tuple(session.amr),
            acr=session.acr,
            auth_time=session.auth_time // 1000,
            jkt=request.jkt,
            used=now,
        )
        batch = rows.pending.remove(decision.pending) + rows.clients.unchanged(decision.client)
        batch += decision.standing.unchanged + rows.approvals.insert(rows.approvals.key(name), approval)
        batch += await self._listed(session.account, name)
        if decision.launch is not None:
            batch += rows.launches.remove(decision.launch)
        await rows.commit(batch, self._event(decision, name, now))
        return code

    async def refuse(self, held: Held[Pending], account: str, reason: str = "the person said no") -> None:
        """The request does not wait any longer. Raises Raced."""
        now, request = self._rows.clock.now_ms(), held.value.request
        event = Event(
            Action.OAUTH_REJECT,
            Outcome.DENIED,
            account,
            (),
            request.client,
            "",
            now,
            request.client,
            query=f"scopes {request.scopes}",
            reason=reason,
        )
        await self._rows.commit(self._rows.pending.remove(held), event)

    async def _listed(self, account: str, name: str) -> Batch:
        """The account's list with one more; what is over, or one too many, goes."""
        rows, now = self._rows, self._rows.clock.now_ms()
        key = rows.listed.key(account)
        held = await rows.listed.get(key)
        if held is None:
            return rows.listed.insert(key, Listed((name,)))
        found = await rows.approvals.get_many([rows.approvals.key(each) for each in held.value.approvals])
        living = sorted((each for each in found if now < each.value.ends), key=lambda each: each.value.used)
        kept = living[-(APPROVALS_MAX - 1) :]
        batch = rows.listed.replace(held, Listed((*(each.value.id for each in kept), name)))
        for each in found:
            if each not in kept:
                batch += rows.approvals.remove(each)
                batch += Batch(deletes=[(Table.TOKEN, label) for label, _ in each.value.tokens])
        return batch

    def _event(self, decision: Decision, name: str, now: int) -> Event:
        person, request = decision.standing.person, decision.pending.value.request
        return Event(
            Action.OAUTH_APPROVE,
            Outcome.SUCCESS,
            person.id,
            tuple(role.value for role in person.roles),
            request.client,
            person.purpose,
            now,
            name,
            query=f"scopes {decision.allowed.text}",
        )
