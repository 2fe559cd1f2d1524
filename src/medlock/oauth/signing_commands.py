"""`medlock oauth keys rotate | list`: the keys that sign id_tokens."""

from __future__ import annotations

import typer
from rich.table import Column, Table

from medlock.clock import instant
from medlock.console import DEFAULT_DIRECTORY, AsJson, DataDir, operator_name, people, run, settings_for, show_json
from medlock.oauth.client_commands import Open
from medlock.oauth.rows import Key
from medlock.settings import Settings


class SigningCommands:
    """The commands."""

    def __init__(self, open_: Open) -> None:
        self._open = open_

    def rotate(self, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """Sign with a new key from now on; the one before stays published until nothing it signed is valid."""
        kid = run(self._rotate(settings_for(data_dir)))
        if json:
            show_json({"kid": kid})
        else:
            people().print(f"Key {kid} signs from now on.", soft_wrap=True)

    async def _rotate(self, settings: Settings) -> str:
        async with self._open(settings, create=True) as desk:
            return await desk.oauth.keys.rotate(operator_name())

    def list_(self, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """List the keys that are published, without what is secret of them."""
        keys = [_shown(key) for key in run(self._every(settings_for(data_dir)))]
        if json:
            show_json(keys)
            return
        table = Table(Column("kid", no_wrap=True), "algorithm", "made", "retired")
        for key in keys:
            table.add_row(*key.values())
        people().print(table)

    async def _every(self, settings: Settings) -> tuple[Key, ...]:
        async with self._open(settings) as desk:
            return await desk.oauth.keys.every()


def _shown(key: Key) -> dict[str, str]:
    """A key as the list has it."""
    retired = instant(key.retired) if key.retired else ""
    return {"kid": key.kid, "algorithm": key.algorithm, "made": instant(key.created), "retired": retired}


def oauth_app(open_: Open) -> typer.Typer:
    """`medlock oauth`."""
    app = typer.Typer(help="The authorization server.", no_args_is_help=True)
    keys = typer.Typer(help="Keys that sign id_tokens.", no_args_is_help=True)
    mine = SigningCommands(open_)
    keys.command("rotate")(mine.rotate)
    keys.command("list")(mine.list_)
    app.add_typer(keys, name="keys")
    return app
