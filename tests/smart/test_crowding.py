"""Requests that wait are bounded: a stranger fills no disk, and keeps nobody who is signed in from their apps."""

import pytest

from medlock.errors import TooMany
from medlock.oauth import crowding
from medlock.oauth.client import Kind
from medlock.store.tables import Table
from smart.world import ANN, MAY, signs_in

SCOPE = "launch/patient patient/Observation.rs"
HERE, NEXT_DOOR, ELSEWHERE = "203.0.113.7", "203.0.113.8", "198.51.100.1"


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Bounds that a test reaches."""
    for name, most in (("NETWORK_MAX", 3), ("STRANGERS_MAX", 5), ("ACCOUNT_MAX", 2), ("CLIENT_MAX", 4)):
        monkeypatch.setattr(crowding, name, most)


async def ask(world, app, person=None, address=HERE, server=None):
    """One request of somebody at an address."""
    server = server or world.server
    return await server.authorize.begin(world.asking(app, SCOPE), world.session(person), address)


async def waiting(world):
    """How many requests lie in the store."""
    rows, found = world.desk.rows, 0
    for key, row in await rows.backend.scan(Table.OAUTH, None, 1_000):
        try:
            rows.pending.open(key, row)
        except Exception:  # noqa: BLE001, S112 - a row of another kind
            continue
        found += 1
    return found


async def test_strangers_leave_so_many_rows(world):
    """By network, in all, on two processes; then 429 with a time, and no row; later again; who is signed in goes on."""
    app = await world.register()
    other, _, _ = world.process()
    for address in (HERE, NEXT_DOOR, HERE):
        assert signs_in(await ask(world, app, address=address))
    with pytest.raises(TooMany) as refusal:
        await ask(world, app, address=NEXT_DOOR, server=other)
    assert refusal.value.retry_after == 900
    for server in (world.server, other):
        assert signs_in(await ask(world, app, address=ELSEWHERE, server=server))
    for address in (ELSEWHERE, "192.0.2.1", ""):
        with pytest.raises(TooMany):
            await ask(world, app, address=address)
    assert await waiting(world) == 5
    for person in (ANN, MAY):
        for _ in range(2):
            await ask(world, app, person)
        with pytest.raises(TooMany):
            await ask(world, app, person)
    assert await waiting(world) == 9
    world.clock.pass_(900)
    assert signs_in(await ask(world, app))


async def test_what_is_refused_or_needs_no_person_counts_for_nothing(world):
    """A request that is not sound, or asks without a page, leaves no row."""
    app = await world.register()
    for _ in range(9):
        await world.begin(app, "nonsense", None)
        await world.begin(app, SCOPE, None, prompt="none")
    assert signs_in(await ask(world, app))


async def test_pushed_requests_are_bounded(world):
    """By client, and for all public clients together; the answer is 429 with Retry-After; another client goes on."""
    apps = [await world.register() for _ in range(2)]
    confidential = await world.register(Kind.SYMMETRIC)

    async def push(app):
        fields, headers = app.credentials(world)
        return await world.post("/oauth/par", dict(world.asking(app, SCOPE)) | fields, headers)

    assert [(await push(apps[0])).status_code for _ in range(4)] == [201] * 4
    refused = await push(apps[0])
    assert (refused.status_code, refused.json()["error"]) == (429, "temporarily_unavailable")
    assert refused.headers["retry-after"] == "900"
    assert [(await push(apps[1])).status_code for _ in range(2)] == [201, 429]
    assert (await push(confidential)).status_code == 201
