"""X-B26 with the real client on real sockets: a host of keys that is down, slow, huge or elsewhere lets nobody in."""

import time

import pytest

from medlock.crypto.jose import new_signer
from medlock.oauth.client import Kind
from medlock.partners.egress import Egress, Trial
from partners.outside import NAME, endless, outside, plain, silent, trickle
from smart.world import World, jwks_of

ES = new_signer("ES384")
BAD = {
    "slow": silent,
    "trickling": trickle,
    "endless": endless,
    "10 MB": plain(b"x" * 10_000_000),
    "elsewhere": plain(b"", "302 Found", location="https://127.0.0.1/"),
    "inside": plain(b"", "301 Moved", location="http://169.254.169.254/latest/meta-data"),
    "no keys": plain(b"[]"),
    "no JSON": plain(b"<html>", content_type="text/html"),
}


async def somewhere(world_outside):
    """An authorization server whose one app keeps its keys outside."""
    trial = Trial(world_outside.authority, lambda _host: ("127.0.0.1",), seconds=0.4)

    async def registered(host):
        return host == NAME

    world = World(fetch=Egress(registered, trial=trial))
    grants = ("client_credentials",)
    app = await world.register(Kind.ASYMMETRIC, signer=ES, jwks_url=world_outside.url(), grants=grants)
    app.signer = ES
    return world, app


async def test_keys_that_are_there_let_in(tmp_path):
    """The same over a connection as it should be: fetched once, kept for as long as its server says."""
    async with outside(tmp_path) as there:
        there.script["/jwks"] = plain(jwks_of(ES, "key-1"), cache_control="max-age=3600")
        world, app = await somewhere(there)
        for _ in range(3):
            assert (await world.credentials(app)).status_code == 200
        assert there.asked == ["/jwks"]


@pytest.mark.parametrize("what", sorted(BAD))
async def test_x_b26_what_cannot_be_fetched_lets_nobody_in(tmp_path, what):
    """invalid_client, in bounded time, with one try however often it is asked for."""
    async with outside(tmp_path) as there:
        there.script["/jwks"] = BAD[what]
        world, app = await somewhere(there)
        began = time.monotonic()
        for _ in range(3):
            answer = await world.credentials(app)
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert time.monotonic() - began < 3
        assert there.asked == ["/jwks"]


async def test_x_b26_a_host_that_is_down(tmp_path):
    """Nobody listens there any more."""
    async with outside(tmp_path) as there:
        world, app = await somewhere(there)
    answer = await world.credentials(app)
    assert answer.json()["error"] == "invalid_client"
