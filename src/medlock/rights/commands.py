"""`medlock sharing`: a patient's sharing from a command line, with the patient's own token, over HTTPS.

It opens no data directory: whoever runs the machine has no way here to decide for a patient. What somebody records for
a patient at a desk goes through FHIR, in the role that has that task (consent-recorder).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

import orjson
import typer
from rich.table import Column, Table

from medlock.console import AsJson, people, run, show_json
from medlock.errors import BadRequest, Conflict, MedlockError, NotFound, Unavailable
from medlock.oauth.commands import seconds_of

_JSON = (("content-type", "application/json"), ("accept", "application/json"))
_PASSCODE = "Passcode of the link: first line of a file; one is made otherwise."

Server = Annotated[str, typer.Option(envvar="MEDLOCK_SERVER", help="Address of the server: https://localhost:8443")]
Token = Annotated[
    Path, typer.Option(help="File with the patient's own token; - reads standard input.", allow_dash=True)
]
Authority = Annotated[Path | None, typer.Option(help="Certificate authority of the server.", dir_okay=False)]


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    method: str
    target: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = _JSON


class Answer(Protocol):
    """What came back."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def body(self) -> bytes:
        """What it says."""


class Caller(Protocol):
    """Sends a request to the server."""

    async def call(self, ask: Call, token: str) -> Answer:
        """The answer. Raises Unavailable."""


Callers = Callable[[str, Path | None], AbstractAsyncContextManager[Caller]]
"""Opens a client for one server: its address, and the authority that its certificate comes from."""


class SharingCommands:
    """The commands. `callers` opens the client: this package makes no connections."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    def list_(self, server: Server, token_file: Token, ca: Authority = None, json: AsJson = False) -> None:
        """List what the patient shares, and the links that are open."""
        found = self._ask(_At(server, token_file, ca), Call("GET", "/sharing"))
        if json:
            show_json(found)
            return
        table = Table(Column("id", no_wrap=True), "decision", "with", "for", "data", "until")
        for each in (*found["shares"], *found["links"]):
            table.add_row(
                each["id"],
                each["decision"],
                each.get("label") or "\n".join(each.get("recipients", ["everybody"])),
                " ".join(each.get("purposes", ["any purpose"])),
                " ".join(each.get("data", ["all"])),
                each.get("period", {}).get("end", "withdrawn"),
            )
        people().print(table)

    def grant(  # noqa: PLR0917 - each is an option on the command line
        self,
        server: Server,
        token_file: Token,
        recipient: Annotated[
            list[str] | None, typer.Option("--with", help="Practitioner/1, CareTeam/1, Organization/1 or app:CLIENT.")
        ] = None,
        purpose: Annotated[
            list[str] | None, typer.Option(help="Purpose of use, such as TREAT; may be repeated.")
        ] = None,
        data: Annotated[
            list[str] | None, typer.Option(help="Class of data, such as normal or hiv; all if none.")
        ] = None,
        type_: Annotated[
            list[str] | None, typer.Option("--type", help="Resource type, where the site takes R4.")
        ] = None,
        since: Annotated[str, typer.Option("--from", help="Date from which it holds.")] = "",
        until: Annotated[str, typer.Option(help="Date until which it holds.")] = "",
        data_since: Annotated[str, typer.Option("--data-from", help="Only data from this date on.")] = "",
        data_until: Annotated[str, typer.Option(help="Only data up to this date.")] = "",
        deny: Annotated[bool, typer.Option("--deny", help="Keep it from them instead.")] = False,
        ca: Authority = None,
        json: AsJson = False,
    ) -> None:
        """Share with somebody, or keep something from them."""
        wish = {
            "decision": "deny" if deny else "permit",
            "recipients": recipient or [],
            "purposes": purpose or [],
            "data": data or [],
            "types": type_ or [],
            "period": _span(since, until),
            "dataPeriod": _span(data_since, data_until),
        }
        made = self._ask(_At(server, token_file, ca), Call("POST", "/sharing", orjson.dumps(wish)))
        _show(made, f"{made.get('share', {}).get('id')} stands. Revoke it: medlock sharing revoke ID", json=json)

    def revoke(
        self,
        server: Server,
        token_file: Token,
        id_: Annotated[str, typer.Argument(metavar="ID", help="A rule or link, as the list names it.")],
        ca: Authority = None,
        json: AsJson = False,
    ) -> None:
        """Take a rule or link back; it holds no more from the next request on."""
        ended = self._ask(_At(server, token_file, ca), Call("DELETE", f"/sharing/{_name(id_)}"))
        _show(ended, f"{id_} is withdrawn.", json=json)

    def receipt(
        self,
        server: Server,
        token_file: Token,
        id_: Annotated[str, typer.Argument(metavar="ID", help="A rule or link, also one that was withdrawn.")],
        ca: Authority = None,
        json: AsJson = False,
    ) -> None:
        """Print the signed receipt of a rule as JSON; with --json in one line."""
        found = self._ask(_At(server, token_file, ca), Call("GET", f"/sharing/{_name(id_)}/receipt"))
        _show(found, orjson.dumps(found, option=orjson.OPT_INDENT_2).decode(), json=json)

    def link(  # noqa: PLR0917 - each is an option on the command line
        self,
        server: Server,
        token_file: Token,
        data: Annotated[list[str] | None, typer.Option(help="Class of data, such as normal; all if none.")] = None,
        type_: Annotated[list[str] | None, typer.Option("--type", help="Resource type; all if none.")] = None,
        expires_in: Annotated[str, typer.Option(help="Life of the link: 30m, 8h, 90d.")] = "7d",
        passcode_file: Annotated[Path | None, typer.Option(help=_PASSCODE, dir_okay=False)] = None,
        lasting: Annotated[bool, typer.Option("--lasting", help="It may be opened more than once.")] = False,
        label: Annotated[str, typer.Option(help="What the link is for, as its receiver sees it.")] = "",
        ca: Authority = None,
        json: AsJson = False,
    ) -> None:
        """Make a share link (SMART Health Link). Link and passcode are shown once; send them by different ways."""
        wish = {
            "data": data or [],
            "types": type_ or [],
            "expiresIn": seconds_of(expires_in),
            "passcode": "" if passcode_file is None else _first_line(passcode_file),
            "lasting": lasting,
            "label": label,
        }
        made = self._ask(_At(server, token_file, ca), Call("POST", "/share-links", orjson.dumps(wish)))
        told = f"{made.get('link')}\npasscode {made.get('passcode')}\nid {made.get('id')}, until {made.get('expires')}"
        _show(made, told, json=json)

    def _ask(self, at: _At, call: Call) -> Mapping[str, Any]:
        return run(self._asked(at, call))

    async def _asked(self, at: _At, call: Call) -> Mapping[str, Any]:
        """The server's answer. Raises what the server said it is."""
        async with self._callers(at.server.rstrip("/"), at.ca) as caller:
            answer = await caller.call(call, _token(at.token))
        if answer.status < 400:
            found: Mapping[str, Any] = orjson.loads(answer.body)
            return found
        raise _refused(answer)


