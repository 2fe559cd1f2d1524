"""Limits from the outside: what a caller over a limit is told, what others notice of it, and what is written down."""

import httpx
import orjson
import pytest
from starlette.responses import Response

from medlock.access.principal import Role
from medlock.app import _site, open_app
from medlock.audit.search import AuditQuery
from medlock.clock import Clock
from medlock.errors import Throttled
from medlock.oauth.requests import TokenRequest
from medlock.settings import Rates, Settings, rates_of
from medlock.web.declared import Declared, Face, Permission, Rate
from medlock.web.inventory import INVENTORY
from medlock.web.limits.alarms import Alarms
from medlock.web.limits.making import limits_of
from medlock.web.limits.patients import Patients
from medlock.web.limits.stored import StoredCounter
from medlock.web.oplog import OpLog
from medlock.web.protection import Protection
from rate_limits.world import Ears, caller, limiter
from web.small_world import Lines, SmallWorld

BASE = "https://localhost:8443/fhir"
JSON = {"content-type": "application/fhir+json"}


@pytest.fixture
async def world(tmp_path):
    """`open(rates)` gives the real site with these limits: the app, a client, and the lines of the operator's log."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    settings = Settings(tmp_path / "data", passphrase, rates=rates_of("all=off"))
    async with open_app(settings, create=True) as app:
        lines = Lines()

        async def opened(rates):
            given = Rates() if rates == "defaults" else rates_of(f"all=off {rates}")
            mine = Settings(tmp_path / "data", passphrase, rates=given)
            log = OpLog(Clock(), lines)
            alarms = Alarms(app.records.log, log, app.records.clock)
            making = limits_of(mine, app.records.backend, app.records.keystore.tenant.counter_labels, Clock(), alarms)
            limits = await making.__aenter__()
            transport = httpx.ASGITransport(app=_site(app, log, limits=limits))
            client = httpx.AsyncClient(transport=transport, base_url=BASE)
            closing.append((making, client))
            return app, client, lines

        closing = []
        yield opened
        for making, client in closing:
            await client.aclose()
            await making.__aexit__(None, None, None)


async def token(app, role=Role.CLINICIAN, scopes="user/*.cruds", **more):
    """Headers with a new token."""
    issued = await app.tokens.create(TokenRequest(role, "test", scopes, **more))
    return {"authorization": f"Bearer {issued.secret}"}


async def limit_events(app):
    """What the audit log has of limits."""
    return [
        found.event for found in await app.records.log.find(AuditQuery()) if found.event.action == "protect:limit:reach"
    ]


async def test_what_a_caller_is_told(world):
    """Each answer says what remains; at the limit 429 with when, which and how much; the log has one entry, not fifty."""
    app, client, _ = await world("user=10/m")
    mine = await token(app)
    remains = [(await client.get("Patient/none", headers=mine)).headers["ratelimit"] for _ in range(10)]
    assert [each.split(";")[1] for each in remains] == [f"r={n}" for n in range(9, -1, -1)]
    for _ in range(50):
        answer = await client.get("Patient/none", headers=mine)
        assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert answer.headers["ratelimit-policy"] == '"user";q=10;w=60'
    assert answer.json()["issue"][0]["code"] == "throttled"
    (event,) = await limit_events(app)
    assert (event.outcome, event.account != "", event.reason) == ("denied", True, "limit user is reached")


async def test_the_defaults_leave_an_ordinary_minute_alone(world):
    """A clinician's busy minute: a list, forty charts with searches and writes, a whole record; discovery beside it."""
    app, client, _ = await world("defaults")
    mine = await token(app) | JSON
    assert (await client.get("metadata")).status_code == 200
    for n in range(40):
        body = orjson.dumps({"resourceType": "Patient", "id": f"p{n}", "name": [{"family": "Busy"}]})
        assert (await client.put(f"Patient/p{n}", content=body, headers=mine)).status_code == 201
        assert (await client.get(f"Patient/p{n}", headers=mine)).status_code == 200
        assert (await client.get(f"Observation?patient=p{n}&_count=50", headers=mine)).status_code == 200
    assert (await client.get("Patient?family=Busy&_count=50", headers=mine)).status_code == 200
    assert (await client.get("Patient/p1/$everything", headers=mine)).status_code == 200
    left = (await client.get("Patient/p1", headers=mine)).headers["ratelimit"]
    assert left.split(";")[:2] == ['"user"', f"r={600 - 40 * 7 - 5 - 50 - 1}"]


async def test_weights_are_charged(world):
    """Searches, bundles and $everything use a limit up faster than reads."""
    app, client, _ = await world("user=100/m")
    mine = await token(app)
    assert (
        await client.put("Patient/p", content=b'{"resourceType":"Patient","id":"p"}', headers=mine | JSON)
    ).status_code == 201
    left = int((await client.get("Patient?name=x", headers=mine)).headers["ratelimit"].split(";")[1][2:])
    assert left == 100 - 1 - 5
    batch = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": "Patient?name=x"}}] * 3,
    }
    answer = await client.post("", content=orjson.dumps(batch), headers=mine | JSON)
    assert answer.headers["ratelimit"].split(";")[1] == f"r={left - 16}"
    answer = await client.get("Patient/p/$everything", headers=mine)
    assert answer.headers["ratelimit"].split(";")[1] == f"r={left - 16 - 50}"
    assert (await client.get("Patient/p/$everything", headers=mine)).status_code == 429


