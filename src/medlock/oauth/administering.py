"""The part of the authorization server that an operator works with: it needs rows and tokens, and no people."""

from __future__ import annotations

from dataclasses import dataclass

from medlock.oauth.clerk import Clerk
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
    clerk: Clerk
    endings: ApprovalEndings
    keys: SigningKeys
    joining: Joining
    sweeper: Sweeper


def administration(rows: Rows, tokens: TokenStore) -> Administration:
    """Over an open store."""
    clients, endings = Clients(rows), ApprovalEndings(rows, tokens)
    joining = Joining(rows, clients)
    clerk = Clerk(clients, endings, joining)
    return Administration(rows, tokens, clients, clerk, endings, SigningKeys(rows), joining, Sweeper(rows, tokens))
