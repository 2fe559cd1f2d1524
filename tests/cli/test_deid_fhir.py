"""`medlock deid fhir`, key, vault and reveal at the terminal."""

import gzip
import json
import re
import stat
from datetime import date

import pytest

from medlock.deid.fhir.chooser import QUESTIONS, advise
from medlock.deid.fhir.presets import PRESETS

ONE_SENTENCE = re.compile(r"medlock: [A-Z][^\n]+[.!]\n")
PATIENT = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Wrzesniewska"}], "birthDate": "1961-07-13"}
SEEN = {
    "resourceType": "Encounter",
    "id": "e1",
    "status": "finished",
    "class": {"code": "AMB"},
    "subject": {"reference": "Patient/p1"},
    "period": {"start": "2020-03-01T10:00:00Z"},
}


@pytest.fixture
def folder(tmp_path):
    """NDJSON by type, and a gzipped Bundle whose name is a person's."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/Patient.ndjson").write_text(json.dumps(PATIENT) + "\n\n")
    (tmp_path / "in/Encounter.ndjson").write_text(json.dumps(SEEN) + "\n")
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": "http://x.org/Patient/p1", "resource": PATIENT}],
    }
    (tmp_path / "in/Wrzesniewska.json.gz").write_bytes(gzip.compress(json.dumps(bundle).encode()))
    return tmp_path / "in"


@pytest.fixture
def key(tmp_path, terminal):
    """A project key."""
    assert terminal.type("deid", "key", tmp_path / "key").code == 0
    return tmp_path / "key"


def written(folder):
    return {
        path.name: (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode()
        for path in folder.iterdir()
    }


def refused(done, code, said):
    assert (done.code, done.out) == (code, "")
    assert ONE_SENTENCE.fullmatch(done.err), done.err
    assert said in done.err


def test_a_release(terminal, folder, key, tmp_path):
    """Everything is de-identified, counted, marked, and in files whose names name nobody."""
    done = terminal.type("deid", "fhir", folder, "--out", tmp_path / "out", "--key-file", key, "--json")
    assert done.code == 0
    assert done.json["resources"] == {"Encounter": 1, "Patient": 2}
    assert done.json["marks"]["REDACTED"] == 3
    assert done.json["basis"] == "45 CFR 164.514(b)(2)"
    files = written(tmp_path / "out")
    assert set(files) == {"Patient.ndjson", "Encounter.ndjson", "bundle-00003.json.gz", "Provenance-deid.ndjson"}
    everything = "".join(files.values())
    assert not any(
        secret in everything for secret in ["Wrzesniewska", "1961-07", '"p1"', "2020-03", key.read_text().strip()]
    )
    patient = json.loads(files["Patient.ndjson"])
    assert json.loads(files["Encounter.ndjson"])["subject"]["reference"] == f"Patient/{patient['id']}"
    bundle = json.loads(files["bundle-00003.json.gz"])
    assert [entry["resource"]["resourceType"] for entry in bundle["entry"]] == ["Patient", "Provenance"]
    assert bundle["entry"][0]["resource"]["id"] == patient["id"]


def test_the_same_key_gives_the_same_release(terminal, folder, key, tmp_path):
    """Twice under one key the Patients are equal; without a key each run has its own."""
    outs = []
    for name, options in (("a", ["--key-file", key]), ("b", ["--key-file", key]), ("c", []), ("d", [])):
        terminal.type("deid", "fhir", folder, "--out", tmp_path / name, *options)
        outs.append(written(tmp_path / name)["Patient.ndjson"])
    assert outs[0] == outs[1]
    assert len(set(outs)) == 3


def test_dry_run_shows_and_writes_nothing(terminal, folder, tmp_path):
    """A dry run prints what goes and what comes, and leaves no file."""
    before = sorted(tmp_path.rglob("*"))
    done = terminal.type("deid", "fhir", folder, "--dry-run", "--preset", "gdpr")
    assert done.code == 0
    assert "- Wrzesniewska" in done.out
    assert "Patient.name[0].family" in done.out
    assert "nothing was written" in done.out
    parts = terminal.type("deid", "fhir", folder, "--dry-run", "--json").json["diff"]
    assert {part["resourceType"] for part in parts} == {"Patient", "Encounter"}
    assert sorted(tmp_path.rglob("*")) == before


BAD = [
    ("x.json", b"{", 2, "Input file 4"),
    ("x.ndjson", b'{"resourceType": "Patient"}\n{"resourceType": "Wrzesniewska"}\n', 2, "line 2"),
    ("x.json", b'{"resourceType": "Patient", "id": "\xff"}', 2, "UTF-8"),
    ("x.json", b"[]", 2, "not a FHIR R4 resource"),
    ("x.json.gz", b"no gzip", 3, "cannot be read"),
    ("x.ndjson.gz", gzip.compress(b'{"resourceType": "Patient"}\n' * 50)[:-12], 3, "to its end"),
]


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: f"{bad[0]} {bad[3]}")
def test_bad_input_leaves_nothing(terminal, folder, tmp_path, bad):
    """One bad file: a sentence with its number and line, and no output at all."""
    name, content, code, said = bad
    (folder / name).write_bytes(content)
    before = sorted(tmp_path.rglob("*"))
    refused(terminal.type("deid", "fhir", folder, "--out", tmp_path / "out"), code, said)
    assert sorted(tmp_path.rglob("*")) == before


def test_refusals(terminal, folder, key, tmp_path):
    """What cannot be meant is refused before anything is written."""
    out = tmp_path / "out"
    refused(terminal.type("deid", "fhir"), 2, "Name a file")
    refused(terminal.type("deid", "fhir", folder), 3, "--out")
    refused(terminal.type("deid", "fhir", tmp_path / "nowhere", "--out", out), 3, "nothing to read")
    refused(terminal.type("deid", "fhir", folder, "--out", folder), 5, "already")
    refused(terminal.type("deid", "fhir", folder, "--out", out, "--preset", "hipaa"), 2, "preset")
    refused(terminal.type("deid", "fhir", folder, "--out", out, "--dates", "keep"), 2, "Safe Harbor")
    refused(terminal.type("deid", "fhir", folder, "--out", out, "--weeks"), 2, "--dates shift")
    refused(terminal.type("deid", "fhir", folder, "--out", out, "--as-of", "June"), 2, "2026-06-01")
    refused(terminal.type("deid", "fhir", folder, "--out", out, "--rules", folder / "Patient.ndjson"), 2, "rule file")
    refused(
        terminal.type("deid", "fhir", folder, "--out", out, "--key-file", folder / "Patient.ndjson"), 3, "chmod 600"
    )
    refused(terminal.type("deid", "key", key), 3, "already")
    assert not out.exists()


def test_keys_stay_secret(terminal, folder, key, tmp_path):
    """A key file is its owner's alone, checked each time; the key is in nothing that is printed."""
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    done = terminal.type("deid", "fhir", folder, "--out", tmp_path / "out", "--key-file", key)
    assert key.read_text().strip() not in done.out + done.err
    key.chmod(0o640)
    refused(terminal.type("deid", "fhir", folder, "--out", tmp_path / "b", "--key-file", key), 3, "chmod 600")
    key.chmod(0o600)
    key.write_text("deadbeef")
    refused(terminal.type("deid", "fhir", folder, "--out", tmp_path / "b", "--key-file", key), 3, "64 hexadecimal")


