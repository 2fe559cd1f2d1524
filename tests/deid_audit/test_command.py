"""`medlock deid audit` from end to end: released or blocked, and what is written in either case."""

import csv
import json
import sys

import pytest

from deid_audit import worlds
from medlock.cli import main
from medlock.console import Exit

QUASI = ["--quasi", "age", "--quasi", "town", "--quasi", "sex", "--hierarchies", "ladders"]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """The program in a directory with an original, a control, hierarchies, a good and a leaky release."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ladders").mkdir()
    for name, lines in zip(worlds.NAMES, worlds.LADDERS, strict=True):
        save(tmp_path / f"ladders/{name}.csv", lines)
    people = worlds.drawn(300, 1)
    save(tmp_path / "original.csv", [("id", *worlds.NAMES), *((f"p{at}", *row) for at, row in enumerate(people))])
    save(tmp_path / "control.csv", [worlds.NAMES, *worlds.drawn(300, 2)])
    save(tmp_path / "register.csv", [("who", *worlds.NAMES), *((f"p{at}", *row) for at, row in enumerate(people))])
    save(tmp_path / "good.csv", [worlds.NAMES, *(("*", row[1][0], row[2]) for row in people)])
    save(tmp_path / "leaky.csv", [worlds.NAMES, *people])
    (tmp_path / "limits.toml").write_text("[recipients.lab]\nprosecutor = 0.1\nsingling-out = 0.1\n")

    def start(*words):
        monkeypatch.setattr(sys, "argv", ["medlock", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return ended.value.code or 0, shown.out, shown.err

    return start


def save(path, rows):
    """Rows as CSV."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def test_a_good_release_leaves(run, tmp_path):
    """Code 0, the release byte for byte where it was wanted, the findings and a line of the trend."""
    words = [*QUASI, "--control", "control.csv", "--out", "out.csv", "--result", "found.json", "--trend", "trend.jsonl"]
    code, out, err = run("deid", "audit", "original.csv", "good.csv", *words, "--json")
    assert (code, err) == (Exit.OK, "")
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "good.csv").read_bytes()
    found = json.loads((tmp_path / "found.json").read_text())
    assert found == json.loads(out)
    assert not found["audit"]["blocked"]
    assert found["audit"]["levels"] == {"age": 2, "town": 1, "sex": 0}
    assert len((tmp_path / "trend.jsonl").read_text().splitlines()) == 1


def test_a_blocked_release_writes_nothing(run, tmp_path):
    """Code 1; neither release nor findings appear, only the trend grows."""
    words = [*QUASI, "--out", "out.csv", "--result", "found.json", "--trend", "trend.jsonl"]
    run("deid", "audit", "original.csv", "good.csv", *QUASI, "--trend", "trend.jsonl")
    before = {each.name for each in tmp_path.iterdir()}
    code, out, _ = run("deid", "audit", "original.csv", "leaky.csv", *words)
    assert code == Exit.FINDINGS
    assert "Blocked for default: nothing was released." in out
    assert {each.name for each in tmp_path.iterdir()} == before
    runs = [json.loads(line) for line in (tmp_path / "trend.jsonl").read_text().splitlines()]
    assert [each["blocked"] for each in runs] == [True, True] or [each["blocked"] for each in runs] == [False, True]


def test_thresholds_of_a_recipient(run, tmp_path):
    """The recipient's own limits count, in TOML and JSON; a risk that was not measured blocks."""
    words = [*QUASI, "--control", "control.csv", "--recipient", "lab"]
    assert run("deid", "audit", "original.csv", "good.csv", *words, "--thresholds", "limits.toml")[0] == Exit.OK
    (tmp_path / "limits.json").write_text(json.dumps({"recipients": {"lab": {"register": 0.5}}}))
    code, out, _ = run("deid", "audit", "original.csv", "good.csv", *words, "--thresholds", "limits.json")
    assert (code, "not measured" in out) == (Exit.FINDINGS, True)


def test_register(run):
    """The originals as they are: everyone alone in the register is linked, and rightly."""
    ids = ["--register", "register.csv", "--id", "id", "--register-id", "who", "--json"]
    code, out, _ = run("deid", "audit", "original.csv", "leaky.csv", *QUASI, *ids)
    found = json.loads(out)["audit"]["linkage"]
    assert code == Exit.FINDINGS
    assert found["highest"] == 1
    assert found["linked"] == found["right"] > 0.3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["original.csv", "nowhere.csv", *QUASI], "nowhere.csv"),
        (["original.csv", "good.csv"], "at least one quasi-identifier"),
        (["original.csv", "good.csv", *QUASI, "--out", "good.csv"], "cannot replace what is read"),
        (["original.csv", "good.csv", *QUASI, "--id", "id"], "needs a register"),
        (["original.csv", "good.csv", *QUASI, "--thresholds", "limits.toml"], "no recipient default"),
        (["original.csv", "good.csv", *QUASI, "--thresholds", "good.csv"], "not TOML"),
        (["original.csv", "good.csv", *QUASI, "--secret", "dx"], "no column dx"),
        (["original.csv", "original.csv", *QUASI, "--control", "control.csv"], "no column id"),
    ],
)
def test_refusals(run, tmp_path, words, said):
    """A sentence and code 2, and nothing appears, not even a trend."""
    before = {each.name for each in tmp_path.iterdir()}
    code, out, err = run("deid", "audit", *words, "--trend", "trend.jsonl")
    assert (code, out) == (Exit.USAGE, "")
    assert said in err
    assert {each.name for each in tmp_path.iterdir()} == before


@pytest.mark.parametrize("limits", ["singling = 0.1", "prosecutor = 2", "prosecutor = true", 'marketer = "0.1"'])
def test_bad_thresholds(run, tmp_path, limits):
    """Unknown risks and numbers that are no part of one are refused."""
    (tmp_path / "limits.toml").write_text(f"[recipients.lab]\n{limits}\n")
    words = [*QUASI, "--thresholds", "limits.toml", "--recipient", "lab"]
    assert run("deid", "audit", "original.csv", "good.csv", *words)[0] == Exit.USAGE


def test_a_foreign_trend_is_left_alone(run, tmp_path):
    """A file that is no trend is refused and not touched; a line cut short is dropped."""
    (tmp_path / "notes.txt").write_text("dear diary\n")
    words = ["original.csv", "good.csv", *QUASI, "--control", "control.csv"]
    assert run("deid", "audit", *words, "--trend", "notes.txt", "--out", "out.csv")[0] == Exit.SETUP
    assert (tmp_path / "notes.txt").read_text() == "dear diary\n"
    assert not (tmp_path / "out.csv").exists()
    (tmp_path / "cut.jsonl").write_text('{"risks": {')
    assert run("deid", "audit", *words, "--trend", "cut.jsonl")[0] == Exit.OK
    assert len((tmp_path / "cut.jsonl").read_text().splitlines()) == 1
