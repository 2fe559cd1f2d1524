"""One random secret per epoch, in a small file that is kept apart from the data.

The file is replaced atomically and durably; the bytes of the one it replaces are overwritten with zeros first,
as far as the file system lets a program do that. Changes hold a lock on a neighbouring `.lock` file, so two
processes never lose each other's. `destroyed` only grows: an epoch at or below it is refused for ever. An epoch
may have several secrets, told apart by the root they were made with: a change of passphrase that was killed leaves
one behind that nothing was wrapped with, and overwriting it could take another process's with it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from medlock.errors import SetupError, Unavailable
from medlock.store.kek.provider import EpochDestroyed

if sys.platform != "win32":
    import fcntl

FORMAT = 1


class EpochSecret(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The secret of one epoch and the value that recognises the root it was made with, both in hex."""

    secret: str
    check: str

    def __repr__(self) -> str:
        return "<EpochSecret>"


class SecretBook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file holds, as JSON."""

    format: int
    store: str
    destroyed: int = 0
    epochs: dict[str, tuple[EpochSecret, ...]] = {}

    def __repr__(self) -> str:
        return "<SecretBook>"


class SecretFile:
    """The secrets of one store."""

    def __init__(self, path: Path, store_id: bytes) -> None:
        self.path = path
        self._store = store_id.hex()

    def get(self, epoch: int) -> tuple[EpochSecret, ...]:
        """The secrets of one epoch, nearly always one. Raises EpochDestroyed, SetupError when it is lost."""
        book = self._read()
        if epoch <= book.destroyed:
            raise EpochDestroyed(epoch)
        found = book.epochs.get(str(epoch), ())
        if not found:
            raise SetupError(
                f"The key file {self.path} holds no secret for epoch {epoch} of this keystore. "
                "Put back the newest copy of that file, or of the keystore."
            )
        return found

    def add(self, epoch: int, entry: EpochSecret, ours: Callable[[EpochSecret], bool]) -> None:
        """Keep a new secret, unless one that is `ours` is there. Raises EpochDestroyed."""

        def added(book: SecretBook) -> SecretBook:
            if epoch <= book.destroyed:
                raise EpochDestroyed(epoch)
            there = book.epochs.get(str(epoch), ())
            if any(ours(each) for each in there):
                return book
            return msgspec.structs.replace(book, epochs={**book.epochs, str(epoch): (*there, entry)})

        self._change(added)

    def destroy(self, epoch: int) -> None:
        """Forget this epoch's secret and all earlier ones for ever."""

        def without(book: SecretBook) -> SecretBook:
            left = {number: entry for number, entry in book.epochs.items() if int(number) > epoch}
            return msgspec.structs.replace(book, destroyed=max(book.destroyed, epoch), epochs=left)

        self._change(without)

    def _read(self) -> SecretBook:
        try:
            return self._decoded(self.path.read_bytes())
        except FileNotFoundError:
            raise SetupError(
                f"The key file {self.path} is missing; without it the keystore cannot be opened. Put it back."
            ) from None
        except OSError as error:
            raise Unavailable(f"The key file {self.path} cannot be read: {error.strerror}.") from error

    def _decoded(self, content: bytes) -> SecretBook:
        try:
            book = msgspec.json.decode(content, type=SecretBook)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise SetupError(f"The key file {self.path} is damaged. Put back a good copy of it.") from None
        if book.format != FORMAT:
            raise SetupError(f"The key file {self.path} was written by another version. Use a newer medlock.")
        if book.store != self._store:
            raise SetupError(f"The key file {self.path} belongs to another store. Put back the right one.")
        return book

    def _change(self, edit: Callable[[SecretBook], SecretBook]) -> None:
        try:
            with _locked(self.path.with_name(self.path.name + ".lock")):
                present = self.path.exists()
                book = self._read() if present else SecretBook(FORMAT, self._store)
                _replace(self.path, msgspec.json.encode(edit(book)))
        except OSError as error:
            raise Unavailable(f"The key file {self.path} cannot be written: {error.strerror}.") from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if sys.platform != "win32":
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path: Path, content: bytes) -> None:
    """New content under the old name: durable before the old bytes are burnt, whole at every moment."""
    fresh = path.with_name(path.name + ".new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    former = os.open(path, os.O_WRONLY) if path.exists() else None
    try:
        fresh.replace(path)
        _sync_directory(path.parent)
        if former is not None:
            _burn(former)
    finally:
        if former is not None:
            os.close(former)


def _burn(handle: int) -> None:
    os.write(handle, bytes(os.fstat(handle).st_size))
    os.fsync(handle)


def _sync_directory(directory: Path) -> None:
    if sys.platform == "win32":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
