"""Nobody sees an id of somebody else's record on any route: each answer about it is that about an id that never was."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from medlock.access.principal import Role
from medlock.app import App, _site, open_app
from medlock.clock import Clock
from medlock.fhir.address import ROUTES
from medlock.fhir.question import EXPORTS, Interaction
from medlock.oauth.requests import TokenRequest
from medlock.settings import Settings
from medlock.web.oplog import OpLog

BASE = "https://localhost:8443/fhir"
MINE, THEIRS, NOBODY = "annsrec", "bobsrec", "nobsrec"
"""Of one length, so that answers about them can differ in nothing else. Records hold ids that begin so."""
TAG = "http://t.example|ann"
SCOPES = {
    "patient": (Role.PATIENT, "patient/*.rs", MINE),
    "held clinician": (Role.CLINICIAN, "patient/*.cruds", MINE),
    "granular": (Role.CLINICIAN, f"user/*.cruds?_tag={TAG}", ""),
    "granular, held": (Role.CLINICIAN, f"patient/*.cruds?_tag={TAG}", MINE),
}
SECRET = "told-in-confidence"
QUERIES = (
    "subject=Patient/{0}", "patient={0}", "_id={0}-o", f"_id={{0}}-o,{MINE}-o", "_id={0}-o&_summary=count",
    "subject=Patient/{0}&_include=Observation:subject", "_has:Observation:has-member:_id={0}-m", "has-member={0}-o",
    "subject:Patient.family={0}", "_sort=code&_count=1", "_revinclude=Observation:has-member&_id={0}-o",
    "_list={0}-l",
    "code-value-concept=x$y&subject=Patient/{0}",
)  # fmt: skip
VARYING = {"x-request-id", "date", "server", "content-length"}


def record(who: str) -> Iterator[dict[str, Any]]:
    """A patient with two observations, one of which has the other as a member, and a report; Ann's are tagged."""
    mark = {"meta": {"tag": [dict(zip(("system", "code"), TAG.split("|"), strict=True))]}} if who == MINE else {}
    subject = {"subject": {"reference": f"Patient/{who}"}, "code": {"text": SECRET if who == THEIRS else "mine"}}
    yield {"resourceType": "Patient", "id": who, "name": [{"family": who}]} | mark
    plain = {"resourceType": "Observation", "status": "final"} | subject | mark
    yield plain | {"id": f"{who}-o"}
    yield plain | {"id": f"{who}-m", "hasMember": [{"reference": f"Observation/{who}-o"}]}
    yield plain | {
        "resourceType": "DiagnosticReport",
        "id": f"{who}-r",
        "result": [{"reference": f"Observation/{who}-o"}],
    }


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[tuple[App, httpx.AsyncClient]]:
    """The real site with two records."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    lines: list[str] = []
    log = OpLog(
        Clock(), type("Lines", (list,), {"write": lambda _, line: lines.append(line), "flush": lambda _: None})()
    )
    async with open_app(Settings(tmp_path / "data", passphrase), create=True) as app:
        transport = httpx.ASGITransport(app=_site(app, log))
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            headers = await bearer(app, Role.CLINICIAN, "user/*.cruds")
            for who in (MINE, THEIRS):
                for each in record(who):
                    made = await client.put(f"{each['resourceType']}/{each['id']}", json=each, headers=headers)
                    assert made.status_code == 201, made.text
            yield app, client
    assert not lines


async def bearer(app: App, role: Role, scopes: str, patient: str = "") -> dict[str, str]:
    """Headers with a new token."""
    issued = await app.tokens.create(TokenRequest(role, "test", scopes, patient=patient))
    return {"authorization": f"Bearer {issued.secret}"}


def requests(who: str) -> Iterator[tuple[str, str, bytes]]:
    """Method, address and body of everything that can be asked about a record, by every route."""
    for template, methods in ROUTES.items():
        for method, interaction in methods.items():
            for type_, id_ in (("Observation", f"{who}-o"), ("Patient", who), ("DiagnosticReport", f"{who}-r")):
                path = template.format(type=type_, id=who if template.startswith("/Patient/{id}") else id_, version="1")
                for address, body in variants(interaction, method, path.removeprefix("/"), who, id_):
                    if "{type}" in template or type_ == "Observation":
                        yield method, address, body


def variants(interaction: Interaction, method: str, path: str, who: str, id_: str) -> Iterator[tuple[str, bytes]]:
    """One route with the parameters and bodies that name somebody's record."""
    written = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "id": id_}
    pointing = written | {
        "subject": {"reference": f"Patient/{MINE}"},
        "hasMember": [{"reference": f"Observation/{who}-o"}],
    }
    if interaction in {Interaction.SEARCH, Interaction.SEARCH_SYSTEM}:
        type_ = "_type=Observation&" if interaction is Interaction.SEARCH_SYSTEM else ""
        for query in QUERIES:
            asked = type_ + query.format(who)
            yield (path, asked.encode()) if method == "POST" else (f"{path}?{asked}", b"")
    elif interaction in {Interaction.CREATE, Interaction.UPDATE, Interaction.VALIDATE} and method != "GET":
        yield path, json.dumps(written | {"subject": {"reference": f"Patient/{who}"}}).encode()
        yield path, json.dumps(pointing).encode()
        yield (
            f"{path}?_id={id_}" if interaction is Interaction.UPDATE else f"{path}?mode=update",
            json.dumps(pointing).encode(),
        )
    elif interaction is Interaction.TRANSACTION:
        for kind in ("batch", "transaction"):
            entry = [{"request": {"method": "GET", "url": f"Observation/{who}-o"}}]
            entry += [{"request": {"method": "DELETE", "url": f"Observation?_id={who}-o"}}]
            entry += [{"request": {"method": "GET", "url": f"Observation?_id={who}-o"}}]
            yield path, json.dumps({"resourceType": "Bundle", "type": kind, "entry": entry}).encode()
    elif interaction is Interaction.PATCH:
        yield path if "/" in path else f"{path}?_id={id_}", b'[{"op":"test","path":"/status","value":"final"}]'
    elif interaction is Interaction.MATCH:
        sought = {"resourceType": "Patient", "name": [{"family": who}], "birthDate": "1980-01-01"}
        yield (
            path,
            json.dumps(
                {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": sought}]}
            ).encode(),
        )
    elif interaction in {Interaction.DOCREF, Interaction.LASTN}:
        yield f"{path}?patient={who}", b""
    elif interaction not in EXPORTS:
        yield path, b""
        yield f"{path}?_id={who}-o", b""


def shown(answer: httpx.Response, who: str) -> tuple[Any, ...]:
    """All of an answer that a caller can tell from another, with the name that was asked for blotted out."""
    headers = sorted((name, value) for name, value in answer.headers.items() if name not in VARYING)
    blot = re.compile(rf"{who}|[0-9a-f-]{{36}}|_page=[\w-]+|\d{{4}}-\d\d-\d\dT[\d:.]+Z")
    return answer.status_code, blot.sub("*", str(headers)), blot.sub("*", answer.text)


@pytest.mark.parametrize("name", SCOPES)
async def test_somebody_elses_record_is_as_if_it_had_never_been(site: tuple[App, httpx.AsyncClient], name: str) -> None:
    """On every route, with ids in paths, searches, references and bodies: the answer is that of an id that never was."""
    app, client = site
    headers = await bearer(app, *SCOPES[name])
    count = 0
    for theirs, nobodys in zip(list(requests(THEIRS)), list(requests(NOBODY)), strict=True):
        answers = [await send(client, each, headers) for each in (theirs, nobodys)]
        count += 1
        if answers[0].status_code == answers[1].status_code == 201:
            continue
        assert shown(answers[0], THEIRS) == shown(answers[1], NOBODY), theirs
        assert SECRET not in answers[0].text
    assert count > 150


async def send(client: httpx.AsyncClient, asked: tuple[str, str, bytes], headers: dict[str, str]) -> httpx.Response:
    """One request."""
    method, address, body = asked
    kind = "application/json-patch+json" if method == "PATCH" else "application/fhir+json"
    if b"{" not in body and b"=" in body:
        kind = "application/x-www-form-urlencoded"
    return await client.request(method, address, content=body, headers=headers | {"content-type": kind})


@pytest.mark.parametrize("name", SCOPES)
async def test_whoever_asks_about_themselves_is_told_of_nobody_else(
    site: tuple[App, httpx.AsyncClient], name: str
) -> None:
    """No answer about one's own record, or about no record at all, holds an id of another."""
    app, client = site
    headers = await bearer(app, *SCOPES[name])
    asked = [each for each in requests(MINE) if each[0] != "DELETE" and b"DELETE" not in each[2]]
    asked += [("GET", each, b"") for each in ("Observation", "Patient", "DiagnosticReport", "_history", "AuditEvent",
              "Observation/_history", "?_type=Patient,Observation", "Patient?_revinclude=Observation:subject")]  # fmt: skip
    shown_mine = 0
    for each in asked:
        answer = await send(client, each, headers)
        assert "bobs" not in answer.text + str(answer.headers), each
        shown_mine += f'"{MINE}' in answer.text
    assert shown_mine > 20


@pytest.mark.parametrize("name", SCOPES)
async def test_an_answer_that_is_fetched_later_is_the_same(site: tuple[App, httpx.AsyncClient], name: str) -> None:
    """With Prefer: respond-async a search finds what it finds at once."""
    app, client = site
    headers = await bearer(app, *SCOPES[name])
    at_once = (await client.get("Observation", headers=headers)).json()
    asked = await client.get("Observation", headers=headers | {"prefer": "respond-async"})
    assert asked.status_code == 202
    answer = asked
    while answer.status_code == 202:
        answer = await client.get(asked.headers["content-location"], headers=headers)
        await asyncio.sleep(0.01)
    (entry,) = answer.json()["entry"]
    assert entry["resource"]["total"] == at_once["total"] == 2
    assert "bobs" not in answer.text
