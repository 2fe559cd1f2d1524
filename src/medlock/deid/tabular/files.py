"""Tables and hierarchies from files and back: CSV, Parquet, Arrow. The one module here that reads and writes them.

Needs pyarrow, the extra `deid`. Everything is read as words; dictionaries keep a column of a million rows small. What
is written appears whole or not at all. Errors name the row, counted from the first line of data, and the column, never
a value.
"""

from __future__ import annotations

import csv
import os
import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from medlock.deid.tabular.columns import Column, Table
from medlock.deid.tabular.extras import Extra
from medlock.deid.tabular.hierarchy import Codes, Hierarchy
from medlock.errors import BadRequest, SetupError

pa = Extra("pyarrow", "deid")
pa_csv = Extra("pyarrow.csv", "deid")
pa_feather = Extra("pyarrow.feather", "deid")
pa_parquet = Extra("pyarrow.parquet", "deid")
DELIMITERS = ";,\t|"
ARROW_SUFFIXES = {".arrow", ".feather", ".ipc"}
CSV_SUFFIXES = {".csv", ".tsv", ".txt"}
_QUOTED = re.compile(r'"[^"]*"')


def read_table(path: Path, names: Sequence[str] | None = None, encoding: str = "utf-8") -> Table:
    """Read a table, or those of its columns that are named, as words.

    The suffix decides the format. Raises BadRequest for a file that cannot be read, an unknown column, a ragged row or
    bytes that are not in the encoding; SetupError without pyarrow.
    """
    if not path.is_file():
        msg = f"There is no file {path}."
        raise BadRequest(msg)
    with _plainly(path):
        found = _read(path, names, encoding)
    missing = [name for name in names or () if name not in found.column_names]
    if missing:
        msg = f"{path.name} has no column {missing[0]}; its columns are {', '.join(found.column_names)}."
        raise BadRequest(msg)
    return Table({name: column_of(name, found.column(name)) for name in found.column_names})


def column_names(path: Path, encoding: str = "utf-8") -> list[str]:
    """The names of a file's columns, in order."""
    if not path.is_file():
        msg = f"There is no file {path}."
        raise BadRequest(msg)
    with _plainly(path):
        if path.suffix == ".parquet":
            return list(pa_parquet.read_schema(path).names)
        if path.suffix in ARROW_SUFFIXES:
            return list(pa_feather.read_table(path, memory_map=True).column_names)
    return _header(path, encoding)


def read_hierarchy(name: str, path: Path) -> Hierarchy:
    """Read a hierarchy in ARX's form. Raises BadRequest."""
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError:
        msg = f"The hierarchy of {name} is missing: there is no file {path}."
        raise BadRequest(msg) from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        msg = f"Line {line} of the hierarchy of {name} is not UTF-8."
        raise BadRequest(msg) from None
    first = text.partition("\n")[0]
    lines = tuple(tuple(line) for line in csv.reader(text.splitlines(), delimiter=_delimiter(first)) if line)
    return Hierarchy(name, lines)


def write_table(table: Table, path: Path, delimiter: str = ",") -> None:
    """Write a table in the format of the suffix: all of it, or nothing."""
    arrays = {
        name: pa.DictionaryArray.from_arrays(pa.array(column.codes), pa.array(column.words, pa.string()))
        for name, column in table.columns.items()
    }
    data = pa.table(arrays)
    with whole_file(path) as part:
        _writer(path)(data, part, delimiter)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place at the end of the block, or vanishes when the block fails."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        part.touch(mode=0o600)
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror or 'the disk refuses'}."
        raise SetupError(msg) from None
    finally:
        part.unlink(missing_ok=True)


def delimiter_of(path: Path, encoding: str = "utf-8") -> str:
    """What separates the fields of a CSV; a comma for other formats."""
    return _delimiter(_first_line(path, encoding)) if path.suffix in CSV_SUFFIXES else ","


def _read(path: Path, names: Sequence[str] | None, encoding: str) -> Any:
    if path.suffix == ".parquet":
        return pa_parquet.read_table(path, columns=None if names is None else list(names))
    if path.suffix in ARROW_SUFFIXES:
        return pa_feather.read_table(path, columns=None if names is None else list(names))
    if path.suffix in CSV_SUFFIXES:
        return _read_csv(path, names, encoding)
    msg = f"{path.name} has none of the suffixes .csv .tsv .txt .parquet .arrow .feather .ipc."
    raise BadRequest(msg)


