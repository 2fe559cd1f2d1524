"""The part of the authorization server that an operator works with: it needs rows and tokens, and no people."""

from __future__ import annotations

from dataclasses import dataclass

from medlock.oauth.clients import Clients
from medlock.oauth.endings import ApprovalEndings
from medlock.oauth.joining import Joining
from medlock.oauth.rows import Rows
from medlock.oauth.signing import SigningKeys
from medlock.oauth.sweeping import Sweeper
from medlock.oauth.tokens import TokenStore


@dataclass(frozen=True, slots=True)
class Administration:
    """Clients, what they were given, signing keys, initial tokens."""

    rows: Rows
    tokens: TokenStore
    clients: Clients
    endings: ApprovalEndings
    keys: SigningKeys
    joining: Joining
    sweeper: Sweeper


def administration(rows: Rows, tokens: TokenStore) -> Administration:
    """Over an open store."""
    clients = Clients(rows)
    return Administration(
        rows,
        tokens,
        clients,
        ApprovalEndings(rows, tokens),
        SigningKeys(rows),
        Joining(rows, clients),
        Sweeper(rows, tokens),
    )
