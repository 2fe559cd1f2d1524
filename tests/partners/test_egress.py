"""The outbound client against real servers that misbehave: it comes back with JSON, or with a refusal, in bounded time."""

import asyncio
import os
import socket
import ssl
import time
import tracemalloc

import pytest

from medlock.errors import BadRequest, MedlockError, Unavailable
from medlock.partners.egress import BYTES_MAX, Egress, Trial
from partners.outside import BODY, BOMB, NAME, endless, outside, plain, silent, trickle

HERE = ("127.0.0.1",)


async def everybody(_host):
    """Every host is registered."""
    return True


def egress(world, resolve=lambda _host: HERE, registered=everybody, **more):
    """The client, with the outside world on loopback."""
    return Egress(registered, trial=Trial(world.authority, resolve, **more))


async def refused(fetch, url):
    """The private reason of a refusal."""
    with pytest.raises(Unavailable) as told:
        await fetch(url)
    assert url not in str(told.value)
    return told.value.reason


async def test_a_document_comes_as_it_is(tmp_path):
    """The body, how long it may be kept; one GET with the host it was named by, no credentials, no compression."""
    async with outside(tmp_path) as world:
        world.script["/a?b=c"] = plain(BODY, cache_control="public, max-age=3600")
        answer = await egress(world)(world.url("/a?b=c"))
        assert (answer.body, answer.max_age) == (BODY, 3_600)
        (head,) = world.heads
    lines = head.decode().lower().split("\r\n")
    assert f"host: {NAME}:{world.port}" in lines
    assert "accept-encoding: identity" in lines
    assert not any(line.startswith(("cookie", "authorization", "proxy")) for line in lines)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("max-age=60", 60), ("no-store", 0), ("no-cache, max-age=60", 0), ("private", None), (None, None),
        ("s-maxage=9", None), ('max-age="7"', 7),
    ],
)  # fmt: skip
async def test_how_long_it_may_be_kept(tmp_path, said, kept):
    """Cache-Control as RFC 9111 has it."""
    async with outside(tmp_path) as world:
        world.script["/jwks"] = plain(BODY, cache_control=said)
        assert (await egress(world)(world.url())).max_age == kept


@pytest.mark.parametrize(
    "reply",
    [
        plain(b"", "302 Found", location="https://127.0.0.1/"),
        plain(b"", "301 Moved Permanently", location="https://keys.example.org/other"),
        plain(b"", "307 Temporary Redirect", location="http://169.254.169.254/latest/meta-data"),
        plain(b"", "500 Internal Server Error"),
        plain(b"", "304 Not Modified"),
        plain(b"<html>", content_type="text/html"),
        plain(BODY, content_type=None),
        plain(BODY, content_type="application/jsonp"),
        plain(BOMB, content_encoding="gzip"),
        plain(BODY, content_length=str(BYTES_MAX + 1)),
        plain(b"x" * 10_000_000),
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + b"x" * (BYTES_MAX + 1),
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: y\r\n" % n for n in range(200_000)) + b"\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"",
    ],
    ids=lambda reply: reply[:60].decode("latin-1").replace("\r\n", " "),
)
async def test_what_is_not_taken(tmp_path, reply):
    """Redirects (never followed), errors, other content, compression, too much, too little, too many headers, no HTTP."""
    async with outside(tmp_path) as world:
        world.script["/jwks"] = reply
        began = time.monotonic()
        await refused(egress(world), world.url())
        assert world.asked == ["/jwks"]
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("script", [endless, trickle, silent])
async def test_bounded_in_time_and_size(tmp_path, script):
    """A server that never ends is cut off: within the time, with little held in memory."""
    async with outside(tmp_path) as world:
        world.script["/jwks"] = script
        tracemalloc.start()
        began = time.monotonic()
        await refused(egress(world, seconds=0.5), world.url())
        assert time.monotonic() - began < 3
        assert tracemalloc.get_traced_memory()[1] < 20 * BYTES_MAX
        tracemalloc.stop()


