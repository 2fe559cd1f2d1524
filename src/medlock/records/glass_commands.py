"""`medlock break-glass …`: the queue of emergency accesses, through the door as the privacy officer."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, suppress
from enum import StrEnum
from typing import Annotated, Any, Protocol

import orjson
import typer
from rich.table import Column, Table

from medlock.access.principal import Role
from medlock.console import DEFAULT_DIRECTORY, AsJson, DataDir, people, run, settings_for, show_json
from medlock.errors import Denied, NotFound
from medlock.fhir.options import CaseOptions
from medlock.fhir.question import Interaction, Question
from medlock.identity.services import Identity
from medlock.identity.two_persons import is_own
from medlock.records.commands import Desk
from medlock.records.disclosure import Disclosure
from medlock.settings import Settings

CaseId = Annotated[str, typer.Argument(help="The case, as medlock break-glass list calls it.")]
_COLUMNS = ("opened", "person", "patient", "reason", "due", "status", "outcome")


class Reviewing(Desk, Protocol):
    """An open data directory in which it can be told whose an account is."""

    @property
    def identity(self) -> Identity:
        """The accounts."""


class Open(Protocol):
    """Opens a data directory."""

    def __call__(self, settings: Settings) -> AbstractAsyncContextManager[Reviewing]:
        """For the length of a block. Raises SetupError."""


class Status(StrEnum):
    """Which cases."""

    OPEN = "open"
    OVERDUE = "overdue"
    REVIEWED = "reviewed"
    ALL = "all"


class Outcome(StrEnum):
    """What was found."""

    JUSTIFIED = "justified"
    NOT_JUSTIFIED = "not-justified"


class GlassCommands:
    """The commands."""

    def __init__(self, open_: Open) -> None:
        self._open = open_

    def list_(
        self,
        status: Annotated[
            Status, typer.Option(help="Which: those to review, overdue, reviewed, or all.")
        ] = Status.OPEN,
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """List emergency accesses, the latest first; what is overdue, and who opens often, is said."""
        found = self._asked(data_dir, Interaction.BREAK_GLASS_CASES, CaseOptions(status=status.value))
        if json:
            show_json(found)
            return
        table = Table(Column("id", no_wrap=True), *_COLUMNS)
        for case in found:
            often = f" ({case['openedThatDay']} that day)" if case["often"] else ""
            person = case.get("person", case["account"]) + often
            row = case | {"person": person, "status": case["status"].upper() if _late(case) else case["status"]}
            table.add_row(row["id"], *(str(row.get(name, "")) for name in _COLUMNS))
        people().print(table)

    def show(self, case: CaseId, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """Show one, with what was read and written in its time, by name."""
        self._tell(self._asked(data_dir, Interaction.BREAK_GLASS_CASES, CaseOptions(case)), json=json)

    def review(
        self,
        case: CaseId,
        outcome: Annotated[Outcome, typer.Option(help="What you found.")],
        note: Annotated[str, typer.Option(help="Why; needed where it was not justified.")] = "",
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Say what was found of one, once. The patient sees it. What was not justified ends now."""
        options = CaseOptions(case, outcome=outcome.value, note=note, text=f"case={case}&outcome={outcome.value}")
        self._tell(self._asked(data_dir, Interaction.BREAK_GLASS_REVIEW, options), json=json)

    def end(self, case: CaseId, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """End one before its time; the next request sees the record as it was before."""
        options = CaseOptions(case, text=f"case={case}")
        self._tell(self._asked(data_dir, Interaction.BREAK_GLASS_END, options), json=json)

    def _asked(self, data_dir: Any, interaction: Interaction, options: CaseOptions) -> list[dict[str, Any]]:
        """The cases in the answer to one question."""
        return run(self._ask(settings_for(data_dir), Question(interaction, options=options)))

    async def _ask(self, settings: Settings, question: Question) -> list[dict[str, Any]]:
        async with self._open(settings) as desk:
            door, who = desk.records.door, desk.operator(Role.PRIVACY_OFFICER)
            if question.interaction is Interaction.BREAK_GLASS_REVIEW and isinstance(question.options, CaseOptions):
                look = Question(Interaction.BREAK_GLASS_CASES, options=CaseOptions(question.options.case))
                for case in _cases(await door.answer(who, look)):
                    await _refuse_own(desk, case["account"], who.account)
            return _cases(await door.answer(who, question))

    @staticmethod
    def _tell(found: list[dict[str, Any]], *, json: bool) -> None:
        for case in found:
            if json:
                show_json(case)
                continue
            for name, value in case.items():
                shown = "\n".join(_line(each) for each in value) if name == "did" else value
                people().print(f"{name}: {', '.join(shown) if isinstance(shown, list) else shown}", soft_wrap=True)


async def _refuse_own(desk: Reviewing, account: str, operator: str) -> None:
    """An operator is known by the name they type under: not that of the account whose case it is. Raises Denied."""
    with suppress(NotFound):
        if is_own(await desk.identity.accounts.get(account), operator):
            raise Denied("nobody reviews their own emergency access")


def _cases(answer: Disclosure) -> list[dict[str, Any]]:
    return [_plain(each["part"]) for each in orjson.loads(answer.body).get("parameter", [])]


def _late(case: dict[str, Any]) -> bool:
    return bool(case["status"] == Status.OVERDUE)


def _line(did: dict[str, Any]) -> str:
    times = f" {did['times']} times until {did['last']}" if "times" in did else ""
    return f"\n  {did['at']} {did['act']}{times} {' '.join(did.get('resource', []))}".rstrip()


def _plain(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Parts by name; what may come several times as a list."""
    found: dict[str, Any] = {}
    for each in parts:
        name, value = each["name"], _plain(each["part"]) if "part" in each else _value(each)
        if name in {"role", "did", "resource"}:
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


def _value(part: dict[str, Any]) -> Any:
    value = next(value for key, value in part.items() if key.startswith("value"))
    return value["reference"] if isinstance(value, dict) else value


def glass_app(open_: Open) -> typer.Typer:
    """`medlock break-glass`."""
    app = typer.Typer(help="Emergency accesses, and their review.", no_args_is_help=True)
    mine = GlassCommands(open_)
    app.command("list")(mine.list_)
    app.command("show")(mine.show)
    app.command("review")(mine.review)
    app.command("end")(mine.end)
    return app
