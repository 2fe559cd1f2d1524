"""What breaks under load: workers killed, a disk that is full, a clock that jumps, connections that are lost.

Each time: nothing that was acknowledged is lost, whoever is not answered is told so by 503 or by a broken connection,
the others go on, and `medlock verify` finds nothing afterwards.
"""

import asyncio
import json
import os
import resource
import signal
import time
from datetime import timedelta

import httpx
import pytest

from medlock.access.principal import Role
from medlock.app import _site, open_app
from medlock.clock import Clock
from medlock.oauth.requests import TokenRequest
from medlock.settings import Settings
from medlock.web.oplog import OpLog
from store.pgserver import ask, database
from web.running import Server, children, eventually, medlock, new_token
from web.small_world import Lines
from web.traffic import Traffic, all_there

PATIENT = {"resourceType": "Patient", "active": True}


def nothing_amiss(directory):
    """Whether every row and entry is where it belongs."""
    return json.loads(medlock(directory, "verify", "--json").stdout) == {"well": True, "findings": []}


@pytest.fixture
def store():
    """The address of an empty PostgreSQL database."""
    with asyncio.Runner() as runner:
        entered = database()
        yield runner.run(entered.__aenter__())
        runner.run(entered.__aexit__(None, None, None))


@pytest.fixture(params=["sqlite", "postgres"])
def directory(request, tmp_path):
    """A data directory on either back end."""
    if request.param == "postgres":
        (tmp_path / "data.store").write_text(request.getfixturevalue("store"))
    return tmp_path / "data"


def test_killed_workers_lose_nothing(directory, tmp_path):
    """Kill -9 of one worker after another under writes: the other goes on, and every acknowledged write is there."""
    server = Server(directory, "--workers", "2", log=tmp_path / "log")
    token, _ = new_token(directory)
    with Traffic(server, token).flowing() as traffic:
        for _ in range(3):
            traffic.until(30)
            victim = children(server.process.pid)[0]
            os.kill(victim, signal.SIGKILL)
            assert eventually(lambda victim=victim: victim not in children(server.process.pid))
            traffic.until(10)
            assert eventually(lambda: len(children(server.process.pid)) == 2)
    assert set(traffic.statuses) <= {200, 201, 503}
    assert traffic.lost  # the requests that the dead had in hand
    assert all_there(server, token, traffic.acknowledged) == []
    assert server.stop()[0] == 0
    assert nothing_amiss(directory)


def test_lost_connections_to_the_database_are_told(store, tmp_path):
    """All connections ended by the server again and again, mid-transaction among them: 503 or an answer, nothing lost."""
    (tmp_path / "data.store").write_text(store)
    server = Server(tmp_path / "data", "--workers", "2", log=tmp_path / "log")
    token, _ = new_token(tmp_path / "data")
    end_all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'medlock'"
    with Traffic(server, token).flowing() as traffic:
        for _ in range(6):
            traffic.until(15)
            asyncio.run(ask(store, end_all))
        traffic.until(15)
    assert set(traffic.statuses) <= {200, 201, 503}
    assert traffic.lost == []
    assert all_there(server, token, traffic.acknowledged) == []
    assert server.stop()[0] == 0
    assert nothing_amiss(tmp_path / "data")


