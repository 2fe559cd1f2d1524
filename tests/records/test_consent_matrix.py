"""Roles, scopes, consents and paths together against a naive second reading: no difference at all.

A crowd of callers in every role asks everything that can be asked of a clinic whose patients change their minds between
times, at three processes with three site policies. Seeded; `MEDLOCK_THOROUGH=1` takes ten times as many callers.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from consent import form
from medlock.access.consent.policy import Policy
from medlock.access.consent.ruling import Site
from medlock.access.mint import mint_principal
from medlock.access.principal import Principal, Role
from medlock.access.scopes import parse_scopes
from records.consent_oracle import KINDS, PURPOSES, ROLES, Asker, ConsentOracle, belongs, linked, ms
from records.scope_oracle import Json, references
from records.test_scope_oracle import PEOPLE, QUERIES, SYSTEM, TYPES, Cases, Clinic, Maker
from records.world import World, open_world, patient

THOROUGH = os.environ.get("MEDLOCK_THOROUGH") == "1"
ROUNDS = {"sqlite": 90 if THOROUGH else 9, "postgres": 20 if THOROUGH else 2}
CALLERS = 6
POLICIES = ("permit-all", "basic-normal", "deny")
PRACTITIONERS = [f"Practitioner/p{n}" for n in range(4)]
ORGANISATION = "Organization/org"
LABELS = ["N", "R", "V", "L", "PSY", "HIV", "ETHUD", "SUD"]
YEARS = [{"start": "2024-01-01", "end": "2024-03-31"}, {"end": "2024-02-15"}, {"start": "2025-01-01"}]
NOW = [{"end": "2025-09-30"}, {"start": "2025-01-01"}, {"start": "2026-01-01"}, {"end": "2031-01-01"}]


class LabellingMaker(Maker):
    """Some resources bear labels."""

    def make(self, type_: str, id_: str) -> Json:
        """One resource."""
        body = super().make(type_, id_)
        if type_ not in {"Practitioner", "Patient"} and self.random.random() < 0.4:
            given = [form.label(each) for each in self.random.sample(LABELS, self.random.choice((1, 1, 2)))]
            body.setdefault("meta", {})["security"] = given
        return body


class Decider:
    """Makes up what a patient decides."""

    def __init__(self, random_: random.Random, names: list[str]) -> None:
        self.random, self.names = random_, names

    def some(self, items: list[Any], most: int = 2) -> list[Any]:
        """One to `most` of these."""
        return self.random.sample(items, self.random.randint(1, most))

    def provision(self, depth: int = 0) -> Json:
        """A rule with rules in it."""
        found: Json = {"type": self.random.choice(("permit", "permit", "deny"))}
        elements = {
            "actor": lambda: self.some([*PRACTITIONERS, ORGANISATION], 3),
            "purpose": lambda: self.some(["TREAT", "HPAYMT", "HOPERAT", "HRESCH", "COC"]),
            "action": lambda: self.some(["access", "disclose", "correct", "collect"]),
            "class": lambda: self.some(list(TYPES[:5])),
            "code": lambda: [f"{self.random.choice((SYSTEM, 'http://other'))}|{self.random.choice('ab')}"],
            "dataPeriod": lambda: self.random.choice(YEARS),
            "securityLabel": lambda: self.some(LABELS),
            "data": lambda: [self.datum()],
        }
        for name, make in elements.items():
            if self.random.random() < (0.12 if depth == 0 else 0.25):
                found[name] = make()
        if self.random.random() < 0.1:
            found["period"] = self.random.choice(NOW)
        if depth < 2 and self.random.random() < (0.7, 0.25)[depth]:
            found["provision"] = [self.provision(depth + 1) for _ in range(self.random.randint(1, 2))]
        return found

    def datum(self) -> Json:
        """A reference in a rule."""
        meaning = self.random.choice(("instance", "related", "dependents", "authoredby"))
        return {"meaning": meaning, "ref": self.random.choice(PRACTITIONERS if meaning == "authoredby" else self.names)}

    def consent(self, who: str, number: int) -> Json:
        """One consent of a patient."""
        short: Json = {"patient": who, "provision": self.provision()}
        if self.random.random() < 0.2:
            short["status"] = "inactive"
        return form.consent(short, number) | {"id": f"{who}-{number}"}


class GuardedClinic(Clinic):
    """A clinic whose patients decide."""

    def __init__(self, worlds: list[World], seed: int) -> None:
        super().__init__(worlds[0], seed)
        self.worlds = worlds
        self.known: dict[str, str] = {}
        self.oracle: ConsentOracle = ConsentOracle()
        self.maker = LabellingMaker(self.random)

    async def write(self, body: Json) -> None:
        """One version, in both."""
        shown = await self.world.put(body)
        self.keep(body, shown)

    def keep(self, body: Json, shown: Json) -> None:
        """A version that was written, in the oracle."""
        self.oracle.put(body)
        self.oracle.stamp(body, ms(shown["meta"]["lastUpdated"]))

    async def fill(self) -> None:
        """The clinic, and an organisation."""
        await self.write({"resourceType": "Organization", "id": "org", "name": "x"})
        await super().fill()

    async def decide(self) -> None:
        """Everybody makes up their mind anew."""
        for who in PEOPLE:
            own = [each for each in self.oracle.living() if f"Patient/{who}" in belongs(each)]
            names = [
                f"{each['resourceType']}/{each['id']}"
                for each in own
                if each["resourceType"] not in {"Consent", "Patient"}
            ]
            decider = Decider(self.random, names)
            for number in range(self.random.choice((0, 1, 1, 2))):
                body = decider.consent(who, number)
                shown = await self._said(who, body)
                self.keep(body, shown)

    async def _said(self, who: str, body: Json) -> Json:
        """A consent, written by its patient, under the id that the server chose for the first version."""
        own, key = patient(who, "patient/Consent.crus"), body.pop("id")
        if key in self.known:
            body["id"] = self.known[key]
            return await self.world.put(body, own)
        shown: Json = json.loads((await self.world.send(own, "POST /Consent", body)).body)
        body["id"] = self.known[key] = shown["id"]
        return shown

    def turn(self, number: int) -> None:
        """Go on at one of the processes."""
        other = self.worlds[number % len(self.worlds)]
        other.clock.ms = max(each.clock.ms for each in self.worlds)
        self.world, self.oracle.policy = other, POLICIES[number % len(self.worlds)]
        self.oracle.now = other.clock.ms

    def caller(self) -> Asker:
        """Somebody in some role with a few scopes."""
        who = self.random.choice(("clinician", "clinician", "clinician", "nurse", "lab", "backend", *ROLES))
        kinds = KINDS.get(who, "user").split()
        held = self.random.choice(PEOPLE) if who == "patient" else self.random.choice(("", "", "", *PEOPLE))
        kind = "patient" if "patient" in kinds and held and self.random.random() < 0.7 else kinds[-1]
        held = held if "patient" in kinds else ""
        scopes = [f"{kind}/*.cruds"] if self.random.random() < 0.5 else [self._scope(kind) for _ in range(5)]
        actors = {self.random.choice(PRACTITIONERS)} if who != "patient" else set()
        actors |= {ORGANISATION} if self.random.random() < 0.3 else set()
        return Asker(scopes, held, who=who, actors=frozenset(actors))


def principal(asker: Asker) -> Principal:
    """The caller at our door."""
    own = [each for each in asker.actors if each.startswith("Practitioner")]
    return mint_principal(
        "app",
        frozenset({Role(asker.who)}),
        parse_scopes(" ".join(asker.scopes)),
        patient=asker.held,
        purpose=PURPOSES.get(asker.who, "HCOMPL"),
        fhir_user=own[0] if own else "",
        organisations=frozenset(asker.actors - set(own)),
    )


class GuardedCases(Cases):
    """The same questions, asked by who is bound by consents, and further ones."""

    clinic: GuardedClinic
    oracle: ConsentOracle

    def __init__(self, clinic: GuardedClinic, caller: Asker) -> None:
        super().__init__(clinic, caller)
        self.who = principal(caller)

    async def all(self) -> None:
        """Everything."""
        await super().all()
        await self.shapes()
        await self.iterated()
        await self.conditional()

    def mentioned(self, readable: list[Json]) -> set[str]:
        """What these refer to; of a consent, the actors of its root are looked for."""
        shown = [each["provision"].get("actor", []) if each["resourceType"] == "Consent" else each for each in readable]
        return {name for each in shown for name in linked(each)}

    async def shapes(self) -> None:
        """`_elements` and `_summary` show the same resources, and no others."""
        type_ = self.random.choice(TYPES)
        if not self.caller.may(type_, "s"):
            return
        expected = sorted(self.oracle.found(self.caller, type_, "", "s"))
        for shape in ("_elements=meta", "_summary=true", "_summary=data"):
            names, total, _ = await self.pages(f"GET /{type_}?{shape}&_count=50")
            self.same((sorted(names), total), (expected, len(expected)), f"{type_}?{shape}")

    async def iterated(self) -> None:
        """From reports to results, and from there to their members."""
        if not (self.caller.may("DiagnosticReport", "s") and self.caller.may("Observation", "rs")):
            return
        found = self.oracle.found(self.caller, "DiagnosticReport", "", "s")
        seen = {
            f"Observation/{each['id']}": each
            for each in self.oracle.living("Observation")
            if self.oracle.sees(self.caller, each, "rs")
        }
        reports = [e for e in self.oracle.living("DiagnosticReport") if f"DiagnosticReport/{e['id']}" in found]
        waiting = {name for each in reports for name in references(each, "result")} & seen.keys()
        reached: set[str] = set()
        while waiting:
            reached |= waiting
            waiting = {n for each in waiting for n in references(seen[each], "has-member")} & seen.keys() - reached
        line = (
            "GET /DiagnosticReport?_include=DiagnosticReport:result&_include:iterate=Observation:has-member&_count=100"
        )
        names, _, _ = await self.pages(line)
        self.same(sorted(names), sorted(found | reached), "_include:iterate")

    async def exports(self) -> None:
        """A file of an export: what may leave."""
        self.oracle.acting = "disclose"
        try:
            type_ = self.random.choice(("Observation", "Appointment", "Condition"))
            if self.caller.may(type_, "rs"):
                expected = self.oracle.found(self.caller, type_, "", "rs")
                lines = (await self._piece(type_, type_)).splitlines()
                names = sorted(f"{type_}/{json.loads(line)['id']}" for line in lines)
                self.same(names, sorted(expected), f"export {type_}")
        finally:
            self.oracle.acting = "access"

    async def conditional(self) -> None:
        """Criteria find what a search finds: a hidden match is none, for If-None-Exist, update, patch and delete."""
        type_, query = "Observation", self.random.choice(QUERIES["Observation"][:9])
        if not self.caller.may(type_, "rs"):
            return
        query = f"{query}&_id={self.random.choice([e['id'] for e in self.oracle.living(type_)])}"
        found = self.oracle.found(self.caller, type_, query, "rs")
        patch = [{"op": "test", "path": "/status", "value": "nothing"}]
        if self.caller.may(type_, "ru"):
            kind = "application/json-patch+json"
            got = await self.outcome(f"PATCH /{type_}?{query}", json.dumps(patch).encode(), content_type=kind)
            self.same(got == "no", not self._changeable(found, "ru"), f"conditional patch {query} {got}")
        if self.caller.may(type_, "d") and not found:
            self.same(await self.outcome(f"DELETE /{type_}?{query}"), "204", f"conditional delete {query}")

    def _changeable(self, found: set[str], letters: str) -> bool:
        bodies = [each for each in self.oracle.living("Observation") if f"Observation/{each['id']}" in found]
        looks = all(self.oracle.sees(self.caller, each, "r") for each in bodies)
        return bool(bodies) and looks and all(self.oracle.sees(self.caller, each, letters) for each in bodies)

    async def writes(self) -> None:
        """An update, a create and a delete, alone and in a batch: what is hidden from a write is as if it were not there."""
        bodies = list(self.oracle.living("Observation"))
        before = self.random.choice(bodies)
        name = f"Observation/{before['id']}"
        after = {key: value for key, value in before.items() if key not in {"hasMember", "performer"}}
        after |= {"status": self.random.choice(("final", "preliminary"))}
        when = self.clinic.world.clock.ms + 1_000
        self.oracle.stamp(after, when)
        if not self.caller.may("Observation", "u"):
            self.same(await self.outcome(f"PUT /{name}", after), "denied", f"update {name}")
        else:
            there, then = (self.oracle.sees(self.caller, each, "u") for each in (before, after))
            got = await self.outcome(f"PUT /{name}", after)
            if not there:
                self.same(got, "no", f"update {name}")
            else:
                self.same(got == "200", then and self.nameable(after), f"update {name} {got}")
            if got == "200":
                owner = patient(belongs(after)[0].partition("/")[2])
                shown = await self.world.read(owner, name)
                self.clinic.keep(after, shown)
        await self._batched(self.random.choice(bodies))

    async def _batched(self, body: Json) -> None:
        """A delete in a batch of what may not be deleted; it stays."""
        name = f"Observation/{body['id']}"
        current = self.oracle.versions[name][-1].body
        if current is None or (self.caller.may("Observation", "d") and self.oracle.sees(self.caller, current, "d")):
            return
        entry = {"request": {"method": "DELETE", "url": name}}
        bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
        answer = json.loads((await self.world.send(self.who, "POST /", bundle)).body)["entry"][0]["response"]
        expected = "404" if self.caller.may("Observation", "d") else "403"
        self.same(answer["status"][:3], expected, f"delete {name}")

    def nameable(self, body: Json) -> bool:
        """Whether the patient whom a resource names may be named: reached, and permitted to be written about."""
        (patient_,) = [each for each in self.oracle.living("Patient") if f"Patient/{each['id']}" in belongs(body)]
        if self.caller.held and f"Patient/{self.caller.held}" not in belongs(patient_):
            return False
        ways = [letter for letter in "rs" if self.caller.may("Patient", letter)]
        if not ways:
            return True
        rights = any(self.caller.right(patient_, letter) for letter in ways)
        return rights and self.oracle.permits(self.caller, belongs(patient_)[0], patient_, "c")


@pytest.fixture
async def clinic(tmp_path: Path, store: str) -> AsyncIterator[GuardedClinic]:
    """A filled clinic on each back end, served by three processes with a policy each."""
    sites = [Site(Policy(each), form.PURPOSES, extended=True) for each in POLICIES]
    worlds = [await open_world(tmp_path / "data", store=store, site=each) for each in sites]
    clinic = GuardedClinic(worlds, 11)
    await clinic.fill()
    yield clinic
    for each in worlds:
        await each.close()


@pytest.mark.timeout(7_200 if THOROUGH else 300)
async def test_no_difference(clinic: GuardedClinic, store: str) -> None:
    """Every answer to every caller is what role, scope, reach and consents say of each resource, one by one."""
    count = 0
    for number in range(ROUNDS["postgres" if store else "sqlite"]):
        clinic.turn(0)
        await clinic.decide()
        for _ in range(CALLERS):
            clinic.turn(number)
            cases = GuardedCases(clinic, clinic.caller())
            await cases.all()
            count += cases.count
    assert count > (1_000 if not store else 200)
