"""`medlock consents unclear`: what the audit log tells a privacy officer of consents that cannot be evaluated.

Through the door like everybody's questions: the operator asks as a privacy officer, who sees the log and no records,
and that they looked is written down.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Annotated, Any
from urllib.parse import parse_qs, urlsplit

import orjson
import typer

from medlock.access.principal import Principal, Role
from medlock.audit.codings import UNCLEAR
from medlock.clock import instant
from medlock.console import DEFAULT_DIRECTORY, AsJson, DataDir, people, run, settings_for, show_json
from medlock.fhir.grammar import parse_search
from medlock.fhir.question import Interaction, Question
from medlock.records.commands import Open
from medlock.records.door import Door

PAGE = 500
_DAY_MS = 86_400_000
_CONSENT = "Consent/"
Notice = dict[str, str]


async def notices(door: Door, principal: Principal, days: int) -> list[Notice]:
    """What was told in the last so many days, newest first. Raises Denied."""
    return [notice async for event in _events(door, principal, days) for notice in _notices(event)]


async def _events(door: Door, principal: Principal, days: int) -> AsyncIterator[Mapping[str, Any]]:
    """The events, page by page."""
    frame = door.frame()
    since = instant(frame.now_ms - days * _DAY_MS)
    params = (
        ("subtype", f"{UNCLEAR['system']}|{UNCLEAR['code']}"),
        ("date", f"ge{since}"),
        ("_count", str(PAGE)),
    )
    query = parse_search("AuditEvent", params, now_ms=frame.now_ms, max_count=PAGE)
    question: Question | None = Question(Interaction.SEARCH, "AuditEvent", query=query)
    while question is not None:
        page = orjson.loads((await door.answer(principal, question)).body)
        for entry in page.get("entry") or ():
            yield entry["resource"]
        further = [each["url"] for each in page["link"] if each["relation"] == "next"]
        token = parse_qs(urlsplit(further[0]).query)["_page"][0] if further else ""
        question = Question(Interaction.SEARCH, "AuditEvent", page=token) if token else None


def _notices(event: Mapping[str, Any]) -> Iterator[Notice]:
    """Which consent of whose record, and why it cannot be evaluated. What was erased tells of nobody."""
    entities = event.get("entity") or ()
    named = [each["what"]["reference"] for each in entities if "reference" in each.get("what", ())]
    whose = next((each for each in named if each.startswith("Patient/")), "")
    detail = [each for entity in entities for each in entity.get("detail") or ()]
    why = next((each["valueString"] for each in detail if each["type"] == "reason"), "")
    for each in named:
        if each.startswith(_CONSENT):
            yield {"recorded": event["recorded"], "patient": whose, "consent": each, "why": why, "event": event["id"]}


def consents_app(open_: Open) -> typer.Typer:
    """The commands about consents."""
    app = typer.Typer(no_args_is_help=True, help="Consents: those that cannot be evaluated.")

    @app.callback()
    def group() -> None:
        """Consents: those that cannot be evaluated."""

    @app.command()
    def unclear(
        days: Annotated[int, typer.Option(min=1, max=3_650, help="How far to look back.")] = 30,
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """List consents that could not be evaluated when somebody asked: each denies until it is recorded anew."""
        found = run(_found(open_, data_dir, days))
        if json:
            show_json(found)
            return
        for each in found:
            people().print(f"{each['recorded']} {each['patient']} {each['consent']} {each['why']}", markup=False)
        if not found:
            people().print("None was met.")

    return app


async def _found(open_: Open, data_dir: Any, days: int) -> list[Notice]:
    async with open_(settings_for(data_dir)) as desk:
        return await notices(desk.records.door, desk.operator(Role.PRIVACY_OFFICER), days)
