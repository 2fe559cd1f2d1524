"""What this server says of itself: SMART's configuration, RFC 8414, OpenID Connect Discovery. All of it is true.

The documents are made of the same constants that the endpoints work with; a test asks every endpoint that is named,
and for every scope, whether it is there.
"""

from __future__ import annotations

from typing import Any

from medlock.oauth.authenticating import METHODS
from medlock.oauth.client import ASSERTION_ALGORITHMS, GRANTS
from medlock.oauth.granting import Place
from medlock.oauth.pkce import METHOD
from medlock.oauth.proofs import ALGORITHMS
from medlock.oauth.scope import WORDS
from medlock.oauth.signing import ALGORITHM

AUTHORIZE, TOKEN, PAR = "/oauth/authorize", "/oauth/token", "/oauth/par"
INTROSPECT, REVOKE, JWKS = "/oauth/introspect", "/oauth/revoke", "/oauth/jwks"
USERINFO, REGISTER, MANAGE = "/oauth/userinfo", "/oauth/register", "/account"

CAPABILITIES = (
    *("launch-ehr", "launch-standalone", "authorize-post"),
    *("client-public", "client-confidential-symmetric", "client-confidential-asymmetric"),
    *("sso-openid-connect", "context-banner", "context-style"),
    *("context-ehr-patient", "context-ehr-encounter", "context-standalone-patient"),
    *("permission-offline", "permission-online", "permission-patient", "permission-user"),
    *("permission-v1", "permission-v2"),
)
SCOPES = (*WORDS, "patient/*.rs", "patient/*.cruds", "patient/*.read", "user/*.rs", "user/*.cruds", "system/*.rs")


def smart_configuration(place: Place) -> dict[str, Any]:
    """`[fhir]/.well-known/smart-configuration` (SMART 2.2 "FHIR Authorization Endpoint and Capabilities Discovery")."""
    return {**_common(place), "capabilities": list(CAPABILITIES), "management_endpoint": place.at(MANAGE)}


def server_metadata(place: Place) -> dict[str, Any]:
    """`/.well-known/oauth-authorization-server` (RFC 8414 §2)."""
    return _common(place)


def openid_configuration(place: Place) -> dict[str, Any]:
    """`/.well-known/openid-configuration` (OpenID Connect Discovery §3)."""
    return {
        **_common(place),
        "userinfo_endpoint": place.at(USERINFO),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "claims_supported": [
            "sub",
            "iss",
            "aud",
            "exp",
            "iat",
            "auth_time",
            "nonce",
            "acr",
            "amr",
            "fhirUser",
            "name",
            "profile",
        ],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "prompt_values_supported": ["none", "login", "consent"],
    }


def oauth_uris(place: Place) -> tuple[tuple[str, str], ...]:
    """The addresses in a CapabilityStatement, by their names there (the extension oauth-uris)."""
    named = {"authorize": AUTHORIZE, "token": TOKEN, "introspect": INTROSPECT, "revoke": REVOKE, "register": REGISTER}
    return tuple((name, place.at(path)) for name, path in {**named, "manage": MANAGE}.items())


def _common(place: Place) -> dict[str, Any]:
    """What all three documents say."""
    by_client = [method for method in METHODS if method != "none"]
    algorithms = list(ASSERTION_ALGORITHMS)
    return {
        "issuer": place.issuer,
        "authorization_endpoint": place.at(AUTHORIZE),
        "token_endpoint": place.at(TOKEN),
        "token_endpoint_auth_methods_supported": list(METHODS),
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "introspection_endpoint": place.at(INTROSPECT),
        "introspection_endpoint_auth_methods_supported": by_client,
        "introspection_endpoint_auth_signing_alg_values_supported": algorithms,
        "revocation_endpoint": place.at(REVOKE),
        "revocation_endpoint_auth_methods_supported": list(METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": algorithms,
        "registration_endpoint": place.at(REGISTER),
        "pushed_authorization_request_endpoint": place.at(PAR),
        "require_pushed_authorization_requests": False,
        "jwks_uri": place.at(JWKS),
        "grant_types_supported": list(GRANTS),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "scopes_supported": list(SCOPES),
        "code_challenge_methods_supported": [METHOD],
        "dpop_signing_alg_values_supported": sorted(ALGORITHMS),
        "authorization_response_iss_parameter_supported": True,
    }
