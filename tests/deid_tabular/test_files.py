"""Tables from files and back; what cannot be read is refused with row and column."""

import pickle
import subprocess
import sys

import pytest

from medlock.deid.tabular.columns import table
from medlock.deid.tabular.extras import Extra
from medlock.deid.tabular.files import column_names, read_hierarchy, read_table, whole_file, write_table
from medlock.errors import BadRequest, SetupError

ROWS = {"age": ["34", "34", "61"], "name, whole": ['Ann "A"', "Bö\nb", ""]}


def words(found):
    """Columns as lists of words."""
    return {name: [each.words[code] for code in each.codes] for name, each in found.columns.items()}


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "arrow"])
def test_round_trip(tmp_path, suffix):
    """What is written is read again: quotes, line ends, separators and empty words included."""
    path = tmp_path / f"t.{suffix}"
    write_table(table(ROWS), path, "\t" if suffix == "tsv" else ",")
    assert words(read_table(path)) == ROWS
    assert words(read_table(path, ["age"])) == {"age": ROWS["age"]}
    assert column_names(path) == list(ROWS)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_found(tmp_path, delimiter):
    """The header tells what separates fields, with or without a byte order mark."""
    path = tmp_path / "t.csv"
    path.write_text(delimiter.join("ab") + "\r\n" + delimiter.join("12") + "\r\n", "utf-8-sig")
    assert words(read_table(path)) == {"a": ["1"], "b": ["2"]}


BROKEN = [
    (b"", "empty; it needs a header"),
    (b"a,b\n1,2\n1\n", "Row 2 of t.csv has 1 fields, the header has 2"),
    (b"a,b\n1,2\n1,2,3\n", "Row 2 of t.csv has 3 fields, the header has 2"),
    (b"a,b\n1,2\n1,\xff\n", "Row 2 of t.csv is not utf-8 in column b"),
    (b"a,\xff\n1,2\n", "The header of t.csv is not utf-8"),
    (b"a,a\n1,2\n", "Columns 1 and 2 of t.csv are both called a"),
]


@pytest.mark.parametrize(("data", "says"), BROKEN)
def test_broken_csv(tmp_path, data, says):
    """Ragged rows, bytes of another encoding, columns of one name."""
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    with pytest.raises(BadRequest, match=says):
        read_table(path)


def test_encoding(tmp_path):
    """Another encoding is read when it is named; an unknown one is refused."""
    path = tmp_path / "t.csv"
    path.write_bytes("a\nMünchen\n".encode("latin-1"))
    assert words(read_table(path, encoding="latin-1")) == {"a": ["München"]}
    with pytest.raises(BadRequest, match="not an encoding"):
        read_table(path, encoding="utf-9")


def test_refused_files(tmp_path):
    """No file, no table, no such column, no known suffix."""
    with pytest.raises(BadRequest, match="There is no file"):
        read_table(tmp_path / "t.csv")
    for suffix in ("parquet", "arrow"):
        path = tmp_path / f"t.{suffix}"
        path.write_bytes(b"not a table, with a secret")
        with pytest.raises(BadRequest, match="cannot be read as") as caught:
            read_table(path)
        assert "secret" not in str(caught.value)
    write_table(table(ROWS), tmp_path / "t.csv")
    with pytest.raises(BadRequest, match="no column zip"):
        read_table(tmp_path / "t.csv", ["zip"])
    (tmp_path / "t.xlsx").touch()
    with pytest.raises(BadRequest, match="none of the suffixes"):
        read_table(tmp_path / "t.xlsx")


def test_hierarchy_files(tmp_path):
    """ARX's form with any separator; a missing file and wrong bytes are named."""
    path = tmp_path / "h.csv"
    path.write_text("1;low;*\n2;low;*\n")
    assert read_hierarchy("age", path).height == 2
    path.write_bytes(b"1;low\n\xff;low\n")
    with pytest.raises(BadRequest, match="Line 2 of the hierarchy of age is not UTF-8"):
        read_hierarchy("age", path)
    with pytest.raises(BadRequest, match="The hierarchy of age is missing"):
        read_hierarchy("age", tmp_path / "none.csv")


def test_whole_or_nothing(tmp_path):
    """A write that fails leaves the old file, and no other."""
    path = tmp_path / "out.csv"
    path.write_text("old")

    def fail():
        with whole_file(path) as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_extra():
    """What is not installed is said with what to install, when it is first used and not before."""
    missing = Extra("no_such_module.inner", "deid")
    with pytest.raises(SetupError, match=r"needs no_such_module, .* pip install 'medlock\[deid\]'"):
        missing.anything()


def test_extra_travels():
    """A worker that unpickles a function gets the same module, loaded or not."""
    for extra in (Extra("json", "deid"), Extra("no_such_module", "deid")):
        again = pickle.loads(pickle.dumps(extra))  # noqa: S301 - our own bytes
        assert again.__reduce__() == extra.__reduce__()
    assert pickle.loads(pickle.dumps(Extra("json", "deid"))).loads("1") == 1  # noqa: S301 - our own bytes


def test_large_modules_wait():
    """The program starts without Arrow, OpenDP and Spark."""
    started = (
        "import sys, medlock.cli; print([name for name in ('pyarrow', 'opendp', 'pyspark') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", started], capture_output=True, text=True, check=True).stdout == "[]\n"
