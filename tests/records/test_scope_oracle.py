"""Granular scopes on every path against a naive second reading of them (`scope_oracle`): no difference at all.

A seeded crowd of callers, each with a few random scopes, asks everything that can be asked. By default some 900 cases on
SQLite and a share on PostgreSQL; `MEDLOCK_THOROUGH=1` makes it ten times as many.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from medlock.access.mint import mint_principal
from medlock.access.principal import Principal, Role
from medlock.access.scopes import parse_scopes
from medlock.errors import Denied, Gone, MedlockError, NotFound
from medlock.fhir.options import ExportOptions, ExportPart
from medlock.fhir.question import Interaction, Question
from records.scope_oracle import SHARED, Caller, Json, Oracle, meets, patients, references
from records.world import World, clinician, open_world

THOROUGH = os.environ.get("MEDLOCK_THOROUGH") == "1"
CALLERS = {"sqlite": 400 if THOROUGH else 36, "postgres": 60 if THOROUGH else 5}
SYSTEM = "http://c.example"
CODES = ("a", "b", "c")
PEOPLE = ("ann", "bob", "cy")
LETTERS = ("rs", "r", "s", "cruds", "rus", "ru", "crs", "rds")
TYPES = ("Observation", "Condition", "DiagnosticReport", "Patient", "Appointment", "Practitioner", "DocumentReference")
QUERIES = {
    "Observation": (
        *(f"category={SYSTEM}|{code}" for code in CODES), "category=a,b", f"category={SYSTEM}|", "status=final",
        "status=final&category=a", "code=k1,k2", "date=ge2024-03-01", "date=2024-02", "category=a&category=b",
        "performer=Practitioner/p1", "_tag=http://t|x",
    ),
    "Condition": ("category=a", "clinical-status=active", "category=b&clinical-status=active", "code=k1"),
    "DiagnosticReport": ("status=final", "category=a,c", "date=lt2024-03-01"),
    "Patient": ("gender=female", "_id=ann", "identifier=http://i|1"),
    "Appointment": ("status=proposed",),
    "Practitioner": ("active=true", "identifier=|1"),
    "DocumentReference": ("status=current", "type=k1", "category=a"),
}  # fmt: skip
WILD = "_tag=http://t|x"


def concept(random_: random.Random, codes: tuple[str, ...] = CODES) -> Json:
    """One or two codes, at times of another system."""
    chosen = random_.sample(codes, random_.choice((1, 1, 2)))
    return {"coding": [{"system": random_.choice((SYSTEM, SYSTEM, "http://other")), "code": each} for each in chosen]}


class Maker:
    """Random resources of a small clinic, and every reference in them to something that is there."""

    def __init__(self, random_: random.Random) -> None:
        self.random = random_
        self.made: dict[str, list[str]] = {}

    def some(self, type_: str, at_most: int) -> list[Json]:
        """References to a few resources of a type."""
        known = self.made.get(type_, [])
        return [
            {"reference": each} for each in self.random.sample(known, min(len(known), self.random.randint(0, at_most)))
        ]

    def make(self, type_: str, id_: str) -> Json:
        """One resource."""
        body: Json = {"resourceType": type_, "id": id_}
        if self.random.random() < 0.3:
            body["meta"] = {"tag": [{"system": "http://t", "code": "x"}]}
        body |= getattr(self, f"_{type_.lower()}")()
        self.made.setdefault(type_, [])
        if f"{type_}/{id_}" not in self.made[type_]:
            self.made[type_].append(f"{type_}/{id_}")
        return body

    def _subject(self) -> Json:
        return {"reference": f"Patient/{self.random.choice(PEOPLE)}"}

    def _day(self) -> str:
        return f"2024-0{self.random.randint(1, 6)}-1{self.random.randint(0, 9)}"

    def _patient(self) -> Json:
        made: Json = {"gender": self.random.choice(("female", "male"))}
        return made | {"identifier": [{"system": "http://i", "value": self.random.choice("12")}]}

    def _practitioner(self) -> Json:
        return {"active": self.random.choice((True, False)), "identifier": [{"value": self.random.choice("12")}]}

    def _observation(self) -> Json:
        made: Json = {
            "status": self.random.choice(("final", "preliminary")),
            "category": [concept(self.random)],
            "code": concept(self.random, ("k1", "k2", "k3")),
            "subject": self._subject(),
            "effectiveDateTime": self._day(),
        }
        performers, members = self.some("Practitioner", 2), self.some("Observation", 2)
        return made | ({"performer": performers} if performers else {}) | ({"hasMember": members} if members else {})

    def _condition(self) -> Json:
        status = {
            "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
            "code": self.random.choice(("active", "resolved")),
        }
        made: Json = {"clinicalStatus": {"coding": [status]}, "category": [concept(self.random)]}
        return made | {"code": concept(self.random, ("k1", "k2", "k3")), "subject": self._subject()}

    def _diagnosticreport(self) -> Json:
        made: Json = {
            "status": self.random.choice(("final", "partial")),
            "category": [concept(self.random)],
            "code": concept(self.random, ("k1", "k2", "k3")),
            "subject": self._subject(),
            "effectiveDateTime": self._day(),
        }
        results = self.some("Observation", 4)
        return made | ({"result": results} if results else {})

    def _documentreference(self) -> Json:
        made: Json = {
            "status": self.random.choice(("current", "superseded")),
            "type": concept(self.random, ("k1", "k2")),
            "category": [concept(self.random)],
            "subject": self._subject(),
            "date": f"{self._day()}T10:00:00Z",
        }
        return made | {"content": [{"attachment": {"contentType": "text/plain"}}]}

    def _appointment(self) -> Json:
        actors = self.random.sample(PEOPLE, self.random.choice((1, 2)))
        who = [{"actor": {"reference": f"Patient/{each}"}, "status": "accepted"} for each in actors]
        return {"status": self.random.choice(("proposed", "cancelled")), "participant": who}


class Clinic:
    """The same resources behind the door and in the oracle."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.oracle = Oracle()
        self.random = random.Random(seed)
        self.maker = Maker(self.random)

    async def fill(self) -> None:
        """Some seventy resources, a third of them changed since, some deleted."""
        for number, who in enumerate(PEOPLE):
            await self.write(
                self.maker.make("Patient", who) | {"identifier": [{"system": "http://i", "value": f"{number}"}]}
            )
        amounts = {
            "Practitioner": 4,
            "Observation": 26,
            "Condition": 9,
            "DiagnosticReport": 9,
            "DocumentReference": 8,
            "Appointment": 6,
        }
        names = [(type_, f"{type_[0].lower()}{number}") for type_, many in amounts.items() for number in range(many)]
        for type_, id_ in names:
            await self.write(self.maker.make(type_, id_))
        for type_, id_ in self.random.sample(names, len(names) // 3):
            await self.write(self.maker.make(type_, id_))
        for type_, id_ in self.random.sample([each for each in names if each[0] != "Practitioner"], 7):
            await self.world.ask(clinician(), Interaction.DELETE, type_, id_)
            self.oracle.delete(f"{type_}/{id_}")

    async def write(self, body: Json) -> None:
        """One version, in both."""
        await self.world.put(body)
        self.oracle.put(body)

    def caller(self) -> Caller:
        """Somebody with a few scopes."""
        held = self.random.choice(("", "", *PEOPLE))
        kind = "patient" if held and self.random.random() < 0.7 else "user"
        scopes = [self._scope(kind) for _ in range(self.random.randint(2, 6))]
        if self.random.random() < 0.2:
            scopes.append(f"{kind}/*.{self.random.choice(('rs', 'cruds', 's'))}?{WILD}")
        return Caller(scopes, held)

    def _scope(self, kind: str) -> str:
        type_ = self.random.choice((*TYPES, "Observation", "Observation"))
        plain = f"{kind}/{type_}.{self.random.choice(LETTERS)}"
        return plain if self.random.random() < 0.2 else f"{plain}?{self.random.choice(QUERIES[type_])}"


def principal(caller: Caller) -> Principal:
    """The caller at our door."""
    return mint_principal(
        "app", frozenset({Role.CLINICIAN}), parse_scopes(" ".join(caller.scopes)), patient=caller.held
    )


@pytest.fixture
async def clinic(tmp_path: Path, store: str) -> AsyncIterator[Clinic]:
    """A filled clinic on each back end."""
    world = await open_world(tmp_path / "data", store=store)
    clinic = Clinic(world, 7)
    await clinic.fill()
    yield clinic
    await world.close()


def named(bundle: Json) -> list[str]:
    """Type/id of every entry, as often as it stands there."""
    return [each["fullUrl"].partition("/fhir/")[2] for each in bundle.get("entry", [])]


class Cases:
    """All that one caller asks, each compared with the oracle. `count` is how many were."""

    def __init__(self, clinic: Clinic, caller: Caller) -> None:
        self.world, self.oracle, self.random = clinic.world, clinic.oracle, clinic.random
        self.clinic, self.caller, self.who = clinic, caller, principal(caller)
        self.count = 0

    def same(self, ours: Any, theirs: Any, asked: str) -> None:
        """Compare one answer."""
        self.count += 1
        assert ours == theirs, f"{self.caller} asked {asked}"

    async def pages(self, line: str) -> tuple[list[str], int | None, list[Json]]:
        """All pages of an answer: what they name, the total of the first, all entries."""
        names: list[str] = []
        entries: list[Json] = []
        total, first = None, True
        while line:
            bundle = json.loads((await self.world.send(self.who, line)).body)
            assert first or bundle.get("entry"), "a next page that shows nothing tells that something is hidden"
            total, first = (bundle.get("total") if first else total), False
            entries += bundle.get("entry", [])
            names += named(bundle)
            following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
            line = f"GET {following[0].partition('/fhir')[2]}" if following else ""
        return names, total, entries

    async def outcome(self, line: str, body: Any = b"", **headers: str) -> str:
        """What became of a request, in a word."""
        try:
            return str((await self.world.send(self.who, line, body, **headers)).status)
        except MedlockError as refusal:
            return {Denied: "denied", NotFound: "no", Gone: "gone"}.get(type(refusal), type(refusal).__name__)

    async def all(self) -> None:
        """Everything."""
        await self.reads()
        for type_ in self.random.sample(TYPES, 4):
            await self.searches(type_)
        await self.histories()
        await self.links()
        await self.whole_records()
        await self.operations()
        await self.exports()
        await self.writes()

    async def reads(self) -> None:
        """read, vread and in a batch, of anything that there is or was."""
        for name in self.random.sample(sorted(self.oracle.versions), 6):
            type_ = name.partition("/")[0]
            versions = self.oracle.versions[name]
            number = self.random.randint(1, len(versions) + 1)
            if not self.caller.may(type_, "r"):
                self.same(await self.outcome(f"GET /{name}"), "denied", name)
                continue
            expected = {"there": "200", "gone": "gone", "no": "no"}
            now = self.oracle.told(self.caller, name, len(versions), "r")
            self.same(await self.outcome(f"GET /{name}"), expected[now], f"read {name}")
            then = self.oracle.told(self.caller, name, number, "r")
            self.same(await self.outcome(f"GET /{name}/_history/{number}"), expected[then], f"vread {name} {number}")
            batch = {"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": name}}]}
            answer = json.loads((await self.world.send(self.who, "POST /", batch)).body)["entry"][0]["response"]
            self.same(answer["status"][:3], {"there": "200", "gone": "410", "no": "404"}[now], f"batch {name}")

    async def searches(self, type_: str) -> None:
        """Hits, totals, counts, pages and order."""
        query = self.random.choice((*QUERIES[type_], ""))
        if not self.caller.may(type_, "s"):
            self.same(await self.outcome(f"GET /{type_}?{query}"), "denied", type_)
            return
        expected = self.oracle.found(self.caller, type_, query, "s")
        shape = self.random.choice(("_count=2", "_count=3&_sort=-_lastUpdated", "_count=50", "_count=4&_sort=_id"))
        names, total, _ = await self.pages(f"GET /{type_}?{query}&{shape}")
        self.same((sorted(names), total), (sorted(expected), len(expected)), f"{type_}?{query}&{shape}")
        counted = json.loads((await self.world.send(self.who, f"GET /{type_}?{query}&_summary=count")).body)
        self.same(counted["total"], len(expected), f"{type_}?{query}&_summary=count")

    async def histories(self) -> None:
        """Of an instance, a type and everything."""
        for name in self.random.sample(sorted(self.oracle.versions), 3):
            type_ = name.partition("/")[0]
            if not self.caller.may(type_, "r"):
                continue
            expected = self.oracle.history(self.caller, [name], "r")
            if not expected:
                self.same(await self.outcome(f"GET /{name}/_history"), "no", name)
                continue
            self.same(await self._history(f"GET /{name}/_history?_count=2"), expected, f"history {name}")
        for type_ in self.random.sample(TYPES, 2):
            if self.caller.may(type_, "rs"):
                names = [each for each in self.oracle.versions if each.startswith(f"{type_}/")]
                expected = self.oracle.history(self.caller, names, "rs")
                self.same(await self._history(f"GET /{type_}/_history?_count=3"), expected, f"history {type_}")
        if any(
            scope.partition("/")[2].startswith("*.") and "s" in scope.partition(".")[2].partition("?")[0]
            for scope in self.caller.scopes
        ):
            readable = [each for each in self.oracle.versions if self.caller.may(each.partition("/")[0], "rs")]
            outcome = await self.outcome("GET /_history")
            if readable or outcome != "denied":
                expected = self.oracle.history(self.caller, readable, "rs")
                self.same(await self._history("GET /_history?_count=5"), expected, "history of all")
        else:
            self.same(await self.outcome("GET /_history"), "denied", "history of all")

    async def _history(self, line: str) -> set[tuple[str, int]]:
        _, total, entries = await self.pages(line)
        places = [each["response"]["etag"][3:-1] for each in entries]
        found = {
            (each["fullUrl"].partition("/fhir/")[2], int(number)) for each, number in zip(entries, places, strict=True)
        }
        assert len(found) == len(entries)
        assert total is None or total == len(entries)
        return found

    async def links(self) -> None:
        """Includes in both directions, chains and _has."""
        may, sees = self.caller.may, self.oracle.sees
        if may("DiagnosticReport", "s") and may("Observation", "rs"):
            reports = self.oracle.found(self.caller, "DiagnosticReport", "", "s")
            bodies = [
                each for each in self.oracle.living("DiagnosticReport") if f"DiagnosticReport/{each['id']}" in reports
            ]
            results = {name for each in bodies for name in references(each, "result")}
            seen = {
                f"Observation/{each['id']}": each
                for each in self.oracle.living("Observation")
                if sees(self.caller, each, "rs")
            }
            names, _, _ = await self.pages("GET /DiagnosticReport?_include=DiagnosticReport:result&_count=100")
            self.same(sorted(names), sorted(reports | (results & seen.keys())), "_include")
            query = self.random.choice(QUERIES["Observation"][:7])
            matching = {name for name, each in seen.items() if meets(each, query)}
            param, _, value = query.partition("&")[0].partition("=")
            matching = {name for name, each in seen.items() if meets(each, f"{param}={value}")}
            expected = {
                f"DiagnosticReport/{each['id']}" for each in bodies if matching & set(references(each, "result"))
            }
            names, total, _ = await self.pages(f"GET /DiagnosticReport?result.{param}={value}")
            self.same((sorted(names), total), (sorted(expected), len(expected)), f"chain {param}={value}")
        if may("Patient", "s") and may("Observation", "rs"):
            people = self.oracle.found(self.caller, "Patient", "", "s")
            code = self.random.choice(CODES)
            seen_by = [each for each in self.oracle.living("Observation") if sees(self.caller, each, "rs")]
            having = {
                name for each in seen_by if meets(each, f"category={code}") for name in references(each, "subject")
            }
            names, _, _ = await self.pages(f"GET /Patient?_has:Observation:subject:category={code}")
            self.same(sorted(names), sorted(people & having), f"_has {code}")
            of_them = {f"Observation/{each['id']}" for each in seen_by if set(references(each, "subject")) & people}
            names, _, _ = await self.pages("GET /Patient?_revinclude=Observation:subject&_count=100")
            self.same(sorted(names), sorted(people | of_them), "_revinclude")

    async def whole_records(self) -> None:
        """$everything and the compartment."""
        who = self.random.choice(PEOPLE)
        mine = [each for each in self.oracle.living() if f"Patient/{who}" in patients(each)]
        readable = [
            each
            for each in mine
            if self.caller.may(each["resourceType"], "rs") and self.oracle.sees(self.caller, each, "rs")
        ]
        known = {f"{each['resourceType']}/{each['id']}" for each in readable}
        if not self.caller.may("Patient", "r"):
            self.same(await self.outcome(f"GET /Patient/{who}/$everything"), "denied", "everything")
        elif f"Patient/{who}" not in known:
            self.same(await self.outcome(f"GET /Patient/{who}/$everything"), "no", "everything")
        else:
            _, total, entries = await self.pages(f"GET /Patient/{who}/$everything?_count=4")
            own = [each["resource"] for each in entries if each["search"]["mode"] == "match"]
            names = sorted(f"{each['resourceType']}/{each['id']}" for each in own)
            self.same((names, total), (sorted(known), len(known)), f"everything {who}")
            beside = {f"{each['resource']['resourceType']}/{each['resource']['id']}" for each in entries} - set(names)
            seen = {
                f"{type_}/{each['id']}"
                for type_ in SHARED
                for each in self.oracle.living(type_)
                if self.oracle.sees(self.caller, each, "rs")
            }
            self.same(beside, self.mentioned(readable) & seen, f"beside everything {who}")
        if self.caller.may("Observation", "s"):
            found = self.oracle.found(self.caller, "Observation", f"subject=Patient/{who}", "s")
            names_, total, _ = await self.pages(f"GET /Patient/{who}/Observation?_count=3")
            self.same((sorted(names_), total), (sorted(found), len(found)), f"compartment {who}")

    def mentioned(self, readable: list[Json]) -> set[str]:
        """What is shared and stands in these."""
        return {name for each in readable if "performer" in each for name in references(each, "performer")}

    async def operations(self) -> None:
        """$lastn with room for all, and $docref over all time."""
        who = self.random.choice(PEOPLE)
        if self.caller.may("Observation", "rs"):
            expected = self.oracle.found(self.caller, "Observation", f"subject=Patient/{who}", "rs")
            names, _, _ = await self.pages(f"GET /Observation/$lastn?patient=Patient/{who}&max=99&_count=50")
            self.same(sorted(names), sorted(expected), f"lastn {who}")
        if self.caller.may("DocumentReference", "rs"):
            expected = self.oracle.found(self.caller, "DocumentReference", f"subject=Patient/{who}", "rs")
            names, _, _ = await self.pages(f"GET /DocumentReference/$docref?patient={who}&start=2000-01-01&_count=50")
            self.same(sorted(names), sorted(expected), f"docref {who}")

    async def exports(self) -> None:
        """A file of a bulk export, and what is counted before."""
        type_ = self.random.choice(("Observation", "Appointment", "Condition"))
        if not self.caller.may(type_, "rs"):
            return
        expected = self.oracle.found(self.caller, type_, "", "rs")
        shown = await self._piece(type_, "")
        counted = json.loads(shown)["types"].get(type_, 0)
        lines = (await self._piece(type_, type_)).splitlines()
        names = sorted(f"{type_}/{json.loads(line)['id']}" for line in lines)
        self.same(names, sorted(expected), f"export {type_}")
        if type_ != "Appointment":  # one of two patients is counted with each
            self.same(counted, len(expected), f"count of {type_}")

    async def _piece(self, type_: str, file: str) -> bytes:
        options = ExportOptions(types=frozenset({type_}), part=ExportPart(file=file))
        return (await self.world.door.answer(self.who, Question(Interaction.EXPORT, options=options))).body

    async def writes(self) -> None:
        """Updates, deletes and creates as $validate foretells them, and as they then are."""
        names = [f"Observation/{each['id']}" for each in self.oracle.living("Observation")]
        name = self.random.choice(names)
        before = self.oracle.versions[name][-1].body
        assert before is not None
        after = self.clinic.maker.make("Observation", before["id"]) | {"subject": before["subject"]}
        after = {key: value for key, value in after.items() if key not in {"hasMember", "performer"}}
        expected = "denied" if not self.caller.may("Observation", "u") else "200"
        if expected == "200" and not self.oracle.sees(self.caller, before, "u"):
            expected = "no"
        elif expected == "200" and self.unnameable(after):
            expected = "Unprocessable"
        elif expected == "200" and not self.oracle.sees(self.caller, after, "u"):
            expected = "denied"
        got = await self.outcome(f"PUT /{name}", after)
        self.same(got, expected, f"update {name} {before} -> {after}")
        if got == "200":
            self.oracle.put(after)
        fresh = {key: value for key, value in after.items() if key != "id"}
        allowed = self.caller.may("Observation", "c") and self.oracle.sees(self.caller, after, "c")
        entry = {"resource": fresh, "request": {"method": "POST", "url": "Observation"}}
        forbidden = {"request": {"method": "GET", "url": "Observation/nobody"}}
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry, forbidden]}
        both = self.caller.may("Observation", "c") and self.caller.may("Observation", "r")
        unsaid = "Unprocessable" if self.unnameable(after) else "no" if allowed else "denied"
        self.same(await self.outcome("POST /", bundle), unsaid if both else "denied", "transaction")
        if not allowed or unsaid != "no":
            expected = unsaid if self.caller.may("Observation", "c") else "denied"
            self.same(await self.outcome("POST /Observation", fresh), expected, f"create {fresh}")

    def unnameable(self, body: Json) -> bool:
        """Whether a resource names a patient of whom the caller may not know, though they may know of some."""
        (subject,) = references(body, "subject")
        (named_,) = [each for each in self.oracle.living("Patient") if f"Patient/{each['id']}" == subject]
        ways = [letter for letter in "rs" if self.caller.may("Patient", letter)]
        return not self.oracle.reaches(self.caller, named_) or (
            bool(ways) and not any(self.caller.right(named_, letter) for letter in ways)
        )


async def test_a_naive_reading_finds_no_difference(clinic: Clinic, store: str) -> None:
    """Every answer to every caller is what a look at all resources, one by one, says that it should be."""
    count = 0
    for _ in range(CALLERS["postgres" if store else "sqlite"]):
        cases = Cases(clinic, clinic.caller())
        await cases.all()
        count += cases.count
    assert count > (500 if not store else 50)
