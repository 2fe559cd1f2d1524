"""`medlock deid watch`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from medlock.clock import Clock
from medlock.console import AsJson, Exit, people, show_json
from medlock.deid.audit.schedule import read_schedule
from medlock.deid.audit.watching import Looked, turn

LOOK_SECONDS = 60
Schedule = Annotated[Path, typer.Argument(help="The schedule, a TOML file.", dir_okay=False)]
Once = Annotated[bool, typer.Option("--once", help="Run what is due and end: for cron or a systemd timer.")]


def watch_command(schedule: Schedule, once: Once = False, json: AsJson = False) -> None:
    """Run the audits of a schedule when they are due, and take back releases that do not hold any more."""
    clock = Clock()
    while True:
        now = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
        held = [_told(looked, json=json).held for looked in turn(read_schedule(schedule), now)]
        if once:
            break
        time.sleep(LOOK_SECONDS)
    if not all(held):
        raise typer.Exit(Exit.FINDINGS)


def _told(looked: Looked, *, json: bool) -> Looked:
    """Show one result, as a line."""
    if json:
        show_json(looked.plain())
    else:
        what = looked.error or ("held" if looked.held else "blocked")
        aside = "; what was released is set aside" if looked.withdrawn else ""
        people().print(f"{looked.name}: {what.rstrip('.')}{aside}.", markup=False, soft_wrap=True)
    return looked


def add_watch(app: typer.Typer) -> None:
    """Mount the command."""
    app.command("watch")(watch_command)
