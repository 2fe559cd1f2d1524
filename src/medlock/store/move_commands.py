"""`medlock migrate-store`: the records go from the file in the data directory to PostgreSQL, beside running servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Protocol

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from medlock.clock import Clock
from medlock.console import DEFAULT_DIRECTORY, AsJson, DataDir, aside, people, run, settings_for, show_json
from medlock.errors import SetupError
from medlock.settings import Settings
from medlock.store.backends import demand_address, postgres_module
from medlock.store.leaving import leaving_file, moved_to
from medlock.store.migrating import Migrated, Migration, Turn
from medlock.store.opening import DATA, open_keystore


class Desk(Protocol):
    """An open data directory; `app.App` is one."""

    async def note_move(self, about: str) -> None:
        """Write down that the operator is about to move the store. Raises Unavailable."""


class Open(Protocol):
    """Opens a data directory; `create` makes it when it is new."""

    def __call__(self, settings: Settings, *, create: bool = False) -> AbstractAsyncContextManager[Desk]:
        """For the length of a block. Raises SetupError."""


Command = Callable[..., None]


def migrate_store(open_: Open) -> Command:
    """The command, over what opens a data directory."""

    def command(
        to: Annotated[
            str, typer.Option("--to", envvar="MEDLOCK_STORE", help="The empty database: postgresql://role@host/name.")
        ] = "",
        abandon: Annotated[bool, typer.Option("--abandon", help="Give an unfinished move up: the file stays.")] = False,
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Move the records from the file to PostgreSQL while servers run. Run again after an interruption."""
        settings = settings_for(data_dir, store="")
        if abandon:
            _abandon(settings.data_dir / DATA)
            return
        demand_address(to)
        done = run(_migrate(open_, settings, to))
        if json:
            show_json(asdict(done))
        else:
            people().print(_said(done), soft_wrap=True)

    return command


async def _migrate(open_: Open, settings: Settings, to: str) -> Migrated:
    """(1) Write down, (2) move, (3) let the database be opened. Raises SetupError, Unavailable, Tampered."""
    file = settings.data_dir / DATA
    mark = moved_to(file) if file.exists() else None
    arriving = postgres_module("arriving")
    async with arriving.arriving_database(to, _store_of(settings)) as target:
        if mark is None:
            async with open_(settings) as desk:
                await desk.note_move("to PostgreSQL")
            with leaving_file(file) as source, _progress() as turn:
                done = await Migration(source, target, Clock().now_ms, turn).run()
        elif mark == target.mark:
            done = Migrated()  # everything had arrived when the command was interrupted
        else:
            raise SetupError("The records were moved to another database than this one: name that one.")
        await target.open_to_all()
    return done


def _store_of(settings: Settings) -> bytes:
    """The name of the keystore."""
    keystore = open_keystore(settings, Clock())
    try:
        return keystore.store_id
    finally:
        keystore.close()


def _abandon(file: Path) -> None:
    if file.exists() and moved_to(file) is not None:
        raise SetupError("The records were moved already: this move can no longer be given up.")
    with leaving_file(file) as source:
        source.abandon()
    people().print("The file stays the store. Drop the database that was to be filled.")


@contextmanager
def _progress() -> Iterator[Turn]:
    """One bar on stderr for each table that has rows, when that is a terminal."""
    console = aside()
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        tasks: dict[str, int] = {}

        def turn(table: str, reached: int, last: int) -> None:
            if table not in tasks:
                tasks[table] = int(bar.add_task(table, total=None))
            bar.update(tasks[table], completed=reached, total=last)  # type: ignore[arg-type]

        yield turn


def _said(done: Migrated) -> str:
    return (
        f"{done.rows} rows are in PostgreSQL, every one checked; writers waited {done.held_ms} ms. Servers on the file "
        "now answer 503: start them with MEDLOCK_STORE. Run medlock verify with it, then remove medlock.db."
    )
