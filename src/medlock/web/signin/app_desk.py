"""`ports.Apps` over the authorization server: requests, decisions, and what a person has let apps do."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from medlock.errors import NotFound
from medlock.oauth import authorize
from medlock.oauth.people import ANYBODY, Sought
from medlock.oauth.rows import Approval
from medlock.oauth.scope import asked
from medlock.oauth.server import AuthorizationServer
from medlock.oauth.wording import lines
from medlock.web.signin.ports import AppRequest, AppView, NeedSignIn, Place, ToApp, Visitor


@dataclass(frozen=True, slots=True)
class Seated:
    """`oauth.people.SignedIn` of a visitor: when they last proved who they are is when they authenticated."""

    id: str
    account: str
    amr: tuple[str, ...]
    acr: str
    auth_time: int


class AppDesk:
    """What apps ask for, and what they have."""

    def __init__(self, server: AuthorizationServer) -> None:
        self._server = server

    async def begin(
        self, fields: tuple[tuple[str, str], ...], visitor: Visitor | None, place: Place
    ) -> ToApp | NeedSignIn | AppRequest:
        """A request at the authorisation endpoint."""
        return _shown(await self._server.authorize.begin(fields, _seated(visitor), place.address))

    async def resume(
        self, handle: str, visitor: Visitor | None, sought: Sought = ANYBODY
    ) -> ToApp | NeedSignIn | AppRequest:
        """The same request, later."""
        return _shown(await self._server.authorize.resume(handle, _seated(visitor), sought))

    async def decide(self, handle: str, visitor: Visitor, scopes: tuple[str, ...], patient: str) -> ToApp:
        """What they allow; nothing: they refused."""
        found = await self._server.authorize.decide(handle, seat(visitor), scopes, patient)
        return ToApp(found.address)

    async def of(self, visitor: Visitor) -> list[AppView]:
        """Apps that may reach something of theirs, one line each, however often they were let in."""
        approvals = sorted(await self._server.endings.of(visitor.account), key=lambda each: each.client)
        return [
            await self._app(client, list(each)) for client, each in groupby(approvals, key=lambda each: each.client)
        ]

    async def revoke(self, visitor: Visitor, app: str) -> None:
        """All that they let this app do ends."""
        mine = [each.id for each in await self._server.endings.of(visitor.account) if each.client == app]
        if not mine:
            raise NotFound("This app has no access.")
        for approval in mine:
            await self._server.endings.end_approval(approval, "its owner ended it", visitor.account)

    async def _app(self, client_id: str, approvals: list[Approval]) -> AppView:
        client = await self._server.clients.find(client_id)
        granted = asked(" ".join(dict.fromkeys(scope for each in approvals for scope in each.scopes.split())))
        return AppView(
            client_id,
            client.value.name if client else client_id,
            verified=client is not None and client.value.verified,
            scopes=tuple(line.words for line in lines(granted)),
            granted=min(each.created for each in approvals),
            used=max(each.used for each in approvals),
            until=max(each.ends for each in approvals),
        )


def seat(visitor: Visitor) -> Seated:
    """A visitor, as the authorization server takes them."""
    return Seated(visitor.session, visitor.account, visitor.methods, visitor.acr, visitor.proven)


def _seated(visitor: Visitor | None) -> Seated | None:
    return None if visitor is None else seat(visitor)


def _shown(found: authorize.Next) -> ToApp | NeedSignIn | AppRequest:
    """What the pages do next."""
    if isinstance(found, authorize.Redirect):
        return ToApp(found.address, found.reason)
    if isinstance(found, authorize.NeedSignIn):
        return NeedSignIn(found.handle, found.redirect)
    view = found.view
    return AppRequest(
        found.handle,
        view.name,
        view.verified,
        view.redirect,
        view.lines,
        view.patients,
        view.minutes,
        view.days,
        searchable=view.searchable,
        more=view.more,
    )
