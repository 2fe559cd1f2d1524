"""The broker's own log: who had which patient's key, sealed, chained, and with the system before the key leaves.

A record is written with one call before its answer is sent, so killing the broker loses none; a thread syncs the file
to the disk several times a second. Waiting for the disk would cost every unwrap ten times its price, and gain
nothing: what a power cut takes from this log it takes from the workers' memory, and the audit log has every
disclosure durably before its answer. docs/spec/broker.md §6 is the format.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from medlock.crypto.aead import NONCE_BYTES, TAG_BYTES, Aead
from medlock.errors import Tampered, Unavailable
from medlock.ids import random_bytes

MAGIC = b"MLKBLOG1"
HEADER = struct.Struct(">8sQ16s")
PLAIN = struct.Struct(">QQBIQII3x")
RECORD_BYTES = NONCE_BYTES + PLAIN.size + TAG_BYTES
FILE_BYTES = 16 * 1024 * 1024
SYNC_SECONDS = 0.2
_PREFIX = b"MLKBL1"
_FILES = f"{'[0-9a-f]' * 16}.log"


class Kind(IntEnum):
    """What a record is of."""

    START = 1
    UNWRAP = 2
    ENTRIES = 3
    ALLOT = 4
    DESTROY = 5
    GENERATIONS = 6
    CAPPED = 7
    REFUSED = 8
    STOP = 9
    UNWRAP_COMMON = 10


@dataclass(frozen=True, slots=True)
class Unwrap:
    """One record."""

    number: int
    time: int
    kind: Kind
    pid: int
    slot: int
    generation: int
    count: int


class UnwrapLog:
    """The log of one broker, open for writing. One broker at a time."""

    def __init__(self, directory: Path, aead: Aead, store_id: bytes) -> None:
        self._directory = directory
        self._seal = aead.seal_with
        self._nonces = _nonces()
        self._aad = _PREFIX + store_id
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._dirty = False
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._number, self._tag = _last(directory)
        self._handle = -1
        self._size = 0
        self._begin_file()
        self._syncing = threading.Thread(target=self._keep_syncing, daemon=True)
        self._syncing.start()

    def write(  # noqa: PLR0917 - the columns of a record
        self, time: int, kind: Kind, pid: int, slot: int = 0, generation: int = 0, count: int = 0
    ) -> None:
        """Add one record; the system has it when this returns. Raises Unavailable: no log, no key."""
        with self._lock:
            plain = PLAIN.pack(self._number, time, kind, pid, slot, generation, count)
            nonce = next(self._nonces)
            sealed = nonce + self._seal(nonce, plain, self._aad + self._tag)
            self._append(sealed)
            self._number += 1
            self._tag = sealed[-TAG_BYTES:]
            self._dirty = True
            if self._size >= FILE_BYTES:
                self._begin_file()

    def close(self) -> None:
        """Sync and let go."""
        self._stopped.set()
        self._syncing.join()
        with self._lock:
            if self._handle >= 0:
                os.fsync(self._handle)
                os.close(self._handle)
                self._handle = -1

    def _append(self, data: bytes) -> None:
        _write_whole(self._handle, data, self._size)
        self._size += len(data)

    def _begin_file(self) -> None:
        """The next file, named by the number of its first record."""
        path = self._directory / f"{self._number:016x}.log"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        try:
            handle = os.open(path, flags, 0o600)
        except OSError as error:
            raise Unavailable(f"The key broker's log cannot be made in {self._directory}: {error.strerror}.") from error
        header = HEADER.pack(MAGIC, self._number, self._tag)
        try:
            _write_whole(handle, header, 0)
        except Unavailable:  # records go on in the file before: behind half a header nobody could read them
            os.close(handle)
            path.unlink()
            raise
        if self._handle >= 0:
            os.fsync(self._handle)
            os.close(self._handle)
        self._handle, self._size = handle, len(header)

    def _keep_syncing(self) -> None:
        while not self._stopped.wait(SYNC_SECONDS):
            if self._dirty:
                self._dirty = False
                with suppress(OSError):  # the next write tells
                    os.fsync(self._handle)


def _write_whole(handle: int, data: bytes, size: int) -> None:
    """Add to a file that has so many bytes, or leave it as it is. Raises Unavailable."""
    try:
        written = os.write(handle, data)
    except OSError as error:
        raise _unwritten(str(error.strerror)) from error
    if written != len(data):  # the disk is full: what half of it took would break the chain
        os.ftruncate(handle, size)
        raise _unwritten("short write")


def _nonces() -> Iterator[bytes]:
    """Random nonces, drawn from the system a hundred at a time: one call each is a tenth of an unwrap."""
    while True:
        block = random_bytes(NONCE_BYTES * 128)
        for start in range(0, len(block), NONCE_BYTES):
            yield block[start : start + NONCE_BYTES]


def _unwritten(why: str) -> Unavailable:
    return Unavailable("The key broker cannot write its log, so it hands out no keys.", reason=f"unwraps: {why}")


def log_files(directory: Path) -> list[Path]:
    """The log's files in the order of their records."""
    return sorted(directory.glob(_FILES))


