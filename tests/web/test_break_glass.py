"""Two workers on PostgreSQL over HTTPS: what is opened or ended at one is so at the other, on the next request."""

import asyncio
import json
from pathlib import Path

import pytest

from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.scopes import parse_scopes
from medlock.app import open_app
from medlock.errors import Denied
from medlock.fhir.options import BreakGlassOptions, CaseOptions
from medlock.fhir.question import Interaction, Question
from medlock.identity.accounts import NewAccount
from medlock.oauth.tokenrows import Token
from medlock.records.glass_commands import GlassCommands
from medlock.settings import Settings
from medlock.store.tables import Batch
from records.test_break_glass import words
from store.pgserver import database
from web.running import Server, environment, medlock, new_token

ASKED = 12
LIFE = 3_600_000


@pytest.fixture
def store(tmp_path):
    """The address of an empty database, for servers and commands on `tmp_path / "data"`."""
    with asyncio.Runner() as runner:
        entered = database()
        url = runner.run(entered.__aenter__())
        (tmp_path / "data.store").write_text(url)
        yield url
        runner.run(entered.__aexit__(None, None, None))


def through_an_app(directory):
    """A clinician's token, as the authorization server makes one for somebody who has just proved who they are."""
    given = environment(directory)
    settings = Settings(directory, Path(given["MEDLOCK_PASSPHRASE_FILE"]), store=given["MEDLOCK_STORE"])

    async def inside():
        async with open_app(settings) as app:
            now = app.records.clock.now_ms()
            token = Token(
                *(b"", "dr", "clinician", "user/*.cruds", "", "app", "TREAT", now, now + LIFE),
                kind="user",
                roles=("clinician",),
                approval="approval-1",
                fhir_user="Practitioner/dr",
                acr="phr",
                auth_time=now // 1_000,
            )
            new = app.tokens.prepare(token)
            await app.records.backend.commit(new.batch + Batch(entries=app.records.log.seal(new.event)))
            return new.secret

    return asyncio.run(inside())


def statuses(server, token, path):
    """How a request ends at whichever worker takes the connection, over and over."""
    found = set()
    for _ in range(ASKED):
        with server.client(token) as client:
            found.add(client.get(path).status_code)
    return found


def command(directory, *arguments):
    """What a command of the privacy officer prints."""
    done = medlock(directory, "break-glass", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def test_an_operator_does_not_review_their_own(tmp_path, monkeypatch):
    """Who has an account is known at the keyboard by the name they sign in with; another operator reviews it."""
    directory = tmp_path / "data"
    settings = Settings(directory, Path(environment(directory)["MEDLOCK_PASSPHRASE_FILE"]))
    async with open_app(settings, create=True) as app:
        account = await app.identity.accounts.create(NewAccount("Alice", ("clinician",), "alice"), "cli:root")
        who = mint_principal(
            account.id,
            frozenset({Role.CLINICIAN}),
            parse_scopes("user/*.cruds"),
            acr="phr",
            auth_time=app.records.clock.now_ms() // 1_000,
            grant_id="approval-1",
        )
        asked = Question(Interaction.BREAK_GLASS, "Patient", "nobody", options=BreakGlassOptions("Unconscious, alone."))
        opened = json.loads((await app.records.door.answer(who, asked)).body)
    options = CaseOptions(opened["parameter"][0]["valueId"], outcome="justified")
    for name in ("alice", "ALICE"):
        monkeypatch.setenv("LOGNAME", name)
        with pytest.raises(Denied):
            await GlassCommands(open_app)._ask(settings, Question(Interaction.BREAK_GLASS_REVIEW, options=options))
    monkeypatch.setenv("LOGNAME", "mary")
    (case,) = await GlassCommands(open_app)._ask(settings, Question(Interaction.BREAK_GLASS_REVIEW, options=options))
    assert (case["status"], case["reviewedBy"]) == ("reviewed", "cli:mary")


@pytest.mark.usefixtures("store")
def test_two_workers(tmp_path):
    """Opened, seen everywhere; told to the patient; judged from the command line, ended everywhere; all vouched for."""
    server = Server(tmp_path / "data", "--workers", "2", more={"MEDLOCK_CONSENT_POLICY": "break-glass-only"})
    try:
        program = new_token(server.directory, "--role", "backend", "--scope", "system/*.cruds")[0]
        finding = {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": "x"}}
        with server.client(program) as client:
            assert client.put("Patient/p", json={"resourceType": "Patient", "id": "p"}).status_code == 201
            finding["subject"] = {"reference": "Patient/p"}
            assert client.put("Observation/o", json=finding).status_code == 201
        token = through_an_app(server.directory)
        assert statuses(server, token, "Observation/o") == {404}
        with server.client(token) as client:
            opened = client.post("Patient/p/$break-glass", json=words())
            assert opened.status_code == 200, opened.text
            assert client.post("Patient/none/$break-glass", json=words()).status_code == 200
        assert statuses(server, token, "Observation/o") == {200}
        person = new_token(server.directory, "--role", "patient", "--patient", "p")[0]
        with server.client(person) as client:
            told = client.get("AuditEvent?patient=Patient/p&subtype=110127").json()
        assert len(told["entry"]) == 1
        case = opened.json()["parameter"][0]["valueId"]
        assert [each["id"] for each in command(server.directory, "list")][-1] == case
        asked = ("review", case, "--outcome", "not-justified", "--note", "Nobody knows of an emergency.")
        assert command(server.directory, *asked)["access"] == "ended"
        assert statuses(server, token, "Observation/o") == {404}
        assert len(command(server.directory, "list")) == 1
        shown = medlock(server.directory, "break-glass", "show", case)
        assert "outcome: not-justified" in shown.stdout
        assert medlock(server.directory, "break-glass", "end", "0" * 16).returncode == 5
    finally:
        code, _ = server.stop()
    assert code == 0
    assert medlock(tmp_path / "data", "verify", "--json").stdout == '{"well":true,"findings":[]}\n'
