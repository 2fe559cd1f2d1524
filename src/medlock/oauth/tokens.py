"""Opaque bearer tokens: 256 random bits, shown once, and a sealed row that says what they stand for.

The row lies under PRF(SHA-256(secret)), sealed by the tenant's token key and bound to that place, so a stolen disk
holds no token and no list of who has one, and a row moved to another place does not open. The full digest is inside
and compared in constant time. The row is fetched on *every* request, so a revocation acts on the next one, from
whichever process; what it says is decoded once and kept for as long as the row's bytes stay the same.

Making and revoking are events in the audit log, in the same commit as the row.

Two kinds lie here. `create` makes tokens for operators, tests and the demo, which stay in the list when they end.
`prepare` makes those of the authorization server (`oauth.granting`): short, found from the approval they came of, and
deleted when they end. Both kinds become a Principal here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Protocol

import msgspec

from medlock.access.mint import mint_principal
from medlock.access.principal import NO_LAUNCH, Launch, Principal, Role
from medlock.access.scopes import NO_SCOPES, parse_scopes
from medlock.audit.events import Action, Event, Outcome
from medlock.clock import Clock
from medlock.errors import NotAuthenticated, NotFound, TokenEnded
from medlock.ids import secret as new_secret
from medlock.oauth.people import Person
from medlock.oauth.requests import PURPOSES, TokenRequest, checked_scopes
from medlock.oauth.rows import ShareLink, decode_context
from medlock.oauth.tokenrows import (
    IssuedToken,
    ListedToken,
    NewToken,
    Token,
    TokenKeys,
    label_of,
    open_token,
    sealed_token,
    token_id_of,
)
from medlock.store.tables import Backend, Batch, Table

KNOWN_MAX = 4_096
_PAGE = 1_000
_SENTENCE = "Send a valid token."


class Sealer(Protocol):
    """The audit log's part: an event as an entry for a batch."""

    def seal(self, *events: Event) -> list[bytes]:
        """The sealed entries."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A row as last seen, and what it said."""

    label: int
    row: bytes
    token: Token
    principal: Principal


class TokenStore:
    """Makes, lists, revokes and recognises tokens."""

    def __init__(self, backend: Backend, keys: TokenKeys, clock: Clock, log: Sealer) -> None:
        self._backend = backend
        self._keys = keys
        self._label_of: Callable[[bytes], int] = keys.token_labels.label
        self._clock = clock
        self._log = log
        self._known: dict[bytes, _Known] = {}

    async def create(self, request: TokenRequest) -> IssuedToken:
        """A new token. Raises BadRequest when what is asked for makes no sense, Unavailable when not durable."""
        scopes = checked_scopes(request)
        secret = new_secret()
        digest = sha256(secret.encode()).digest()
        label = self._label_of(digest)
        now = self._clock.now_ms()
        token = Token(
            digest,
            request.account or f"{request.role}-{token_id_of(label)[:8]}",
            request.role.value,
            scopes.text,
            request.patient,
            request.client,
            request.purpose or PURPOSES[request.role],
            now,
            now + request.seconds * 1000,
        )
        event = self._event(Action.TOKEN_CREATE, request.by, label, token, now)
        batch = Batch(
            inserts=[(Table.TOKEN, label, sealed_token(self._keys, label, token))], entries=self._log.seal(event)
        )
        await self._backend.commit(batch)
        return IssuedToken(token_id_of(label), secret, token.expires)

    async def revoke(self, token_id: str, by: str) -> None:
        """End a token now. Raises NotFound. A second revocation changes nothing."""
        label = label_of(token_id)
        row = await self._backend.get(Table.TOKEN, label)
        if row is None:
            raise NotFound("There is no token with this id; medlock token list shows them.")
        token = open_token(self._keys, label, row)
        if token.revoked:
            return
        now = self._clock.now_ms()
        event = self._event(Action.TOKEN_REVOKE, by, label, token, now)
        ended = msgspec.structs.replace(token, revoked=now)
        batch = Batch(
            puts=[(Table.TOKEN, label, sealed_token(self._keys, label, ended))], entries=self._log.seal(event)
        )
        await self._backend.commit(batch)

    async def every(self) -> list[ListedToken]:
        """Every token that was ever made, newest first."""
        found: list[ListedToken] = []
        after: int | None = None
        while page := await self._backend.scan(Table.TOKEN, after, _PAGE):
            found += [_listed(label, open_token(self._keys, label, row)) for label, row in page]
            after = page[-1][0]
        return sorted(found, key=lambda token: token.created, reverse=True)

    def prepare(self, token: Token) -> NewToken:
        """A token of the authorization server, ready to be committed. `digest` of what is given is filled in."""
        secret = new_secret()
        token = msgspec.structs.replace(token, digest=sha256(secret.encode()).digest())
        label = self._label_of(token.digest)
        roles = token.roles or (token.role,)
        event = Event(
            Action.OAUTH_ISSUE,
            Outcome.SUCCESS,
            token.account,
            roles,
            token.client,
            token.purpose,
            token.created,
            token_id_of(label),
            query=f"{token.kind} token of approval {token.approval or '-'} scopes {token.words}",
        )
        batch = Batch(inserts=[(Table.TOKEN, label, sealed_token(self._keys, label, token))])
        return NewToken(token_id_of(label), label, secret, token, batch, event)

    def is_over(self, label: int, row: bytes, now: int) -> bool:
        """Whether a row is a token of the authorization server that has run out."""
        token = open_token(self._keys, label, row)
        return bool(token.kind) and now >= token.expires

    async def of_client(self, client_id: str) -> list[int]:
        """Where the tokens of the authorization server lie that one client has."""
        found: list[int] = []
        after: int | None = None
        while page := await self._backend.scan(Table.TOKEN, after, _PAGE):
            opened = ((label, open_token(self._keys, label, row)) for label, row in page)
            found += [label for label, token in opened if token.kind and token.client == client_id]
            after = page[-1][0]
        return found

    async def look_up(self, secret: str) -> tuple[int, Token] | None:
        """Where a token lies and what it stands for, if it is valid now: for introspection and revocation."""
        digest = sha256(secret.encode()).digest()
        label = self._label_of(digest)
        row = await self._backend.get(Table.TOKEN, label)
        if row is None:
            return None
        token = open_token(self._keys, label, row)
        lives = compare_digest(token.digest, digest) and not token.revoked and self._clock.now_ms() < token.expires
        return (label, token) if lives else None

    async def authenticate(self, secret: str) -> Principal:
        """Whose token this is. Raises NotAuthenticated, with one sentence for every cause.

        One that is bound to a key is refused here: `authenticate_bound` takes it, with the proof.
        """
        known = await self._valid(secret)
        if known.token.jkt:
            raise NotAuthenticated(_SENTENCE, reason=f"token {token_id_of(known.label)} came without proof of its key")
        return known.principal

    async def still(self, secret: str) -> Principal:
        """Whose token this is, for a request that has shown it, and proof of its key if need be, and is going on.

        Raises NotAuthenticated.
        """
        return (await self._valid(secret)).principal

    async def authenticate_bound(self, secret: str, jkt: str) -> Principal:
        """Whose token this is, for a caller that has just proven to have the key `jkt`. Raises NotAuthenticated."""
        known = await self._valid(secret)
        if not known.token.jkt or not compare_digest(known.token.jkt, jkt):
            raise NotAuthenticated(_SENTENCE, reason=f"token {token_id_of(known.label)} came with proof of another key")
        return known.principal

    async def _valid(self, secret: str) -> _Known:
        """What is known of a token that lives."""
        digest = sha256(secret.encode()).digest()
        known = self._known.get(digest)
        label = known.label if known is not None else self._label_of(digest)
        row = await self._backend.get(Table.TOKEN, label)
        if row is None:
            raise NotAuthenticated(_SENTENCE, reason="unknown token")
        if known is None or row != known.row:
            known = self._recognise(digest, label, row)
        if known.token.revoked:
            raise TokenEnded(_SENTENCE, reason=f"revoked token {token_id_of(label)}")
        if self._clock.now_ms() >= known.token.expires:
            raise TokenEnded(_SENTENCE, reason=f"expired token {token_id_of(label)}")
        return known

    def _recognise(self, digest: bytes, label: int, row: bytes) -> _Known:
        """Decode a row that is new or has changed."""
        token = open_token(self._keys, label, row)
        if not compare_digest(token.digest, digest):
            raise NotAuthenticated(_SENTENCE, reason="unknown token")
        known = _Known(label, row, token, _principal(token))
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        self._known[digest] = known
        return known

    def _event(self, action: Action, by: str, label: int, token: Token, now: int) -> Event:
        """The audit event of an administrative act on a token."""
        about = f"token {token_id_of(label)} account {token.account} role {token.role} scopes {token.scopes}"
        return Event(action, Outcome.SUCCESS, by, (), "", "HSYSADMIN", now, token_id_of(label), query=about)


