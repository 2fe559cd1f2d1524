"""`medlock export --deid`: what is in the store leaves de-identified, whole or not at all, and the log says so."""

import base64
import json
import re
from datetime import date, timedelta

import pytest

from medlock.app import open_app
from medlock.audit.events import Action
from medlock.audit.search import AuditQuery
from medlock.console import run, settings_for
from medlock.deid.fhir.pseudonyms import Pseudonyms
from medlock.fhir.clinic import clinic

ONE_SENTENCE = re.compile(r"medlock: [A-Z][^\n]+[.!]\n")
DOCTOR = {"resourceType": "Practitioner", "id": "dr1", "name": [{"family": "Okonkwo", "given": ["Ngozi"]}],
          "birthDate": "1970-05-05"}  # fmt: skip
NOTE = "On 2020-03-05 {} {} was seen by Dr. Okonkow, brought by Rosalind Hargreaves. Warfarin 5 mg."


def patient(number, given, family):
    """A patient with an encounter on 1 March 2020 and a note of four days later, a doctor with them."""
    about = {"reference": f"Patient/p{number}"}
    text = base64.b64encode(NOTE.format(given, family).encode()).decode()
    return [
        {"resourceType": "Patient", "id": f"p{number}", "name": [{"family": family, "given": [given]}],
         "gender": "female", "birthDate": "1961-07-13"},
        {"resourceType": "Encounter", "id": f"e{number}", "status": "finished", "class": {"code": "AMB"},
         "subject": about, "period": {"start": "2020-03-01"},
         "participant": [{"individual": {"reference": "Practitioner/dr1"}}]},
        {"resourceType": "DocumentReference", "id": f"d{number}", "status": "current", "subject": about,
         "content": [{"attachment": {"contentType": "text/plain", "data": text}}]},
    ]  # fmt: skip


@pytest.fixture
def key(tmp_path, terminal):
    """A project key."""
    assert terminal.type("deid", "key", tmp_path / "key").code == 0
    return tmp_path / "key"


@pytest.fixture
def loaded(terminal, tmp_path):
    """A store with two patients of one doctor."""
    resources = [DOCTOR, *patient(1, "Catherine", "Villanueva"), *patient(2, "Zdenka", "Wrzesniewska")]
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for each in resources
    ]
    path = tmp_path / "in.json"
    path.write_text(json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries}))
    assert terminal.type("load", path, "--json").json["loaded"] == 7
    return terminal


def lines(folder, kind):
    return [json.loads(line) for line in (folder / f"{kind}.ndjson").read_text().splitlines()]


def events(directory):
    async def found():
        async with open_app(settings_for(directory)) as app:
            return [each.event for each in await app.records.log.find(AuditQuery(action=Action.EXPORT))]

    return run(found())


def test_a_deidentified_export(loaded, key, tmp_path):
    """Names go, notes are cleaned, each patient's dates keep their distance, resources stay linked; all is well after."""
    out = tmp_path / "out"
    done = loaded.type("export", out, "--deid", "gdpr", "--key-file", key, "--text", "clean", "--json")
    assert done.json["resources"] == {"DocumentReference": 2, "Encounter": 2, "Patient": 2, "Practitioner": 1}
    assert (done.json["preset"], "medlock's own model" in done.json["cleaner"]) == ("gdpr", True)
    whole = "".join(path.read_text() for path in out.iterdir())
    people = Pseudonyms(bytes.fromhex(key.read_text()))
    shifts = {people.id(each): people.days(each) for each in ("p1", "p2")}
    notes = {each["subject"]["reference"]: each for each in lines(out, "DocumentReference")}
    names = {f"Patient/{each['id']}": each["name"][0] for each in lines(out, "Patient")}
    doctor = lines(out, "Practitioner")[0]
    for encounter in lines(out, "Encounter"):
        who = encounter["subject"]["reference"]
        moved = date(2020, 3, 1) + timedelta(shifts[who.removeprefix("Patient/")])
        assert encounter["period"]["start"] == moved.isoformat()
        assert encounter["participant"][0]["individual"]["reference"] == f"Practitioner/{doctor['id']}"
        text = base64.b64decode(notes[who]["content"][0]["attachment"]["data"]).decode()
        whole += text
        said = f"On {moved + timedelta(4)} {names[who]['given'][0]} {names[who]['family']} was seen by"
        assert text == f"{said} Dr. {doctor['name'][0]['family']}, brought by [NAME]. Warfarin 5 mg."
    # What belongs to no patient moves with nobody's days, whoever met it first.
    assert doctor["birthDate"] == (date(1970, 5, 5) + timedelta(people.days(""))).isoformat()
    assert not re.search(r"Villanueva|Wrzesniewska|Okonk|Hargreaves|\"p1\"|dr1|1961-07-13", whole)
    assert loaded.type("verify", "--json").json["well"]


