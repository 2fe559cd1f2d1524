"""`medlock deid …`: de-identification of files. Each command is defined in its area and mounted here."""

from __future__ import annotations

import typer

from medlock.deid.audit.commands import add_audit
from medlock.deid.audit.report_commands import add_report
from medlock.deid.audit.watch_commands import add_watch
from medlock.deid.fhir.commands import add_fhir
from medlock.deid.tabular.budgets import add_budgets
from medlock.deid.tabular.commands import add_table
from medlock.deid.text.commands import add_text


def deid_app() -> typer.Typer:
    """The `deid` commands. They work on files and touch no store."""
    app = typer.Typer(no_args_is_help=True, help="De-identify files.")
    app.callback()(_deid)
    add_table(app)
    add_budgets(app)
    add_fhir(app)
    add_text(app)
    add_audit(app)
    add_report(app)
    add_watch(app)
    return app


def _deid() -> None:
    """De-identification of files; no store is touched."""
