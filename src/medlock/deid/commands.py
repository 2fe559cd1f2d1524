"""`medlock deid`: de-identification on files; the commands live beside their packages."""

from __future__ import annotations

import typer

from medlock.deid.text.commands import add_text


def deid_app() -> typer.Typer:
    """`medlock deid`."""
    app = typer.Typer(help="De-identification.", no_args_is_help=True)
    app.callback()(_deid)
    add_text(app)
    return app


def _deid() -> None:
    """De-identification of files; no store is touched."""
