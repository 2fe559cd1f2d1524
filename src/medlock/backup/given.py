"""What a restore must not bring back to life: tokens, approvals, sessions, invitations and links that ended since.

Nobody can know which of those in the backup ended afterwards, so all of them do. Accounts and factors stay as they were
at the time of the backup: whoever was disabled since, or changed a password, is told to the operator to do again.
"""

from __future__ import annotations

from medlock.identity.accounts import Accounts
from medlock.identity.ground import ground
from medlock.identity.invitations import Invitations
from medlock.identity.sessions import Sessions
from medlock.oauth.endings import ApprovalEndings
from medlock.oauth.rows import open_rows
from medlock.oauth.sharelinks import forget_all
from medlock.oauth.tokens import TokenStore
from medlock.records.opening import Records


async def end_given(records: Records, by: str) -> int:
    """End everything that was given to anybody; how many. Raises Unavailable."""
    parts = records.backend, records.keystore.tenant, records.clock, records.log
    tokens, rows, base = TokenStore(*parts), open_rows(*parts), ground(*parts)
    sessions, ended = Sessions(base), 0
    approvals = ApprovalEndings(rows, tokens)
    for approval in [held.value.id async for held in rows.approvals.every()]:
        ended += await approvals.end_approval(approval, "restore", by)
    now = records.clock.now_ms()
    for token in [each for each in await tokens.every() if not each.revoked and each.expires > now]:
        await tokens.revoke(token.id, by)
        ended += 1
    for session in [each async for each in sessions.every()]:
        await sessions.end(session.account, session.id, by)
        ended += 1
    ended += await forget_all(rows, by)
    return ended + await Invitations(base, Accounts(base)).withdraw()
