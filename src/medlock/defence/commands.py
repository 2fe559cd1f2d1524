"""`medlock leaktest`: try to learn of records that one may not see, at medlock or at any other FHIR server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Annotated, Protocol

import msgspec
import typer
from rich.progress import Progress
from rich.table import Table

from medlock.access.principal import Role
from medlock.console import AsJson, Exit, aside, people, run, settings_for, show_json
from medlock.defence.leaktest.actors import NEEDED, WRITER, Actor, actors
from medlock.defence.leaktest.attempts import Caller
from medlock.defence.leaktest.report import for_people, for_programs, without_tokens
from medlock.defence.leaktest.run import LeakTest, Outcome
from medlock.errors import BadRequest
from medlock.oauth.requests import TokenRequest
from medlock.oauth.tokens import TokenStore
from medlock.settings import Settings

_TOKEN_SECONDS = 3_600
_BY = "cli:leaktest"

Callers = Callable[[str, Path | None], AbstractAsyncContextManager[Caller]]
"""Opens a client for one server: its FHIR base address, and the authority that its certificate comes from."""


class Desk(Protocol):
    """An open data directory; `app.App` is one."""

    @property
    def tokens(self) -> TokenStore:
        """The tokens."""


class Open(Protocol):
    """Opens a data directory."""

    def __call__(self, settings: Settings, *, create: bool = False) -> AbstractAsyncContextManager[Desk]:
        """For the length of a block. Raises SetupError."""


class LeakTestCommand:
    """The command. `callers` opens the client: this package makes no connections."""

    def __init__(self, open_: Open, callers: Callers) -> None:
        self._open = open_
        self._callers = callers

    def leaktest(  # noqa: PLR0917 - each is an option on the command line
        self,
        base: Annotated[str, typer.Argument(help="The server's FHIR address, such as https://localhost:8443/fhir.")],
        ca: Annotated[Path | None, typer.Option(help="Certificate authority of the server.", dir_okay=False)] = None,
        tokens: Annotated[
            Path | None, typer.Option(help="JSON file: actor → token. --actors lists who is needed.", dir_okay=False)
        ] = None,
        data_dir: Annotated[
            Path | None, typer.Option(help="medlock's own data directory: tokens are made there, and ended.")
        ] = None,
        timing: Annotated[int, typer.Option(min=0, max=1_000, help="Rounds of timed pairs; 0 times nothing.")] = 60,
        tag: Annotated[str, typer.Option(help="What the ids of the family begin with.")] = "leaktest",
        keep: Annotated[bool, typer.Option("--keep", help="Leave the family on the server.")] = False,
        json: AsJson = False,
    ) -> None:
        """Write a synthetic family, have everybody try to learn of it, and say what came out. Not for live servers."""
        outcome = run(self._tested(base, ca, _Asked(tokens, data_dir, tag, timing, keep)))
        if json:
            show_json(for_programs(outcome))
        else:
            people().print("\n".join(for_people(outcome)), soft_wrap=True, markup=False)
        if outcome.findings:
            raise typer.Exit(Exit.FINDINGS)

    async def _tested(self, base: str, ca: Path | None, asked: _Asked) -> Outcome:
        """Tokens, the family, the attempts; the family goes again, and the tokens end, whatever happens."""
        async with self._tokens(asked) as held, self._callers(base, ca) as caller:
            everybody = actors(held)
            test = LeakTest(caller, held[WRITER.name], asked.tag, asked.timing)
            await test.settle()
            try:
                return without_tokens(await _tried(test, everybody), held)
            finally:
                if not asked.keep:
                    await test.leave()

    @asynccontextmanager
    async def _tokens(self, asked: _Asked) -> AsyncIterator[dict[str, str]]:
        """Actor → token: out of the file, or made in the data directory. Raises BadRequest."""
        if (asked.tokens is None) == (asked.data_dir is None):
            raise BadRequest("Give either --tokens FILE or --data-dir DIR; medlock leaktest-actors lists the tokens.")
        if asked.tokens is not None:
            yield _read(asked.tokens)
            return
        async with self._open(settings_for(asked.data_dir or Path())) as desk:
            made = {}
            try:
                for needed in (*NEEDED, WRITER):
                    if needed.role:
                        made[needed.name] = await desk.tokens.create(
                            _request(needed.role, needed.scopes, needed.person, asked.tag)
                        )
                yield {name: issued.secret for name, issued in made.items()}
            finally:
                for issued in made.values():
                    await desk.tokens.revoke(issued.id, _BY)


class _Asked(msgspec.Struct, frozen=True):
    """What the command line says."""

    tokens: Path | None
    data_dir: Path | None
    tag: str
    timing: int
    keep: bool


def list_actors(json: AsJson = False) -> None:
    """List the tokens that a leak test needs, for servers that are not medlock."""
    if json:
        show_json(
            [
                {"actor": each.name, "role": each.role, "scopes": each.scopes, "person": each.person, "is": each.says}
                for each in (*NEEDED, WRITER)
            ]
        )
        return
    table = Table("actor", "who that is", "role in medlock", "scopes", "held to Patient")
    for each in (*NEEDED, WRITER):
        table.add_row(each.name, each.says, each.role, each.scopes, f"leaktest-{each.person}" if each.person else "")
    people().print(table)


async def _tried(test: LeakTest, everybody: list[Actor]) -> Outcome:
    """All attempts, with a bar that counts them."""
    with Progress(console=aside(), transient=True) as progress:
        bar = progress.add_task("attempts", total=None)
        return await test.run(everybody, lambda: progress.advance(bar))


def _read(file: Path) -> dict[str, str]:
    """Tokens out of a file. Raises BadRequest, never with its text."""
    try:
        found = msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        raise BadRequest(f"{file} is no JSON object of actor and token.") from None
    if WRITER.name not in found:
        raise BadRequest(f"{file} has no token of the writer, who may write and read all of the family.")
    return found


def _request(role: str, scopes: str, person: str, tag: str) -> TokenRequest:
    """What a token is to be."""
    patient = f"{tag}-{person}" if person else ""
    return TokenRequest(Role(role), _BY, scopes, patient, client="leaktest", seconds=_TOKEN_SECONDS)


def add_leaktest(cli: typer.Typer, open_: Open, callers: Callers) -> None:
    """Mount the commands."""
    cli.command("leaktest")(LeakTestCommand(open_, callers).leaktest)
    cli.command("leaktest-actors")(list_actors)