def _read_csv(path: Path, names: Sequence[str] | None, encoding: str) -> Any:
    header = _header(path, encoding)
    for name in names or ():
        if name not in header:
            msg = f"{path.name} has no column {name}; its columns are {', '.join(header)}."
            raise BadRequest(msg)
    words = pa.dictionary(pa.int32(), pa.string())
    ragged: list[tuple[int, int]] = []

    def skip(row: Any) -> str:
        ragged.append((row.number, row.actual_columns))
        return "skip"

    parse = pa_csv.ParseOptions(
        delimiter=_delimiter(_first_line(path, encoding)), invalid_row_handler=skip, newlines_in_values=True
    )
    convert = pa_csv.ConvertOptions(column_types=dict.fromkeys(header, words), include_columns=list(names or ()))
    try:
        # one thread: only then rows have numbers, and the processor works less in all
        read = pa_csv.ReadOptions(use_threads=False, encoding=encoding)
        found = pa_csv.read_csv(path, read_options=read, parse_options=parse, convert_options=convert)
    except pa.ArrowInvalid:
        _name_bad_bytes(path, encoding, header)
        raise
    if ragged:
        row, fields = ragged[0]
        msg = f"Row {row - 1} of {path.name} has {fields} fields, the header has {len(header)}."
        raise BadRequest(msg)
    return found


def _header(path: Path, encoding: str) -> list[str]:
    line = _first_line(path, encoding)
    header = next(csv.reader([line], delimiter=_delimiter(line)), [])
    if not header:
        msg = f"{path.name} is empty; it needs a header and rows."
        raise BadRequest(msg)
    for at, name in enumerate(header):
        if name in header[:at]:
            msg = f"Columns {header.index(name) + 1} and {at + 1} of {path.name} are both called {name}."
            raise BadRequest(msg)
    return header


def _first_line(path: Path, encoding: str) -> str:
    try:
        with path.open("rb") as file:
            return file.readline().decode("utf-8-sig" if encoding == "utf-8" else encoding).rstrip("\r\n")
    except UnicodeDecodeError:
        msg = f"The header of {path.name} is not {encoding}; name the encoding."
        raise BadRequest(msg) from None
    except LookupError:
        msg = f"{encoding} is not an encoding; utf-8, latin-1 and cp1252 are."
        raise BadRequest(msg) from None


def _delimiter(line: str) -> str:
    """The most frequent separator outside quotes."""
    bare = _QUOTED.sub("", line)
    return max(DELIMITERS, key=bare.count) if any(each in bare for each in DELIMITERS) else ","


def _name_bad_bytes(path: Path, encoding: str, header: Sequence[str]) -> None:
    """Raise BadRequest for the first line that cannot be decoded."""
    delimiter = _delimiter(_first_line(path, encoding)).encode()
    with path.open("rb") as file:
        for number, line in enumerate(file):
            try:
                line.decode(encoding)
            except UnicodeDecodeError as error:
                at = min(line[: error.start].count(delimiter), len(header) - 1)
                msg = f"Row {number} of {path.name} is not {encoding} in column {header[at]}; name the encoding."
                raise BadRequest(msg) from None


@contextmanager
def _plainly(path: Path) -> Iterator[None]:
    """Arrow's errors quote rows; say what matters instead."""
    try:
        yield
    except (pa.ArrowException, OSError):
        msg = f"{path.name} cannot be read as {path.suffix.lstrip('.') or 'a table'}; is it whole, and of that format?"
        raise BadRequest(msg) from None


def column_of(name: str, data: Any) -> Column:
    """Words and codes; a missing value is the empty word. Casts only where it must: they load much of Arrow."""
    if not pa.types.is_dictionary(data.type):
        data = data.cast(pa.string()).dictionary_encode()
    whole = data.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0) if whole.num_chunks else pa.array([], pa.string()).dictionary_encode()
    words = tuple(str(word) for word in whole.dictionary.to_pylist())
    if whole.null_count:
        return Column(name, (*words, ""), _numbers(whole.indices.fill_null(len(words))))
    return Column(name, words, _numbers(whole.indices))


def _numbers(indices: Any) -> Codes:
    """Indices without nulls as an array. Arrow's own way would load pandas where it is installed: a quarter second."""
    if not len(indices):
        return np.zeros(0, np.int32)
    plain = indices if indices.type == pa.int32() else indices.cast(pa.int32())
    return np.frombuffer(plain.buffers()[1], np.int32)[plain.offset : plain.offset + len(plain)]


def _writer(path: Path) -> Callable[[Any, Path, str], None]:
    if path.suffix == ".parquet":
        return lambda data, part, _: pa_parquet.write_table(data, part)
    if path.suffix in ARROW_SUFFIXES:
        return lambda data, part, _: pa_feather.write_feather(data, str(part), compression="zstd")
    if path.suffix in CSV_SUFFIXES:
        return _write_csv
    msg = f"{path.name} has none of the suffixes .csv .tsv .txt .parquet .arrow .feather .ipc."
    raise BadRequest(msg)


def _write_csv(data: Any, part: Path, delimiter: str) -> None:
    plain = pa.table({name: data.column(name).cast(pa.string()) for name in data.column_names})
    pa_csv.write_csv(plain, part, pa_csv.WriteOptions(delimiter=delimiter, quoting_style="needed"))