def test_rule_files(terminal, folder, tmp_path):
    """A rule file keeps what it does not speak of and says how much; --strict drops it."""
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps({"fhirPathRules": [{"path": "Patient.name", "method": "redact"}]}))
    kept = terminal.type("deid", "fhir", folder, "--out", tmp_path / "a", "--rules", rules, "--json")
    assert kept.json["strings"]["without_rule"] > 0
    assert "1961-07-13" in written(tmp_path / "a")["Patient.ndjson"]
    assert "without" not in written(tmp_path / "a")["Patient.ndjson"]
    terminal.type("deid", "fhir", folder, "--out", tmp_path / "b", "--rules", rules, "--strict")
    assert json.loads(written(tmp_path / "b")["Patient.ndjson"]).keys() == {"resourceType", "meta"}


@pytest.mark.parametrize("text", ["p1,-10\n", "patient,days\np1,-10\n", '{"p1": -10}'])
def test_offsets(terminal, folder, tmp_path, text):
    """Days per patient from CSV, with or without a heading, or JSON."""
    (tmp_path / "offsets").write_text(text)
    terminal.type(
        "deid", "fhir", folder, "--out", tmp_path / "out", "--preset", "gdpr", "--offsets", tmp_path / "offsets"
    )
    assert json.loads(written(tmp_path / "out")["Patient.ndjson"])["birthDate"] == "1961-07-03"
    (tmp_path / "offsets").write_text("p1,-10\np2,soon\n")
    refused(
        terminal.type("deid", "fhir", folder, "--out", tmp_path / "b", "--offsets", tmp_path / "offsets"), 2, "Row 2"
    )


def test_notes_are_cleaned_across_files(terminal, folder, tmp_path):
    """A note in one file loses the name that another file gives its patient."""
    note = {
        "resourceType": "ClinicalImpression",
        "id": "c",
        "status": "completed",
        "subject": {"reference": "Patient/p1"},
        "summary": "WRZEŚNIEWSKA is well.",
    }
    (folder / "ClinicalImpression.ndjson").write_text(json.dumps(note))
    for way in ("clean", "known"):
        out = tmp_path / way
        assert terminal.type("deid", "fhir", folder, "--out", out, "--text", way).code == 0
        assert json.loads(written(out)["ClinicalImpression.ndjson"])["summary"] == "[NAME] is well."


