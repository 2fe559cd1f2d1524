"""`medlock client register | list | show | approve | disable | secret | keys | invite`: apps that ask for access."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar

import typer
from rich.table import Column, Table

from medlock.access.principal import Role
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
from medlock.errors import BadRequest
from medlock.oauth.administering import Administration
from medlock.oauth.clerk import LOUD, Clerk
from medlock.oauth.client import Kind, Policy
from medlock.oauth.commands import seconds_of
from medlock.oauth.registering import Registration
from medlock.settings import Settings

Done = TypeVar("Done")
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
        facts = run(self._act(data_dir, lambda clerk: clerk.register(asked_for, operator_name()), create=True))
        if pkce_optional:
            aside().print(LOUD)
        _tell(facts, as_json=json)

    async def _act(self, data_dir: Path, act: Callable[[Clerk], Awaitable[Done]], *, create: bool = False) -> Done:
        """What the clerk does in an open directory."""
        async with self._open(settings_for(data_dir), create=create) as desk:
            return await act(desk.oauth.clerk)

    def list_(self, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """List every app, those that wait to be approved too."""
        clients = run(self._act(data_dir, lambda clerk: clerk.every()))
        if json:
            show_json(clients)
            return
        table = Table(Column("id", no_wrap=True), "name", "kind", "status", "verified")
        for client in clients:
            verified = "yes" if client["verified"] else "no"
            table.add_row(client["client_id"], client["name"], client["kind"], client["status"], verified)
        people().print(table)

    def show(self, client_id: ClientId, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """Show everything about one app, its secret aside, which nobody has."""
        _tell(run(self._act(data_dir, lambda clerk: clerk.one(client_id))), as_json=json)

    def approve(
        self,
        client_id: ClientId,
        verified: Annotated[bool, typer.Option("--verified", help="You have checked who is behind it.")] = False,
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Let an app begin that registered itself, or that was disabled."""
        act = self._act(data_dir, lambda clerk: clerk.approve(client_id, operator_name(), verified=verified))
        _tell(run(act), as_json=json)

    def disable(self, client_id: ClientId, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """End an app and all that it was given; its next request is refused, on every server process."""
        _tell(run(self._act(data_dir, lambda clerk: clerk.disable(client_id, operator_name()))), as_json=json)

    def secret(self, client_id: ClientId, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """Give a symmetric app another secret, shown once; the one before is refused at once."""
        _tell(run(self._act(data_dir, lambda clerk: clerk.secret(client_id, operator_name()))), as_json=json)

    def keys(
        self,
        client_id: ClientId,
        jwks: Annotated[Path | None, typer.Option(help="A file with its JWK Set.")] = None,
        jwks_url: Annotated[str, typer.Option(help="Where its JWK Set is fetched.")] = "",
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Give an asymmetric app other keys; those before are refused at once."""
        given = _read(jwks)
        act = self._act(data_dir, lambda clerk: clerk.keys(client_id, operator_name(), given, jwks_url))
        _tell(run(act), as_json=json)

    def invite(
        self,
        uses: Annotated[int, typer.Option(help="How many apps may register with it.")] = 1,
        expires_in: Annotated[str, typer.Option(help="Its life: 30m, 8h, 7d.")] = "7d",
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Make an initial token, with which an app registers itself and may begin at once (RFC 7591)."""
        seconds = seconds_of(expires_in)
        act = self._act(data_dir, lambda clerk: clerk.invite(operator_name(), uses, seconds), create=True)
        _tell(run(act), as_json=json)


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
    app.command("keys")(mine.keys)
    app.command("invite")(mine.invite)
    return app
