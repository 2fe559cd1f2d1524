"""`medlock deid text` as people and scripts use it: whole results or none, and sentences that help."""

import json

import pytest

from cli.terminal import Terminal

NOTE = "Mary Alcott, DOB 3/14/1950, was seen by Dr. Weber.\nNo acute distress.\nMRN: AB-12345\n"
CLEAN = "[NAME], DOB [DATE], was seen by [NAME].\nNo acute distress.\nMRN: [MRN]\n"


@pytest.fixture
def terminal(tmp_path, monkeypatch, capfd):
    """A terminal; the command touches no data directory."""
    return Terminal(tmp_path, monkeypatch, capfd)


@pytest.fixture
def note(tmp_path):
    """One note in a file."""
    path = tmp_path / "note.txt"
    path.write_text(NOTE)
    return path


def test_a_file_to_stdout(terminal, note):
    """Stdout holds the result only; stderr says how, how well that was measured, and how many."""
    done = terminal.type("deid", "text", str(note))
    assert (done.code, done.out) == (0, CLEAN)
    assert "Measured" in done.err
    assert "2 NAME" in done.err
    assert not terminal.directory.exists()


def test_a_file_to_a_file(terminal, note, tmp_path):
    """The result appears under the new name; what exists is never overwritten."""
    target = tmp_path / "out" / "clean.txt"
    assert terminal.type("deid", "text", str(note), "--out", str(target)).code == 0
    assert target.read_text() == CLEAN
    refused = terminal.type("deid", "text", str(note), "--out", str(note))
    assert (refused.code, note.read_text()) == (5, NOTE)
    assert [path.name for path in target.parent.iterdir()] == ["clean.txt"]


def test_a_directory(terminal, tmp_path):
    """Text files are mirrored below a new directory, others left out; without --out nothing is done."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "deep" / "a.txt").write_text(NOTE)
    (tmp_path / "in" / "b.md").write_text("Nothing here.\n")
    (tmp_path / "in" / "c.bin").write_bytes(b"\0\1")
    assert terminal.type("deid", "text", str(tmp_path / "in")).code == 2
    done = terminal.type("deid", "text", str(tmp_path / "in"), "--out", str(tmp_path / "new"))
    assert done.code == 0, done.err
    made = {
        str(path.relative_to(tmp_path / "new")): path.read_text()
        for path in (tmp_path / "new").rglob("*")
        if path.is_file()
    }
    assert made == {"deep/a.txt": CLEAN, "b.md": "Nothing here.\n"}


def test_one_broken_file_and_nothing_is_written(terminal, tmp_path):
    """The error names file, byte and line; no result of the others is there."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text(NOTE)
    (tmp_path / "in" / "z.txt").write_bytes(b"first\ncaf\xe9 noir\n")
    done = terminal.type("deid", "text", str(tmp_path / "in"), "--out", str(tmp_path / "new"))
    assert (done.code, done.out) == (2, "")
    assert "z.txt is not utf-8 at byte 9 (line 2)" in done.err
    assert not (tmp_path / "new").exists()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
    again = terminal.type("deid", "text", str(tmp_path / "in" / "z.txt"), "--encoding", "latin-1")
    assert again.code == 0


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"a\0b", "NUL"), (b"\xff\xfea\x00b\x00c", "utf-16"), (b"\x80", "not utf-8")],
)
def test_what_is_no_text_is_refused(terminal, tmp_path, content, says):
    """Binary data and cut UTF-16 are not guessed at."""
    path = tmp_path / "x.txt"
    path.write_bytes(content)
    done = terminal.type("deid", "text", str(path))
    assert (done.code, done.out) == (2, "")
    assert says in done.err


def test_marked_utf16_is_read(terminal, tmp_path):
    """A byte order mark says what a file is."""
    path = tmp_path / "x.txt"
    path.write_text(NOTE, encoding="utf-16")
    assert terminal.type("deid", "text", str(path)).out == CLEAN


def test_json_gives_spans_without_their_words(terminal, note):
    """For programs: places, kinds, confidence, source and the clean text; the words that went are not in it."""
    done = terminal.type("deid", "text", str(note), "--json")
    (row,) = done.json
    assert row["text"] == CLEAN
    assert [NOTE[span["start"] : span["end"]] for span in row["spans"]][:2] == ["Mary Alcott", "3/14/1950"]
    assert all(set(span) == {"start", "end", "kind", "confidence", "source"} for span in row["spans"])
    assert "Alcott" not in done.out


def test_dry_run_shows_and_writes_nothing(terminal, note, tmp_path):
    """What goes stands beside what comes."""
    done = terminal.type("deid", "text", str(note), "--dry-run", "--out", str(tmp_path / "out.txt"))
    assert done.code == 0
    assert "[-Mary Alcott-]{+[NAME]+}" in done.out
    assert not (tmp_path / "out.txt").exists()


def test_known_identifiers(terminal, tmp_path):
    """What the file names is removed where nothing else would, and the source says which entry it was."""
    (tmp_path / "n.txt").write_text("the zorblatt was here, code qx11\n")
    (tmp_path / "known.json").write_text(json.dumps({"words": ["Zorblat"], "numbers": ["QX11"]}))
    done = terminal.type(
        "deid", "text", str(tmp_path / "n.txt"), "--known", str(tmp_path / "known.json"), "--json", "--rules-only"
    )
    assert [span["source"] for span in done.json[0]["spans"]] == ["known:words[0]", "known:numbers[0]"]


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"nmes": ["SECRET"]}',
        '{"names": "SECRET"}',
        '{"names": [""]}',
        '{"dates": ["SECRET"]}',
        '{"sparing": 1}',
    ],
)
def test_a_wrong_file_of_known_identifiers_is_refused(terminal, note, tmp_path, content):
    """The refusal names the field and never repeats a value."""
    (tmp_path / "known.json").write_text(content)
    done = terminal.type("deid", "text", str(note), "--known", str(tmp_path / "known.json"))
    assert (done.code, done.out) == (2, "")
    assert "SECRET" not in done.err
    assert done.err.startswith("medlock: ")


def test_surrogates_by_key(terminal, note, tmp_path):
    """One key file, one result; another, another; the key is never shown; a short one is refused."""
    results = []
    for name, key in (("a", b"k" * 32), ("b", b"k" * 32), ("c", b"o" * 32)):
        (tmp_path / name).write_bytes(key)
        results.append(
            terminal.type("deid", "text", str(note), "--mode", "surrogates", "--key-file", str(tmp_path / name))
        )
    assert results[0].out == results[1].out != results[2].out
    assert "Alcott" not in results[0].out
    assert "kkkk" not in results[0].out + results[0].err
    (tmp_path / "short").write_bytes(b"x")
    assert (
        terminal.type("deid", "text", str(note), "--mode", "surrogates", "--key-file", str(tmp_path / "short")).code
        == 3
    )


def test_nothing_there(terminal, tmp_path):
    """A path that is not there, and a directory without texts."""
    assert terminal.type("deid", "text", str(tmp_path / "no")).code == 5
    (tmp_path / "empty").mkdir()
    assert terminal.type("deid", "text", str(tmp_path / "empty"), "--dry-run").code == 2