async def test_the_certificate_must_name_the_host(tmp_path):
    """Another name's certificate, and one of an authority that is not trusted, are refused before a byte is sent."""
    async with outside(tmp_path, "other.example.org") as world:
        assert "ConnectError" in await refused(egress(world), world.url())
        assert await egress(world)(world.url(host="other.example.org"))
        other = Egress(everybody, trial=Trial(_stranger(tmp_path), lambda _host: HERE))
        await refused(other, world.url(host="other.example.org"))
        assert world.asked == ["/jwks"]


def _stranger(tmp_path):
    """An authority that signed nothing here."""
    from datetime import UTC, datetime  # noqa: PLC0415

    from medlock.crypto.certificates import make_authority  # noqa: PLC0415

    path = tmp_path / "stranger.pem"
    path.write_bytes(make_authority("stranger", datetime.now(UTC)).certificate)
    return path


@pytest.mark.parametrize("address", ["169.254.169.254", "10.0.0.1", "::ffff:127.0.0.1", "0.0.0.0", "fd00:ec2::254"])  # noqa: S104
async def test_names_of_inner_addresses_are_refused(tmp_path, address):
    """A public name that resolves inside, alone or beside a good address, is not connected to."""
    async with outside(tmp_path) as world:
        for addresses in ((address,), (*HERE, address)):
            reason = await refused(egress(world, lambda _host, found=addresses: found), world.url())
            assert "not public" in reason
        assert world.asked == []


async def test_without_a_trial_loopback_is_not_public(tmp_path, monkeypatch):
    """As in production: the same name and server on 127.0.0.1 is refused, also where the resolver says so."""
    async with outside(tmp_path) as world:

        async def here(*_args, **_more):
            await asyncio.sleep(0)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", world.port))]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", here, raising=False)
        assert "not public" in await refused(Egress(everybody), world.url())
        assert world.asked == []


async def test_rebinding_gains_nothing(tmp_path):
    """A name that is good when it is looked at and inner a moment later: it is resolved once, and that is connected to."""
    answers = iter([HERE, ("10.0.0.1",), ("10.0.0.1",)])
    asked = []

    def resolve(host):
        asked.append(host)
        return next(answers)

    async with outside(tmp_path) as world:
        fetch = egress(world, resolve)
        assert (await fetch(world.url())).body == BODY
        assert asked == [NAME]
        assert "not public" in await refused(fetch, world.url())


async def test_only_registered_hosts(tmp_path):
    """A host that nobody registered is refused before its name is resolved."""

    async def only(host):
        return host == NAME

    def never(_host):
        raise AssertionError("resolved")

    async with outside(tmp_path) as world:
        assert "not registered" in await refused(egress(world, never, only), world.url(host="evil.example.org"))
        assert (await egress(world, registered=only)(world.url())).body == BODY
        with pytest.raises(BadRequest):
            await egress(world)("http://keys.example.org/")


async def test_the_next_address_is_tried(tmp_path):
    """Of several addresses one that does not answer is passed over."""
    async with outside(tmp_path) as world:
        assert (await egress(world, lambda _host: ("::1", "127.0.0.1"))(world.url())).body == BODY


async def test_nothing_of_the_environment_counts(tmp_path, monkeypatch):
    """Neither proxies nor certificates of the environment are used."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with outside(tmp_path) as world:
        assert (await egress(world)(world.url())).body == BODY
        for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
            monkeypatch.setenv(name, str(world.authority))
        context = Egress(everybody)._context
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert not any("outside" in str(each["subject"]) for each in context.get_ca_certs())
    assert not any(name.startswith("MEDLOCK_EGRESS") for name in os.environ)


async def test_few_at_once(tmp_path):
    """More fetches than slots wait, and none is lost."""
    async with outside(tmp_path) as world:
        fetch = egress(world)
        answers = await asyncio.gather(*(fetch(world.url(f"/{n}")) for n in range(30)), return_exceptions=True)
        assert not [each for each in answers if isinstance(each, MedlockError)]
        assert len(world.asked) == 30
