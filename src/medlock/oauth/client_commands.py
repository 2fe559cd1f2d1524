"""`medlock client register | list | show | approve | disable | secret | invite`: the apps that may ask for access."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer
from rich.table import Column, Table

from medlock.access.principal import Role
from medlock.clock import instant
from medlock.console import (
    DEFAULT_DIRECTORY,
    AsJson,
    DataDir,
    aside,
    operator_name,
    people,
    run,
    settings_for,
    show_json,
)
from medlock.errors import BadRequest, NotFound
from medlock.oauth.administering import Administration
from medlock.oauth.client import Client, Kind, Policy, Status
from medlock.oauth.commands import seconds_of
from medlock.oauth.registering import Registration
from medlock.settings import Settings

LOUD = (
    "This client may do without PKCE: a code that somebody intercepts is worth something. Use it for an old client "
    "only, and end it when that client is renewed."
)
ClientId = Annotated[str, typer.Argument(help="The client's id.")]


class Desk(Protocol):
    """An open data directory; `app.App` is one."""

    @property
    def oauth(self) -> Administration:
        """Clients and what they were given."""


class Open(Protocol):
    """Opens a data directory; `create` makes it when it is new."""

    def __call__(self, settings: Settings, *, create: bool = False) -> AbstractAsyncContextManager[Desk]:
        """For the length of a block. Raises SetupError."""


class ClientCommands:
    """The commands."""

    def __init__(self, open_: Open) -> None:
        self._open = open_

    def register(  # noqa: PLR0917 - each is an option on the command line
        self,
        name: Annotated[str, typer.Argument(help="What people are shown.")],
        kind: Annotated[Kind, typer.Option(help="How it proves who it is.")] = Kind.PUBLIC,
        id_: Annotated[str, typer.Option("--id", help="Its id; drawn when it is left out.")] = "",
        redirect: Annotated[list[str] | None, typer.Option(help="A redirect URI; may be repeated.")] = None,
        launch_url: Annotated[str, typer.Option(help="Where the portal launches it.")] = "",
        scope: Annotated[list[str] | None, typer.Option(help="What it may ask for; may be repeated.")] = None,
        jwks: Annotated[Path | None, typer.Option(help="A file with its JWK Set.")] = None,
        jwks_url: Annotated[str, typer.Option(help="Where its JWK Set is fetched.")] = "",
        policy: Annotated[
            Policy, typer.Option(help="smart, or high: own keys and pushed requests only.")
        ] = Policy.SMART,
        role: Annotated[Role, typer.Option(help="As what it acts for itself.")] = Role.BACKEND,
        origin: Annotated[list[str] | None, typer.Option(help="Where its scripts come from; may be repeated.")] = None,
        verified: Annotated[bool, typer.Option("--verified", help="You have checked who is behind it.")] = False,
        require_par: Annotated[bool, typer.Option("--require-par", help="Pushed requests only.")] = False,
        dpop_bound: Annotated[bool, typer.Option("--dpop-bound", help="Tokens bound to a key only.")] = False,
        introspects: Annotated[
            bool, typer.Option("--introspects", help="It may ask about tokens of any client.")
        ] = False,
        pkce_optional: Annotated[
            bool, typer.Option("--pkce-optional", help="It may do without PKCE. For old clients only.")
        ] = False,
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Register an app. Its secret, if it has one, is shown once and cannot be shown again."""
        asked_for = Registration(
            name,
            kind,
            id_,
            tuple(redirect or ()),
            launch_url,
            " ".join(scope or ()),
            (),
            _read(jwks),
            jwks_url,
            policy,
            require_par,
            dpop_bound,
            pkce_optional,
            verified,
            introspects,
            role,
            tuple(origin or ()),
        )
        client, secret = run(self._register(settings_for(data_dir), asked_for))
        if pkce_optional:
            aside().print(LOUD)
        _tell(shown(client) | ({"client_secret": secret} if secret else {}), as_json=json)

    async def _register(self, settings: Settings, asked_for: Registration) -> tuple[Client, str]:
        async with self._open(settings, create=True) as desk:
            return await desk.oauth.clients.register(asked_for, operator_name())

    def list_(self, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """List every app, those that wait to be approved too."""
        clients = run(self._every(settings_for(data_dir)))
        if json:
            show_json([shown(client) for client in clients])
            return
        table = Table(Column("id", no_wrap=True), "name", "kind", "status", "verified")
        for client in clients:
            verified = "yes" if client.verified else "no"
            table.add_row(client.id, client.name, client.kind, client.status, verified)
        people().print(table)

    async def _every(self, settings: Settings) -> list[Client]:
        async with self._open(settings) as desk:
            return await desk.oauth.clients.every()

    def show(self, client_id: ClientId, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """Show everything about one app, its secret aside, which nobody has."""
        _tell(shown(run(self._one(settings_for(data_dir), client_id))), as_json=json)

    async def _one(self, settings: Settings, client_id: str) -> Client:
        async with self._open(settings) as desk:
            held = await desk.oauth.clients.find(client_id)
        if held is None:
            raise NotFound("There is no client of this id; medlock client list shows them.")
        return held.value

    def approve(
        self,
        client_id: ClientId,
        verified: Annotated[bool, typer.Option("--verified", help="You have checked who is behind it.")] = False,
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Let an app begin that registered itself, or that was disabled."""
        changes = {"status": Status.ACTIVE} | ({"verified": True} if verified else {})
        _tell(shown(run(self._change(settings_for(data_dir), client_id, changes))), as_json=json)

    def disable(self, client_id: ClientId, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """End an app and all that it was given; its next request is refused, on every server process."""
        _tell(shown(run(self._disable(settings_for(data_dir), client_id))), as_json=json)

    async def _change(self, settings: Settings, client_id: str, changes: dict[str, Any]) -> Client:
        async with self._open(settings) as desk:
            return await desk.oauth.clients.change(client_id, operator_name(), changes)

    async def _disable(self, settings: Settings, client_id: str) -> Client:
        async with self._open(settings) as desk:
            client = await desk.oauth.clients.change(client_id, operator_name(), {"status": Status.DISABLED})
            await desk.oauth.endings.end_client(client_id, operator_name())
            return client

    def secret(self, client_id: ClientId, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """Give a symmetric app another secret, shown once; the one before is refused at once."""
        secret = run(self._secret(settings_for(data_dir), client_id))
        _tell({"client_id": client_id, "client_secret": secret}, as_json=json)

    async def _secret(self, settings: Settings, client_id: str) -> str:
        async with self._open(settings) as desk:
            return await desk.oauth.clients.new_secret(client_id, operator_name())

    def invite(
        self,
        uses: Annotated[int, typer.Option(help="How many apps may register with it.")] = 1,
        expires_in: Annotated[str, typer.Option(help="Its life: 30m, 8h, 7d.")] = "7d",
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Make an initial token, with which an app registers itself and may begin at once (RFC 7591)."""
        token = run(self._invite(settings_for(data_dir), uses, seconds_of(expires_in)))
        _tell({"initial_access_token": token, "uses": str(uses)}, as_json=json)

    async def _invite(self, settings: Settings, uses: int, seconds: int) -> str:
        async with self._open(settings, create=True) as desk:
            return await desk.oauth.joining.invite(operator_name(), uses, seconds)


def shown(client: Client) -> dict[str, Any]:
    """A client as lists show it: all but its secret and the keys themselves."""
    return {
        "client_id": client.id,
        "name": client.name,
        "kind": client.kind.value,
        "status": client.status.value,
        "verified": client.verified,
        "policy": client.policy.value,
        "grant_types": list(client.grants),
        "scopes": client.scopes,
        "redirect_uris": list(client.redirect_uris),
        "launch_url": client.launch_url,
        "jwks_url": client.jwks_url,
        "has_jwks": bool(client.jwks),
        "origins": list(client.origins),
        "role": client.role,
        "require_par": client.require_par,
        "dpop_bound": client.dpop_bound,
        "pkce_optional": client.pkce_optional,
        "introspects": client.introspects,
        "registered": instant(client.created),
        "registered_by": client.registered_by,
    }


def _read(file: Path | None) -> bytes:
    """A file with keys. Raises BadRequest."""
    try:
        return b"" if file is None else file.read_bytes()
    except OSError:
        raise BadRequest("The file with the JWK Set cannot be read.") from None


def _tell(facts: dict[str, Any], *, as_json: bool) -> None:
    """On stdout, for a program or a person."""
    if as_json:
        show_json(facts)
        return
    for name, value in facts.items():
        said = " ".join(value) if isinstance(value, list) else value
        people().print(f"{name}: {said}", soft_wrap=True)


def client_app(open_: Open) -> typer.Typer:
    """`medlock client`."""
    app = typer.Typer(help="Apps that may ask for access (OAuth clients).", no_args_is_help=True)
    mine = ClientCommands(open_)
    app.command("register")(mine.register)
    app.command("list")(mine.list_)
    app.command("show")(mine.show)
    app.command("approve")(mine.approve)
    app.command("disable")(mine.disable)
    app.command("secret")(mine.secret)
    app.command("invite")(mine.invite)
    return app
