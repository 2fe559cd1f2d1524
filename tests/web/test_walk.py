"""Every route and method of the real site: credentials first, then a declared interaction, then a permission."""

import httpx
import orjson
import pytest

from medlock.access.decide import _NEEDED
from medlock.access.principal import Role
from medlock.app import _site, open_app
from medlock.audit.search import AuditQuery
from medlock.clock import Clock
from medlock.fhir.address import ROUTES
from medlock.fhir.question import EMERGENCIES, EXPORTS, Interaction
from medlock.oauth.requests import TokenRequest
from medlock.settings import Settings
from medlock.web.oplog import OpLog
from medlock.web.routes import HEALTH, READY

BASE = "https://localhost:8443/fhir"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
BUNDLE = orjson.dumps(
    {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"request": {"method": "GET", "url": "Patient/p1"}}],
    }
)
PATIENT = orjson.dumps({"resourceType": "Patient", "id": "p1"})
MATCH = orjson.dumps(
    {
        "resourceType": "Parameters",
        "parameter": [{"name": "resource", "resource": {"resourceType": "Patient", "telecom": [
            {"system": "phone", "value": "1"}]}}],
    }
)  # fmt: skip
GROUP = orjson.dumps(
    {"resourceType": "Group", "id": "p1", "type": "person", "actual": True,
     "member": [{"entity": {"reference": "Patient/p1"}}]}
)  # fmt: skip
EMERGENCY = {
    Interaction.BREAK_GLASS: {"reason": "Unconscious in the emergency room."},
    Interaction.BREAK_GLASS_END: {"case": "0" * 16},
    Interaction.BREAK_GLASS_REVIEW: {"case": "0" * 16, "outcome": "justified"},
}
WALK = [(template, method) for template in ROUTES for method in METHODS]


class Lines(list):
    """A sink that keeps lines."""

    write = list.append

    def flush(self):
        """Nothing is held back."""


@pytest.fixture
async def site(tmp_path):
    """The real site over a fresh directory, and a client that presents any secret."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    lines = Lines()
    key = tmp_path / "project.key"
    key.write_text("ab" * 32)
    key.chmod(0o600)
    async with open_app(Settings(tmp_path / "data", passphrase, deid_key_file=key), create=True) as app:
        transport = httpx.ASGITransport(app=_site(app, OpLog(Clock(), lines)))
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            yield app, client
    assert not lines


async def token(app, role, scopes="user/*.cruds"):
    """Headers with a new token."""
    issued = await app.tokens.create(TokenRequest(role, "test", scopes))
    return {"authorization": f"Bearer {issued.secret}"}


def request_for(template, method):
    """Path, headers and body that make sense for a route."""
    path = template.format(type="Patient", id="p1", version="1").removeprefix("/")
    interaction = ROUTES[template].get("GET" if method == "HEAD" else method)
    if interaction is Interaction.SEARCH_SYSTEM and "{id}" not in template:
        path += "?_type=Patient"
    if template == "/{type}" and method in {"PUT", "PATCH", "DELETE"}:
        path += "?_id=p1"
    json = {"content-type": "application/fhir+json"}
    if interaction in EXPORTS:
        policy = "?policy=safe-harbor" if interaction is Interaction.DEIDENTIFY else ""
        return path + policy, json | {"prefer": "respond-async"}, b""
    if interaction is Interaction.MATCH or (interaction in EMERGENCIES and method == "POST"):
        return path, json, MATCH if interaction is Interaction.MATCH else said(template, interaction)
    if interaction in {Interaction.DOCREF, Interaction.LASTN, Interaction.VALIDATE}:
        named = "" if interaction is Interaction.VALIDATE else "?patient=p1"
        return path + named, json, PATIENT if method == "POST" and not named else b""
    if interaction is Interaction.PATCH:
        return path, {"content-type": "application/json-patch+json"}, b"[]"
    searches = {Interaction.SEARCH, Interaction.SEARCH_SYSTEM, Interaction.EVERYTHING}
    if interaction in searches or method in {"GET", "HEAD", "DELETE"}:
        return path, {"content-type": "application/x-www-form-urlencoded"}, b""
    return path, {"content-type": "application/fhir+json"}, BUNDLE if path == "" else PATIENT


def said(template, interaction):
    """What an operation of an emergency is told."""
    words = {} if interaction is Interaction.BREAK_GLASS_END and "{id}" in template else EMERGENCY[interaction]
    given = [{"name": name, "valueString": value} for name, value in words.items()]
    return orjson.dumps({"resourceType": "Parameters"} | ({"parameter": given} if given else {}))


async def ask(client, template, method, headers):
    """One request of the walk."""
    path, more, body = request_for(template, method)
    return await client.request(method, path, headers=headers | more, content=body)


async def test_every_route_demands_credentials(site):
    """Without a token, and with an unknown one, each route and method is 401 with the same body."""
    app, client = site
    for headers in ({}, {"authorization": "Bearer unknown"}):
        for template, method in WALK:
            answer = await ask(client, template, method, headers)
            assert answer.status_code == 401, (template, method)
            assert answer.headers["www-authenticate"] == 'Bearer realm="medlock"'
    assert len(await app.records.log.find(AuditQuery())) > 0


async def test_every_route_declares_its_methods(site):
    """With a clinician's token a declared method is answered, any other is 405 and says which there are; HEAD begins no export."""
    app, client = site
    headers = await token(app, Role.CLINICIAN)
    json = {"content-type": "application/json"}
    assert await client.put("Patient/p1", content=PATIENT, headers=headers | json)
    assert await client.put("Group/p1", content=GROUP, headers=headers | json)
    for template, method in WALK:
        if method == "DELETE":
            continue
        declared = ROUTES[template].get("GET" if method == "HEAD" else method)
        answer = await ask(client, template, method, headers)
        if declared is None or (declared in EXPORTS and method == "HEAD"):
            assert answer.status_code == 405, (template, method)
            assert answer.headers["allow"]
        else:
            wanted = {202} if declared in EXPORTS else {200, 201}
            if declared in EMERGENCIES:  # nobody is behind this token, and it is no privacy officer's
                wanted = {401, 200} if "{id}" in template else {403}
            assert answer.status_code in wanted, (template, method, answer.text)
            if declared in EXPORTS:
                gone = await client.delete(answer.headers["content-location"], headers=headers)
                assert gone.status_code == 202


