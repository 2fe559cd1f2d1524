"""Addresses of the authorization server, with what each declares; the authorization endpoint is a page."""

from __future__ import annotations

from medlock.oauth import discovery
from medlock.oauth.granting import STYLE as STYLE_PATH
from medlock.web.declared import Cors, Declared, Face, Permission, Rate

FORM_BYTES = 64 * 1024
METADATA_BYTES = 64 * 1024


def _public(path: str) -> Declared:
    """A document that says nothing of anybody."""
    return Declared(path, ("GET",), Permission.PUBLIC, Rate.ANONYMOUS, face=Face.OAUTH, cors=Cors.ANY)


def _client(path: str, rate: Rate) -> Declared:
    """A form that an app sends."""
    return Declared(path, ("POST",), Permission.CLIENT, rate, body=FORM_BYTES, face=Face.OAUTH, cors=Cors.REGISTERED)


SMART = _public("/fhir/.well-known/smart-configuration")
SERVER = _public("/.well-known/oauth-authorization-server")
OPENID = _public("/.well-known/openid-configuration")
JWKS = _public(discovery.JWKS)
STYLE = _public(STYLE_PATH)

TOKEN = _client(discovery.TOKEN, Rate.TOKEN)
PAR = _client(discovery.PAR, Rate.PAGE)  # a good one leaves a row, and a public client proves nothing: all count
REVOKE = _client(discovery.REVOKE, Rate.TOKEN)
INTROSPECT = _client(discovery.INTROSPECT, Rate.INTROSPECTION)
USERINFO = Declared(
    discovery.USERINFO,
    ("GET", "POST"),
    Permission.TOKEN,
    Rate.TOKEN,
    body=FORM_BYTES,
    face=Face.OAUTH,
    cors=Cors.REGISTERED,
)
REGISTER = Declared(
    discovery.REGISTER, ("POST",), Permission.INITIAL, Rate.REGISTRATION, body=METADATA_BYTES, face=Face.OAUTH
)
LAUNCH = Declared("/oauth/launch", ("POST",), Permission.SESSION, Rate.PAGE, body=FORM_BYTES, face=Face.OAUTH)

DECLARED: tuple[Declared, ...] = tuple(each for each in list(globals().values()) if isinstance(each, Declared))
