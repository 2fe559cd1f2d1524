"""A directory of backups: which there are, what belongs to which, and how a new one appears there in one step.

Names of directories mean nothing; each manifest says what it is. A backup that was not finished has a name that nobody
looks at.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from medlock.backup.manifest import BYTES_MAX, File, Manifest, digest_of, read_manifest
from medlock.crypto.notes import NoteVerifier
from medlock.errors import NotFound, SetupError, Tampered, Unavailable
from medlock.store.opening import alone

MANIFEST = "manifest"
_PARTIAL = ".partial-"
_LOCK = ".lock"
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_BUSY = "Another process makes a backup in this directory: wait until it is done."


@dataclass(frozen=True, slots=True)
class Held:
    """One backup on the shelf. Its manifest is believed only after `demand`.

    note  the manifest's file, as it is
    """

    path: Path
    note: str
    manifest: Manifest

    @property
    def name(self) -> str:
        """How people name it: the beginning of its id."""
        return self.manifest.id[:8]

    @property
    def digest(self) -> str:
        """The hash by which a child names it."""
        return digest_of(self.note.encode())

    def demand(self, verifier: NoteVerifier) -> None:
        """Raises Tampered unless the store's own key signed the manifest."""
        read_manifest(self.note, verifier)

    def read(self, file: File) -> bytes:
        """A file, which is the one that the manifest names. Raises Tampered naming it."""
        size, blob = _content(self.path / file.name, f"backup {self.name}: {file.name}", file.size)
        if size != file.size:
            raise Tampered(f"backup {self.name}: {file.name} has {size} bytes instead of {file.size}")
        if digest_of(blob) != file.digest:
            raise Tampered(f"backup {self.name}: {file.name} is not the file that was written")
        return blob

    def strangers(self) -> list[str]:
        """Names of files that the manifest does not name."""
        known = {MANIFEST, *(file.name for file in self.manifest.files)}
        return sorted(path.name for path in self.path.iterdir() if path.name not in known)


@dataclass(frozen=True, slots=True)
class Shelf:
    """What lies in a directory of backups: those that can be read, shortest log first, and faults of others."""

    path: Path
    held: tuple[Held, ...]
    faults: tuple[str, ...]

    def chosen(self, name: str = "") -> Held:
        """The newest one, or the one whose id begins so. Raises SetupError, NotFound."""
        if not self.held:
            told = "; ".join(self.faults)
            raise SetupError(f"There is no backup in {self.path} that can be used{': ' + told if told else ''}.")
        if not name:
            return self.held[-1]
        found = [each for each in self.held if each.manifest.id.startswith(name)]
        if len(found) != 1:
            raise NotFound(f"There is no one backup {name} in {self.path}; medlock backup list shows them.")
        return found[0]

    def last(self) -> list[Held]:
        """Those that no other continues: one, unless full ones were made anew or the store was put back meanwhile."""
        continued = {each.manifest.parent for each in self.held}
        return [each for each in self.held if each.manifest.id not in continued]

    def demand(self, store: str, verifier: NoteVerifier) -> None:
        """Raises SetupError unless this store signed everything here: what is not whole can hide the newest."""
        if self.faults:
            raise SetupError(
                f"In {self.path} lies what is no whole backup: {'; '.join(self.faults)}. Move it elsewhere."
            )
        for each in self.held:
            if each.manifest.store != store:
                raise SetupError(
                    f"Backup {each.name} in {self.path} is of another store ({each.manifest.store[:8]}, not "
                    f"{store[:8]}): use the keystore that was made with it, or keep the backups of each store apart."
                )
            try:
                each.demand(verifier)
            except Tampered as fault:
                raise SetupError(
                    f"The manifest of backup {each.name} in {self.path} was edited: {fault.reason}. Put back a good "
                    "copy of it, or move the backup elsewhere."
                ) from fault

    def chain(self, last: Held) -> list[Held]:
        """A backup and its ancestors, the full one first. Raises SetupError naming the one that is missing."""
        chain = [last]
        by_id = {each.manifest.id: each for each in self.held}
        while parent := chain[0].manifest.parent:
            found = by_id.get(parent)
            if found is None:
                raise SetupError(
                    f"Backup {chain[0].name} continues backup {parent[:8]}, which is not in {self.path}: put it back, "
                    "or use a backup that is not incremental."
                )
            if found.digest != chain[0].manifest.link or found in chain:
                raise SetupError(f"Backup {parent[:8]} is not the one that backup {chain[0].name} continues.")
            chain.insert(0, found)
        return chain


