"""Share links in the form of SMART Health Links: made and ended by the patient. docs/spec/sharing.md §3.

A link is a rule of the patient's sharing, for whoever has it: it stands in the Consent like any other, and the engine
asks it again at every opening. Beside it lies one sealed row, with what the Consent must not hold: a digest of the
secret in the address and the hash of the passcode. No file is kept: `opening` makes it while it is fetched. The key
that it is encrypted with is made of the secret in the address and a key of this store, so neither is of use alone.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Final, Protocol

import msgspec

from medlock.access.decide import allowed
from medlock.access.groups import SHARED_BY_LINK
from medlock.access.principal import Principal
from medlock.access.scopes import READ, SEARCH
from medlock.audit.events import Action
from medlock.clock import instant
from medlock.crypto.kdf import extract
from medlock.errors import Denied, MedlockError, Problem, Unprocessable
from medlock.fhir.searchparams import RESOURCE_TYPES
from medlock.ids import random_bytes, secret
from medlock.oauth.handles import new_name
from medlock.oauth.people import People
from medlock.oauth.rows import Rows, ShareLink
from medlock.oauth.sharelinks import forget, told
from medlock.rights.shares import Share, Span, link_share
from medlock.rights.sharing import Sharing
from medlock.store.cabinet import Held

SECONDS_MIN, SECONDS_MAX, SECONDS = 60, 90 * 86_400, 7 * 86_400
PASSCODE_MIN, PASSCODE_MAX, LABEL_MAX = 6, 128, 80
_DIGITS: Final = 8
_LOOK: Final = READ | SEARCH
_KEY: Final = b"medlock/1/share-link-file|"


class LinkWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What a link is to be. `types` "": the whole record; `passcode` "": one is made; `lasting`: more than once."""

    data: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    expires_in: int = SECONDS
    passcode: str = ""
    lasting: bool = False
    label: str = ""


class MadeLink(msgspec.Struct, frozen=True, rename="camel"):
    """A link as it is shown once: nobody can read it again."""

    id: str
    link: str
    url: str
    passcode: str
    expires: str


class Hashing(Protocol):
    """Passcodes as Argon2id; `identity.factors.password.Hashing` is one."""

    async def made(self, password: str) -> str:
        """A new hash."""

    async def matches(self, encoded: str, password: str) -> bool:
        """Whether a passcode is the one behind a hash."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What links stand on. `pepper` is a key of this store that lies apart from the rows."""

    rows: Rows
    hashing: Hashing
    pepper: bytes
    issuer: str
    people: People


class Links:
    """Makes and ends them."""

    def __init__(self, on: Ground, sharing: Sharing) -> None:
        self._on = on
        self._sharing = sharing

    async def make(self, who: Principal, wish: LinkWish) -> MadeLink:
        """A link for whoever has it and its passcode, to no more than its maker may see with their token.

        Raises Denied, Unprocessable, BadRequest, Conflict, Unavailable.
        """
        _check(wish)
        scopes = _scopes(who, wish)
        await self._sharing.standing(who)
        now, id_, hidden = self._on.rows.clock.now_ms(), new_name(), secret()
        expires = now + wish.expires_in * 1_000
        share = link_share(id_, wish.data, Span(instant(now), instant(expires)), wish.label)
        passcode = wish.passcode or _new_passcode()
        hashed = await self._on.hashing.made(passcode)
        digest, by = digest_of(hidden), who.account if who.grant_id else ""
        link = ShareLink(id_, who.patient, digest, hashed, scopes, wish.lasting, now, expires, by=by)
        await self._begin(who, share, link)
        url = f"{self._on.issuer}/shl/{id_}.{hidden}"
        shown = _shlink(url, file_key(self._on.pepper, hidden), expires, wish)
        return MadeLink(id_, shown, url, passcode, instant(expires))

    async def end(self, who: Principal, id_: str) -> None:
        """End a link, like every rule: its row goes with it. Raises Denied, NotFound, Conflict."""
        await self._sharing.withdraw(who, id_)
        held = await self.held(id_)
        if held is not None and held.value.patient == who.patient:
            await forget(self._on.rows, held, who.account)

    async def held(self, id_: str) -> Held[ShareLink] | None:
        """The row of a link."""
        return await self._on.rows.links.get(self._on.rows.links.key(id_))

    async def _begin(self, who: Principal, share: Share, link: ShareLink) -> None:
        """The row first: without its rule it opens nothing, and does not stay."""
        rows = self._on.rows
        event = told(link, Action.LINK_MAKE, who.account, link.made)
        await rows.commit(rows.links.insert(rows.links.key(link.id), link), event)
        try:
            await self._sharing.add(who, share)
        except MedlockError:
            held = await self.held(link.id)
            if held is not None:
                await forget(rows, held, who.account)
            raise


