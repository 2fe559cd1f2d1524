"""`medlock password-policy`: the rules for passwords, their clauses, and the operator's own list of known ones."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer
from rich.table import Table
from rich.text import Text

from medlock.access.principal import Role
from medlock.console import DEFAULT_DIRECTORY, AsJson, DataDir, people, run, settings_for, show_json
from medlock.identity.passwords.blocklist import IMPORTED, imported, shipped
from medlock.identity.passwords.importing import Imported, import_list
from medlock.identity.passwords.profiles import PasswordPolicy, Policies, described, policies
from medlock.settings import Settings

Command = Callable[..., None]


class Desk(Protocol):
    """An open data directory; `app.App` is one."""

    async def note_password_list(self, about: str) -> None:
        """Write down that the operator is about to import a list. Raises Unavailable."""


class Open(Protocol):
    """Opens a data directory; `create` makes it when it is new."""

    def __call__(self, settings: Settings, *, create: bool = False) -> AbstractAsyncContextManager[Desk]:
        """For the length of a block. Raises SetupError."""


def show(data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
    """Show each role's rules, the clauses behind them, where they go against a standard, and the lists in use."""
    settings = settings_for(data_dir)
    chosen = policies(settings.password_policy)
    shown = {"policies": _by_policy(chosen), "lists": _lists(settings.data_dir)}
    if json:
        show_json(shown)
        return
    console = people()
    for policy in shown["policies"]:
        console.print(Text.assemble("\n", (policy["profile"], "bold"), f" for {', '.join(policy['roles'])}"))
        console.print(_table(policy["rules"]))
    for each in shown["lists"]:
        console.print(f"{each['entries']:,} known passwords ({each['list']}), one false alarm in {each['one_in']:,}")


def _by_policy(chosen: Policies) -> list[dict[str, Any]]:
    """Every policy in force once, with the roles that it holds for."""
    roles: dict[PasswordPolicy, list[str]] = {}
    for role in Role:
        roles.setdefault(chosen.of([role]), []).append(role.value)
    return [
        {"profile": policy.profile, "roles": names, "rules": [asdict(each) for each in described(policy)]}
        for policy, names in roles.items()
    ]


def _table(rules: list[dict[str, Any]]) -> Table:
    table = Table("rule", "what it asks", "clauses", "goes against")
    for each in rules:
        table.add_row(each["rule"], each["sentence"], "\n".join(each["clauses"]), each["deviates"])
    return table


def _lists(data_dir: Path) -> list[dict[str, Any]]:
    named = {"shipped": shipped(), "imported": imported(data_dir)}
    return [
        {"list": name, "entries": len(each), "one_in": round(1 / each.false_positive_rate)}
        for name, each in named.items()
        if each is not None and len(each)
    ]


def import_(open_: Open) -> Command:
    """The command, over what opens a data directory."""

    def command(
        file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="One a line: SHA-1:count, or text.")],
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Import a fuller list of known passwords, in the place of one imported before; ours stays beside it."""
        settings = settings_for(data_dir)
        done = run(_import(open_, settings, file))
        if json:
            show_json(asdict(done))
        else:
            people().print(
                f"{done.entries:,} digests of {done.lines:,} lines ({done.passed_over:,} too short or not text). "
                "Servers take it up when they start or reload."
            )

    return command


async def _import(open_: Open, settings: Settings, file: Path) -> Imported:
    async with open_(settings) as desk:
        await desk.note_password_list("password list import")
        return import_list(file, settings.data_dir / IMPORTED)


def password_app(open_: Open) -> typer.Typer:
    """`medlock password-policy`."""
    app = typer.Typer(help="Rules for passwords.", no_args_is_help=True)
    app.command("show")(show)
    app.command("import")(import_(open_))
    return app
