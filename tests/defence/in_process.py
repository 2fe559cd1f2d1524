"""The real site without a socket, for the leak test: requests go in exactly as they are written."""

from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from medlock.access.principal import Role
from medlock.app import _site, open_app
from medlock.clock import Clock
from medlock.defence.leaktest.actors import NEEDED, WRITER, actors
from medlock.defence.leaktest.attempts import Answer
from medlock.defence.leaktest.run import LeakTest
from medlock.oauth.requests import TokenRequest
from medlock.settings import Settings
from medlock.web.oplog import OpLog


class Silent:
    """A sink that keeps nothing."""

    def write(self, line):
        """Take a line."""

    def flush(self):
        """Nothing is held back."""


class InProcess:
    """A Caller over an ASGI application; `spoil` may change what comes back, as a broken server would."""

    def __init__(self, site):
        self.site, self.spoil = site, None

    async def call(self, ask, token):
        """What the site answers, as a broken server would let it out."""
        answer = await self.plain(ask, token)
        return answer if self.spoil is None else await self.spoil(ask, answer)

    async def plain(self, ask, token):
        """What the site answers."""
        target = urlsplit(ask.target)
        path = target.path if target.netloc else "/fhir" + ask.target.partition("?")[0]
        query = target.query if target.netloc else ask.target.partition("?")[2]
        headers = [(name.lower().encode(), value.encode()) for name, value in ask.headers]
        if token:
            headers.append((b"authorization", b"Bearer " + token.encode()))
        if ask.body:
            headers.append((b"content-length", str(len(ask.body)).encode()))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": ask.method,
            "scheme": "https",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(b"host", b"localhost:8443"), *headers],
            "client": ("127.0.0.1", 1),
            "server": ("localhost", 8443),
        }
        sent = []
        bodies = [{"type": "http.request", "body": ask.body, "more_body": False}]

        async def receive():
            return bodies.pop() if bodies else {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        await self.site(scope, receive, send)
        named = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], named, b"".join(each.get("body", b"") for each in sent[1:]))


class Bench:
    """A server under test, with everybody who tries; parts of it can be broken."""

    def __init__(self, app, caller, test, tokens):
        self.app, self.caller, self.test, self.tokens = app, caller, test, tokens
        self.everybody = actors(tokens)
        self.writer = tokens[WRITER.name]

    def actor(self, name):
        """One of those who try."""
        return next(each for each in self.everybody if each.name == name)

    def forget(self, build):
        """Answer questions that the build picks as if somebody who may see all had asked them."""
        door = self.app.records.door
        answer = door.answer

        async def forgetful(principal, question, **more):
            asker = await self.app.tokens.authenticate(self.tokens[build.asker]) if build.which(question) else principal
            return await answer(asker, question, **more)

        door.answer = forgetful


@asynccontextmanager
async def under_test(tmp_path, rounds=0):
    """The site with the family in it, the test, and everybody who tries."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    async with open_app(Settings(tmp_path / "data", passphrase), create=True) as app:
        tokens = {}
        for needed in (*NEEDED, WRITER):
            if needed.role:
                patient = f"leaktest-{needed.person}" if needed.person else ""
                issued = await app.tokens.create(TokenRequest(Role(needed.role), "test", needed.scopes, patient))
                tokens[needed.name] = issued.secret
        caller = InProcess(_site(app, OpLog(Clock(), Silent())))
        test = LeakTest(caller, tokens[WRITER.name], rounds=rounds)
        await test.settle()
        yield Bench(app, caller, test, tokens)
