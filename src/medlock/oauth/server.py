"""The authorization server as one object: its parts, put together. `app.py` hands in what lies outside."""

from __future__ import annotations

from dataclasses import dataclass

from medlock.oauth.administering import Administration
from medlock.oauth.asking import Asking
from medlock.oauth.assertions import Assertions
from medlock.oauth.authenticating import Authenticator
from medlock.oauth.authorize import Around, Authorize
from medlock.oauth.client import CODE, CREDENTIALS, REFRESH
from medlock.oauth.credentials import Credentials
from medlock.oauth.discovery import PAR, TOKEN
from medlock.oauth.exchanging import Exchange
from medlock.oauth.granting import Granting, Place
from medlock.oauth.introspecting import Introspection
from medlock.oauth.keysets import Fetch, KeySets
from medlock.oauth.launching import Launching
from medlock.oauth.people import People, Sight, Sittings
from medlock.oauth.proofs import Proofs
from medlock.oauth.pushing import Pushing
from medlock.oauth.redeeming import Redeeming
from medlock.oauth.refreshing import Refreshing
from medlock.oauth.revoking import Revocation
from medlock.oauth.userinfo import UserInfo


@dataclass(frozen=True, slots=True)
class Outside:
    """What the authorization server needs and is not its own. `fetch` None: it fetches nothing."""

    people: People
    sittings: Sittings
    sight: Sight
    fetch: Fetch | None


class AuthorizationServer:
    """Every endpoint's logic; HTTP is `web.oauth_api`'s, pages are `web.signin`'s."""

    def __init__(self, desk: Administration, place: Place, outside: Outside) -> None:
        rows, tokens = desk.rows, desk.tokens
        self.rows = rows
        self.place = place
        self.tokens = tokens
        self.clients = desk.clients
        self.endings = desk.endings
        self.keys = desk.keys
        self.joining = desk.joining
        self.proofs = Proofs(rows)
        audiences = frozenset({place.issuer, place.at(TOKEN)})
        sets = KeySets(rows.clock, outside.fetch)
        authenticator = Authenticator(self.clients, Assertions(rows, self.clients, sets, audiences))
        asking = Asking(rows, self.clients, place.fhir)
        self.exchange = self._exchange(authenticator, outside)
        self.introspection = Introspection(rows, tokens, self.clients, authenticator, place)
        self.revocation = Revocation(rows, tokens, authenticator, self.endings)
        self.pushing = Pushing(rows, authenticator, asking, self.proofs, place.at(PAR))
        self.userinfo = UserInfo(tokens, outside.people, place)
        self.launching = Launching(rows, self.clients, outside.people, outside.sight, place.fhir)
        around = Around(rows, self.clients, outside.people, outside.sight, asking, self.launching, place)
        self.authorize = Authorize(around)

    def _exchange(self, authenticator: Authenticator, outside: Outside) -> Exchange:
        """The token endpoint."""
        rows, people = self.rows, outside.people
        granting = Granting(self.tokens, self.keys, self.place)
        grants = {
            CODE: Redeeming(rows, people, granting, self.endings).answer,
            REFRESH: Refreshing(rows, people, outside.sittings, granting, self.endings).answer,
            CREDENTIALS: Credentials(rows, self.tokens).answer,
        }
        return Exchange(rows, authenticator, self.proofs, grants, self.place.at(TOKEN))