async def test_a_refused_bundle_wrote_nothing(world):
    """A transaction over the limit is refused before the door sees it."""
    app, client, _ = await world("user=20/m")
    mine = await token(app)
    entry = {"request": {"method": "POST", "url": "Patient"}, "resource": {"resourceType": "Patient"}}
    bundle = orjson.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [entry] * 9})
    statuses = [(await client.post("", content=bundle, headers=mine | JSON)).status_code for _ in range(4)]
    assert statuses == [200, 200, 429, 429]
    found = (await client.get("Patient?_summary=count", headers=await token(app))).json()
    assert found["total"] == 18


async def test_a_stranger_does_not_use_up_what_others_have(world):
    """Bad tokens are limited by address, and say 429 instead of 401 then; a good one from the same address goes on."""
    app, client, _ = await world("anonymous=5/m user=100/m")
    mine = await token(app)
    statuses = [
        (await client.get("Patient/x", headers={"authorization": "Bearer guess"})).status_code for _ in range(9)
    ]
    assert statuses == [401] * 5 + [429] * 4
    assert (await client.get("metadata")).status_code == 429
    assert [(await client.get("Patient/x", headers=mine)).status_code for _ in range(9)] == [404] * 9
    (event,) = await limit_events(app)
    assert event.reason == "limit anonymous is reached by 127.0.0.1"


async def test_people_who_share_an_address_do_not_hinder_each_other(world):
    """Tokens that have ended are told 401 however many come from one address, so that their apps renew them."""
    app, client, _ = await world("anonymous=3/m user=100/m")
    issued = await app.tokens.create(TokenRequest(Role.CLINICIAN, "test", "user/*.cruds"))
    await app.tokens.revoke(issued.id, "test")
    mine = {"authorization": f"Bearer {issued.secret}"}
    assert {(await client.get("Patient/x", headers=mine)).status_code for _ in range(9)} == {401}
    assert (await client.get("metadata")).status_code == 200


async def test_good_attempts_are_given_back():
    """Only refused requests use up the limits of token endpoint and sign-in; a page counts by session."""
    answers = {"good": 303, "bad": 401}

    async def answer(request):
        return Response(status_code=answers[request.query_params["as"]])

    def route(path, rate, permission=Permission.PUBLIC):
        return Declared(path, ("POST",), permission, rate, body=100, face=Face.PAGE).at(answer)

    mounted = [route("/t", Rate.TOKEN), route("/l", Rate.LOGIN), route("/p", Rate.PAGE, Permission.SESSION)]
    limits = limiter("token=2/m login=2/m page=2/m")
    small = SmallWorld(
        protection=Protection(limits), mounted=mounted, inventory=[*INVENTORY, *(m.declared for m in mounted)]
    )
    transport = httpx.ASGITransport(app=small.site)
    async with httpx.AsyncClient(transport=transport, base_url="https://localhost:8443") as client:
        for path in ("/t", "/l"):
            asked = [(await client.post(path, params={"as": how})).status_code for how in ["good"] * 9 + ["bad"] * 4]
            assert asked == [303] * 9 + [401] * 2 + [429] * 2
        for person in ("a", "b"):
            headers = {"cookie": f"__Host-medlock-session={person}"}
            asked = [(await client.post("/p", params={"as": "good"}, headers=headers)).status_code for _ in range(3)]
            assert asked == [303, 303, 429]


async def test_a_scraper_is_stopped_and_named(world):
    """Reads, a search page and a batch count alike; those already seen stay within reach; the alarm says who."""
    app, client, lines = await world("people_patients=8/h")
    loader = await token(app, Role.LOADER, "system/*.cruds")
    for n in range(20):
        body = orjson.dumps({"resourceType": "Patient", "id": f"p{n}", "name": [{"family": "Many"}]})
        assert (await client.put(f"Patient/p{n}", content=body, headers=loader | JSON)).status_code == 201
    mine = await token(app, account="dr-curious")
    assert (await client.get("Patient?family=Many&_count=3", headers=mine)).status_code == 200
    batch = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": f"Patient/p{n}"}} for n in range(20)],
    }
    entries = (await client.post("", content=orjson.dumps(batch), headers=mine | JSON)).json()["entry"]
    assert 5 <= sum(each["response"]["status"].startswith("200") for each in entries) <= 8
    assert {each["response"]["status"][:3] for each in entries} == {"200", "429"}
    codes = [(await client.get(f"Patient/p{n}", headers=mine)).status_code for n in range(20)]
    assert codes.count(200) == 8
    assert (await client.get("Patient?family=Many", headers=mine)).status_code == 429
    events = await limit_events(app)
    assert [event.account for event in events] == ["dr-curious"]
    assert any('"event":"many-patients"' in line and "curious" not in line for line in lines)


async def test_workers_share_what_was_seen_in_the_store(world):
    """Two guards over the store's real counters: a patient seen through both counts once, different ones add up."""
    app, _, _ = await world("")
    counter = StoredCounter(app.records.backend, app.records.keystore.tenant.counter_labels)
    crew = [Patients(rates_of("people_patients=40/h"), Clock(), Ears(), counter) for _ in range(2)]
    for each, slots in zip(crew, (range(20), range(10, 30)), strict=True):
        each.saw(caller(), slots)
        await each.share(counter)
    assert crew[1]._accounts["dr"].total == 30
    with pytest.raises(Throttled):
        crew[1].saw(caller(), range(100, 111))
    crew[1].saw(caller(), range(100, 110))


async def test_a_patients_own_app_is_not_counted(world):
    """A caller held to a patient may read as much of that record as rates allow."""
    app, client, _ = await world("people_patients=1/h")
    mine = await token(app, Role.PATIENT, "patient/*.rs", patient="p0")
    assert {(await client.get("Patient/p0", headers=mine)).status_code for _ in range(5)} == {404}
