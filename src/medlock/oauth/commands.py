"""`medlock token create | list | revoke`: bearer tokens, until sign-in and OAuth make them."""

from __future__ import annotations

import re
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from typing import Annotated, Protocol

import typer
from rich.table import Column, Table

from medlock.access.principal import Role
from medlock.access.roles import TREATS
from medlock.clock import instant
from medlock.console import DEFAULT_DIRECTORY, AsJson, DataDir, operator_name, people, run, settings_for, show_json
from medlock.errors import BadRequest, Conflict
from medlock.oauth.requests import TokenRequest
from medlock.oauth.tokenrows import IssuedToken, ListedToken
from medlock.oauth.tokens import TokenStore
from medlock.settings import Settings, two_persons

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Desk(Protocol):
    """An open data directory; `app.App` is one."""

    @property
    def tokens(self) -> TokenStore:
        """The tokens."""


class Open(Protocol):
    """Opens a data directory; `create` makes it when it is new."""

    def __call__(self, settings: Settings, *, create: bool = False) -> AbstractAsyncContextManager[Desk]:
        """For the length of a block. Raises SetupError."""


class TokenCommands:
    """The commands."""

    def __init__(self, open_: Open) -> None:
        self._open = open_

    def create(  # noqa: PLR0917 - each is an option on the command line
        self,
        role: Annotated[Role, typer.Option(help="What the holder is here for.")],
        scope: Annotated[
            list[str] | None, typer.Option(help="SMART scope such as user/Observation.rs; may be repeated.")
        ] = None,
        patient: Annotated[str, typer.Option(help="Hold the token to this Patient's record.")] = "",
        account: Annotated[str, typer.Option(help="Name of the holder in the audit log.")] = "",
        client: Annotated[str, typer.Option(help="Name of the app in the audit log.")] = "",
        purpose: Annotated[str, typer.Option(help="Purpose of use, such as TREAT.")] = "",
        expires_in: Annotated[str, typer.Option(help="Life of the token: 90s, 30m, 8h, 90d.")] = "8h",
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Make a bearer token. It is shown once and cannot be shown again."""
        request = TokenRequest(
            role, operator_name(), " ".join(scope or ()), patient, account, client, purpose, seconds_of(expires_in)
        )
        issued = run(self._create(settings_for(data_dir), request))
        expires = instant(issued.expires)
        if json:
            show_json({"token": issued.secret, "expires": expires, "id": issued.id})
        else:
            people().print(f"{issued.secret}\nid {issued.id}, expires {expires}", soft_wrap=True)

    async def _create(self, settings: Settings, request: TokenRequest) -> IssuedToken:
        if request.role in TREATS and two_persons(settings):
            raise Conflict("Access to records takes two persons here: make an account that another operator approves.")
        async with self._open(settings, create=True) as desk:
            return await desk.tokens.create(request)

    def list_(self, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """List every token ever made, without the secrets, which nobody has."""
        tokens = run(self._every(settings_for(data_dir)))
        if json:
            show_json([asdict(token) | _times(token) for token in tokens])
            return
        table = Table(Column("id", no_wrap=True), "account", "role", "scopes", "patient", "expires", "revoked")
        for token in tokens:
            times = _times(token)
            table.add_row(
                token.id, token.account, token.role, token.scopes, token.patient, times["expires"], times["revoked"]
            )
        people().print(table)

    async def _every(self, settings: Settings) -> list[ListedToken]:
        async with self._open(settings) as desk:
            return await desk.tokens.every()

    def revoke(
        self,
        token_id: Annotated[str, typer.Argument(help="The token's id, from token create or token list.")],
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """End a token; the next request with it is refused, on every server process."""
        run(self._revoke(settings_for(data_dir), token_id))
        if json:
            show_json({"revoked": token_id})
        else:
            people().print(f"Revoked {token_id}.")

    async def _revoke(self, settings: Settings, token_id: str) -> None:
        async with self._open(settings) as desk:
            await desk.tokens.revoke(token_id, operator_name())


def seconds_of(text: str) -> int:
    """A span such as 90s, 30m, 8h or 90d in seconds. Raises BadRequest."""
    form = re.fullmatch(r"([0-9]{1,9})([smhd])", text)
    if form is None:
        raise BadRequest("A span of time is written 90s, 30m, 8h or 90d.")
    return int(form[1]) * _UNITS[form[2]]


def _times(token: ListedToken) -> dict[str, str]:
    """The times of a token as instants; "" for one that was not revoked."""
    return {
        "created": instant(token.created),
        "expires": instant(token.expires),
        "revoked": instant(token.revoked) if token.revoked else "",
    }


def token_app(open_: Open) -> typer.Typer:
    """`medlock token`."""
    app = typer.Typer(help="Bearer tokens.", no_args_is_help=True)
    mine = TokenCommands(open_)
    app.command("create")(mine.create)
    app.command("list")(mine.list_)
    app.command("revoke")(mine.revoke)
    return app
