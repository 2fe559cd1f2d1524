"""The running program over HTTPS with two workers, on the file and on PostgreSQL.

From an invitation to the end of an account; and many hands guessing, while the owner comes in.
"""

import html
import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from store.pgserver import standing
from web.running import Server, medlock

TOKEN = re.compile(r'name="csrf" value="([^"]+)"')
HANDS = 200
AT_ONCE = 20
SPRAY = 10_000 if os.environ.get("MEDLOCK_THOROUGH") else 300
OWNER_SECONDS = 5
PASSWORD = "kettle orbit marmalade 93"


@pytest.fixture(scope="module", params=["file", "postgres"])
def server(tmp_path_factory, request):
    """Two workers, behind a balancer: who asks says from where."""
    directory = tmp_path_factory.mktemp("identity") / "data"
    with ExitStack() as kept:
        if request.param == "postgres":
            directory.with_name("data.store").write_text(kept.enter_context(standing()))
        started = Server(directory, "--workers", "2", more={"MEDLOCK_PROXIES": "127.0.0.1 ::1"})
        try:
            yield started
        finally:
            stopped = started.stop()
    assert stopped == (0, "")


def typed(server, *arguments):
    """What a command answers."""
    done = medlock(server.directory, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Visitor:
    """A browser, as far as forms go."""

    def __init__(self, server):
        self.http = server.client(follow_redirects=False)
        self.url = server.ready["url"]
        self.own = {"origin": self.url, "sec-fetch-site": "same-origin", "accept": "text/html"}

    def get(self, path):
        """A page; its form's token is kept."""
        found = self.http.get(self.url + path, headers={"accept": "text/html"})
        token = TOKEN.search(found.text)
        self.token = html.unescape(token[1]) if token else ""
        return found

    def post(self, path, address="192.0.2.7", **fields):
        """The form of the page before, from an address."""
        headers = self.own | {"x-forwarded-for": address}
        return self.http.post(self.url + path, headers=headers, data={"csrf": self.token, **fields})


@pytest.fixture
def browsers(server):
    """Makes visitors, and lets go of them."""
    made = []

    def new():
        made.append(Visitor(server))
        return made[-1]

    yield new
    for each in made:
        each.http.close()


def joined(server, browsers, login):
    """Somebody who has taken up an invitation, and their account."""
    name = login.partition("@")[0]
    made = typed(server, "account", "create", "Ann", "--role", "patient", "--person", f"Patient/{name}")
    visitor = browsers()
    visitor.get("/invitation")
    done = visitor.post("/invitation", code=made["code"], username=login)
    assert (done.status_code, done.headers["location"]) == (303, "/welcome"), done.text
    return visitor, made["account"]


def test_a_disabled_account_is_out_on_the_next_request(server, browsers):
    """Somebody joins, is in at both workers, and is out at both as soon as the command has answered."""
    visitor, account = joined(server, browsers, "ann@example.org")
    assert {visitor.get("/welcome").status_code for _ in range(8)} == {200}
    assert typed(server, "account", "disable", account)["status"] == "disabled"
    for _ in range(8):
        refused = visitor.get("/welcome")
        assert refused.status_code == 303
        assert refused.headers["location"].startswith("/sign-in")
    assert typed(server, "session", "list") == []


def at_home(server, browsers, login):
    """Somebody with a password who has left, in a browser that is known; and their account."""
    visitor, account = joined(server, browsers, login)
    page = visitor.get("/account/password").text
    ceremony = html.unescape(re.search(r'name="ceremony" value="([^"]+)"', page)[1])
    assert visitor.post("/account/password", ceremony=ceremony, password=PASSWORD).status_code == 303
    leave(visitor)
    return visitor, account


def leave(visitor):
    """Sign out."""
    visitor.get("/account")
    assert visitor.post("/sign-out").headers["location"] == "/signed-out"


def come_in(visitor):
    """Sign in with the password; how many seconds it took."""
    began = time.monotonic()
    visitor.get("/sign-in")
    done = visitor.post("/sign-in", username="bea@example.org", password=PASSWORD)
    assert done.status_code == 303, done.text
    assert visitor.get("/account").status_code == 200
    return time.monotonic() - began


def guesses(browsers, tries):
    """What wrong passwords are answered, by user name and address of each, so many at once."""
    visitor = browsers()
    visitor.get("/sign-in")

    def guess(each):
        login, address = each
        return visitor.post("/sign-in", address, username=login, password="marmalade kettle 94").status_code

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from pool.map(guess, tries)


def test_many_hands_at_two_workers_guess_five_times(server, browsers):
    """200 wrong passwords at once from as many networks: five are looked at, and the account shows as many failures."""
    _, account = at_home(server, browsers, "ada@example.org")
    answers = list(guesses(browsers, [("ada@example.org", f"198.51.{at}.1") for at in range(HANDS)]))
    assert (answers.count(401), answers.count(429)) == (5, HANDS - 5)
    assert typed(server, "account", "show", account)["failed"] == 5


def test_a_spray_from_one_network_while_the_owner_comes_in(server, browsers):
    """Fifty at most of all guesses of a network are looked at; the owner, in a known browser, is in within 5 seconds."""
    owner, _ = at_home(server, browsers, "bea@example.org")
    names = ["bea@example.org", *(f"user{at}@example.org" for at in range(96))]
    tries = [(names[at % len(names)], f"203.0.113.{at % 256}") for at in range(SPRAY)]
    answers, waits = [], []
    for answer in guesses(browsers, tries):
        answers.append(answer)
        if len(answers) in {SPRAY // 4, SPRAY // 2}:
            waits.append(come_in(owner))
            leave(owner)
    assert answers.count(401) == 50
    assert set(answers) == {401, 429}
    assert max(waits) < OWNER_SECONDS, waits
