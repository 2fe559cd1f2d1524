"""The broker's log: sealed, chained, whole after any kill."""

from __future__ import annotations

import json
import os
from contextlib import closing, suppress
from pathlib import Path

import pytest

from broker import naive
from medlock.crypto.aead import Aead
from medlock.errors import Unavailable
from medlock.store.broker import unwraplog
from medlock.store.broker.unwraplog import HEADER, RECORD_BYTES, Kind, Unwrap, UnwrapLog, log_files, read_log
from medlock.store.keyring import TenantKeys

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/broker/log.json").read_text())
TENANT, STORE = bytes.fromhex(VECTORS["tenant"]), bytes.fromhex(VECTORS["store"])


@pytest.fixture
def aead():
    """The key, derived as the program does."""
    return TenantKeys(TENANT).unwraps


def written(directory, aead, count, start=0):
    """A log with some records more."""
    with closing(UnwrapLog(directory, aead, STORE)) as log:
        for number in range(start, start + count):
            log.write(1_000 + number, Kind.UNWRAP, 42, number + 1, 3)


def read(directory, aead):
    return list(read_log(directory, aead, STORE))


@pytest.mark.parametrize("vector", VECTORS["files"], ids=lambda vector: vector["name"])
def test_vectors(vector, aead, tmp_path):
    """Both readings agree with the file: records, or that something is wrong."""
    content, expected = bytes.fromhex(vector["file"]), vector["found"]
    assert naive.records(content, naive.log_key(TENANT), STORE) == expected
    (tmp_path / "0000000000000005.log").write_bytes(content)
    found = read(tmp_path, aead)
    if isinstance(expected, str):
        assert isinstance(found[-1], str)
    else:
        assert found == [Unwrap(**{**each, "kind": Kind(each["kind"])}) for each in expected]


def test_what_is_written_is_read(aead, tmp_path):
    """In order, over several starts and files."""
    for start in (0, 5, 10):
        written(tmp_path, aead, 5, start)
    found = read(tmp_path, aead)
    assert [record.number for record in found] == list(range(15))
    assert [record.slot for record in found] == list(range(1, 16))
    assert len(log_files(tmp_path)) == 3


def test_it_says_nothing_to_a_reader_without_the_key(aead, tmp_path):
    """Files are private, rows have one length, and another key opens none."""
    written(tmp_path, aead, 3)
    (path,) = log_files(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_size == HEADER.size + 3 * RECORD_BYTES
    assert isinstance(read(tmp_path, Aead(bytes(32)))[0], str)


@pytest.mark.parametrize("left", range(RECORD_BYTES))
def test_a_record_that_was_being_written_is_cut_off(left, aead, tmp_path):
    """Killed after any number of its bytes: those before it stay, and the next start goes on."""
    written(tmp_path, aead, 3)
    (path,) = log_files(tmp_path)
    os.truncate(path, HEADER.size + 2 * RECORD_BYTES + left)
    written(tmp_path, aead, 2, 2)
    assert [record.number for record in read(tmp_path, aead)] == [0, 1, 2, 3]


@pytest.mark.parametrize("left", [0, 1, 31])
def test_a_file_that_was_being_made_is_made_again(left, aead, tmp_path):
    """Killed before its header was whole."""
    written(tmp_path, aead, 3)
    (tmp_path / "0000000000000003.log").write_bytes(bytes(left))
    written(tmp_path, aead, 1, 3)
    assert [record.number for record in read(tmp_path, aead)] == [0, 1, 2, 3]


def test_a_full_file_is_followed_by_another(aead, tmp_path, monkeypatch):
    """And the chain goes on."""
    monkeypatch.setattr(unwraplog, "FILE_BYTES", HEADER.size + 4 * RECORD_BYTES)
    written(tmp_path, aead, 10)
    assert [record.number for record in read(tmp_path, aead)] == list(range(10))
    assert len(log_files(tmp_path)) == 3


@pytest.mark.parametrize("place", [0, 20, HEADER.size, HEADER.size + RECORD_BYTES + 30])
def test_an_edit_is_named(place, aead, tmp_path):
    """In the header or a record of the middle file of three; records of other files are still shown."""
    for start in (0, 4, 8):
        written(tmp_path, aead, 4, start)
    path = log_files(tmp_path)[1]
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    found = read(tmp_path, aead)
    assert any(isinstance(each, str) and path.name in each for each in found)
    assert {each.number for each in found if isinstance(each, Unwrap)} >= {0, 1, 2, 3, 8, 9, 10, 11}


def test_a_missing_file_is_named(aead, tmp_path):
    """The one after it says so."""
    for start in (0, 4, 8):
        written(tmp_path, aead, 4, start)
    log_files(tmp_path)[1].unlink()
    assert any(isinstance(each, str) and "missing" in each for each in read(tmp_path, aead))


def test_a_full_disk_hands_out_no_key_and_leaves_no_half_record(aead, tmp_path, monkeypatch):
    """What could not be written whole is taken back; afterwards it goes on."""
    real = os.write
    with closing(UnwrapLog(tmp_path, aead, STORE)) as log:
        log.write(1, Kind.UNWRAP, 42, 1)
        monkeypatch.setattr(unwraplog.os, "write", lambda handle, data: real(handle, data[:30]))
        with pytest.raises(Unavailable, match="hands out no keys"):
            log.write(2, Kind.UNWRAP, 42, 2)
        monkeypatch.setattr(unwraplog.os, "write", real)
        log.write(3, Kind.UNWRAP, 42, 3)
    assert [record.slot for record in read(tmp_path, aead)] == [1, 3]


def test_a_file_that_cannot_be_begun_leaves_no_gap(aead, tmp_path, monkeypatch):
    """A disk that is full for a moment when a file is to follow costs no record, before or after."""
    monkeypatch.setattr(unwraplog, "FILE_BYTES", HEADER.size + 3 * RECORD_BYTES)
    write, full = os.write, [True]

    def short_of_room(handle, data):
        if full and len(data) == HEADER.size:
            return write(handle, data[:5])
        return write(handle, data)

    with closing(UnwrapLog(tmp_path, aead, STORE)) as log:
        log.write(1, Kind.UNWRAP, 42, 1)
        log.write(1, Kind.UNWRAP, 42, 2)
        monkeypatch.setattr(unwraplog.os, "write", short_of_room)
        with pytest.raises(Unavailable):
            log.write(1, Kind.UNWRAP, 42, 3)
        with suppress(Unavailable):
            log.write(1, Kind.UNWRAP, 42, 4)
        full.clear()
        log.write(1, Kind.UNWRAP, 42, 5)
        log.write(1, Kind.UNWRAP, 42, 6)
    found = read(tmp_path, aead)
    assert not [each for each in found if isinstance(each, str)]
    assert [each.slot for each in found] == [1, 2, 3, 4, 5, 6]
    assert [path.name for path in log_files(tmp_path)] == ["0000000000000000.log", "0000000000000005.log"]
