"""From what a browser brought to an authorization request that is sound (RFC 6749 §4.1.1, SMART 2.2).

The order is that of safety. Until client and redirect URI are known to belong together nothing is ever sent to an
address in the request: what is wrong before that raises `BadRequest`, and is shown. After that it raises `SentBack`,
and the app is told. A parameter that comes twice is refused, as is one that this server would have to ignore to go on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from medlock.access.scopes import Kind as ScopeKind
from medlock.errors import BadRequest, MedlockError, OAuthRefused
from medlock.oauth import scope
from medlock.oauth.client import CODE, Client, Status
from medlock.oauth.clients import Clients
from medlock.oauth.pkce import check_challenge
from medlock.oauth.redirects import is_registered
from medlock.oauth.rows import Pushed, Request, Rows
from medlock.store.cabinet import Held

STATE_BYTES = 2_048
PUSHED_PREFIX = "urn:ietf:params:oauth:request_uri:"
_PROMPTS = frozenset({"", "none", "login", "consent"})
_SECONDS = re.compile(r"[0-9]{1,9}")
_WHOLE = ("request", "claims", "registration", "id_token_hint")
"""Parameters of OpenID Connect that change what is asked for, and are not understood here."""

Pairs = Iterable[tuple[str, str]]


class SentBack(MedlockError):
    """The app is told of an error, at an address that is its own (RFC 6749 §4.1.2.1)."""

    http_status = 400

    def __init__(self, request: Request, code: str, sentence: str, reason: str = "") -> None:
        super().__init__(sentence, reason=reason)
        self.request = request
        self.code = code


@dataclass(frozen=True, slots=True)
class Sound:
    """A request that may go to a person, and the pushed one that it used, if any."""

    client: Client
    request: Request
    pushed: Held[Pushed] | None = None


class Asking:
    """Looks at requests. `audience`: the base of the FHIR API, as tokens are meant for it."""

    def __init__(self, rows: Rows, clients: Clients, audience: str) -> None:
        self._rows = rows
        self._clients = clients
        self._audience = audience

    async def sound(self, pairs: Pairs) -> Sound:
        """What is asked. Raises BadRequest (shown to the person) and SentBack (told to the app)."""
        given, twice = once(pairs)
        if "client_id" in twice or "redirect_uri" in twice or "request_uri" in twice:
            raise BadRequest("This link is not in order: it names the app, or the way back to it, twice.")
        client = await self._client(given.get("client_id", ""))
        pushed = await self._pushed(client, given)
        if pushed is not None:
            given, twice = once(pushed.value.parameters)
        request = self.begun(client, given)
        if client.require_par and pushed is None:
            raise SentBack(request, "invalid_request", "This client pushes its requests (RFC 9126).")
        return Sound(client, self.checked(client, request, given, twice), pushed)

    async def _client(self, client_id: str) -> Client:
        """The app. Raises BadRequest: shown, because nobody knows where to send it."""
        held = await self._clients.find(client_id)
        if held is None or held.value.status is not Status.ACTIVE or CODE not in held.value.grants:
            reason = "unknown client" if held is None else f"client {client_id} is {held.value.status}"
            raise BadRequest("This app is not known here. Ask whoever gave you the link.", reason=reason)
        return held.value

    async def _pushed(self, client: Client, given: Mapping[str, str]) -> Held[Pushed] | None:
        """The pushed request that is named, if one is. Raises BadRequest."""
        name = given.get("request_uri")
        if name is None:
            return None
        held = await self._rows.pushed.get(self._rows.pushed.key(name.removeprefix(PUSHED_PREFIX)))
        now = self._rows.clock.now_ms()
        if not name.startswith(PUSHED_PREFIX) or held is None or held.value.client != client.id:
            raise BadRequest("This link is not valid any more. Start again in the app.", reason="unknown request_uri")
        if now >= held.value.expires:
            raise BadRequest("This link is not valid any more. Start again in the app.", reason="old request_uri")
        return held

    def begun(self, client: Client, given: Mapping[str, str]) -> Request:
        """The part that must be right before anything may be sent back. Raises BadRequest."""
        uri = given.get("redirect_uri", "")
        if not is_registered(client.redirect_uris, uri):
            raise BadRequest(
                "The way back to the app is not the one it registered.", reason="redirect_uri not registered"
            )
        state = given.get("state", "")
        return Request(client.id, uri, state if len(state) <= STATE_BYTES else "", "")

    def checked(self, client: Client, begun: Request, given: Mapping[str, str], twice: frozenset[str]) -> Request:
        """All the rest. Raises SentBack."""
        try:
            self._check_form(given, twice)
            _check_response(given)
            self._check_audience(given)
            challenge = given.get("code_challenge", "")
            check_challenge(challenge, given.get("code_challenge_method", ""), optional=client.pkce_optional)
            scopes = asked_by(client, given)
        except OAuthRefused as refusal:
            raise SentBack(begun, refusal.code, str(refusal), refusal.reason) from None
        return Request(
            client.id,
            begun.redirect_uri,
            given["state"],
            scopes.text,
            challenge,
            given.get("nonce", "")[:STATE_BYTES],
            given.get("launch", ""),
            given.get("prompt", ""),
            int(given.get("max_age") or -1),
            given.get("dpop_jkt", ""),
        )

    def _check_form(self, given: Mapping[str, str], twice: frozenset[str]) -> None:
        """Every parameter once, none that would have to be passed over. Raises OAuthRefused."""
        if twice:
            raise OAuthRefused("invalid_request", "Send each parameter once.")
        for name in _WHOLE:
            if name in given:
                code = "request_not_supported" if name == "request" else "invalid_request"
                raise OAuthRefused(code, f"The parameter {name} is not taken here.")
        if not 0 < len(given.get("state", "")) <= STATE_BYTES:
            raise OAuthRefused("invalid_request", "Send a state of 1 to 2048 characters (SMART App Launch 2.2).")
        if given.get("prompt", "") not in _PROMPTS or _SECONDS.fullmatch(given.get("max_age", "0")) is None:
            raise OAuthRefused("invalid_request", "prompt is none, login or consent; max_age a number of seconds.")
        if len(given.get("dpop_jkt", "")) not in {0, 43} or len(given.get("launch", "")) > 200:
            raise OAuthRefused("invalid_request", "dpop_jkt and launch are as this server gave or understands them.")

    def _check_audience(self, given: Mapping[str, str]) -> None:
        """SMART's `aud`, or RFC 8707's `resource`, names the FHIR server. Raises OAuthRefused."""
        named = {given[name].removesuffix("/") for name in ("aud", "resource") if name in given}
        if not named:
            raise OAuthRefused("invalid_request", "Send aud with the address of the FHIR server.")
        if named != {self._audience}:
            raise OAuthRefused("invalid_request", f"aud is not {self._audience}.", reason="another audience")


def once(pairs: Pairs) -> tuple[dict[str, str], frozenset[str]]:
    """Parameters by name, and those that came more than once (RFC 6749 §3.1). Empty ones count as left out."""
    listed = [(name, value) for name, value in pairs if value]
    counts = Counter(name for name, _ in listed)
    return dict(listed), frozenset(name for name, count in counts.items() if count > 1)


def _check_response(given: Mapping[str, str]) -> None:
    if given.get("response_type") != "code":
        raise OAuthRefused("unsupported_response_type", "response_type is code.")
    if given.get("response_mode", "query") != "query":
        raise OAuthRefused("invalid_request", "response_mode is query.")


def asked_by(client: Client, given: Mapping[str, str]) -> scope.Asked:
    """The scopes, all within the client's, none of a program's, launch where it belongs. Raises OAuthRefused."""
    scopes = scope.asked(given.get("scope", ""))
    if not scopes.every:
        raise OAuthRefused("invalid_scope", "Send the scopes that the app needs.")
    if ScopeKind.SYSTEM in scopes.kinds() or not scope.covers(scope.asked(client.scopes), scopes):
        raise OAuthRefused("invalid_scope", "The client is not registered for all these scopes.")
    if (scope.LAUNCH in scopes) != bool(given.get("launch")):
        raise OAuthRefused("invalid_request", "The scope launch and the parameter launch come together.")
    return scopes
