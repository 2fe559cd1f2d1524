"""`medlock session list | end`: who is signed in, and ending it. docs/cli.md."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Column, Table

from medlock.clock import instant
from medlock.console import DEFAULT_DIRECTORY, AsJson, DataDir, operator_name, people, show_json
from medlock.errors import NotFound
from medlock.identity.commands import At, Open, find
from medlock.identity.services import Identity
from medlock.identity.sessions import Session


class SessionCommands:
    """The commands."""

    def __init__(self, at: At) -> None:
        self._at = at

    def list_(
        self,
        account: Annotated[str, typer.Option(help="Only this account's: id or user name.")] = "",
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """List sessions that last, the one used last first."""

        async def act(identity: Identity) -> list[Session]:
            if account:
                return await identity.sessions.of((await find(identity, account)).id)
            return sorted([each async for each in identity.sessions.every()], key=lambda each: -each.seen)

        found = self._at(data_dir, act)
        if json:
            show_json([_plain(session) for session in found])
            return
        table = Table(Column("id", no_wrap=True), "user name", "by", "address", "begun", "used", "ends")
        for session in found:
            shown = _plain(session)
            by = " ".join(session.amr)
            table.add_row(session.id, session.login, by, session.address, shown["begun"], shown["used"], shown["ends"])
        people().print(table)

    def end(
        self,
        session: Annotated[str, typer.Argument(help="Id of a session; with --all, id or user name of an account.")],
        every: Annotated[bool, typer.Option("--all", help="End all sessions of an account.")] = False,
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """End a session; the next request in it is refused, by every server process."""

        async def act(identity: Identity) -> int:
            if every:
                return await identity.sessions.end_all((await find(identity, session)).id, by=operator_name())
            owners = [each.account async for each in identity.sessions.every() if each.id == session]
            if not owners:
                raise NotFound("There is no such session; medlock session list shows them.")
            await identity.sessions.end(owners[0], session, operator_name())
            return 1

        ended = self._at(data_dir, act)
        if json:
            show_json({"ended": ended})
        else:
            people().print(f"Ended {ended} session{'s' * (ended != 1)}.")


def _plain(session: Session) -> dict[str, Any]:
    """A session for programs; its secret is not kept."""
    return {
        "id": session.id,
        "account": session.account,
        "login": session.login,
        "methods": list(session.amr),
        "acr": session.acr,
        "address": session.address,
        "agent": session.agent,
        "begun": instant(session.created),
        "used": instant(session.seen),
        "ends": instant(session.expires),
        "unsettled": session.unsettled,
    }


def session_app(open_: Open) -> typer.Typer:
    """`medlock session`."""
    app = typer.Typer(help="Who is signed in.", no_args_is_help=True)
    mine = SessionCommands(At(open_))
    app.command("list")(mine.list_)
    app.command("end")(mine.end)
    return app
