"""Keys of clients that are fetched: rows X-B21, X-B25, X-B26. The host may be late, gone, or lie.

What the fetch itself refuses (private addresses, redirects, size, time) is tested with partners.egress.
"""

import asyncio
import json
from dataclasses import dataclass

import pytest

from medlock.crypto.jose import new_signer
from medlock.errors import Unavailable
from medlock.oauth.client import Kind
from medlock.oauth.keysets import FORCED_SECONDS, RETRY_SECONDS
from smart.world import World, jwks_of

ES = new_signer("ES384")
NEXT = new_signer("ES384")
URL = "https://app.example.org/jwks.json"


@dataclass
class Answer:
    """What was fetched."""

    body: bytes
    max_age: int | None


class Host:
    """What is published somewhere; it can be told to misbehave."""

    def __init__(self):
        self.body, self.max_age, self.down, self.asked = jwks_of(ES, "key-1"), 3600, False, []

    async def __call__(self, url):
        self.asked.append(url)
        await asyncio.sleep(0)
        if self.down:
            raise Unavailable("down")
        return Answer(self.body, self.max_age)


@pytest.fixture
def host():
    return Host()


@pytest.fixture
def world(host):
    return World(fetch=host)


@pytest.fixture
async def app(world):
    made = await world.register(Kind.ASYMMETRIC, signer=ES, jwks_url=URL, grants=("client_credentials",))
    made.signer = ES
    return made


async def works(world, app, **more):
    """Whether it gets a token."""
    done = await world.credentials(app, **more)
    assert done.status_code == 200 or done.json()["error"] == "invalid_client", done.text
    return done.status_code == 200


async def test_x_b21_jku(world, app):
    """X-B21: jku, where it is there, is the registered URL, and nothing else is ever fetched."""
    assert await works(world, app, header={"jku": URL})
    for url in ("https://evil.example.org/jwks.json", URL + "?x", "http://127.0.0.1/"):
        assert not await works(world, app, header={"jku": url})
    given = await world.backend_app(ES)
    assert not await works(world, given, header={"jku": URL})
    assert set(world.fetch.asked) == {URL}


async def test_x_b25_kept_as_long_as_its_server_says(world, app, host):
    """X-B25: an hour, and not asked again within it, but by an unknown kid, once a minute, whoever asks."""
    for _ in range(5):
        assert await works(world, app)
    assert len(host.asked) == 1
    host.body = jwks_of(NEXT, "key-2")
    assert await works(world, app, signer=NEXT, header={"kid": "key-2"})
    assert len(host.asked) == 2
    for _ in range(5):
        assert not await works(world, app, header={"kid": "key-3"})
    assert len(host.asked) == 2
    world.clock.pass_(FORCED_SECONDS)
    many = [works(world, app, header={"kid": "key-3"}) for _ in range(20)]
    assert not any(await asyncio.gather(*many))
    assert len(host.asked) == 3
    world.clock.pass_(3600)
    assert await works(world, app, signer=NEXT, header={"kid": "key-2"})
    assert len(host.asked) == 4


@pytest.mark.parametrize(("max_age", "seconds"), [(0, 60), (None, 300), (10, 60), (10**9, 86_400)])
async def test_x_b25_within_bounds(world, app, host, max_age, seconds):
    """X-B25: a minute at least, a day at most; five minutes where nothing is said."""
    host.max_age = max_age
    assert await works(world, app)
    world.clock.pass_(seconds - 1)
    assert await works(world, app)
    assert len(host.asked) == 1
    world.clock.pass_(1)
    assert await works(world, app)
    assert len(host.asked) == 2


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"keys":[]}', b"<html>", b"\xff", b'{"keys":[{"kty":"oct","k":"AAAA"}]}']
)
async def test_x_b26_a_host_that_lies(world, app, host, body):
    """X-B26: what is no key set lets nobody in, and is not asked for again at once."""
    host.body = body
    assert not await works(world, app)
    assert not await works(world, app)
    assert len(host.asked) == 1


async def test_x_b26_a_host_that_is_down(world, app, host):
    """X-B26: bounded: one try every few seconds, however many ask; keys that were fetched before stay good for their time."""
    host.down = True
    assert not any(await asyncio.gather(*(works(world, app) for _ in range(20))))
    assert len(host.asked) == 1
    world.clock.pass_(RETRY_SECONDS)
    host.down = False
    assert await works(world, app)
    host.down = True
    assert await works(world, app)
    assert not await works(world, app, header={"kid": "other"})
    assert await works(world, app)


async def test_two_keys_of_one_name(world, app, host):
    """X-B23: two keys of one name are as good as none."""
    host.body = json.dumps({"keys": [signer.public() | {"kid": "key-1"} for signer in (ES, NEXT)]}).encode()
    assert not await works(world, app)


async def test_private_keys_that_somebody_publishes(world, app, host):
    """A set with a private key in it is refused whole: whoever published it has lost it."""
    host.body = json.dumps({"keys": [dict(ES.jwk) | {"kid": "key-1"}]}).encode()
    assert not await works(world, app)