@pytest.mark.parametrize(("way", "said"), [("clean", "medlock's own model"), ("known", "no resource holds stays")])
def test_the_answer_says_what_read_the_notes(terminal, folder, tmp_path, way, said):
    """Which cleaner ran, and what it was measured to find, in words and in JSON; the whole engine takes a typo."""
    note = {"resourceType": "ClinicalImpression", "id": "c", "status": "completed",
            "subject": {"reference": "Patient/p1"}, "summary": "Wrzesniewka met Rosalind Hargreaves."}  # fmt: skip
    (folder / "ClinicalImpression.ndjson").write_text(json.dumps(note))
    done = terminal.type("deid", "fhir", folder, "--out", tmp_path / "out", "--text", way, "--json")
    report = json.loads(done.out)
    assert said in report["cleaner"]
    assert re.search(r"\d+\.\d %", report["cleaner"])
    text = written(tmp_path / "out")["ClinicalImpression.ndjson"]
    assert ("Hargreaves" in text, "Wrzesniewka" in text) == ((False, False) if way == "clean" else (True, True))
    assert said in terminal.type("deid", "fhir", folder, "--out", tmp_path / "b", "--text", way).out


def test_models_want_prose_to_clean(terminal, folder, tmp_path):
    """A model without the engine that would ask it is a mistake."""
    refused(terminal.type("deid", "fhir", folder, "--out", tmp_path / "o", "--models", "spacy"), 2, "--text clean")


def test_vault_and_reveal(terminal, folder, key, tmp_path):
    """Two people make a vault, a release fills it, both find the patient, and the audit file says so."""
    words = []
    for name, word in (("ada", "correct horse battery"), ("ben", "staple of another kind")):
        words.append(tmp_path / name)
        words[-1].write_text(word)
        words[-1].chmod(0o600)
    people = ["--first", "Ada", "--second", "Ben", "--passphrase-file", words[0], "--passphrase-file", words[1]]
    vault, audit = tmp_path / "vault", tmp_path / "audit"
    assert terminal.type("deid", "vault", vault, "--key-file", key, *people).code == 0
    done = terminal.type(
        "deid", "fhir", folder, "--out", tmp_path / "out", "--key-file", key, "--vault", vault, "--preset", "gdpr"
    )
    assert done.code == 0
    patient = json.loads(written(tmp_path / "out")["Patient.ndjson"])
    asked = ["deid", "reveal", vault, "--token", patient["id"], "--reason", "trial recontact", "--audit", audit]
    found = terminal.type(*asked, *people, "--json").json
    assert [each["id"] for each in found] == ["p1"]
    line = json.loads(audit.read_text())
    assert (line["tokens"], line["custodians"], line["reason"]) == ([patient["id"]], ["Ada", "Ben"], "trial recontact")
    alone = ["--first", "Ada", "--second", "Ben", "--passphrase-file", words[0], "--passphrase-file", words[0]]
    refused(terminal.type(*asked, *alone), 2, "passphrase is wrong")
    asked[-1] = tmp_path / "no/such/place"
    refused(terminal.type(*asked, *people), 4, "nobody was named")
    assert len(audit.read_text().splitlines()) == 1
    assert terminal.type("deid", "forget", vault, "--custodian", "Eve").code == 5
    assert terminal.type("deid", "forget", vault, "--custodian", "Ben", "--json").json["destroyed"] == "Ben"
    asked[-1] = audit
    refused(terminal.type(*asked, *people), 3, "never")


def test_safe_harbor_with_shifted_dates_does_not_call_itself_so(terminal, folder, tmp_path):
    """Dates that move are an expert's determination; one that tells an age over 89 goes all the same."""
    (folder / "Patient.ndjson").write_text(
        json.dumps(PATIENT) + "\n" + json.dumps(PATIENT | {"id": "p2", "birthDate": "1930-01-01"})
    )
    shifted = ["--dates", "shift", "--weeks", "--as-of", "2026-06-01"]
    done = terminal.type("deid", "fhir", folder, "--out", tmp_path / "out", *shifted, "--json")
    assert "expert" in done.json["basis"]
    assert done.json["preset"] != "safe-harbor"
    young, old = (json.loads(line) for line in written(tmp_path / "out")["Patient.ndjson"].splitlines())
    assert "birthDate" not in old
    assert date.fromisoformat(young["birthDate"]).weekday() == date(1961, 7, 13).weekday()


def test_choosing(terminal, monkeypatch):
    """Answers in words lead to a preset with its reason and duties."""
    answers = iter(["days", "town", "no", "no"])
    monkeypatch.setattr("builtins.input", lambda *_: next(answers))
    done = terminal.type("deid", "fhir", "--choose", "--json")
    assert done.json["preset"] == "limited"
    assert "data use agreement" in done.json["duties"][0]


def test_every_answer_leads_to_a_preset():
    """Whatever is answered, the advice is a preset that gives no more than was asked for."""
    combinations = [{}]
    for question in QUESTIONS:
        combinations = [each | {question.key: answer} for each in combinations for answer in question.answers]
    assert len(combinations) == 24
    for answers in combinations:
        advice = advise(answers)
        assert advice.preset in PRESETS
        if answers["dates"] == "years" and answers["places"] == "state" and answers["again"] == "no":
            assert advice.preset == "safe-harbor"
        if answers["again"] == "yes":
            assert advice.preset == "gdpr"
