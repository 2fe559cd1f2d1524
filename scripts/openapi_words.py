"""What docs/openapi.json says of each address outside the FHIR API, beside what the route table declares.

One line for each address and method: what it is for, what it takes, what it answers. `openapi_page.py` puts both
together; a test demands that every declared address is here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Schema = dict[str, Any]
TEXT: Schema = {"type": "string"}
URI: Schema = {"type": "string", "format": "uri"}
SECONDS: Schema = {"type": "integer"}
YES_NO: Schema = {"type": "boolean"}
ANY: Schema = {"type": "object"}


def fields(required: str, **named: Schema | str) -> Schema:
    """An object: names of what must be there, and schemas; a string stands for text with that description."""
    shown = {name: TEXT | {"description": each} if isinstance(each, str) else each for name, each in named.items()}
    return {"type": "object", "properties": shown} | ({"required": required.split()} if required else {})


def ref(name: str) -> Schema:
    """A schema of the components."""
    return {"$ref": f"#/components/schemas/{name}"}


class Said(NamedTuple):
    """What is said of one address and method.

    form, json, query   what it takes, as a form, as JSON, in the address
    status, answer      what a good answer is: JSON of this form, None for a page or for nothing at all
    media               what it is instead, as text
    """

    summary: str
    form: Schema | None = None
    json: Schema | None = None
    query: Schema | None = None
    status: int = 200
    answer: Schema | None = None
    media: str = ""


_PROVES = {
    "client_id": "The client, when it proves nothing else.",
    "client_secret": "Its secret, when that is not in the Authorization header.",
    "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    "client_assertion": "A JWT that its own key signed (RFC 7523).",
}
_ASKED = {
    "response_type": {"const": "code"},
    "client_id": TEXT,
    "redirect_uri": URI,
    "scope": TEXT,
    "state": TEXT | {"minLength": 1, "maxLength": 2048},
    "aud": "The base of the FHIR API.",
    "code_challenge": TEXT | {"pattern": "^[A-Za-z0-9_-]{43}$"},
    "code_challenge_method": {"const": "S256"},
    "launch": TEXT,
    "nonce": TEXT,
    "prompt": {"enum": ["none", "login", "consent"]},
    "max_age": SECONDS,
    "dpop_jkt": TEXT,
    "request_uri": "The name of a pushed request; the rest stands in that.",
}
_REQUEST = fields("client_id", **_ASKED)
_CSRF = fields("csrf", csrf="The token of the form's page.")
_DOCUMENT = fields("issuer token_endpoint", issuer=URI, authorization_endpoint=URI, token_endpoint=URI)
_OPTIONS = fields("", ceremony="Names this use of a passkey.", options=ANY)
_MADE = ref("Client")


def _form(required: str = "", **named: Schema | str) -> Schema:
    """A form of one of our pages."""
    return fields(f"csrf {required}".strip(), csrf="The token of the form's page.", **named)


WORDS: dict[tuple[str, str], Said] = {
    ("/healthz", "GET"): Said("This process answers.", answer=ref("Status")),
    ("/readyz", "GET"): Said("Store, log and keys can be had.", answer=ref("Status")),
    ("/metrics", "GET"): Said("Counts for Prometheus, docs/metrics.md."),
    ("/fhir/.well-known/smart-configuration", "GET"): Said("SMART App Launch 2.2: what apps need.", answer=_DOCUMENT),
    ("/.well-known/oauth-authorization-server", "GET"): Said("RFC 8414.", answer=_DOCUMENT),
    ("/.well-known/openid-configuration", "GET"): Said("OpenID Connect Discovery.", answer=_DOCUMENT),
    ("/oauth/jwks", "GET"): Said(
        "Keys that sign id_tokens (RFC 7517).", answer=fields("keys", keys={"type": "array", "items": ANY})
    ),
    ("/oauth/smart-style.json", "GET"): Said("Colours for apps that are launched here.", answer=ANY),
    ("/oauth/authorize", "GET"): Said("An app asks a person (RFC 6749 §4.1.1): a page, or on to one.", query=_REQUEST),
    ("/oauth/authorize", "POST"): Said("The same as a form, which may come from the app's site.", form=_REQUEST),
    ("/oauth/authorize/continue", "GET"): Said(
        "The same request, after a sign-in.", query=fields("request", request=TEXT)
    ),
    ("/oauth/authorize/decide", "POST"): Said(
        "The person's answer, or a search for whose record it shall be.",
        form=_form(
            "request",
            request=TEXT,
            answer={"enum": ["allow", "deny", "search"]},
            scope={"type": "array", "items": TEXT},
            patient=TEXT,
            name=TEXT,
            birth=TEXT,
            more=TEXT,
        ),
    ),
    ("/oauth/token", "POST"): Said(
        "Tokens for a code, a refresh token, or a program (RFC 6749 §3.2). DPoP: RFC 9449.",
        form=fields(
            "grant_type",
            grant_type={"enum": ["authorization_code", "refresh_token", "client_credentials"]},
            code=TEXT,
            redirect_uri=URI,
            code_verifier=TEXT,
            refresh_token=TEXT,
            scope=TEXT,
            **_PROVES,
        ),
        answer=ref("Token"),
    ),
    ("/oauth/par", "POST"): Said(
        "A request is pushed (RFC 9126).",
        form=fields("client_id redirect_uri scope state", **{**_ASKED, **_PROVES}),
        status=201,
        answer=fields("request_uri expires_in", request_uri=TEXT, expires_in=SECONDS),
    ),
    ("/oauth/introspect", "POST"): Said(
        "What a token is (RFC 7662).",
        form=fields("token", token=TEXT, **_PROVES),
        answer=fields("active", active=YES_NO, scope=TEXT, client_id=TEXT, exp=SECONDS),
    ),
    ("/oauth/revoke", "POST"): Said("A token ends (RFC 7009).", form=fields("token", token=TEXT, **_PROVES)),
    ("/oauth/userinfo", "GET"): Said("Who the person is (OpenID Connect Core §5.3).", answer=ref("UserInfo")),
    ("/oauth/userinfo", "POST"): Said("The same.", form=fields(""), answer=ref("UserInfo")),
    ("/oauth/register", "POST"): Said(
        "An app registers itself (RFC 7591).",
        json=ref("Metadata"),
        status=201,
        answer=fields("client_id", client_id=TEXT),
    ),
    ("/oauth/launch", "POST"): Said(
        "A launch from the portal (SMART 2.2), from a page of ours.",
        json=ref("LaunchRequest"),
        answer=fields("location", location=URI),
    ),
    ("/admin/clients", "GET"): Said(
        "All clients.", answer=fields("clients", clients={"type": "array", "items": _MADE})
    ),
    ("/admin/clients", "POST"): Said("Register one.", json=ref("NewClient"), status=201, answer=_MADE),
    ("/admin/clients/{id}", "GET"): Said("One client.", answer=_MADE),
    ("/admin/clients/{id}/approve", "POST"): Said("Let it begin.", json=ref("Approved"), answer=_MADE),
    ("/admin/clients/{id}/disable", "POST"): Said(
        "End it, and all that it was given.", json=ref("Nothing"), answer=_MADE
    ),
    ("/admin/clients/{id}/secret", "POST"): Said(
        "Another secret, shown once.",
        json=ref("Nothing"),
        answer=fields("client_id client_secret", client_id=TEXT, client_secret=TEXT),
    ),
    ("/admin/clients/{id}/keys", "POST"): Said("Other keys.", json=ref("NewKeys"), answer=_MADE),
    ("/admin/initial-tokens", "POST"): Said(
        "An initial token for registrations, shown once (RFC 7591).",
        json=ref("Invited"),
        status=201,
        answer=fields("initial_access_token", initial_access_token=TEXT, uses=TEXT),
    ),
    ("/sharing", "GET"): Said(
        "What is shared now, and the links that stand (docs/sharing.md).", answer=ref("Standing")
    ),
    ("/sharing", "POST"): Said("One rule more, with its receipt.", json=ref("Wish"), status=201, answer=ANY),
    ("/sharing/{id}", "DELETE"): Said("A rule or a link ends; the receipt of that.", answer=ANY),
    ("/sharing/{id}/receipt", "GET"): Said("The receipt of a rule that stands, or stood.", answer=ANY),
    ("/share-links", "POST"): Said("A share link, shown once.", json=ref("LinkWish"), status=201, answer=ANY),
    ("/shl/{name}", "POST"): Said(
        "A link is opened (SMART Health Links): its file, or how many attempts are left.",
        json=ref("Manifest"),
        answer=ANY,
    ),
    ("/shl/{name}/{ticket}", "GET"): Said(
        "The file of a link that was opened, encrypted (JWE).", media="application/jose"
    ),
    ("/", "GET"): Said("On to the account, or to the sign-in."),
    ("/static/{file}", "GET"): Said("Styles, scripts, the mark."),
    ("/sign-in", "GET"): Said("The sign-in page."),
    ("/sign-in", "POST"): Said(
        "User name and password.", form=_form("username password", username=TEXT, password=TEXT)
    ),
    ("/sign-in/passkey/options", "POST"): Said("Options for any passkey (WebAuthn).", form=_CSRF, answer=_OPTIONS),
    ("/sign-in/passkey", "POST"): Said(
        "A passkey's answer.", form=_form("ceremony credential", ceremony=TEXT, credential=TEXT)
    ),
    ("/sign-in/code", "GET"): Said("The page for the second factor."),
    ("/sign-in/code", "POST"): Said("A code of an authenticator app.", form=_form("code", code=TEXT)),
    ("/sign-in/recover", "GET"): Said("The page for recovery codes."),
    ("/sign-in/recover", "POST"): Said("A recovery code.", form=_form("code", username=TEXT, code=TEXT)),
    ("/invitation", "GET"): Said("The page for an invitation's code."),
    ("/invitation", "POST"): Said(
        "The code, and a user name.", form=_form("code", code=TEXT, username=TEXT, birth=TEXT)
    ),
    ("/sign-up", "GET"): Said("The page for a code that the clinic gave."),
    ("/sign-up", "POST"): Said(
        "The code, a user name, the date of birth.", form=_form("code", code=TEXT, username=TEXT, birth=TEXT)
    ),
    ("/signed-out", "GET"): Said("It is done."),
    ("/sign-out", "POST"): Said("End this session.", form=_CSRF),
    ("/welcome", "GET"): Said("What is still to do before an account is settled."),
    ("/step-up", "GET"): Said("The page to prove it again."),
    ("/step-up", "POST"): Said("By password.", form=_form("password", password=TEXT, code=TEXT)),
    ("/step-up/passkey/options", "POST"): Said("Options for one's own passkeys.", form=_CSRF, answer=_OPTIONS),
    ("/step-up/passkey", "POST"): Said(
        "By passkey.", form=_form("ceremony credential", ceremony=TEXT, credential=TEXT)
    ),
    ("/account", "GET"): Said("Ways to sign in, sessions, apps."),
    ("/account/sessions/{id}/end", "POST"): Said("End a session.", form=_CSRF),
    ("/account/sessions/end-others", "POST"): Said("End all other sessions.", form=_CSRF),
    ("/account/apps/{id}/end", "POST"): Said("An app may nothing more.", form=_CSRF),
    ("/account/reviewed", "POST"): Said("The yearly review is done.", form=_CSRF),
    ("/account/unlock", "POST"): Said("Failed sign-ins count no longer.", form=_CSRF),
    ("/account/passkeys/new", "GET"): Said("The page to make a passkey."),
    ("/account/passkeys/new", "POST"): Said(
        "The new passkey.", form=_form("ceremony credential", ceremony=TEXT, credential=TEXT)
    ),
    ("/account/passkeys/options", "POST"): Said("Options for a new passkey.", form=_CSRF, answer=_OPTIONS),
    ("/account/passkeys/{id}/name", "GET"): Said("The page to name a passkey."),
    ("/account/passkeys/{id}/name", "POST"): Said("Its name.", form=_form("name", name=TEXT)),
    ("/account/passkeys/{id}/trust", "POST"): Said("A doubted passkey is its owner's alone.", form=_CSRF),
    ("/account/passkeys/{id}/remove", "GET"): Said("The page to remove a passkey."),
    ("/account/passkeys/{id}/remove", "POST"): Said("It counts no more.", form=_CSRF),
    ("/account/authenticator/new", "GET"): Said("The page to add an authenticator app."),
    ("/account/authenticator/new", "POST"): Said(
        "Its first code.", form=_form("ceremony code", ceremony=TEXT, secret=TEXT, uri=TEXT, code=TEXT)
    ),
    ("/account/authenticator/remove", "GET"): Said("The page to remove it."),
    ("/account/authenticator/remove", "POST"): Said("Its codes count no more.", form=_CSRF),
    ("/account/recovery-codes", "GET"): Said("The page for recovery codes."),
    ("/account/recovery-codes", "POST"): Said(
        "Make them, then type one back.", form=_form(ceremony=TEXT, codes=TEXT, code=TEXT)
    ),
    ("/account/password", "GET"): Said("The page to choose a password."),
    ("/account/password", "POST"): Said(
        "A new password.", form=_form("ceremony password", ceremony=TEXT, password=TEXT, present=TEXT)
    ),
}
