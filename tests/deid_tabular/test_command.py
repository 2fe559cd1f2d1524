"""`medlock deid table` and `budget` from end to end: files in, files out, refusals that write nothing."""

import csv
import json
import sys
from collections import Counter

import pytest

from deid_tabular import adult
from medlock.cli import main
from medlock.console import Exit
from medlock.deid.tabular.columns import table
from medlock.deid.tabular.files import write_table
from medlock.deid.tabular.ledger import Ledger

HEADER = ["id", "age", "zip", "dx", "note"]
ROWS = [
    ["p1", "34", "12345", "E11", "a"],
    ["p2", "36", "12399", "E11", "b"],
    ["p3", "35", "12345", "J45", "c"],
    ["p4", "61", "87888", "J45", "d"],
    ["p5", "64", "03601", "E11", "e"],
    ["p6", "63", "87888", "I10", "f"],
]
QUASI = ["--quasi", "age=@number:5,10,30", "--quasi", "zip=@zip"]


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the program in a directory with people.csv; its exit code and output."""
    monkeypatch.chdir(tmp_path)
    with (tmp_path / "people.csv").open("w", newline="") as file:
        csv.writer(file, delimiter=";").writerows([HEADER, *ROWS])

    def start(*words):
        monkeypatch.setattr(sys, "argv", ["medlock", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return ended.value.code or 0, shown.out, shown.err

    return start


def rows(path, delimiter=";"):
    """A CSV as lists."""
    with path.open(newline="") as file:
        return list(csv.reader(file, delimiter=delimiter))


def test_table(run, tmp_path):
    """The result is 3-anonymous, holds the columns asked for and no others, in the order of the source."""
    code, out, err = run("deid", "table", "people.csv", "out.csv", *QUASI, "--model", "k:3", "--keep", "dx", "--json")
    assert (code, err) == (Exit.OK, "")
    header, *found = rows(tmp_path / "out.csv")
    assert header == ["age", "zip", "dx"]
    assert [row[2] for row in found] == [row[3] for row in ROWS]
    assert min(Counter(tuple(row[:2]) for row in found).values()) >= 3
    report = json.loads(out)
    assert report["suppressed"] == 0
    assert report["risk_before"]["prosecutor"]["highest"] == 1
    assert report["risk_after"]["prosecutor"]["highest"] == pytest.approx(1 / 3)
    assert report["written"] == "out.csv"
    assert report["diff"] is None


def test_suppressed_rows_hold_nothing(run, tmp_path):
    """A suppressed record shows no value of any column, sensitive ones included."""
    code, out, _ = run(
        *("deid", "table", "people.csv", "out.csv", *QUASI, "--levels", "age=1-1", "--levels", "zip=2-2"),
        *("--model", "k:2", "--model", "dl:dx:2", "--limit", "0.9", "--json"),
    )
    assert code == Exit.OK
    suppressed = [row for row in rows(tmp_path / "out.csv") if row[0] == "*"]
    assert len(suppressed) == json.loads(out)["suppressed"] > 0
    assert all(set(row) == {"*"} for row in suppressed)


def test_dry_run(run, tmp_path):
    """Nothing is written; the first rows are shown before and after."""
    code, out, _ = run("deid", "table", "people.csv", *QUASI, "--model", "k:3", "--dry-run")
    assert code == Exit.OK
    assert "row 1 age: - 34 + " in out
    assert [path.name for path in tmp_path.iterdir()] == ["people.csv"]
    _, out, _ = run("deid", "table", "people.csv", "out.csv", *QUASI, "--model", "k:3", "--dry-run", "--json")
    report = json.loads(out)
    assert report["written"] is None
    assert report["diff"][0]["row"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["people.csv"]


def test_local(run, tmp_path):
    """Local recoding from the command line; the text for people."""
    code, out, _ = run(
        "deid", "table", "people.csv", "out.parquet", *QUASI, "--model", "k:2", "--local", "--limit", "1"
    )
    assert code == Exit.OK
    assert "Utility: granularity" in out
    assert (tmp_path / "out.parquet").exists()


def test_subset(run, tmp_path):
    """Only rows of the subset are released; delta-presence counts the rest as the population."""
    with (tmp_path / "sub.csv").open("w", newline="") as file:
        csv.writer(file, delimiter=";").writerows([HEADER, ROWS[1], ROWS[4]])
    code, out, _ = run(
        *("deid", "table", "people.csv", "out.csv", *QUASI, "--model", "dp:0.1:0.5", "--subset", "sub.csv", "--json")
    )
    assert code == Exit.OK
    report = json.loads(out)
    assert (report["records"], report["withheld"]) == (2, 4)
    assert len(rows(tmp_path / "out.csv")) == 3
    assert report["risk_after"]["journalist"]["highest"] <= 0.5


REFUSED = [
    (["--model", "k:3"], "at least one quasi-identifier"),
    ([*QUASI], "at least one privacy model"),
    ([*QUASI, "--model", "k:7"], "k is 7, the table has 6 records"),
    ([*QUASI, "--model", "k:x"], "The model k:x should have the form k:K"),
    ([*QUASI, "--model", "q:1"], "There is no model q"),
    ([*QUASI, "--model", "dl:dx"], "should have the form dl:ATTRIBUTE:L"),
    ([*QUASI, "--model", "dl:dx:4"], "dx has 3 values in the table"),
    ([*QUASI, "--model", "dl:diagnosis:2"], "no column diagnosis"),
    ([*QUASI, "--model", "dl:age:2"], "age cannot be a sensitive attribute of a model and a quasi-identifier"),
    ([*QUASI, "--model", "te:dx:2"], "needs t from 0 to 1"),
    ([*QUASI, "--model", "th:dx:0.2"], "The hierarchy of dx is missing"),
    ([*QUASI, "--model", "pu:0.01"], "give --population"),
    ([*QUASI, "--model", "dp:0.1:0.5"], "give the subset"),
    ([*QUASI, "--model", "avg:1"], "threshold from 0 to below 1"),
    ([*QUASI, "--model", "k:3", "--metric", "joy"], "There is no metric joy"),
    ([*QUASI, "--model", "k:3", "--keep", "age"], "age cannot be kept as it is"),
    ([*QUASI, "--model", "k:3", "--keep", "bmi"], "no column bmi"),
    ([*QUASI, "--model", "k:3", "--id", "dx"], "Rows 1 and 2 have the same dx"),
    ([*QUASI, "--model", "k:3", "--id", "id", "--keep", "id"], "id identifies people"),
    ([*QUASI, "--model", "k:3", "--limit", "1.5"], "from 0 to 1"),
    ([*QUASI, "--model", "k:3", "--levels", "age=5-2"], "Levels of age must lie in 0 to 4"),
    ([*QUASI, "--model", "k:3", "--levels", "age"], "NAME=LOW-HIGH"),
    ([*QUASI, "--model", "k:3", "--levels", "sex=1-2"], "sex, which is no quasi-identifier"),
    ([*QUASI, "--model", "k:3", "--levels", "age=0-0", "--levels", "zip=0-0"], "No transformation satisfies"),
    ([*QUASI, "--model", "su:0.1", "--local"], "models of single classes"),
    (["--quasi", "age", "--model", "k:3"], "The hierarchy of age is missing"),
    (["--quasi", "age=none.csv", "--model", "k:3"], "The hierarchy of age is missing"),
    (["--quasi", "age=ages.csv", "--model", "k:3"], "Row 4 has a value in column age"),
    (["--quasi", "age=torn.csv", "--model", "k:3"], "Lines 1 and 2 of the hierarchy of age are alike on level 1"),
    (["--quasi", "age=@date", "--model", "k:3"], "Column age has a value that is not a date"),
    (["--quasi", "age=@joy", "--model", "k:3"], "There is no hierarchy @joy"),
    (["--quasi", "bmi=@flat", "--model", "k:3"], "no column bmi"),
]


@pytest.mark.parametrize(("words", "says"), REFUSED)
def test_refused(run, tmp_path, words, says):
    """One sentence on stderr, the code for bad input, and no file."""
    (tmp_path / "ages.csv").write_text("34;*\n35;*\n36;*\n")
    (tmp_path / "torn.csv").write_text("34;a;x\n35;a;y\n36;a;x\n61;a;x\n63;a;x\n64;a;x\n")
    before = sorted(tmp_path.iterdir())
    code, out, err = run("deid", "table", "people.csv", "out.csv", *words)
    assert code == Exit.USAGE
    assert says in err
    assert out == ""
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["none.csv", "none.parquet"])
def test_empty_table(run, tmp_path, name):
    """A header without rows is refused."""
    write_table(table({"age": []}), tmp_path / name)
    code, _, err = run("deid", "table", name, "out.csv", "--quasi", "age=@flat", "--model", "k:2")
    assert code == Exit.USAGE
    assert "empty" in err or "no rows" in err
    assert not (tmp_path / "out.csv").exists()


def test_source_is_not_replaced(run, tmp_path):
    """The source is no target, whatever it is called."""
    before = (tmp_path / "people.csv").read_bytes()
    code, _, err = run("deid", "table", "people.csv", tmp_path / "people.csv", *QUASI, "--model", "k:2")
    assert code == Exit.USAGE
    assert "cannot replace its source" in err
    code, _, err = run("deid", "table", "people.csv", *QUASI, "--model", "k:2")
    assert code == Exit.USAGE
    assert "--dry-run" in err
    assert (tmp_path / "people.csv").read_bytes() == before


def test_counts_and_budget(run, tmp_path):
    """A budget given, spent by answers, shown, and refused when it is gone."""
    assert run("deid", "budget", "ledger.jsonl", "--give", "lab", "--epsilon", "60")[0] == Exit.OK
    asked = (
        "deid",
        "count",
        "people.csv",
        "--ledger",
        "ledger.jsonl",
        "--recipient",
        "lab",
        "--epsilon",
        "25",
        "--json",
    )
    code, out, _ = run(*asked)
    assert code == Exit.OK
    assert json.loads(out) == {"counts": 6, "budget": 60, "spent": 25}
    code, out, _ = run(*asked, "--by", "dx", "--category", "E11", "--category", "Z99")
    assert json.loads(out)["counts"] == {"E11": 3, "Z99": 0}
    code, out, err = run(*asked)
    assert (code, out) == (Exit.REFUSED, "")
    assert "already 50 is spent" in err
    code, out, _ = run("deid", "budget", "ledger.jsonl", "--json")
    assert json.loads(out) == {"lab": {"budget": 60.0, "spent": 50.0}}
    assert "lab" in run("deid", "budget", "ledger.jsonl")[1]
    assert Ledger(tmp_path / "ledger.jsonl").balances()["lab"].answers == 2


def test_counts_refused(run, tmp_path):
    """No ledger, no budget, half a question: nothing is answered."""
    code, _, err = run("deid", "budget", "none.jsonl")
    assert code == Exit.SETUP
    assert "There is no ledger" in err
    asked = ("deid", "count", "people.csv", "--ledger", "l.jsonl", "--recipient", "lab", "--epsilon", "1")
    assert "There is no ledger" in run(*asked)[2]
    assert not (tmp_path / "l.jsonl").exists()
    Ledger(tmp_path / "l.jsonl").give("other", 1)
    assert "has no privacy budget" in run(*asked)[2]
    assert "--category" in run(*asked, "--by", "dx")[2]
    assert "--epsilon" in run("deid", "budget", "l.jsonl", "--give", "lab")[2]


def test_adult(run, tmp_path):
    """Adult from ARX's files: the optimum of the ground truth, written and read again."""
    adult.need_adult()
    quasi = [word for name in adult.QUASI[:8] for word in ("--quasi", name)]
    code, out, _ = run(
        *("deid", "table", adult.FOLDER / "adult.csv", "out.csv", "--hierarchies", adult.FOLDER, *quasi),
        *("--model", "k:5", "--model", "dl:occupation:3", "--limit", "0.02", "--json"),
    )
    assert code == Exit.OK
    report = json.loads(out)
    assert report["suppressed"] == 522
    assert report["score"] == pytest.approx(0.2469117398, rel=1e-9)
    found = rows(tmp_path / "out.csv")[1:]
    kept = [row for row in found if row[0] != "*"]
    assert len(found) == 30162
    assert len(kept) == 30162 - 522
    assert min(Counter(tuple(row[:8]) for row in kept).values()) == 5
