"""A real site with a small clinic in it, for exports; and what a caller may see of it, said in another way."""

import asyncio
from contextlib import asynccontextmanager
from datetime import date

import httpx
import orjson

from medlock.access.principal import Role
from medlock.app import _site, open_app
from medlock.clock import Clock
from medlock.fhir.clinic import clinic
from medlock.fhir.question import Interaction, Question
from medlock.oauth.requests import TokenRequest
from medlock.settings import Settings
from medlock.web.oplog import OpLog

BASE = "https://localhost:8443/fhir"
LATER = {"prefer": "respond-async"}
KEY = bytes(range(32)).hex()


class Lines(list):
    """A sink that keeps lines."""

    write = list.append

    def flush(self):
        """Nothing is held back."""


class Place:
    """An open site: its parts, and a client without a socket."""

    def __init__(self, app, client, lines):
        self.app, self.client, self.lines = app, client, lines
        self.issued = []

    async def token(self, role, scopes="", patient="", account=""):
        """Headers with a new token."""
        issued = await self.app.tokens.create(TokenRequest(role, "test", scopes, patient, account))
        self.issued.append(issued.id)
        return {"authorization": f"Bearer {issued.secret}"}

    async def begin(self, headers, path="$export", **more):
        """Kick off; where its status is."""
        answer = await self.client.get(path, headers=headers | LATER, **more)
        assert answer.status_code == 202, answer.text
        assert not answer.content
        return answer.headers["content-location"]

    async def manifest(self, headers, where):
        """The manifest, once it is there."""
        for _ in range(10_000):
            answer = await self.client.get(where, headers=headers)
            if answer.status_code != 202:
                break
            assert answer.headers["x-progress"]
            assert answer.headers["retry-after"]
            await asyncio.sleep(0.001)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        return answer.json()

    async def fetch(self, headers, manifest):
        """Every file: name → resources."""
        found = {}
        for each in manifest["output"]:
            answer = await self.client.get(each["url"], headers=headers)
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"] == "application/fhir+ndjson"
            lines = [orjson.loads(line) for line in answer.content.splitlines()]
            assert lines, each
            if "Provenance-deid" not in each["url"]:
                assert {line["resourceType"] for line in lines} == {each["type"]}
            found[each["url"].rpartition("/")[2]] = lines
        return found

    async def export(self, headers, path="$export", **more):
        """From kick-off to the files; the export is let go of."""
        where = await self.begin(headers, path, **more)
        found = await self.fetch(headers, await self.manifest(headers, where))
        assert (await self.client.delete(where, headers=headers)).status_code == 202
        return found

    async def visible(self, headers, types, query=""):
        """Naively: every resource of these types that searches show this caller, page by page, as `Type/id` → JSON."""
        found = {}
        for type_ in types:
            where = f"{type_}?_count=100{query}"
            while where:
                answer = await self.client.get(where, headers=headers)
                if answer.status_code == 403:
                    break
                bundle = answer.json()
                for each in bundle.get("entry", []):
                    found[f"{type_}/{each['resource']['id']}"] = each["resource"]
                where = next((each["url"] for each in bundle["link"] if each["relation"] == "next"), "")
        return found


def flat(found):
    """Files as `Type/id` → JSON; nothing may come twice."""
    lines = [(f"{each['resourceType']}/{each['id']}", each) for file in found.values() for each in file]
    assert len(dict(lines)) == len(lines)
    return dict(lines)


@asynccontextmanager
async def place(tmp_path, *, patients=0, **settings):
    """The site over a fresh directory, with a project's key."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    key = tmp_path / "project.key"
    key.write_text(KEY)
    for path in (passphrase, key):
        path.chmod(0o600)
    lines = Lines()
    made = Settings(tmp_path / "data", passphrase, **({"deid_key_file": key} | settings))
    async with open_app(made, create=True) as app:
        for bundle in clinic(7, patients, today=date(2026, 6, 1)) if patients else ():
            question = Question(Interaction.TRANSACTION, body=orjson.dumps(bundle), prefer="minimal")
            await app.records.door.answer(app.operator(Role.LOADER), question)
        site = _site(app, OpLog(Clock(), lines))
        transport = httpx.ASGITransport(app=site, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            yield Place(app, client, lines)
    assert not lines


def on_disk(directory):
    """Every byte below a directory."""
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())
