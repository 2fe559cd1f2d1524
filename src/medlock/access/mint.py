"""The only maker of a Principal. Importable only by what authenticates (`.importlinter`, contract mint)."""

from __future__ import annotations

from medlock.access.principal import _MINTED, NO_LAUNCH, Launch, Principal, Role
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
    acr: str = "",
    organisations: frozenset[str] = frozenset(),
    fhir_user: str = "",
    launch: Launch = NO_LAUNCH,
    amr: tuple[str, ...] = (),
    auth_time: int = 0,
    grant_id: str = "",
) -> Principal:
    """A Principal for a caller whose credentials have just been checked."""
    more = acr, organisations, fhir_user, launch, amr, auth_time, grant_id
    return Principal(account, roles, scopes, patient, client, purpose, auth_strength, _MINTED, *more)
