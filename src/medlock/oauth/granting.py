"""From an approval to an access token and the answer that brings it (RFC 6749 §5.1, SMART 2.2 §6).

The token is held to a patient when it has `patient/` scopes, or when its holder is nothing but a patient; whoever else
was launched with a patient in context is told so, and may with `user/` scopes do what they may do anyway. The scopes of
a token are those of its approval or fewer, never others: `oauth.scope.covers` is asked again here, before it is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from medlock.access.principal import Role
from medlock.access.scopes import Kind
from medlock.errors import Denied, OAuthRefused
from medlock.oauth import scope
from medlock.oauth.client import Client
from medlock.oauth.lifetimes import ACCESS, ID_TOKEN
from medlock.oauth.people import Person
from medlock.oauth.rows import Approval, Context, encode_context
from medlock.oauth.scope import Asked, covers
from medlock.oauth.signing import SigningKeys
from medlock.oauth.tokenrows import NewToken, Token
from medlock.oauth.tokens import TokenStore

STYLE = "/oauth/smart-style.json"

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """The names of this server. `issuer` ends without a slash; `fhir` is the base of the FHIR API."""

    issuer: str
    fhir: str

    def at(self, path: str) -> str:
        """An absolute address of ours."""
        return self.issuer + path


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a token is made of. `jkt`: the thumbprint of the key it is bound to, or ""."""

    approval: Approval
    person: Person
    client: Client
    scopes: Asked
    now: int
    jkt: str = ""


class Granting:
    """Makes access tokens of approvals, and what is told with them."""

    def __init__(self, tokens: TokenStore, keys: SigningKeys, place: Place) -> None:
        self._tokens = tokens
        self._keys = keys
        self._place = place

    def token(self, wanted: Wanted) -> NewToken:
        """A new access token, to be committed.

        Raises OAuthRefused (invalid_grant) for a patient whom its holder may not choose any more; Denied when it would
        be wider than its approval, which nothing should lead to.
        """
        approval, person, scopes = wanted.approval, wanted.person, wanted.scopes
        if not covers(scope.asked(approval.scopes), scopes):
            raise Denied("a token wider than its approval")
        patient = held_to(person, scopes, approval.context)
        if patient and not person.is_staff and patient not in person.patients:
            raise OAuthRefused(
                "invalid_grant", "What was granted has ended.", reason="they stand in for nobody any more"
            )
        return self._tokens.prepare(
            Token(
                b"",
                person.id,
                person.roles[0].value,
                " ".join(scopes.resources),
                patient,
                wanted.client.id,
                person.purpose,
                wanted.now,
                wanted.now + ACCESS * 1000,
                kind="user",
                words=scopes.text,
                roles=tuple(role.value for role in person.roles),
                approval=approval.id,
                context=encode_context(approval.context),
                fhir_user=person.resource,
                amr=approval.amr,
                acr=approval.acr,
                auth_time=approval.auth_time,
                organisations=person.organisations,
                jkt=wanted.jkt,
            )
        )

    async def answer(self, made: NewToken, wanted: Wanted, *, refresh: str = "", identify: bool = False) -> Answer:
        """What the client is told. `identify`: with an id_token, if it was granted."""
        body = bare_answer(made, wanted.now)
        if refresh:
            body["refresh_token"] = refresh
        if identify and scope.OPENID in wanted.scopes:
            body["id_token"] = await self._id_token(wanted)
        return body | told(wanted.approval.context, wanted.scopes, self._place)

    async def _id_token(self, wanted: Wanted) -> str:
        """Who signed in, how and when (OpenID Connect Core §2)."""
        approval, seconds = wanted.approval, wanted.now // 1000
        claims: dict[str, Any] = {
            "iss": self._place.issuer,
            "aud": wanted.client.id,
            "iat": seconds,
            "exp": seconds + ID_TOKEN,
            "auth_time": approval.auth_time,
        } | identity(wanted.person, wanted.scopes, self._place)
        if approval.nonce:
            claims["nonce"] = approval.nonce
        if approval.acr:
            claims["acr"] = approval.acr
        if approval.amr:
            claims["amr"] = list(approval.amr)
        return (await self._keys.current()).sign(claims)


def held_to(person: Person, scopes: Asked, context: Context) -> str:
    """Whose record the token is held to, "" for none."""
    if Kind.PATIENT in scopes.kinds() or set(person.roles) == {Role.PATIENT}:
        return context.patient
    return ""


def identity(person: Person, scopes: Asked, place: Place) -> dict[str, str]:
    """Who somebody is, as far as the app may know: for id_token and userinfo."""
    told_: dict[str, str] = {"sub": person.id}
    if person.resource and scope.FHIR_USER in scopes:
        told_["fhirUser"] = f"{place.fhir}/{person.resource}"
    if scope.PROFILE in scopes:
        told_["name"] = person.name
        if person.resource:
            told_["profile"] = f"{place.fhir}/{person.resource}"
    return told_


def bare_answer(made: NewToken, now: int) -> Answer:
    """The members that every token answer has."""
    return {
        "access_token": made.secret,
        "token_type": "DPoP" if made.token.jkt else "Bearer",
        "expires_in": (made.token.expires - now) // 1000,
        "scope": made.token.words,
    }


def told(context: Context, scopes: Asked, place: Place) -> Answer:
    """Launch context, as far as it was granted."""
    found: Answer = {}
    launched = scope.LAUNCH in scopes
    if context.patient and (launched or scope.LAUNCH_PATIENT in scopes or Kind.PATIENT in scopes.kinds()):
        found["patient"] = context.patient
    if context.encounter and (launched or scope.LAUNCH_ENCOUNTER in scopes):
        found["encounter"] = context.encounter
    if not launched:
        return found
    found |= {name: value for name in ("intent", "tenant") if (value := getattr(context, name))}
    if context.fhir_context:
        found["fhirContext"] = msgspec.json.decode(context.fhir_context)
    return found | {"need_patient_banner": context.banner, "smart_style_url": place.at(STYLE)}


def as_told(answer: Mapping[str, Any]) -> Answer:
    """Of an answer, what introspection repeats: launch context and no credentials."""
    hidden = {"access_token", "refresh_token", "id_token", "need_patient_banner", "smart_style_url"}
    return {name: value for name, value in answer.items() if name not in hidden}
