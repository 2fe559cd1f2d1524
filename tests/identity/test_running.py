"""The running program over HTTPS with two workers: from an invitation to the end of an account, and many hands guessing."""

import html
import json
import os
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from web.running import medlock, running

TOKEN = re.compile(r'name="csrf" value="([^"]+)"')
HANDS = 200 if os.environ.get("MEDLOCK_THOROUGH") else 40


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Two workers."""
    with running(tmp_path_factory.mktemp("identity") / "data", "--workers", "2") as started:
        yield started


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

    def post(self, path, **fields):
        """The form of the page before."""
        return self.http.post(self.url + path, headers=self.own, data={"csrf": self.token, **fields})


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


def test_many_hands_at_two_workers_guess_five_times(server, browsers):
    """However many wrong passwords arrive at once, five are looked at; the account shows as many failures."""
    _, account = joined(server, browsers, "bea@example.org")
    visitor = browsers()
    visitor.get("/sign-in")

    def guess(number):
        return visitor.post("/sign-in", username="bea@example.org", password=f"wrong password {number}").status_code

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(guess, range(HANDS)))
    assert answers.count(401) <= 5
    assert set(answers) <= {401, 429}
    assert typed(server, "account", "show", account)["failed"] == answers.count(401)
