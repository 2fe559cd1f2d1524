"""The part of `medlock verify` about apps: clients and approvals stand as the log says, and every row opens in place.

Each change of a client names the very row, and each approval is named when it begins and when it ends. So a client
that was put back to what it was before it was disabled, one that is gone, and an approval that was put back after it
ended are found. What lives for minutes (requests that wait, launches, marks) only has to open.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress

from medlock.audit.acts import Evidence
from medlock.audit.events import Action
from medlock.audit.findings import Finding, Kind
from medlock.errors import Tampered
from medlock.oauth.clients import mark
from medlock.oauth.rows import Rows, ShareLink
from medlock.store.tables import Table

_PAGE = 1_000
_LINKS = (Action.LINK_MAKE, Action.LINK_OPEN, Action.LINK_END)
Fault = tuple[Kind, str]


class AppCheck:
    """Table OAUTH against the log."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def findings(self, evidence: Evidence) -> AsyncIterator[Finding]:
        """Everything that is wrong, row by row."""
        marks = evidence.requests[Action.CLIENT_REGISTER] | evidence.requests[Action.CLIENT_CHANGE]
        newest = _newest(marks)
        seen: set[int] = set()
        after: int | None = None
        while page := await self._rows.backend.scan(Table.OAUTH, after, _PAGE):
            for key, row in page:
                fault = self._fault(key, row, marks, newest, evidence)
                if fault is not None:
                    yield Finding(Table.OAUTH, key, *fault)
            seen |= {key for key, _ in page}
            after = page[-1][0]
        for key in sorted(newest.keys() - seen):
            yield Finding(Table.OAUTH, key, Kind.DELETED, "a client that was registered is gone")

    def _fault(
        self, key: int, row: bytes, marks: frozenset[str], newest: dict[int, int], evidence: Evidence
    ) -> Fault | None:
        """What is wrong with one row."""
        rows = self._rows
        with suppress(Tampered):
            return _client_fault(mark(key, rows.clients.open(key, row).version, row), marks, newest, evidence)
        with suppress(Tampered):
            return _approval_fault(rows.approvals.open(key, row).id, evidence)
        with suppress(Tampered):
            return _link_fault(rows.links.open(key, row), evidence)
        for drawer in (rows.listed, rows.pending, rows.pushed, rows.launches, rows.keys, rows.invitations, rows.roll):
            with suppress(Tampered):
                drawer.open(key, row)
                return None
        return Kind.EDITED, "a row of the authorization server does not open"


def _client_fault(own: str, marks: frozenset[str], newest: dict[int, int], evidence: Evidence) -> Fault | None:
    key, version, _ = own.split(":")
    if int(version) < newest.get(int(key, 16), 0):
        return Kind.ROLLED_BACK, "a client was put back to what it was before it was changed"
    if own not in marks and evidence.whole:
        return Kind.INSERTED, "a client that the log does not know"
    return None


def _approval_fault(name: str, evidence: Evidence) -> Fault | None:
    if name in evidence.requests[Action.OAUTH_END]:
        return Kind.ROLLED_BACK, "an approval was put back after it had ended"
    if name not in evidence.requests[Action.OAUTH_APPROVE] and evidence.whole:
        return Kind.INSERTED, "an approval that the log does not know"
    return None


def _link_fault(link: ShareLink, evidence: Evidence) -> Fault | None:
    known = [each.split(":") for action in _LINKS for each in evidence.requests[action]]
    versions = [int(version) for name, version in known if name == link.id]
    if max(versions, default=0) > link.version:
        return Kind.ROLLED_BACK, "a share link was put back to what it was before it was opened or ended"
    if not versions and evidence.whole:
        return Kind.INSERTED, "a share link that the log does not know"
    return None


def _newest(marks: frozenset[str]) -> dict[int, int]:
    """The newest version of each client that the log names."""
    found: dict[int, int] = {}
    for each in marks:
        key, version, _ = each.split(":")
        found[int(key, 16)] = max(found.get(int(key, 16), 0), int(version))
    return found