def names(link: ShareLink, hidden: str) -> bool:
    """Whether the secret in an address is the link's own; in constant time."""
    return compare_digest(link.digest, digest_of(hidden))


def digest_of(hidden: str) -> bytes:
    """What is kept of the secret in an address."""
    return sha256(hidden.encode()).digest()


def file_key(pepper: bytes, hidden: str) -> bytes:
    """The key of the files that a link shows."""
    return extract(pepper, _KEY + hidden.encode())


def _scopes(who: Principal, wish: LinkWish) -> str:
    """What a link may read: the types that are wished, or all that its maker may see. Raises Denied.

    A scope with a query shows part of a type, which a link cannot: its maker would give more than they see.
    """
    if who.scopes.narrows:
        raise Denied("a link from a token whose scopes show part of a type")
    seen = {each for each in (*SHARED_BY_LINK, *wish.types) if allowed(who, each) & _LOOK == _LOOK}
    if not seen.issuperset(wish.types) or not seen:
        raise Denied("a link to types that its maker may not read and search with these scopes")
    types = wish.types or (("*",) if seen >= SHARED_BY_LINK else sorted(seen))
    return " ".join(f"patient/{each}.rs" for each in types)


def _check(wish: LinkWish) -> None:
    problems = [problem for problem in _faults(wish) if problem is not None]
    if problems:
        raise Unprocessable("This link cannot be made as it stands.", problems=tuple(problems))


def _faults(wish: LinkWish) -> Sequence[Problem | None]:
    life = f"A link lives from {SECONDS_MIN} seconds to {SECONDS_MAX // 86_400} days."
    code = f"A passcode has {PASSCODE_MIN} to {PASSCODE_MAX} characters that can be printed."
    fits = not wish.passcode or (PASSCODE_MIN <= len(wish.passcode) <= PASSCODE_MAX and wish.passcode.isprintable())
    label = f"A label has at most {LABEL_MAX} characters that can be printed."
    return (
        None if SECONDS_MIN <= wish.expires_in <= SECONDS_MAX else Problem("value", life, "expiresIn"),
        None if fits else Problem("value", code, "passcode"),
        None if len(wish.label) <= LABEL_MAX and (wish.label.isprintable()) else Problem("value", label, "label"),
        None if set(wish.types) <= RESOURCE_TYPES else Problem("value", "Types are FHIR resource types.", "types"),
    )


def _new_passcode() -> str:
    """Eight random digits: with ten attempts in all, one guess in ten million succeeds."""
    return f"{int.from_bytes(random_bytes(8), 'big') % 10**_DIGITS:0{_DIGITS}d}"


def _shlink(url: str, key: bytes, expires: int, wish: LinkWish) -> str:
    """`shlink:/` and the payload (SMART Health Links §"Construct a SMART Health Link Payload")."""
    payload = {"url": url, "key": _base64(key), "exp": expires // 1_000, "flag": "LP" if wish.lasting else "P", "v": 1}
    if wish.label:
        payload["label"] = wish.label
    return "shlink:/" + _base64(msgspec.json.encode(payload))


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
