"""grant_type=refresh_token: every use replaces the refresh token (RFC 6749 §6, RFC 9700 §4.14.2).

One family is one row, so of two uses at once one wins. A token that was replaced ends the family when it comes again,
except within a few seconds after it was: an answer may be lost, two tabs may ask at once, and then the second is only
refused. What comes out is never wider than what the person approved, and tells the same launch context.
"""

from __future__ import annotations

from collections.abc import Mapping
from hmac import compare_digest

from medlock.oauth import scope
from medlock.oauth.assertions import Proven
from medlock.oauth.endings import ApprovalEndings
from medlock.oauth.granting import Answer, Granting, Wanted
from medlock.oauth.handles import Named, new_refresh, read_refresh
from medlock.oauth.lifetimes import REFRESH_GRACE
from medlock.oauth.people import People, Sittings
from medlock.oauth.proofs import Bound
from medlock.oauth.redeeming import invalid_grant, renewed, standing_of, with_token
from medlock.oauth.rows import Approval, Rows
from medlock.oauth.scope import narrowed
from medlock.store.cabinet import Held

_SENTENCE = "The refresh token is not valid."


class Refreshing:
    """Refreshes."""

    def __init__(
        self, rows: Rows, people: People, sittings: Sittings, granting: Granting, endings: ApprovalEndings
    ) -> None:
        self._rows = rows
        self._people = people
        self._sittings = sittings
        self._granting = granting
        self._endings = endings

    async def answer(self, proven: Proven, form: Mapping[str, str], bound: Bound) -> Answer:
        """New tokens for a refresh token. Raises OAuthRefused, and Raced when somebody else was first."""
        held = await self._found(proven, form.get("refresh_token", ""))
        approval = held.value
        if approval.jkt and approval.jkt != bound.jkt:
            raise invalid_grant(_SENTENCE, "another DPoP key")
        granted = scope.asked(approval.scopes)
        scopes = narrowed(granted, form["scope"]) if form.get("scope") else granted
        standing = await standing_of(self._people, approval)
        now = self._rows.clock.now_ms()
        wanted = Wanted(approval, standing.person, proven.client, scopes, now, bound.jkt)
        made = self._granting.token(wanted)
        refresh, digest = new_refresh(self._rows.labels, approval.id)
        batch = self._rows.approvals.replace(held, with_token(renewed(approval, digest, now), made, now)) + made.batch
        batch += standing.unchanged + self._rows.clients.unchanged(proven.held) + proven.batch + bound.batch
        await self._rows.commit(batch, made.event)
        return await self._granting.answer(made, wanted, refresh=refresh)

    async def _found(self, proven: Proven, token: str) -> Held[Approval]:
        """The approval whose present refresh token this is."""
        named = read_refresh(self._rows.labels, token)
        held = None if named is None else await self._rows.approvals.get(self._rows.approvals.key(named.approval))
        if named is None or held is None or held.value.client != proven.client.id:
            raise invalid_grant(_SENTENCE, "unknown refresh token, or another client's")
        now = self._rows.clock.now_ms()
        if not named.issued or not compare_digest(held.value.refresh, named.digest):
            await self._replaced(held.value, named, now, proven.client.id)
        if now >= held.value.refresh_expires:
            raise invalid_grant(_SENTENCE, "a refresh token that is too old")
        if not held.value.offline and not await self._sittings.lives(held.value.account, held.value.session):
            raise invalid_grant(_SENTENCE, "the session of an online token has ended")
        return held

    async def _replaced(self, approval: Approval, named: Named, now: int, by: str) -> None:
        """Refuse a token that is not the present one; end everything when it is one that was replaced."""
        lately = now < approval.rotated + REFRESH_GRACE * 1000 and compare_digest(approval.former, named.digest)
        if named.issued and not lately:
            await self._endings.end_approval(approval.id, "a replaced refresh token was used again", by)
            raise invalid_grant(_SENTENCE, "a refresh token that was replaced: its family is ended")
        raise invalid_grant(_SENTENCE, "replaced a moment ago" if lately else "a refresh token that nobody issued")
