"""grant_type=authorization_code: a code becomes tokens, once (RFC 6749 §4.1.3, RFC 7636 §4.6).

The code, and everything that it brings, is one row: whoever replaces it first has won, and the other's commit is
refused by the store, on whichever worker. Who comes with a code that was used ends all that came of it (RFC 9700
§2.1.1): one of the two is a thief, and nobody can tell which. A public client must have the verifier for that as well:
else whoever saw a code in an address, and can do nothing with it, could end what its owner has.
"""

from __future__ import annotations

from collections.abc import Mapping
from hmac import compare_digest

from msgspec.structs import replace

from medlock.errors import NotAuthenticated, OAuthRefused
from medlock.oauth import scope
from medlock.oauth.assertions import Proven
from medlock.oauth.client import REFRESH
from medlock.oauth.endings import ApprovalEndings
from medlock.oauth.granting import Answer, Granting, Wanted
from medlock.oauth.handles import new_refresh, read_code
from medlock.oauth.lifetimes import ACCESS, ONLINE_IDLE, REFRESH_ABSOLUTE, REFRESH_IDLE, SPENT
from medlock.oauth.people import People, Standing
from medlock.oauth.pkce import check_verifier
from medlock.oauth.proofs import Bound
from medlock.oauth.rows import Approval, Rows
from medlock.oauth.tokenrows import NewToken
from medlock.store.cabinet import Held
from medlock.store.tables import Batch

_SENTENCE = "The code is not valid."


class Redeeming:
    """Redeems codes."""

    def __init__(self, rows: Rows, people: People, granting: Granting, endings: ApprovalEndings) -> None:
        self._rows = rows
        self._people = people
        self._granting = granting
        self._endings = endings

    async def answer(self, proven: Proven, form: Mapping[str, str], bound: Bound) -> Answer:
        """Tokens for a code. Raises OAuthRefused (invalid_grant), and Raced when somebody else was first."""
        held = await self._found(proven, form)
        approval = held.value
        self._fits(approval, form, bound)
        standing = await standing_of(self._people, approval)
        now = self._rows.clock.now_ms()
        scopes = scope.asked(approval.scopes)
        wanted = Wanted(approval, standing.person, proven.client, scopes, now, bound.jkt)
        made = self._granting.token(wanted)
        refresh, changed = self._redeemed(approval, proven, bound, now)
        batch = self._rows.approvals.replace(held, with_token(changed, made, now)) + made.batch
        await self._rows.commit(batch + self._together(proven, standing, bound), made.event)
        return await self._granting.answer(made, wanted, refresh=refresh, identify=True)

    async def _found(self, proven: Proven, form: Mapping[str, str]) -> Held[Approval]:
        """The approval behind the code. A code that was used ends it."""
        named = read_code(form.get("code", ""))
        held = None if named is None else await self._rows.approvals.get(self._rows.approvals.key(named.approval))
        if named is None or held is None or not compare_digest(held.value.code, named.digest):
            raise invalid_grant(_SENTENCE, "unknown code")
        if held.value.client != proven.client.id:
            raise invalid_grant(_SENTENCE, "another client's code")
        if held.value.redeemed:
            if not proven.client.confidential:
                _one_piece(held.value, form)
            await self._endings.end_approval(held.value.id, "its code was used twice", proven.client.id)
            raise invalid_grant(_SENTENCE, "a code that was used before")
        if self._rows.clock.now_ms() >= held.value.code_expires:
            raise invalid_grant(_SENTENCE, "a code that is too old")
        return held

    def _fits(self, approval: Approval, form: Mapping[str, str], bound: Bound) -> None:
        """Return when the request is of one piece with the one that the person approved, and has its key."""
        _one_piece(approval, form)
        if approval.jkt and approval.jkt != bound.jkt:
            raise invalid_grant(_SENTENCE, "another DPoP key than the one announced")

    def _redeemed(self, approval: Approval, proven: Proven, bound: Bound, now: int) -> tuple[str, Approval]:
        """The refresh token, if there is to be one, and the approval from now on.

        A client that proves nothing else is held to the key that it came with (RFC 9449 §5).
        """
        jkt = approval.jkt if proven.client.confidential else bound.jkt
        changed = replace(approval, redeemed=now, used=now, ends=now + (ACCESS + SPENT) * 1000, jkt=jkt)
        if not (approval.offline or approval.online) or REFRESH not in proven.client.grants:
            return "", changed
        token, digest = new_refresh(self._rows.labels, approval.id)
        return token, renewed(changed, digest, now)

    def _together(self, proven: Proven, standing: Standing, bound: Bound) -> Batch:
        """What must hold, and be used up, when the tokens are written."""
        return standing.unchanged + self._rows.clients.unchanged(proven.held) + proven.batch + bound.batch


def _one_piece(approval: Approval, form: Mapping[str, str]) -> None:
    """Return when redirect_uri and code_verifier belong to the request that the person approved."""
    if form.get("redirect_uri", "") != approval.redirect_uri:
        raise invalid_grant(_SENTENCE, "another redirect_uri")
    check_verifier(approval.challenge, form.get("code_verifier", ""))


def renewed(approval: Approval, digest: bytes, now: int) -> Approval:
    """With another refresh token, which lives anew: so long without use, and never beyond its absolute end."""
    idle = REFRESH_IDLE if approval.offline else ONLINE_IDLE
    end = min(now + idle * 1000, approval.created + REFRESH_ABSOLUTE * 1000)
    return replace(
        approval,
        refresh=digest,
        refresh_expires=end,
        former=approval.refresh,
        rotated=now if approval.refresh else 0,
        used=now,
        ends=end,
    )


def with_token(approval: Approval, made: NewToken, now: int) -> Approval:
    """With one more access token to be found when it ends; those that are over are forgotten."""
    living = tuple(each for each in approval.tokens if each[1] > now)
    return replace(approval, tokens=(*living, (made.label, made.token.expires)))


async def standing_of(people: People, approval: Approval) -> Standing:
    """The person who approved. Raises OAuthRefused (invalid_grant) when they may not act any more."""
    try:
        return await people.standing(approval.account)
    except NotAuthenticated as refusal:
        raise invalid_grant("What was granted has ended.", refusal.reason) from None


def invalid_grant(sentence: str, reason: str) -> OAuthRefused:
    """RFC 6749 §5.2."""
    return OAuthRefused("invalid_grant", sentence, reason=reason)
