"""`medlock deid …`: de-identification of files. Each command is defined in its area and mounted here."""

from __future__ import annotations

import typer

from medlock.deid.tabular.budgets import add_budgets
from medlock.deid.tabular.commands import add_table


def deid_app() -> typer.Typer:
    """The `deid` commands. They work on files and touch no store."""
    app = typer.Typer(no_args_is_help=True, help="De-identify files.")
    add_table(app)
    add_budgets(app)
    return app
