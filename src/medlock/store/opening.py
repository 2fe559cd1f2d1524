"""Opening a data directory: make it when it is new, find its keystore, refuse what does not belong together.

    medlock.db   sealed tables        keystore.db   wrapped keys        store.id   names the store, for both

The keystore may lie in a directory of its own (`MEDLOCK_KEYSTORE_DIR`), which several data directories share when their
records are in one PostgreSQL database. Several processes may do this at once; a lock file lets one at a time in, so
that a new directory is made once.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from medlock.clock import Clock
from medlock.errors import Conflict, SetupError, Unavailable
from medlock.settings import Settings
from medlock.store.broker.keys import BrokeredKeys
from medlock.store.kek.choice import provider_of
from medlock.store.kek.provider import KekProvider
from medlock.store.keycopy import KeyExport
from medlock.store.keyport import Keys
from medlock.store.keystore import Keystore

DATA = "medlock.db"
KEYS = "keystore.db"
NAME = "store.id"
_LOCK = "open.lock"


def open_keystore(
    settings: Settings, clock: Clock, *, create: bool = False, provider: KekProvider | None = None
) -> Keystore:
    """The keystore of a data directory; with `create`, a new one in a directory that holds nothing yet.

    provider  what guards the keys, when it is not what the settings name
    Raises SetupError with a sentence for the operator, Unavailable when the key provider does not answer.
    """
    directory, keys = settings.data_dir, settings.keys_dir
    provider = provider or provider_of(settings)
    if not create and not (keys / KEYS).exists() and not (directory / DATA).exists():
        raise SetupError(f"There is no medlock data in {directory}: medlock serve, load or demo make it.")
    make_directory(directory)
    make_directory(keys)
    with _one_at_a_time(keys):
        return _opened(directory, keys / KEYS, provider, clock)


def export_of(file: Path, settings: Settings, clock: Clock) -> KeyExport:
    """The keys in a copy of a keystore's file, which the provider in the settings opens. The copy stays as it is.

    Secrets that lie in the data directory are looked for beside the copy. Raises as `open_keystore`.
    """
    provider = provider_of(replace(settings, data_dir=file.parent, keystore_dir=None))
    with tempfile.TemporaryDirectory(prefix="medlock-") as directory:
        copy = Path(directory) / KEYS
        shutil.copyfile(file, copy)
        keystore = Keystore.open(copy, provider, clock=clock)
        try:
            return keystore.export()
        finally:
            keystore.close()


def open_keys(settings: Settings, clock: Clock, *, create: bool = False) -> Keys:
    """The keystore of a data directory: through the key broker where settings name one, else `open_keystore`."""
    if settings.broker is not None:
        try:
            return BrokeredKeys(settings.broker, cleared=settings.cleared)
        except Unavailable as error:
            raise Unavailable(
                f"No key broker answers this account at {settings.broker}. Start it, or see its --worker-uid.",
                reason=error.reason,
            ) from error
    demand_broker(settings)
    return open_keystore(settings, clock, create=create)


def demand_broker(settings: Settings) -> None:
    """Raises SetupError where a process without clearance would open the keystore itself, and so have every key."""
    if not settings.cleared:
        raise SetupError(
            "MEDLOCK_CLEARANCE=normal is for servers whose keys a key broker holds, and this process would open the "
            "keystore itself: unset it for this command, or serve with --broker on."
        )


def make_directory(directory: Path) -> None:
    """The data directory, readable by this user only. Raises SetupError."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as fault:
        raise SetupError(f"The data directory {directory} cannot be made: {fault.strerror}.") from fault
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise SetupError(f"The data directory {directory} is not writable for this user: change its owner or mode.")


def _opened(directory: Path, path: Path, provider: KekProvider, clock: Clock) -> Keystore:
    """The keystore there, or a new one if nothing was ever sealed here."""
    name = directory / NAME
    expect = bytes.fromhex(name.read_text()) if name.exists() else None
    if expect is None and not (directory / DATA).exists() and _blank(path):
        keystore = Keystore.create(path, provider, clock=clock)
    else:
        keystore = Keystore.open(path, provider, expect=expect, clock=clock)
    if expect is None:
        name.touch(mode=0o600)
        name.write_text(keystore.store_id.hex())
    return keystore


def _blank(path: Path) -> bool:
    """Whether there is no keystore, or one whose making was cut short before its first commit."""
    if not path.exists():
        return True
    try:
        with closing(sqlite3.connect(path)) as db:
            return not db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
    except sqlite3.Error:
        return False


@contextmanager
def alone(path: Path, refusal: str) -> Iterator[None]:
    """For work that one process at a time may do; ends with the process, however that ends. Raises Conflict."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(refusal) from error
        yield
    finally:
        os.close(handle)


@contextmanager
def _one_at_a_time(directory: Path) -> Iterator[None]:
    """Wait until no other process is opening this directory."""
    try:
        handle = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as fault:
        raise SetupError(f"The data directory {directory} cannot be written to: {fault.strerror}.") from fault
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