def read_log(directory: Path, aead: Aead, store_id: bytes) -> Iterator[Unwrap | str]:
    """Every record in order; a sentence in place of what is not as it was written."""
    for stranger in sorted({*directory.glob("*.log")}.difference(log_files(directory))):
        yield f"{stranger.name} is no file of this log."
    expected: tuple[int, bytes] | None = None
    for path in log_files(directory):
        content = path.read_bytes()
        try:
            number, tag = _header(content)
        except Tampered as error:
            yield f"{path.name}: {error.reason}."
            expected = None
            continue
        if expected not in {None, (number, tag)}:
            yield f"{path.name} does not follow the file before it: records are missing or foreign."
        for found in _records(content, aead, store_id, (number, tag)):
            if isinstance(found, str):
                yield f"{path.name}: {found}"
                break
            record, tag = found
            number += 1
            yield record
        expected = (number, tag)


def _records(
    content: bytes, aead: Aead, store_id: bytes, place: tuple[int, bytes]
) -> Iterator[tuple[Unwrap, bytes] | str]:
    """Records with their tags; a sentence, and no more, at the first that is wrong.

    A last one that is not whole is passed over: it was being written.
    """
    number, tag = place
    for start in range(HEADER.size, len(content) - RECORD_BYTES + 1, RECORD_BYTES):
        sealed = content[start : start + RECORD_BYTES]
        try:
            record = _opened(aead.open(sealed, _PREFIX + store_id + tag))
        except Tampered:
            yield f"record {number} is not what was written, or does not follow the one before."
            return
        if record.number != number:
            yield f"record {number} says that it is {record.number}."
            return
        tag = sealed[-TAG_BYTES:]
        number += 1
        yield record, tag


def _opened(plain: bytes) -> Unwrap:
    try:
        number, time, kind, pid, slot, generation, count = PLAIN.unpack(plain)
        return Unwrap(number, time, Kind(kind), pid, slot, generation, count)
    except (struct.error, ValueError) as error:
        raise Tampered("a record of the wrong form") from error


def _header(content: bytes) -> tuple[int, bytes]:
    if len(content) < HEADER.size:
        raise Tampered("the file has no header")
    magic, number, tag = HEADER.unpack_from(content)
    if magic != MAGIC:
        raise Tampered("the file is no log of a key broker")
    return number, tag


def _last(directory: Path) -> tuple[int, bytes]:
    """Number and tag to go on from. Cuts off a record that was being written when the broker was killed.

    A damaged file is left as it is, for `read_log` to name; numbers go on behind it.
    """
    files = log_files(directory)
    while files:
        path = files.pop()
        content = path.read_bytes()
        if len(content) < HEADER.size:  # killed before it had a header: it holds nothing
            path.unlink()
            continue
        whole = (len(content) - HEADER.size) // RECORD_BYTES
        os.truncate(path, HEADER.size + whole * RECORD_BYTES)
        number = int(path.stem, 16) + whole
        return number, content[: HEADER.size + whole * RECORD_BYTES][-TAG_BYTES:]
    return 0, bytes(TAG_BYTES)
