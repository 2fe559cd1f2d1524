"""From what somebody says of an app to a `Client`, or a sentence about what is wrong with it.

One set of rules for `medlock client register` and for RFC 7591: an app that registers itself may not say more of itself
than an administrator may, and less is believed. Nothing here is a default that opens something: no redirect URI with a
wildcard, no scope of a system in the hands of a browser, no `pkce_optional` unless it is asked for by name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from msgspec.structs import replace

from medlock.access.principal import Role
from medlock.access.scopes import Kind as ScopeKind
from medlock.crypto.jose import BadToken, key_set
from medlock.errors import BadRequest, OAuthRefused
from medlock.oauth.client import ASSERTED, CODE, CREDENTIALS, REFRESH, Client, Kind, Policy, Status
from medlock.oauth.redirects import check_address, check_redirects, origin_of
from medlock.oauth.scope import Asked, asked

APP_SCOPES = "openid fhirUser profile launch launch/patient launch/encounter offline_access online_access patient/*.rs"
"""What an app may ask for when nobody says otherwise."""

JWKS_BYTES = 32_768
_ID = re.compile(r"[A-Za-z0-9._\-]{3,32}")
_NAME = re.compile(r"[^\x00-\x1f\x7f<>]{1,80}")
_MACHINES = frozenset({Role.BACKEND, Role.LOADER, Role.RESEARCHER, Role.VENDOR})


@dataclass(frozen=True, slots=True)
class Registration:
    """What is asked for; empty fields take the default of the kind. `id` "" draws one."""

    name: str
    kind: Kind
    id: str = ""
    redirect_uris: tuple[str, ...] = ()
    launch_url: str = ""
    scopes: str = ""
    grants: tuple[str, ...] = ()
    jwks: bytes = b""
    jwks_url: str = ""
    policy: Policy = Policy.SMART
    require_par: bool = False
    dpop_bound: bool = False
    pkce_optional: bool = False
    verified: bool = False
    introspects: bool = False
    role: Role = Role.BACKEND
    origins: tuple[str, ...] = ()


def client_of(asked_for: Registration, client_id: str, status: Status, by: str, now: int) -> Client:
    """A sound client. Raises BadRequest with what to change."""
    made = Client(
        asked_for.id or client_id,
        asked_for.name.strip(),
        asked_for.kind,
        status,
        now,
        by,
        tuple(dict.fromkeys(asked_for.redirect_uris)),
        asked_for.launch_url,
        asked_for.scopes,
        tuple(dict.fromkeys(asked_for.grants)) or usual_grants(asked_for),
        b"",
        asked_for.jwks,
        asked_for.jwks_url,
        policy=asked_for.policy,
        require_par=asked_for.require_par or asked_for.policy is Policy.HIGH,
        dpop_bound=asked_for.dpop_bound,
        pkce_optional=asked_for.pkce_optional,
        verified=asked_for.verified,
        introspects=asked_for.introspects,
        role=asked_for.role.value,
        origins=_origins(asked_for),
    )
    checked(made)
    return replace(made, scopes=scopes_of(made).text)


def checked(client: Client) -> None:
    """Return when a client makes sense. Raises BadRequest."""
    if _ID.fullmatch(client.id) is None:
        raise BadRequest("A client id is 3 to 32 letters, digits and . _ -.")
    if _NAME.fullmatch(client.name) is None or not client.name.isprintable():
        # nothing that turns the direction of a line round or is not seen: what stands beside the name is ours to say
        raise BadRequest("A client has a name of up to 80 characters, which people see; no < or >.")
    _check_addresses(client)
    _check_keys(client)
    _check_grants(client)
    _check_policy(client)
    scopes_of(client)


def usual_grants(asked_for: Registration) -> tuple[str, ...]:
    """An app with redirect URIs acts for people, one without for itself."""
    return (CODE, REFRESH) if asked_for.redirect_uris else (CREDENTIALS,)


def _origins(asked_for: Registration) -> tuple[str, ...]:
    """Where its scripts come from: what is said, or else where it is redirected to."""
    found = asked_for.origins or tuple(origin_of(uri) for uri in asked_for.redirect_uris)
    return tuple(sorted({each for each in found if each}))


def _check_addresses(client: Client) -> None:
    check_redirects(client.redirect_uris)
    if client.launch_url:
        check_address(client.launch_url, "launch URL")
    if client.jwks_url:
        check_address(client.jwks_url, "JWKS URL")
    if any(origin != origin_of(origin) for origin in client.origins):
        raise BadRequest("An origin is a scheme, a host and perhaps a port: https://app.example.org.")


def _check_keys(client: Client) -> None:
    """Keys are there where they are needed, and nowhere else."""
    given = bool(client.jwks) + bool(client.jwks_url)
    if given != (client.kind is Kind.ASYMMETRIC):
        raise BadRequest("An asymmetric client, and no other, has either a JWK Set or the URL of one.")
    if not client.jwks:
        return
    if len(client.jwks) > JWKS_BYTES:
        raise BadRequest(f"A JWK Set has at most {JWKS_BYTES} bytes.")
    try:
        keys = key_set(client.jwks)
    except BadToken as fault:
        raise BadRequest(f"The JWK Set cannot be used: {fault}.") from None
    if not all(key.kid for key in keys.keys) or len({key.kid for key in keys.keys}) != len(keys.keys):
        raise BadRequest("Every key of the JWK Set has a kid of its own.")
    if not any(key.fits(alg) for key in keys.keys for alg in ASSERTED):
        raise BadRequest("No key of the JWK Set fits an algorithm that is taken: RS384 or ES384 will do.")


def _check_grants(client: Client) -> None:
    unknown = set(client.grants) - {CODE, REFRESH, CREDENTIALS}
    if unknown or not client.grants:
        raise BadRequest("Grant types are authorization_code, refresh_token and client_credentials.")
    if (CODE in client.grants) != bool(client.redirect_uris):
        raise BadRequest("Who asks for authorization_code, and nobody else, has redirect URIs.")
    if REFRESH in client.grants and CODE not in client.grants:
        raise BadRequest("There is nothing to refresh without authorization_code.")
    if CREDENTIALS in client.grants and client.kind is not Kind.ASYMMETRIC:
        raise BadRequest("The grant client_credentials needs an asymmetric client (SMART Backend Services).")
    if Role(client.role) not in _MACHINES:
        raise BadRequest("A client acts for itself as backend, loader or researcher.")


def _check_policy(client: Client) -> None:
    if client.policy is Policy.HIGH and client.kind is not Kind.ASYMMETRIC:
        raise BadRequest("The policy high wants an asymmetric client.")
    if client.pkce_optional and (client.policy is Policy.HIGH or not client.confidential):
        raise BadRequest("Only a confidential client under the policy smart may do without PKCE.")
    if client.introspects and not client.confidential:
        raise BadRequest("Only a confidential client may ask about tokens of others.")


def scopes_of(client: Client) -> Asked:
    """What it may ask for. Raises BadRequest."""
    try:
        scopes = asked(client.scopes or (APP_SCOPES if CODE in client.grants else ""))
    except OAuthRefused as refusal:
        raise BadRequest(str(refusal)) from None
    kinds = scopes.kinds()
    if CREDENTIALS in client.grants and ScopeKind.SYSTEM not in kinds:
        raise BadRequest("A client that acts for itself names its system/ scopes.")
    if ScopeKind.SYSTEM in kinds and CREDENTIALS not in client.grants:
        raise BadRequest("Scopes of system/ are for client_credentials.")
    if kinds - {ScopeKind.SYSTEM} and CODE not in client.grants:
        raise BadRequest("Scopes of patient/ and user/ are for authorization_code.")
    return scopes
