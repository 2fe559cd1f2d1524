"""Patients who hide something, and their twins who never had it: one site, and pairs of questions about them.

Ids of a pair are equally long and differ in one letter: h of who hides, t of the twin. Asked of both, everything must be
answered alike, once the one letter is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson

from consent import form
from defence.in_process import InProcess, Silent
from medlock.access.principal import Role
from medlock.app import _site, open_app
from medlock.clock import Clock
from medlock.defence.leaktest.attempts import Ask, get, send
from medlock.fhir.question import Interaction, Question
from medlock.settings import Settings
from medlock.web.oplog import OpLog
from web.tokens import Bearer, make_tokens

LOINC = "http://loinc.org"
HIV = "56888-1"
BOB = "Practitioner/bob"
FIRST, SECOND = "h", "t"
PATCH = (("content-type", "application/json-patch+json"),)
# {} is the patient with the letter of the pair in front
PARTLY = (
    "/Patient/{}",
    "/Patient/{}/_history",
    "/Patient/{}/$everything",
    "/Patient/{}/$everything?_count=2",
    "/Patient/{}/Observation",
    "/Patient/{}/*",
    "/Patient?_id={}",
    "/Patient?_id={}&_revinclude=Observation:subject",
    "/Patient?_id={}&_revinclude=*",
    "/Patient?_id={}&_has:Observation:subject:code=http://loinc.org|56888-1",
    "/Patient?_id={}&_has:Observation:subject:status=final",
    "/Patient?_id={}&_has:Consent:patient:status=active",
    "/Observation?patient={}",
    "/Observation?patient={}&_count=1",
    "/Observation?patient={}&_summary=count",
    "/Observation?patient={}&_summary=true",
    "/Observation?patient={}&_elements=status",
    "/Observation?patient={}&_sort=-date",
    "/Observation?patient={}&_include=Observation:subject",
    "/Observation?patient={}&_include=Observation:encounter&_include:iterate=Encounter:subject",
    "/Observation?patient={}&code=http://loinc.org|56888-1",
    "/Observation?patient={}&_security=HIV",
    "/Observation?subject:Patient._id={}&status=final",
    "/Observation?_id=x-{}",
    "/Observation?_id=x-{}&_summary=count",
    "/Observation?has-member=Observation/x-{}",
    "/Observation/$lastn?patient={}&max=9",
    "/Condition?subject=Patient/{}",
    "/Consent?patient={}",
    "/Consent/c-{}",
    "/Provenance?target=Observation/x-{}",
    "/Observation/x-{}",
    "/Observation/x-{}/_history",
    "/Observation/x-{}/_history/1",
)
WHOLLY = (
    "/Patient/{}",
    "/Patient/{}/_history",
    "/Patient/{}/_history/1",
    "/Patient/{}/$everything",
    "/Patient/{}/Observation",
    "/Patient/{}/*",
    "/Patient?_id={}",
    "/Patient?_id={}&_summary=count",
    "/Patient?identifier=http://i|{}",
    "/Patient?identifier=http://i|{}&_revinclude=Observation:subject",
    "/Observation?patient={}",
    "/Observation?subject:Patient.identifier=http://i|{}",
    "/Observation?patient={}&_summary=count",
    "/Observation/$lastn?patient={}",
    "/DocumentReference/$docref?patient={}",
    "/Observation/a-{}",
    "/Observation/a-{}/_history",
    "/Consent?patient={}",
    "/Consent/c-{}",
    "/Encounter?_has:Observation:encounter:subject=Patient/{}",
)


@dataclass(frozen=True)
class Pair:
    """Two questions that must be answered alike. `kind` is the question without the patient."""

    kind: str
    number: int
    first: Ask
    second: Ask


def observation(name, patient, code, **more):
    """A finding."""
    made = {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "subject": {"reference": f"Patient/{patient}"},
    }
    return made | {"code": {"coding": [{"system": LOINC, "code": code}]}, "effectiveDateTime": "2025-01-01"} | more


def record(patient):
    """What everybody may see of a patient."""
    subject = {"reference": f"Patient/{patient}"}
    yield {"resourceType": "Patient", "id": patient, "identifier": [{"system": "http://i", "value": patient}]}
    kind = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}
    yield {"resourceType": "Encounter", "id": f"e-{patient}", "status": "finished", "class": kind, "subject": subject}
    for name, code in (("a", "8867-4"), ("b", "8310-5"), ("d", "8480-6")):
        yield observation(f"{name}-{patient}", patient, code, encounter={"reference": f"Encounter/e-{patient}"})
    yield {"resourceType": "Condition", "id": f"k-{patient}", "subject": subject, "code": {"text": "x"}}


def hidden(patient):
    """What a patient hides: a finding, and who may not see such."""
    yield observation(f"x-{patient}", patient, HIV)
    yield from careful(patient)


def careful(patient):
    """A consent that hides what there may be of one kind."""
    rule = {"type": "permit", "provision": [{"type": "deny", "securityLabel": ["HIV"]}]}
    yield form.consent({"patient": patient, "provision": rule}) | {"id": f"c-{patient}"}


def unshown(patient):
    """A patient who hides everything from one person."""
    yield from record(patient)
    rule = {"type": "permit", "provision": [{"type": "deny", "actor": [BOB]}]}
    yield form.consent({"patient": patient, "provision": rule}) | {"id": f"c-{patient}"}


def world(count, *, twins_careful=False):
    """Everybody: of those who hide a part there are twins, of those who hide all there is no trace.

    `twins_careful`: the twins have the same consents, and nothing that these would hide.
    """
    yield {"resourceType": "Practitioner", "id": "bob"}
    for number in range(count):
        for letter in (FIRST, SECOND):
            yield from record(f"{letter}{number:04}")
        yield from hidden(f"{FIRST}{number:04}")
        if twins_careful:
            yield from careful(f"{SECOND}{number:04}")
        yield from unshown(f"{FIRST}{number + 5_000:04}")


def told(template, number, offset=0):
    """The pair of a question."""
    asks = [get(template.format(f"{letter}{number + offset:04}")) for letter in (FIRST, SECOND)]
    return Pair(template, number, *asks)


def written(number, method, target, body, **more):
    """The same for a write: who may not see what it means is told what they are told of nothing."""
    asks = []
    for letter in (FIRST, SECOND):
        name = f"{letter}{number:04}"
        data = json.loads(json.dumps(body).replace("{}", name))
        asks.append(send(method, target.format(name), data, **more) if body else Ask(method, target.format(name)))
    return Pair(f"{method} {target}", number, *asks)


def writes(number):
    """Writes that come to nothing."""
    yield written(number, "DELETE", "/Observation/x-{}", None)
    test = [{"op": "test", "path": "/status", "value": "final"}]
    yield written(number, "PATCH", "/Observation/x-{}", test, content_type=PATCH[0][1])
    member = observation("", "{}", "8867-4", hasMember=[{"reference": "Observation/x-{}"}])
    yield written(number, "POST", "/Observation", {key: value for key, value in member.items() if value})
    entries = [{"request": {"method": "GET", "url": url}} for url in ("Observation/x-{}", "Observation?patient={}")]
    yield written(number, "POST", "/", {"resourceType": "Bundle", "type": "batch", "entry": entries})


def pairs(count) -> Iterator[tuple[str, Pair]]:
    """Every pair with the one who asks: a doctor, and the doctor who is shut out."""
    for number in range(count):
        for template in PARTLY:
            yield "dr", told(template, number)
        for each in writes(number):
            yield "dr", each
        for template in WHOLLY:
            yield "bob", told(template, number, 5_000)


class Invisible:
    """The site with everybody in it."""

    def __init__(self, caller, tokens):
        self.caller, self.tokens = caller, tokens

    async def answers(self, who, ask):
        """What comes back, and on the pages that follow."""
        found = [await self.caller.call(ask, self.tokens[who])]
        while len(found) < 9 and found[-1].status == 200:
            bundle = orjson.loads(found[-1].body)
            links = bundle.get("link", []) if isinstance(bundle, dict) else []
            following = next((each["url"] for each in links if each["relation"] == "next"), "")
            if not following:
                break
            found.append(await self.caller.call(get(following), self.tokens[who]))
        return found


@asynccontextmanager
async def invisible(tmp_path, count, **more):
    """The site over a fresh directory."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("correct horse battery staple\n")
    passphrase.chmod(0o600)
    async with open_app(Settings(tmp_path / "data", passphrase), create=True) as app:
        everything = list(world(count, **more))
        for start in range(0, len(everything), 500):
            entries = [
                {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
                for each in everything[start : start + 500]
            ]
            body = orjson.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})
            question = Question(Interaction.TRANSACTION, body=body, prefer="minimal")
            await app.records.door.answer(app.operator(Role.LOADER), question)
        bearers = [Bearer("clinician", actor="Practitioner/dr"), Bearer("clinician", actor=BOB)]
        secrets = await make_tokens(app, bearers)
        yield Invisible(InProcess(_site(app, OpLog(Clock(), Silent()))), dict(zip(("dr", "bob"), secrets, strict=True)))