@dataclass(frozen=True, slots=True)
class _At:
    """Which server, as whom."""

    server: str
    token: Path
    ca: Path | None


def _refused(answer: Answer) -> MedlockError:
    """The error that an answer tells of, with the server's own sentences."""
    sentence = _sentences(answer.body) or f"The server answered {answer.status}."
    kinds = {401: NotFound, 403: NotFound, 404: NotFound, 409: Conflict, 412: Conflict}
    return (Unavailable if answer.status >= 500 else kinds.get(answer.status, BadRequest))(sentence)


def _sentences(body: bytes) -> str:
    """What an OperationOutcome says."""
    try:
        issues = orjson.loads(body).get("issue", ())
    except (orjson.JSONDecodeError, AttributeError):
        return ""
    said = [(each.get("details") or {}).get("text") or each.get("diagnostics", "") for each in issues]
    return " ".join(dict.fromkeys(each for each in said if each))


def _token(file: Path) -> str:
    return sys.stdin.readline().strip() if str(file) == "-" else _first_line(file)


def _first_line(file: Path) -> str:
    """Raises BadRequest, never with the file's text."""
    try:
        return file.read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError):
        raise BadRequest(f"{file} cannot be read.") from None


def _span(start: str, end: str) -> dict[str, str]:
    return {name: value for name, value in (("start", start), ("end", end)) if value}


def _name(id_: str) -> str:
    """An id as part of an address. Raises BadRequest."""
    if not id_.replace("-", "").isalnum() or not id_.isascii():
        raise BadRequest("An id is of letters, digits and dashes: medlock sharing list shows them.")
    return id_


def _show(found: Mapping[str, Any], told: str, *, json: bool) -> None:
    if json:
        show_json(found)
    else:
        people().print(told, soft_wrap=True)


def sharing_app(callers: Callers) -> typer.Typer:
    """The commands, to be mounted."""
    commands = SharingCommands(callers)
    app = typer.Typer(no_args_is_help=True, help="What a patient shares, with the patient's own token.")
    app.command("list")(commands.list_)
    app.command("grant")(commands.grant)
    app.command("revoke")(commands.revoke)
    app.command("receipt")(commands.receipt)
    app.command("link")(commands.link)
    return app
