"""`medlock routes`: every address that the server answers to, with what it declares. It needs no data and no server."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import typer

from medlock.console import AsJson, people, show_json
from medlock.settings import MIB, from_environment
from medlock.web.inventory import Row, rows

_HEAD = ("address", "method", "permission", "rate", "weight", "body", "refuses as", "origins", "interaction")
_KIB = 1024


def list_routes(json: AsJson = False) -> None:
    """List every address and method with its permission, rate class, weight, body limit and origins."""
    found = rows(from_environment().limits)
    if json:
        show_json([msgspec.structs.asdict(row) for row in found])
        return
    for line in table(found):
        people().print(line, soft_wrap=True, markup=False)


def table(found: Iterable[Row]) -> list[str]:
    """The rows as a table in Markdown; docs/routes.md is it."""
    lines = [_line(_HEAD), _line(["---"] * len(_HEAD))]
    return lines + [_line(_cells(row)) for row in found]


def _cells(row: Row) -> list[str]:
    shown = [f"`{row.path}`", row.method, row.permission, row.rate, str(row.weight), _size(row.body)]
    return [*shown, row.face, row.cors, row.interaction]


def _size(size: int) -> str:
    """Bytes as people write them."""
    if not size:
        return "none"
    return f"{size // MIB} MiB" if size >= MIB else f"{size // _KIB} KiB"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def add_routes(cli: typer.Typer) -> None:
    """Mount the command."""
    cli.command("routes")(list_routes)
