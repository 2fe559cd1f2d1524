"""`medlock deid watch`: due audits run, the trend grows, and a release that does not hold any more is taken back."""

import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid_audit import worlds
from deid_audit.test_command import run, save  # noqa: F401 - a fixture
from medlock.console import Exit
from medlock.deid.audit.schedule import read_schedule
from medlock.errors import BadRequest

GOOD = """
[[audit]]
name = "lab"
every = "7d"
original = "original.csv"
release = "out-of-it.csv"
quasi = ["age", "town", "sex"]
hierarchies = "ladders"
control = "control.csv"
attacks = 100
trend = "lab.jsonl"
out = "public.csv"
"""


@pytest.fixture
def watch(run, tmp_path):  # noqa: F811
    """The command over a schedule of one audit; `release` says which table is to be released."""
    (tmp_path / "schedule.toml").write_text(GOOD)

    def release(name):
        (tmp_path / "out-of-it.csv").write_bytes((tmp_path / name).read_bytes())

    def start(*words):
        code, out, err = run("deid", "watch", "schedule.toml", "--once", *words)
        return code, out, err

    release("good.csv")
    start.release = release
    return start


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_is_due_is_run_once(watch, tmp_path):
    """The first time it is run and released; the second time nothing is due, and nothing is said."""
    code, out, err = watch()
    assert (code, out, err) == (Exit.OK, "lab: held.\n", "")
    assert (tmp_path / "public.csv").read_bytes() == (tmp_path / "good.csv").read_bytes()
    assert watch() == (Exit.OK, "", "")
    assert len(lines(tmp_path / "lab.jsonl")) == 1


def test_time_and_a_new_release_make_it_due(watch, tmp_path):
    """Seven days after the last line, or when the release is another one."""
    watch()
    old = lines(tmp_path / "lab.jsonl")[0] | {"at": (datetime.now(UTC) - timedelta(days=7)).isoformat()}
    (tmp_path / "lab.jsonl").write_text(json.dumps(old) + "\n")
    assert watch("--json")[0] == Exit.OK
    assert len(lines(tmp_path / "lab.jsonl")) == 2
    save(tmp_path / "other.csv", [worlds.NAMES, *(("*", row[1][0], "*") for row in worlds.drawn(300, 1))])
    watch.release("other.csv")
    _, out, _ = watch("--json")
    assert json.loads(out)["name"] == "lab"
    assert len(lines(tmp_path / "lab.jsonl")) == 3


def test_a_release_above_its_threshold_is_taken_back(watch, tmp_path):
    """Blocked: code 1, a line of the trend, what could be fetched is set aside; a good one brings it back."""
    watch()
    watch.release("leaky.csv")
    code, out, _ = watch()
    assert code == Exit.FINDINGS
    assert out == "lab: blocked; what was released is set aside.\n"
    assert not (tmp_path / "public.csv").exists()
    assert (tmp_path / "public.csv.blocked").read_bytes() == (tmp_path / "good.csv").read_bytes()
    assert [each["blocked"] for each in lines(tmp_path / "lab.jsonl")] == [False, True]
    watch.release("good.csv")
    assert watch()[0] == Exit.OK
    assert (tmp_path / "public.csv").exists()


def test_what_cannot_be_audited_is_taken_back_as_well(watch, tmp_path):
    """A control that is gone: the error is told, the release set aside, the other audit of the schedule run."""
    watch()
    second = GOOD.replace("lab", "two").replace("public", "second").replace('control = "control.csv"\n', "")
    (tmp_path / "schedule.toml").write_text(GOOD.replace("7d", "1m") + second)
    (tmp_path / "control.csv").unlink()
    last = lines(tmp_path / "lab.jsonl")[0] | {"at": "2020-01-01T00:00:00Z"}
    (tmp_path / "lab.jsonl").write_text(json.dumps(last) + "\n")
    code, out, _ = watch("--json")
    first, other = map(json.loads, out.splitlines())
    assert code == Exit.FINDINGS
    assert (first["held"], first["withdrawn"], bool(first["error"])) == (False, True, True)
    assert (other["name"], other["error"]) == ("two", "")
    assert not (tmp_path / "public.csv").exists()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('every = "7d"', 'every = "weekly"'),
        ('every = "7d"', "every = 7"),
        ('every = "7d"', 'every = "0d"'),
        ('trend = "lab.jsonl"\n', ""),
        ('name = "lab"', 'name = "a b"'),
        ("attacks = 100", 'attacks = "many"'),
        ("attacks = 100", "attacks = true"),
        ("attacks = 100", "at = 1"),
        ("attacks = 100", "colour = 1"),
        ('quasi = ["age", "town", "sex"]', "quasi = [1]"),
        ('out = "public.csv"', "out = 1"),
        ("[[audit]]", "[audit]"),
        ("[[audit]]", "x = 1\n[[audit]]"),
        ("[[audit]]", "[[audit"),
    ],
)
def test_a_schedule_that_is_none(watch, tmp_path, old, new):
    """Code 2 and a sentence; nothing is run."""
    assert old in GOOD
    (tmp_path / "schedule.toml").write_text(GOOD.replace(old, new))
    code, out, err = watch()
    assert (code, out) == (Exit.USAGE, "")
    assert err.count("\n") == 1
    assert not (tmp_path / "lab.jsonl").exists()


def test_two_audits_share_nothing(watch, tmp_path):
    """The same name or trend twice is refused."""
    for old, new in (("nothing", ""), ('name = "lab"', 'name = "other"')):
        (tmp_path / "schedule.toml").write_text(GOOD + GOOD.replace(old, new))
        assert watch()[0] == Exit.USAGE


@given(number=st.integers(1, 99_999), unit=st.sampled_from("mhd"))
def test_every_is_as_written(tmp_path_factory, number, unit):
    """Any number of minutes, hours or days."""
    path = tmp_path_factory.getbasetemp() / f"{os.getpid()}.toml"
    path.write_text(GOOD.replace("7d", f"{number}{unit}"))
    (planned,) = read_schedule(path)
    assert planned.every == number * {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}[unit]
    assert planned.job.release == path.parent / "out-of-it.csv"


def test_no_schedule(tmp_path):
    """A file that is not there is told."""
    with pytest.raises(BadRequest):
        read_schedule(tmp_path / "none.toml")