async def test_every_interaction_demands_a_permission(site):
    """A caller without rights gets 403 from each declared route, and the log has each denial with its reason."""
    app, client = site
    headers = await token(app, Role.SECURITY_ADMIN)
    denied = 0
    for template, method in WALK:
        declared = ROUTES[template].get("GET" if method == "HEAD" else method)
        if declared is not None and not (declared in EXPORTS and method == "HEAD"):
            answer = await ask(client, template, method, headers)
            assert answer.status_code == 403, (template, method, answer.text)
            denied += 1
    events = [found.event for found in await app.records.log.find(AuditQuery())]
    reasons = [event.reason for event in events if event.outcome == "denied"]
    assert len(reasons) == denied
    assert all(reason.startswith("denied: security-admin may not") for reason in reasons)


def test_every_interaction_has_a_declared_right():
    """Each interaction is either decided by a right or is a bundle, whose entries are."""
    bundles = {Interaction.BATCH, Interaction.TRANSACTION}
    assert set(_NEEDED) == set(Interaction) - bundles
    assert {each for methods in ROUTES.values() for each in methods.values()} == set(Interaction) - {Interaction.BATCH}


async def test_nothing_answers_outside_the_route_table(site):
    """Addresses that look like operations of other servers are 404 for a clinician too."""
    app, client = site
    headers = await token(app, Role.CLINICIAN)
    for path in (
        "Observation/$export",
        "Patient/p1/$export",
        "Group/$export",
        "$psuedonymize",
        "_bulk/x",
        "_bulk/x/Patient",
        "_history/1",
        "Patient/p1/$match",
        "Patient/$docref",
        "Patient/p1/$validate/x",
        "$graphql",
        "Patient/p1/_history/1/x",
        "Nothing",
        "Practitioner/p1/Observation",
        "Patient/p1/Nothing",
        "Patient/p1/Observation/x",
        "Observation/_search/x",
    ):
        for method in ("GET", "POST"):
            answer = await client.request(method, path, headers=headers)
            assert answer.status_code in {404, 400, 405}, path
            assert answer.json()["resourceType"] == "OperationOutcome"
    for path in ("/admin", "/metrics", "/docs", "/openapi.json", "/.well-known/smart-configuration"):
        assert (await client.get("https://localhost:8443" + path, headers=headers)).status_code == 404


async def test_metadata_and_health_are_the_only_open_doors(site):
    """Both answer strangers, and hold nothing of any record."""
    _, client = site
    statement = (await client.get("metadata")).json()
    assert statement["implementation"]["url"] == BASE
    for address in (HEALTH, READY):
        assert (await client.get("https://localhost:8443" + address)).json() == {"status": "ok"}
        for method in set(METHODS) - {"GET", "HEAD"}:
            assert (await client.request(method, "https://localhost:8443" + address)).status_code == 405
