"""`medlock deid report`: what it holds, and that no byte of report or release can change unseen."""

import json
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deid_audit import seal_naive, worlds
from deid_audit.test_command import QUASI, save
from medlock.cli import main
from medlock.console import Exit
from medlock.crypto.notes import NoteSigner, parse_verifier
from medlock.deid.audit.report import Wanted, make_report, verify_report
from medlock.deid.audit.seal import differences, entry, opened, sealed, signer
from medlock.errors import BadRequest, Tampered

VECTORS = Path(__file__).parents[1] / "vectors/deid/report.json"
LEAKS = '[[leak]]\nwhat = "names <b>"\non = "20 notes"\nchecked = 200\nleaked = 1\n'
KEY = bytes(range(32))
VOID = {"meta", "rect", "line", "circle", "polygon"}


class Checked(HTMLParser):
    """What a page is made of, with every element closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *each) for each in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *each) for each in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


REPORTED = "deid report good.csv --out rep --key-file k.key --result found.json --leaks leaks.toml".split()


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """The program in a directory with an audited release, a key and a review of leaks."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ladders").mkdir()
    for name, lines in zip(worlds.NAMES, worlds.LADDERS, strict=True):
        save(tmp_path / f"ladders/{name}.csv", lines)
    people = worlds.drawn(300, 1)
    save(tmp_path / "original.csv", [worlds.NAMES, *people])
    save(tmp_path / "control.csv", [worlds.NAMES, *worlds.drawn(300, 2)])
    save(tmp_path / "good.csv", [worlds.NAMES, *(("*", row[1][0], row[2]) for row in people)])
    (tmp_path / "leaks.toml").write_text(LEAKS)

    def start(*words):
        monkeypatch.setattr(sys, "argv", ["medlock", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return ended.value.code or 0, shown.out, shown.err

    words = [*QUASI, "--control", "control.csv", "--register", "control.csv", "--trend", "trend.jsonl"]
    for _ in range(2):
        assert start("deid", "audit", "original.csv", "good.csv", *words, "--result", "found.json")[0] == Exit.OK
    assert start("deid", "key", "k.key")[0] == Exit.OK
    return start


def test_a_report_end_to_end(run, tmp_path):
    """Made, verified as it is, and refused after any file of report or release was changed, lost or added."""
    words = ["good.csv", "--out", "rep", "--key-file", "k.key", "--result", "found.json", "--leaks", "leaks.toml"]
    code, out, err = run("deid", "report", *words, "--config", "leaks.toml", "--json")
    assert (code, err) == (Exit.OK, "")
    assert sorted(each.name for each in (tmp_path / "rep").iterdir()) == ["report.html", "report.json", "report.note"]
    verify = ["--verify", "rep/report.note", "--signed-by", json.loads(out)["signed_by"]]
    code, out, _ = run("deid", "report", "good.csv", *verify)
    assert (code, out) == (Exit.OK, "Every byte of release and report is as medlock-deid signed it.\n")
    for name in ("good.csv", "rep/report.html", "rep/report.json", "rep/report.note"):
        kept = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(kept.replace(b"s", b"S", 1) if b"s" in kept else kept + b" ")
        code, out, _ = run("deid", "report", "good.csv", *verify, "--json")
        assert code == Exit.FINDINGS
        assert Path(name).name in out
        (tmp_path / name).write_bytes(kept)
    (tmp_path / "rep/report.html").unlink()
    code, out, _ = run("deid", "report", "good.csv", *verify)
    assert (code, out) == (Exit.FINDINGS, "report/report.html: missing\n")


def test_what_the_report_holds(run, tmp_path):
    """Risk before and after, utility, attacks with intervals, leaks, configuration and release by hash, in JSON."""
    run(*REPORTED)
    report = json.loads((tmp_path / "rep/report.json").read_text())
    assert report["audit"] == json.loads((tmp_path / "found.json").read_text())
    assert report["leaks"][0]["share"]["high"] == pytest.approx(0.0275, abs=1e-4)
    assert [each["what"] for each in report["configuration"]] == ["audit"]
    assert [each["name"] for each in report["release"]] == ["good.csv"]


def test_the_page(run, tmp_path):
    """Well formed; no scripts, no references; every plot named, described and followed by a table; words are escaped."""
    run(*REPORTED)
    text = (tmp_path / "rep/report.html").read_text()
    page = Checked(text)
    assert not {"script", "link", "img", "iframe", "object", "a"} & set(page.tags)
    assert not [each for each in page.attributes if each[1].startswith("on") or each[1] in {"href", "src"}]
    assert "url(" not in text
    ids = {value for _, name, value in page.attributes if name == "id"}
    labels = [value for _, name, value in page.attributes if name == "aria-labelledby"]
    assert {part for each in labels for part in each.split()} <= ids
    assert page.tags.count("svg") == 6
    assert page.tags.count("title") == 7
    assert page.tags.count("desc") == 6
    for part in re.split(r"<svg ", text)[1:]:
        assert "<table>" in part.partition("</section>")[0]
    assert page.tags.count("h1") == 1
    assert "names &lt;b&gt;" in text
    assert "default-src &#x27;none&#x27;" in text or "default-src 'none'" in text


def test_a_directory_of_texts(run, tmp_path):
    """Texts and FHIR have no audit; their report holds leaks. A file that comes later is found."""
    (tmp_path / "notes/ward").mkdir(parents=True)
    (tmp_path / "notes/ward/a.txt").write_text("Seen by [NAME].")
    (tmp_path / "notes/b.ndjson").write_text("{}\n")
    words = [
        "notes",
        "--out",
        "rep",
        "--key-file",
        "k.key",
        "--leaks",
        "leaks.toml",
        "--signer",
        "clinic/privacy",
        "--json",
    ]
    made = json.loads(run("deid", "report", *words)[1])
    report = json.loads((tmp_path / "rep/report.json").read_text())
    assert [each["name"] for each in report["release"]] == ["b.ndjson", "ward/a.txt"]
    Checked((tmp_path / "rep/report.html").read_text())
    verify = ["--verify", "rep/report.note", "--signed-by", made["signed_by"]]
    assert run("deid", "report", "notes", *verify)[0] == Exit.OK
    (tmp_path / "notes/c.txt").write_text("")
    code, out, _ = run("deid", "report", "notes", *verify)
    assert (code, out) == (Exit.FINDINGS, "release/c.txt: added\n")


def test_known_identifiers_are_looked_for(run, tmp_path):
    """Of three texts one still names a person who is known, in another spelling: 1 of 3, and on what."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").write_text("Seen by [NAME].")
    (tmp_path / "notes/b.ndjson").write_text('{"div": "Mr JANSEN-WEBER was seen"}\n{"div": "[NAME] was seen"}\n')
    (tmp_path / "known.json").write_text('{"names": ["Ute Jansen-Weber"]}')
    words = ["notes", "--out", "rep", "--key-file", "k.key", "--known", "known.json"]
    assert run("deid", "report", *words)[0] == Exit.OK
    (leak,) = json.loads((tmp_path / "rep/report.json").read_text())["leaks"]
    assert (leak["leaked"], leak["checked"], leak["on"]) == (1, 3, "all 3 texts of this release")
    assert "jansen" not in (tmp_path / "rep/report.html").read_text().lower()
    (tmp_path / "notes/c.pdf").write_bytes(b"\xff\xfe")
    words[2] = "rep2"
    assert run("deid", "report", *words)[0] == Exit.USAGE


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["good.csv", "--out", "rep", "--key-file", "k.key"], Exit.USAGE, "needs what was measured"),
        (["good.csv", "--out", "rep", "--leaks", "leaks.toml"], Exit.USAGE, "--key-file"),
        (
            ["original.csv", "--out", "rep", "--key-file", "k.key", "--result", "found.json"],
            Exit.REFUSED,
            "not the file",
        ),
        (
            ["good.csv", "--out", "rep", "--key-file", "k.key", "--result", "leaks.toml"],
            Exit.USAGE,
            "not what deid audit",
        ),
        (["good.csv", "--out", "rep", "--key-file", "k.key", "--leaks", "good.csv"], Exit.USAGE, "not TOML"),
        (["good.csv", "--out", "rep", "--key-file", "k.key", "--leaks", "none.toml"], Exit.USAGE, "cannot be read"),
        (["none", "--out", "rep", "--key-file", "k.key", "--leaks", "leaks.toml"], Exit.USAGE, "no release"),
        (["ladders", "--out", "ladders/rep", "--key-file", "k.key", "--leaks", "leaks.toml"], Exit.USAGE, "beside it"),
        (
            ["good.csv", "--out", "ladders", "--key-file", "k.key", "--leaks", "leaks.toml"],
            Exit.REFUSED,
            "there already",
        ),
        (["good.csv", "--out", "rep", "--key-file", "leaks.toml", "--leaks", "leaks.toml"], Exit.SETUP, "key file"),
        (
            ["good.csv", "--out", "rep", "--key-file", "k.key", "--leaks", "leaks.toml", "--signer", "a b"],
            Exit.USAGE,
            "no spaces",
        ),
        (["good.csv", "--verify", "leaks.toml", "--signed-by", "nobody"], Exit.USAGE, "--signed-by"),
    ],
)
def test_refusals(run, tmp_path, words, code, said):
    """A sentence, its code, and nothing written."""
    before = {each.relative_to(tmp_path) for each in tmp_path.rglob("*")}
    found, out, err = run("deid", "report", *words)
    assert (found, out) == (code, ""), err
    assert said in err
    assert {each.relative_to(tmp_path) for each in tmp_path.rglob("*")} == before


def test_a_blocked_audit_gets_no_report(run, tmp_path):
    """Even a document that was made by hand from a blocked audit is refused."""
    found = json.loads((tmp_path / "found.json").read_text())
    found["audit"]["blocked"] = True
    (tmp_path / "found.json").write_text(json.dumps(found))
    words = ["good.csv", "--out", "rep", "--key-file", "k.key", "--result", "found.json"]
    assert run("deid", "report", *words)[0] == Exit.REFUSED
    assert not (tmp_path / "rep").exists()


@pytest.mark.parametrize(
    "text",
    [
        "leak = []",
        "x = 1",
        '[[leak]]\nwhat = ""\non = "y"\nchecked = 1\nleaked = 0',
        '[[leak]]\nwhat = "x"\non = "y"\nchecked = 1',
        '[[leak]]\nwhat = "x"\non = "y"\nchecked = 1\nleaked = 2',
        '[[leak]]\nwhat = "x"\non = "y"\nchecked = 0\nleaked = 0',
        '[[leak]]\nwhat = "x"\non = "y"\nchecked = 2.5\nleaked = 0',
        '[[leak]]\nwhat = "x"\non = "y"\nchecked = true\nleaked = false',
    ],
)
def test_bad_leaks(run, tmp_path, text):
    """A review that cannot be is refused."""
    (tmp_path / "leaks.toml").write_text(text)
    assert (
        run("deid", "report", "good.csv", "--out", "rep", "--key-file", "k.key", "--leaks", "leaks.toml")[0]
        == Exit.USAGE
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small sealed report, its release and the signer."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "release").mkdir()
    (folder / "release/a.txt").write_text("Seen by [NAME].")
    (folder / "leaks.toml").write_text(LEAKS)
    by = signer("medlock-deid", KEY)
    wanted = Wanted(folder / "release", folder / "rep", "2026-01-01T00:00:00Z", "Notes", leaks=folder / "leaks.toml")
    make_report(wanted, by)
    assert verify_report(folder / "release", folder / "rep/report.note", by.verifier) == []
    return folder, by.verifier


@settings(deadline=None, max_examples=300)
@given(data=st.data(), name=st.sampled_from(["release/a.txt", "rep/report.html", "rep/report.json", "rep/report.note"]))
def test_any_flipped_byte_is_seen(made, data, name):
    """Whatever bit of whatever byte of release, page, document or seal is flipped: it does not verify."""
    folder, verifier = made
    kept = (folder / name).read_bytes()
    at = data.draw(st.integers(0, len(kept) - 1))
    changed = kept[at] ^ data.draw(st.integers(1, 255))
    try:
        (folder / name).write_bytes(kept[:at] + bytes([changed]) + kept[at + 1 :])
        assert verify_report(folder / "release", folder / "rep/report.note", verifier)
    finally:
        (folder / name).write_bytes(kept)


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_any_cut_is_seen(made, data):
    """A seal cut anywhere, or with anything behind it, does not verify."""
    folder, verifier = made
    note = (folder / "rep/report.note").read_bytes()
    cut = note[: data.draw(st.integers(0, len(note) - 1))]
    for bad in (cut, note + data.draw(st.binary(min_size=1, max_size=3))):
        with pytest.raises(Tampered):
            opened(bad, verifier)


def test_links_are_refused(made, tmp_path):
    """A release with a link in it cannot be sealed: what it leads to may change."""
    folder, _ = made
    shutil.copytree(folder / "release", tmp_path / "release")
    (tmp_path / "release/b").symlink_to(folder / "leaks.toml")
    with pytest.raises(BadRequest, match="links"):
        verify_report(tmp_path / "release", folder / "rep/report.note", made[1])


@given(st.dictionaries(st.text(min_size=1), st.binary(), max_size=5))
def test_seal_round_trip(files):
    """Every name without control characters is sealed and opened again; others are refused."""
    by = signer("x", KEY)
    if any(re.search(r"[\x00-\x1f\ud800-\udfff]", name) for name in files):
        with pytest.raises(BadRequest):
            [entry(f"release/{name}", data) for name, data in files.items()]
        return
    entries = [entry(f"release/{name}", data) for name, data in files.items()]
    found = opened(sealed(entries, by).encode(), by.verifier)
    assert differences(found, {each.name: each for each in entries}) == []


@pytest.mark.parametrize(
    "case", json.loads(VECTORS.read_text()) if VECTORS.exists() else [], ids=lambda case: case["says"]
)
def test_vectors(case):
    """Our reader and a naive one accept and refuse the same seals."""
    note, verifier = case["note"].encode(), parse_verifier(case["signed_by"])
    naive = seal_naive.read(note, case["signed_by"])
    if case["files"] is None:
        assert naive is None
        with pytest.raises(Tampered):
            opened(note, verifier)
    else:
        found = {each.name: [each.sha256, each.size] for each in opened(note, verifier).values()}
        assert found == naive == case["files"]


def test_there_are_vectors():
    """One holds, the others must fail."""
    cases = json.loads(VECTORS.read_text())
    assert sum(case["files"] is None for case in cases) > len(cases) / 2 > 3


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1], lambda t: "y" + t, lambda t: t.replace("+", "-"), lambda t: t + "=", str.upper]
)
def test_verifier_keys(change):
    """A key is read as it was written, and in no other form."""
    text = signer("medlock-deid", KEY).verifier.text
    assert parse_verifier(text).text == text
    with pytest.raises(ValueError, match=r"."):
        parse_verifier(change(text))


def test_the_key_is_apart_from_the_project_key():
    """Reports are signed with a key derived from the file's, not with it."""
    assert signer("x", KEY).verifier.text != NoteSigner("x", KEY).verifier.text