def limit_files(pid, size):
    """Let no file of a process and its workers grow beyond `size`, as a full disk would."""
    for each in (pid, *children(pid)):
        resource.prlimit(each, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_full_disk_is_told_and_mended(tmp_path, workers):
    """While no file can grow: 503, nothing disclosed without its entry, not ready. With room again: all as before."""
    directory = tmp_path / "data"
    server = Server(directory, "--workers", workers, log=tmp_path / "log")
    token, _ = new_token(directory)
    with Traffic(server, token).flowing() as traffic:
        traffic.until(30)
        limit_files(server.process.pid, 0)
        assert eventually(lambda: traffic.statuses[-1] == 503)
        refused = len(traffic.acknowledged)
        with server.client(token) as client:
            got = client.get(f"Patient/{traffic.acknowledged[0]}")
            assert (got.status_code, "active" in got.text) == (503, False)
            assert got.headers["retry-after"]
            assert client.get(server.ready["url"] + "/readyz").status_code == 503
            assert client.get(server.ready["url"] + "/healthz").status_code == 200
        time.sleep(0.5)
        assert len(traffic.acknowledged) == refused
        limit_files(server.process.pid, resource.RLIM_INFINITY)
        traffic.until(30)
    assert set(traffic.statuses) <= {200, 201, 503}
    assert traffic.lost == []
    with server.client() as client:
        assert client.get(server.ready["url"] + "/readyz").status_code == 200
    assert all_there(server, token, traffic.acknowledged) == []
    assert server.stop()[0] == 0
    assert nothing_amiss(directory)


class JumpingClock(Clock):
    """Wall time that somebody sets."""

    ahead = timedelta()

    def now_ms(self):
        return super().now_ms() + int(self.ahead.total_seconds() * 1000)


@pytest.fixture
async def jumping(tmp_path):
    """The site over a clock, and a client; `verify` must find nothing afterwards."""
    passphrase = tmp_path / "data.passphrase"
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    settings, clock, lines = Settings(tmp_path / "data", passphrase), JumpingClock(), Lines()
    async with open_app(settings, create=True, clock=clock) as app:
        secret = (await app.tokens.create(TokenRequest(Role.CLINICIAN, "test"))).secret
        site = httpx.ASGITransport(app=_site(app, OpLog(clock, lines)))
        headers = {"authorization": f"Bearer {secret}", "content-type": "application/fhir+json"}
        async with httpx.AsyncClient(transport=site, base_url="https://localhost:8443/fhir", headers=headers) as client:
            yield clock, client, app.records
    assert not lines
    assert nothing_amiss(tmp_path / "data")


async def put(client, **more):
    return await client.put("Patient/p1", json=PATIENT | {"id": "p1"} | more)


@pytest.mark.parametrize("jump", [timedelta(hours=-5), timedelta(days=-400), timedelta(minutes=30)])
async def test_a_clock_that_jumps_breaks_nothing(jumping, jump):
    """Versions go on counting, history keeps their order, log and checkpoints go on, pages can be turned."""
    clock, client, records = jumping
    assert (await put(client)).status_code == 201
    for number in range(4):
        entry = {"resourceType": "Patient", "id": f"q{number}"}
        assert (await client.put(f"Patient/q{number}", json=entry)).status_code == 201
    await records.log.seal_checkpoint()
    following = next(
        link["url"] for link in (await client.get("Patient?_count=2")).json()["link"] if link["relation"] == "next"
    )
    clock.ahead = jump
    assert (await put(client, active=False)).headers["etag"] == 'W/"2"'
    await records.log.seal_checkpoint()
    clock.ahead = timedelta()
    assert (await put(client, active=True)).headers["etag"] == 'W/"3"'
    await records.log.seal_checkpoint()
    history = (await client.get("Patient/p1/_history")).json()["entry"]
    assert [each["resource"]["meta"]["versionId"] for each in history] == ["3", "2", "1"]
    assert (await client.get("Patient?_total=accurate&_count=0")).json()["total"] == 5
    assert (await client.get(following)).status_code == 200
    assert (await client.get("https://localhost:8443/readyz")).status_code == 200


async def test_a_clock_far_ahead_locks_out_and_lets_in_again(jumping):
    """Tokens and page links have expired there: 401, not an error; when the clock is right again they are good."""
    clock, client, _ = jumping
    assert (await put(client)).status_code == 201
    clock.ahead = timedelta(days=365)
    assert (await client.get("Patient/p1")).status_code == 401
    clock.ahead = timedelta()
    assert (await client.get("Patient/p1")).status_code == 200