def _principal(token: Token) -> Principal:
    """The caller a token stands for."""
    context = decode_context(token.context)
    return mint_principal(
        token.account,
        frozenset(map(Role, token.roles or (token.role,))),
        parse_scopes(token.scopes) if token.scopes else NO_SCOPES,
        patient=token.patient,
        client=token.client,
        purpose=token.purpose,
        acr=token.acr,
        organisations=frozenset(token.organisations),
        fhir_user=token.fhir_user,
        launch=Launch(context.patient, context.encounter) if token.context else NO_LAUNCH,
        amr=token.amr,
        auth_time=token.auth_time,
        grant_id=token.approval,
    )


def looker(person: Person, patient: str, client: str) -> Principal:
    """A signed-in person who is about to choose whose record an app shall see: enough to ask for that, and no more.

    They are who their token will say they are, so that a consent which names them binds the choice as well.
    """
    scopes = "patient/Patient.rs patient/Encounter.r" if patient else "user/Patient.rs user/Encounter.r"
    return _signed_in(person, patient, client, scopes)


def log_reader(person: Person, patient: str, client: str) -> Principal:
    """A signed-in patient who looks into the log of their own record, and nothing else."""
    return _signed_in(person, patient, client, "patient/AuditEvent.rs")


def _signed_in(person: Person, patient: str, client: str, scopes: str) -> Principal:
    return mint_principal(
        person.id,
        frozenset(person.roles),
        parse_scopes(scopes),
        patient=patient,
        client=client,
        purpose=person.purpose,
        organisations=frozenset(person.organisations),
        fhir_user=person.resource,
    )


def holder_of(link: ShareLink, recipient: str) -> Principal:
    """Whoever opens a share link: held to its patient, for what the patient asked, by the name that they gave."""
    return mint_principal(
        link.id,
        frozenset({Role.LINK}),
        parse_scopes(link.scopes),
        patient=link.patient,
        client=recipient,
        purpose=PURPOSES[Role.LINK],
        auth_strength="link",
    )


def _listed(label: int, token: Token) -> ListedToken:
    """A token as the list shows it."""
    names = ListedToken.__dataclass_fields__.keys() - {"id"}
    return ListedToken(id=token_id_of(label), **{name: getattr(token, name) for name in names})
