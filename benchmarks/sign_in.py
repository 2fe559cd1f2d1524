"""What twenty people who sign in at once cost everybody else: over HTTP, on the core that answers.

The sign-ins are of user names that nobody has: those cost one Argon2id hash each like any other, and need no setting
up. They arrive 20 ms apart and are under way together for seconds. An address has thirty a minute, so each round has a
store of its own.
"""

from __future__ import annotations

import http.client
import re
import statistics
import threading
import time
from typing import Any
from urllib.parse import urlencode

from corpus import Corpus
from http_reads import fetch_patients
from machine import CLIENT_CORE, pinned
from servers import Bench, Server
from steady import steady
from verdict import measure

AT_ONCE = 20
APART = 0.02  # seconds
RATE = 200.0
SECONDS = 4.0
ROUNDS = 3


def sign_in_measures(bench: Bench, corpus: Corpus) -> list[dict[str, Any]]:
    """p99 of GETs at a steady rate during twenty sign-ins ÷ the same without."""
    quiet, during, answers = [], [], []
    for _ in range(ROUNDS):
        with bench.medlock(bench.fresh("sign-in")) as server:
            bench.ask(server, [server.post("", bundle) for bundle in corpus.put[:5]], once=True, connections=1)
            requests = [server.get(f"Patient/{each}") for each in fetch_patients(server)]
            steady(server, requests, RATE, SECONDS / 4)
            with pinned(CLIENT_CORE):
                quiet.append(steady(server, requests, RATE, SECONDS))
                crowd = [Visitor(server, number) for number in range(AT_ONCE)]
                for visitor in crowd:
                    visitor.start()
                during.append(steady(server, requests, RATE, SECONDS))
            for visitor in crowd:
                visitor.join()
                answers.append(visitor.answer)
    if set(answers) != {401}:
        raise RuntimeError(f"sign-ins were answered with {sorted(set(answers))}")
    ratio = statistics.median(each["p99_ms"] for each in during) / statistics.median(each["p99_ms"] for each in quiet)
    return [measure("sign_in_p99", ratio, quiet=quiet, during=during, at_once=AT_ONCE)]


class Visitor(threading.Thread):
    """A browser on the sign-in page; `start` sends the form, `answer` is the status."""

    def __init__(self, server: Server, number: int) -> None:
        super().__init__()
        self._wait = number * APART
        self._line = http.client.HTTPConnection(server.host, server.port, timeout=60)
        self._origin = f"http://localhost:{server.port}"
        self._line.request("GET", "/sign-in", headers={"host": self._origin[7:]})
        shown = self._line.getresponse()
        page = shown.read().decode()
        cookies = [value.partition(";")[0] for name, value in shown.getheaders() if name.lower() == "set-cookie"]
        self._cookie = "; ".join(cookies)
        token = re.search(r'name="csrf" value="([^"]+)"', page)
        if token is None:
            raise RuntimeError("the sign-in page has no form token")
        self._form = urlencode(
            {"csrf": token[1], "username": f"nobody-{number}@example.org", "password": "kettle orbit"}
        )
        self.answer = 0

    def run(self) -> None:
        """Send the form."""
        headers = {
            "host": self._origin[7:],
            "origin": self._origin,
            "cookie": self._cookie,
            "content-type": "application/x-www-form-urlencoded",
        }
        time.sleep(self._wait)
        self._line.request("POST", "/sign-in", self._form, headers)
        self.answer = self._line.getresponse().status
        self._line.close()
