"""The real program, moved from the file to PostgreSQL while it serves: what was acknowledged is there afterwards."""

import asyncio
import json
import threading

import pytest

from store.pgserver import database
from web.running import Server, medlock, new_token, running


@pytest.fixture
def url():
    """The address of an empty database; in nobody's settings yet."""
    with asyncio.Runner() as runner:
        entered = database()
        yield runner.run(entered.__aenter__())
        runner.run(entered.__aexit__(None, None, None))


class Clinic:
    """Somebody who writes patients until the server refuses."""

    def __init__(self, client):
        self.client, self.acknowledged, self.refusal = client, [], None
        self.thread = threading.Thread(target=self.work)

    def work(self):
        """Write."""
        for number in range(100_000):
            name = f"p{number}"
            answer = self.client.put(f"Patient/{name}", json={"resourceType": "Patient", "id": name})
            if answer.status_code == 503:
                self.refusal = answer
                return
            assert answer.status_code == 201
            self.acknowledged.append(name)


def test_a_served_store_moves(url, tmp_path):
    """All that was acknowledged is in PostgreSQL and verifies; the old server answers 503; token and history moved along."""
    server = Server(tmp_path / "data", log=tmp_path / "log")
    try:
        token = new_token(server.directory)[0]
        with server.client(token) as client:
            clinic = Clinic(client)
            clinic.thread.start()
            while len(clinic.acknowledged) < 20:
                assert clinic.thread.is_alive()
            done = medlock(tmp_path / "data", "migrate-store", "--to", url, "--json")
            clinic.thread.join(60)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["rows"] > len(clinic.acknowledged) > 20
        assert clinic.refusal.json()["issue"][0]["code"] == "transient"
        with server.client(token) as client:
            assert client.get("Patient/p0").status_code == 503
    finally:
        server.stop()
    stopped = medlock(tmp_path / "data", "verify")
    assert (stopped.returncode, "moved to PostgreSQL" in stopped.stderr) == (3, True)
    (tmp_path / "data.store").write_text(url)
    assert medlock(tmp_path / "data", "verify", "--json").stdout == '{"well":true,"findings":[]}\n'
    with running(tmp_path / "data") as server, server.client(token) as client:
        for name in clinic.acknowledged:
            assert client.get(f"Patient/{name}").status_code == 200
    again = medlock(tmp_path / "data", "migrate-store", "--to", url)
    assert (again.returncode, "a store already" in again.stderr) == (3, True)
