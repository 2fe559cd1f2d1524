"""The only maker of a Principal. Importable only by what authenticates (`.importlinter`, contract mint)."""

from __future__ import annotations

from medlock.access.principal import _MINTED, Principal, Role
from medlock.access.scopes import Scopes


def mint_principal(
    account: str,
    roles: frozenset[Role],
    scopes: Scopes,
    *,
    patient: str = "",
    client: str = "",
    purpose: str = "TREAT",
    auth_strength: str = "token",
) -> Principal:
    """A Principal for a caller whose credentials have just been checked."""
    return Principal(account, roles, scopes, patient, client, purpose, auth_strength, _MINTED)
