"""The part of `medlock verify` about people: every row opens where it lies; accounts and sessions are as the log says.

A change of an account is an event that names account, version and the very row; so an account that was deleted, put
there, or put back to what it was (a disabled one that may sign in again, a role that was taken away) is found. The
beginning and the end of a session name it, so one that was put back after it ended, or that nobody began, is found
as well. Rows of factors, devices and attempts are only opened: their owner would have to look for an older one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from medlock.audit.acts import Evidence
from medlock.audit.events import Action
from medlock.audit.findings import Finding, Kind
from medlock.errors import Tampered
from medlock.identity.account import Account
from medlock.identity.accounts import Named, tag_of
from medlock.identity.attempts import Attempts
from medlock.identity.devices import Known
from medlock.identity.factors.passkeyrows import PasskeyId, PasskeyRow
from medlock.identity.factors.password import PasswordRow
from medlock.identity.factors.recovery import RecoveryRow
from medlock.identity.factors.totp import TotpRow
from medlock.identity.ground import IdentityKeys
from medlock.identity.invitations import Current, Invitation
from medlock.identity.pending import PendingRow
from medlock.identity.sessions import Listed, Session
from medlock.store.cabinet import Cabinet, Drawer
from medlock.store.tables import Backend, Table

_PAGE = 1_000
CHANGES = (
    Action.ACCOUNT_CREATE,
    Action.ACCOUNT_CHANGE,
    Action.ACCOUNT_DISABLE,
    Action.ACCOUNT_ENABLE,
    Action.ACCOUNT_APPROVE,
    Action.ACCOUNT_TAKE_UP,
)
KINDS: dict[str, type[Any]] = {
    "account": Account,
    "session": Session,
    "sessions": Listed,
    "login": Named,
    "person": Named,
    "devices": Known,
    "attempts": Attempts,
    "pending": PendingRow,
    "invitation": Invitation,
    "invited": Current,
    "password": PasswordRow,
    "totp": TotpRow,
    "recovery": RecoveryRow,
    "passkeys": PasskeyRow,
    "passkey-id": PasskeyId,
}
"""Everything that lies in the table; a test compares it with the drawers that there are."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What the log says: account → its newest version and row; sessions that began, and that ended."""

    newest: dict[str, tuple[int, str]] = field(default_factory=dict)
    begun: frozenset[str] = frozenset()
    ended: frozenset[str] = frozenset()


class IdentityCheck:
    """Table IDENTITY against the log."""

    def __init__(self, backend: Backend, keys: IdentityKeys) -> None:
        self._backend = backend
        cabinet = Cabinet(backend, Table.IDENTITY, keys.identity, keys.identity_labels)
        self._drawers: dict[str, Drawer[Any]] = {kind: cabinet.drawer(kind, row) for kind, row in KINDS.items()}

    async def findings(self, evidence: Evidence) -> AsyncIterator[Finding]:
        """Everything that is wrong, row by row."""
        said, seen = _said(evidence), set[str]()
        after: int | None = None
        while page := await self._backend.scan(Table.IDENTITY, after, _PAGE):
            for key, row in page:
                kind, value = self._open(key, row)
                seen |= {value.id} if kind == "account" else set()
                fault = _fault(kind, value, row, said, whole=evidence.whole)
                if fault is not None:
                    yield Finding(Table.IDENTITY, key, *fault)
            after = page[-1][0]
        for account in sorted(said.newest.keys() - seen):
            key = self._drawers["account"].key(account)
            yield Finding(Table.IDENTITY, key, Kind.DELETED, "an account that was made is gone, or does not open")

    def _open(self, key: int, row: bytes) -> tuple[str, Any]:
        """Of which kind a row is, and what it says; "" when it does not open."""
        for kind, drawer in self._drawers.items():
            try:
                return kind, drawer.open(key, row)
            except Tampered:
                continue
        return "", None


def _said(evidence: Evidence) -> _Said:
    """The newest state of each account; which sessions there were."""
    newest: dict[str, tuple[int, str]] = {}
    for action in CHANGES:
        for request in evidence.requests[action]:
            account, version, tag = request.split(":")
            newest[account] = max(newest.get(account, (0, "")), (int(version), tag))
    return _Said(newest, evidence.requests[Action.SESSION_START], evidence.requests[Action.SESSION_END])


def _fault(kind: str, value: Any, row: bytes, said: _Said, *, whole: bool) -> tuple[Kind, str] | None:
    """What is wrong with one row."""
    if not kind:
        return Kind.EDITED, "a row about people does not open"
    if kind == "account":
        return _account_fault(value, row, said, whole=whole)
    if kind == "session" and value.id in said.ended:
        return Kind.ROLLED_BACK, "a session that was ended is back"
    if kind == "session" and value.id not in said.begun and whole:
        return Kind.INSERTED, "a session that the log does not know"
    return None


def _account_fault(account: Account, row: bytes, said: _Said, *, whole: bool) -> tuple[Kind, str] | None:
    """What is wrong with an account."""
    newest = said.newest.get(account.id)
    if newest is None:
        return (Kind.INSERTED, "an account that the log does not know") if whole else None
    if (account.version, tag_of(row)) == newest:
        return None
    if account.version < newest[0]:
        return Kind.ROLLED_BACK, "an account was put back to what it was before a change"
    return (Kind.EDITED, "an account is not the one that the log names") if whole else None