def look(path: Path) -> Shelf:
    """What lies there. Raises SetupError when there is no such directory."""
    if not path.is_dir():
        raise SetupError(f"There is no directory {path}.")
    held: list[Held] = []
    faults: list[str] = []
    for each in sorted(path.iterdir()):
        if not each.is_dir() or each.name.startswith("."):
            continue
        try:
            held.append(_held(each))
        except Tampered as fault:
            faults.append(f"{each.name}: {fault.reason}")
    held.sort(key=lambda each: (each.manifest.size, each.manifest.made))
    twice = {each.manifest.id for each in held if sum(other.manifest.id == each.manifest.id for other in held) > 1}
    faults += [f"backup {id_[:8]} lies there twice" for id_ in sorted(twice)]
    return Shelf(path, tuple(each for each in held if each.manifest.id not in twice), tuple(faults))


def _held(path: Path) -> Held:
    size, content = _content(path / MANIFEST, "its manifest", BYTES_MAX)
    if size > BYTES_MAX:
        raise Tampered("its manifest is too long")
    try:
        note = content.decode()
    except UnicodeDecodeError:
        raise Tampered("its manifest is not text") from None
    return Held(path, note, read_manifest(note))


def _content(path: Path, told: str, most: int) -> tuple[int, bytes]:
    """Length of a file, and what it holds unless it is too long; nothing is waited for. Raises Tampered naming it."""
    try:
        with os.fdopen(os.open(path, _READ), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise Tampered(f"{told} is no file")
            return status.st_size, file.read(most) if status.st_size <= most else b""
    except OSError as fault:
        raise Tampered(f"{told} cannot be read ({fault.strerror})") from fault


class Making:
    """A backup that is being written; nobody sees it before `finish`."""

    def __init__(self, shelf: Path, id_: str) -> None:
        self._shelf = shelf
        self._path = shelf / f"{_PARTIAL}{id_}"
        self._id = id_
        self.files: list[File] = []
        self._path.mkdir(mode=0o700)

    def put(self, name: str, blob: bytes) -> None:
        """Write a file, to the disk. Raises Unavailable."""
        with _writing(), os.fdopen(os.open(self._path / name, _NEW, 0o600), "wb") as file:
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        self.files.append(File(name, len(blob), digest_of(blob)))

    def finish(self, note: str, made: int) -> Path:
        """Write the manifest and let the backup appear; where it lies."""
        self.put(MANIFEST, note.encode())
        stamp = datetime.fromtimestamp(made / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
        final = self._shelf / f"{stamp}-{self._id[:8]}"
        with _writing():
            sync(self._path)
            self._path.rename(final)
            sync(self._shelf)
        return final

    def discard(self) -> None:
        """Leave nothing of it, if it did not appear."""
        shutil.rmtree(self._path, ignore_errors=True)


@contextmanager
def making(shelf: Path, id_: str) -> Iterator[Making]:
    """A new backup on a shelf, made when it is not there. What was left unfinished before is deleted.

    Raises Conflict while another process makes one, SetupError, Unavailable.
    """
    try:
        shelf.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as fault:
        raise SetupError(f"The directory {shelf} cannot be made: {fault.strerror}.") from fault
    with alone(shelf / _LOCK, _BUSY):
        for leftover in shelf.glob(f"{_PARTIAL}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        new = Making(shelf, id_)
        try:
            yield new
        finally:
            new.discard()


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise Unavailable(f"The backup cannot be written ({fault.strerror}); none was made.") from fault


def sync(directory: Path) -> None:
    """Make names in a directory durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
