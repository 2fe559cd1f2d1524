"""The whole site over a real store in a directory: records, door, accounts, sessions, apps, JSON over ASGI.

A small clinic lies in it. People sign in by starting a session, and decide through `oauth.authorize`, as the pages do;
everything an app does goes over the wire.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx

from medlock.access.principal import Role
from medlock.app import _authorization, _site, open_app
from medlock.clock import Clock
from medlock.identity.accounts import NewAccount
from medlock.identity.ground import Place
from medlock.identity.sessions import Proven
from medlock.oauth.client import Kind
from medlock.oauth.launching import LaunchRequest
from medlock.oauth.registering import Registration
from medlock.oauth.requests import TokenRequest
from medlock.settings import Settings, rates_of
from medlock.web.limits.alarms import Alarms
from medlock.web.limits.making import limits_of
from medlock.web.oplog import OpLog
from smart.world import ALL_SCOPES, CALLBACK, CHALLENGE, VERIFIER, answer
from web.small_world import Lines

ROOT = "https://localhost:8443"
FHIR = ROOT + "/fhir"
OBSERVED = "http://terminology.hl7.org/CodeSystem/observation-category"
CONDITION = "http://terminology.hl7.org/CodeSystem/condition-category"
CONCERN = "http://hl7.org/fhir/us/core/CodeSystem/condition-category"


def _coded(system, code):
    return {"coding": [{"system": system, "code": code}]}


def observation(name, patient, category, status="final"):
    """An observation of one category."""
    return {
        "resourceType": "Observation",
        "id": name,
        "status": status,
        "category": [_coded(OBSERVED, category)],
        "code": _coded("http://loinc.org", "8867-4"),
        "subject": {"reference": f"Patient/{patient}"},
    }


def condition(name, patient, system, category):
    """A condition of one category."""
    return {
        "resourceType": "Condition",
        "id": name,
        "category": [_coded(system, category)],
        "code": _coded("http://snomed.info/sct", "73211009"),
        "subject": {"reference": f"Patient/{patient}"},
    }


PATIENTS = ("ann", "bob", "carl")
CLINIC = [
    *({"resourceType": "Patient", "id": name, "name": [{"family": name.title()}]} for name in PATIENTS),
    {"resourceType": "Practitioner", "id": "doc", "name": [{"family": "Doc"}]},
    {"resourceType": "Organization", "id": "org", "name": "Clinic"},
    {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "finished",
        "class": {"code": "AMB", "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode"},
        "subject": {"reference": "Patient/ann"},
    },
    {
        "resourceType": "Group",
        "id": "g1",
        "type": "person",
        "actual": True,
        "member": [{"entity": {"reference": f"Patient/{name}"}} for name in ("ann", "bob")],
    },
    *(observation(f"{name}-lab", name, "laboratory") for name in PATIENTS),
    *(observation(f"{name}-soc", name, "social-history") for name in PATIENTS),
    *(observation(f"{name}-vit", name, "vital-signs") for name in PATIENTS),
    *(condition(f"{name}-enc", name, CONDITION, "encounter-diagnosis") for name in PATIENTS),
    *(condition(f"{name}-con", name, CONCERN, "health-concern") for name in PATIENTS),
    *(condition(f"{name}-pro", name, CONDITION, "problem-list-item") for name in PATIENTS),
]


class Site:
    """An open site."""

    def __init__(self, app, wire, root=ROOT):
        self.app = app
        self.wire = wire
        self.root = root
        self.server = _authorization(app, app.records.door)

    async def fill(self):
        """The clinic, by an operator's token."""
        entries = [
            {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
            for each in CLINIC
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        issued = await self.app.tokens.create(TokenRequest(Role.BACKEND, "test", "system/*.cruds"))
        done = await self.fhir("POST", "", issued.secret, json=bundle)
        assert done.status_code == 200, done.text

    async def fhir(self, method, path, token="", headers=None, **more):
        """A request to the FHIR API."""
        sent = {"accept": "application/fhir+json"} | ({"authorization": f"Bearer {token}"} if token else {})
        if "json" in more:
            more["content"], sent["content-type"] = json.dumps(more.pop("json")), "application/fhir+json"
        base = f"{self.root}/fhir"
        address = path if path.startswith("https://") else f"{base}/{path}" if path else base
        return await self.wire.request(method, address, headers=sent | (headers or {}), **more)

    async def get(self, path, token="", **headers):
        """A read or a search."""
        return await self.fhir("GET", path, token, headers)

    async def ids(self, path, token):
        """What a search finds."""
        done = await self.get(path, token)
        assert done.status_code == 200, done.text
        return {entry["resource"]["id"] for entry in done.json().get("entry", ())}

    async def client(self, kind=Kind.PUBLIC, **more):
        """A client."""
        usual = {"redirect_uris": (CALLBACK,), "scopes": ALL_SCOPES}
        client, _ = await self.app.oauth.clients.register(Registration("App", kind, **(usual | more)), "test")
        return client

    async def person(self, name, role, resource, **more):
        """An account that may act, in a session of its own."""
        identity, place = self.app.identity, Place("192.0.2.7")
        account = await identity.accounts.create(NewAccount(name, (role,), resource=resource, **more), "test")
        invited = await identity.invitations.invite(account.id, "test")
        await identity.sign_in.join(invited.code, f"{name.lower()}@example.org", "", place)
        held = await identity.accounts.held(account.id)
        begun = await identity.sessions.start(held, Proven(("hwk", "user"), "phr"), place)
        return begun.session

    async def launch(self, client, session, **context):
        """A launch from the portal: its handle."""
        address = await self.server.launching.begin(session.account, LaunchRequest(client.id, **context))
        return dict(each.split("=", 1) for each in urlsplit(address).query.split("&"))["launch"]

    async def tokens(self, client, session, scope, patient="", *, chosen=None, **more):
        """The token answer of a whole flow."""
        asked = {
            "response_type": "code",
            "client_id": client.id,
            "redirect_uri": client.redirect_uris[0],
            "scope": scope,
            "state": "s",
            "aud": f"{self.root}/fhir",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        } | more
        need = await self.server.authorize.begin(list(asked.items()), session)
        scopes = chosen or tuple(line.scope for line in need.view.lines)
        found = answer(await self.server.authorize.decide(need.handle, session, scopes, patient))
        assert "code" in found, found
        form = {"grant_type": "authorization_code", "code": found["code"], "code_verifier": VERIFIER}
        form |= {"redirect_uri": client.redirect_uris[0], "client_id": client.id}
        done = await self.wire.post(f"{self.root}/oauth/token", data=form)
        assert done.status_code == 200, done.text
        return done.json()


@asynccontextmanager
async def open_site_in(directory, rates="all=off"):
    """A site in a directory, filled, for the length of a block."""
    passphrase = directory / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    settings = Settings(directory / "data", passphrase, rates=rates_of(rates))
    async with open_app(settings, create=True) as app:
        log = OpLog(Clock(), Lines())
        counters = app.records.backend, app.records.keystore.tenant.counter_labels
        making = limits_of(settings, *counters, Clock(), Alarms(app.records.log, log, app.records.clock))
        limits = await making.__aenter__() if rates != "all=off" else None
        transport = httpx.ASGITransport(app=_site(app, log, limits=limits))
        async with httpx.AsyncClient(transport=transport, timeout=60) as wire:
            site = Site(app, wire)
            await site.fill()
            yield site
        if limits is not None:
            await making.__aexit__(None, None, None)
