"""The part of `medlock verify` about tokens: every row opens where it lies, and stands as the log says.

Making and ending a token are events that name its row, so a row that was deleted, put there, or put back to what it
was before its revocation is found. Tokens of the authorization server are deleted when they end or run out, so of
these a missing row is nothing; one that is there although it, or the approval it came of, was ended has been put back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from medlock.audit.acts import Evidence
from medlock.audit.events import Action
from medlock.audit.findings import Finding, Kind
from medlock.errors import Tampered
from medlock.oauth.tokenrows import TokenKeys, open_token
from medlock.store.tables import Backend, Table

_PAGE = 1_000


class TokenCheck:
    """Table TOKEN against the log."""

    def __init__(self, backend: Backend, keys: TokenKeys) -> None:
        self._backend = backend
        self._keys = keys

    async def findings(self, evidence: Evidence) -> AsyncIterator[Finding]:
        """Everything that is wrong, row by row."""
        made = _labels(evidence.requests[Action.TOKEN_CREATE])
        known = made | _labels(evidence.requests[Action.OAUTH_ISSUE])
        ended = evidence.requests[Action.TOKEN_REVOKE] | evidence.requests[Action.OAUTH_END]
        seen: set[int] = set()
        after: int | None = None
        while page := await self._backend.scan(Table.TOKEN, after, _PAGE):
            for label, row in page:
                fault = self._fault(label, row, known, ended)
                if fault is None and label not in known and evidence.whole:
                    fault = Kind.INSERTED, "a token that the log does not know"
                if fault is not None:
                    yield Finding(Table.TOKEN, label, *fault)
            seen |= {label for label, _ in page}
            after = page[-1][0]
        for label in sorted(made - seen):
            yield Finding(Table.TOKEN, label, Kind.DELETED, "a token that was made is gone")

    def _fault(self, label: int, row: bytes, known: set[int], ended: frozenset[str]) -> tuple[Kind, str] | None:
        """What is wrong with one row."""
        try:
            token = open_token(self._keys, label, row)
        except Tampered:
            return Kind.EDITED if label in known else Kind.INSERTED, "a token does not open"
        if (f"{label:016x}" in ended or token.approval in ended) and not token.revoked:
            return Kind.ROLLED_BACK, "a token was put back to what it was before it was revoked"
        return None


def _labels(requests: frozenset[str]) -> set[int]:
    """The rows that events name."""
    return {int(request, 16) for request in requests}
