"""Callers that read and write without a pause, on kept and on new connections, and remember what they were told."""

import threading
import time
from contextlib import contextmanager

import httpx


class Traffic:
    """What came of it: `acknowledged` are ids of patients whose writing was confirmed; `lost` are errors of transport."""

    def __init__(self, server, token, callers=6, retry=()):
        self.server = server
        self.token = token
        self.retry = retry
        self.acknowledged = []
        self.statuses = []
        self.lost = []
        self._going = threading.Event()
        self._going.set()
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(callers)]

    @contextmanager
    def flowing(self):
        """For the length of a block."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._going.clear()
            for thread in self._threads:
                thread.join()

    def until(self, count, seconds=60):
        """Wait until so many writes more were acknowledged."""
        aim, end = len(self.acknowledged) + count, time.monotonic() + seconds
        while len(self.acknowledged) < aim:
            assert time.monotonic() < end, (len(self.acknowledged), self.statuses[-5:], self.lost[-5:])
            time.sleep(0.02)

    def _call(self, number):
        """One caller; every second one makes a new connection for each request."""
        count = 0
        while self._going.is_set():
            with self.server.client(self.token) as client:
                for _ in range(1 if number % 2 else 10_000):
                    if not self._going.is_set():
                        return
                    count += 1
                    if not self._ask(client, f"c{number}-{count}"):
                        break

    def _ask(self, client, name):
        """Write a patient and read it; whether the connection still serves."""
        try:
            put = client.put(f"Patient/{name}", json={"resourceType": "Patient", "id": name, "active": True})
            self.statuses.append(put.status_code)
            if put.status_code in {200, 201}:
                self.acknowledged.append(name)
                got = client.get(f"Patient/{name}")
                self.statuses.append(got.status_code)
        except httpx.TransportError as fault:
            self.lost.append(repr(fault))
            return False
        return True


def all_there(server, token, names):
    """The names of those patients that are not there, asked for one by one."""
    with server.client(token) as client:
        return [name for name in names if client.get(f"Patient/{name}").status_code != 200]
