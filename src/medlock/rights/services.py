"""Everything of rights in one process, put together: for the web."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from medlock.access.principal import Principal
from medlock.errors import SetupError
from medlock.oauth.administering import Administration
from medlock.oauth.client import Status
from medlock.oauth.clients import Clients
from medlock.oauth.people import People
from medlock.rights.links import Ground, Hashing, Links
from medlock.rights.opening import Opening
from medlock.rights.receipts import Notice, receipt_of, signed
from medlock.rights.shares import Json
from medlock.rights.sharing import Door, Place, Sharing
from medlock.settings import Settings

_ORGANISATION: Final = re.compile(r"Organization/[A-Za-z0-9\-.]{1,64}")


@dataclass(frozen=True, slots=True)
class Secrets:
    """Passcodes are hashed by `hashing`; `files` is a key of this store for the files of links."""

    hashing: Hashing
    files: bytes


class RegisteredApps:
    """`sharing.Apps` over the authorization server's clients."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    async def known(self, client_id: str) -> bool:
        """Whether an app that may act is registered by this id."""
        held = await self._clients.find(client_id)
        return held is not None and held.value.status is Status.ACTIVE


class Rights:
    """Sharing, its receipts, and links. Raises SetupError for settings that make no sense."""

    def __init__(self, settings: Settings, door: Door, desk: Administration, secrets: Secrets, people: People) -> None:
        if settings.controller and _ORGANISATION.fullmatch(settings.controller) is None:
            raise SetupError("MEDLOCK_CONTROLLER names an Organization of this server: Organization/id.")
        base = settings.base_url
        on = Ground(desk.rows, secrets.hashing, secrets.files, base.removesuffix("/fhir"), people)
        place = Place(base, settings.controller, settings.cleared)
        self.sharing = Sharing(door, desk.rows.clock, place, RegisteredApps(desk.clients))
        self.links = Links(on, self.sharing)
        self.opening = Opening(on, door, base)
        self._controller = settings.controller
        self._keys = desk.keys
        self._notice = Notice(base, settings.jurisdiction, settings.privacy_policy)

    async def receipt(self, who: Principal, id_: str) -> Json:
        """The signed receipt of a rule, as it stands or as it was withdrawn. Raises Denied, NotFound."""
        moment = await self.sharing.moment(who, id_)
        begun = await self.sharing.begun(who, id_)
        controller = await self.sharing.resource(who, self._controller) if self._controller else None
        return await signed(receipt_of(moment, begun, controller, self._notice), self._keys)
