"""Two workers on PostgreSQL, the real program: what one writes the other reads, and connections may break meanwhile."""

import asyncio
from contextlib import contextmanager

import pytest

from store.pgserver import ask, database
from web.running import Server, medlock, new_token

WRITES = 24


@pytest.fixture
def store(tmp_path):
    """The address of an empty database, for servers and commands on `tmp_path / "data"`."""
    with asyncio.Runner() as runner:
        entered = database()
        url = runner.run(entered.__aenter__())
        (tmp_path / "data.store").write_text(url)
        yield url
        runner.run(entered.__aexit__(None, None, None))


@contextmanager
def stopping(server):
    """Stop the server at the end, and see that it ended well."""
    try:
        yield
    finally:
        code, _ = server.stop()
    assert code == 0


def test_two_workers_on_one_database(store, tmp_path):
    """Every acknowledged write is read back, whichever worker answers, also after the server ended all connections."""
    server = Server(tmp_path / "data", "--workers", "2", log=tmp_path / "log")  # it may tell of what was ended
    with stopping(server):
        token = new_token(server.directory)[0]
        for number in range(WRITES):
            if number == WRITES // 2:
                asyncio.run(
                    ask(
                        store,
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'medlock'",
                    )
                )
            with server.client(token) as client:  # a new connection, so perhaps the other worker
                put = client.put(f"Patient/p{number}", json={"resourceType": "Patient", "id": f"p{number}"})
                while put.status_code == 503:
                    put = client.put(f"Patient/p{number}", json={"resourceType": "Patient", "id": f"p{number}"})
                assert put.status_code in {200, 201}
            with server.client(token) as client:
                assert client.get(f"Patient/p{number}").status_code == 200
                assert client.get(f"Patient?_id=p{number}").json()["total"] == 1
    assert len(asyncio.run(ask(store, "SELECT FROM directory"))) == WRITES
    done = medlock(tmp_path / "data", "verify", "--json")
    assert (done.returncode, done.stdout) == (0, '{"well":true,"findings":[]}\n')