def test_marks_provenance_and_the_log(loaded, key, tmp_path):
    """Each resource bears its labels, the Provenance names each, the log the preset and its basis; Safe Harbor drops notes."""
    out = tmp_path / "out"
    assert loaded.type("export", out, "--deid", "safe-harbor", "--key-file", key).code == 0
    resources = [
        each for kind in ("Patient", "Encounter", "DocumentReference", "Practitioner") for each in lines(out, kind)
    ]
    assert all(each["meta"]["security"] for each in resources)
    told = {target["reference"] for each in lines(out, "Provenance-deid") for target in each["target"]}
    assert told == {f"{each['resourceType']}/{each['id']}" for each in resources}
    assert not any(
        "data" in part.get("attachment", {})
        for each in lines(out, "DocumentReference")
        for part in each.get("content", [])
    )
    [event] = events(loaded.directory)
    assert (event.query, event.basis, event.outcome) == ("deid=safe-harbor", "45 CFR 164.514(b)(2)", "success")
    assert event.roles == ("loader",)


def test_the_same_project_gives_the_same_and_another_nothing_in_common(loaded, key, tmp_path):
    """Pseudonyms are the project's: the same key links two releases, another key none."""
    other = tmp_path / "other"
    loaded.type("deid", "key", other)
    for name, which in (("a", key), ("b", key), ("c", other)):
        assert loaded.type("export", tmp_path / name, "--deid", "gdpr", "--key-file", which).code == 0
    one, same, apart = ({each["id"] for each in lines(tmp_path / name, "Patient")} for name in "abc")
    assert one == same
    assert not one & apart


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--deid", "gdpr"), 2),
        (("--deid", "no-such", "--key-file", "KEY"), 2),
        (("--key-file", "KEY"), 2),
        (("--text", "clean"), 2),
        (("--deid", "gdpr", "--key-file", "missing"), 3),
    ],
)
def test_refusals_leave_nothing(loaded, key, tmp_path, arguments, code):
    """Half an order is refused in one sentence, before anything is read or written."""
    done = loaded.type("export", tmp_path / "out", *(key if each == "KEY" else each for each in arguments))
    assert (done.code, done.out) == (code, "")
    assert ONE_SENTENCE.fullmatch(done.err), done.err
    assert not (tmp_path / "out").exists()
    assert events(loaded.directory) == []


def test_a_directory_that_is_there_stays_as_it_is(loaded, key, tmp_path):
    """Nothing is written into it, nothing is logged as exported, no half-made directory is left."""
    (tmp_path / "out").mkdir()
    done = loaded.type("export", tmp_path / "out", "--deid", "gdpr", "--key-file", key)
    assert (done.code, done.out) == (5, "")
    assert ONE_SENTENCE.fullmatch(done.err), done.err
    assert list((tmp_path / "out").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".out")] == []
    assert events(loaded.directory) == []


def test_the_synthetic_clinic_by_way_of_the_store(terminal, key, tmp_path):
    """Families of the clinic: after the way through the store no name, telephone or number of anybody is left."""
    bundles = list(clinic(5, 3, today=date(2026, 6, 1)))
    (tmp_path / "in").mkdir()
    for number, bundle in enumerate(bundles):
        (tmp_path / f"in/{number}.json").write_text(json.dumps(bundle))
    assert terminal.type("load", tmp_path / "in", "--json").json["refused"] == []
    assert (
        terminal.type("export", tmp_path / "out", "--deid", "safe-harbor", "--key-file", key, "--text", "clean").code
        == 0
    )
    whole = "".join(path.read_text() for path in (tmp_path / "out").iterdir()).lower()
    named = [name for bundle in bundles for each in bundle["entry"] if each["resource"]["resourceType"] == "Patient"
             for name in each["resource"]["name"]]  # fmt: skip
    telecom = [point["value"] for bundle in bundles for each in bundle["entry"]
               for point in each["resource"].get("telecom", [])]  # fmt: skip
    assert named
    words = {word for name in named for word in [name["family"], *name["given"]] if len(word) > 3} | set(telecom)
    assert [word for word in words if re.search(rf"(?<!\w){re.escape(word.lower())}(?!\w)", whole)] == []
