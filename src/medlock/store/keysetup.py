"""How a keystore comes into being and how it is recognised again; every refusal says what the operator can do."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from medlock.crypto.aead import KEY_BYTES
from medlock.errors import SetupError, Tampered, Unavailable
from medlock.ids import random_bytes
from medlock.store.epochs import HOME, Epochs, insert_epoch, wrapped_epoch
from medlock.store.kek.provider import KekProvider
from medlock.store.keychange import KeyChange, KeyChanges
from medlock.store.keyfile import APPLICATION_ID, FORMAT, SCHEMA, KeyFile, create_file
from medlock.store.keyring import SHARED, KeyDestroyed, TenantKeys
from medlock.store.keystate import KeyState


class Home(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The record of the provider that guards this keystore, as JSON in the file."""

    name: str
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Identity:
    store_id: bytes
    home: bytes


def home_record(name: str, parameters: Mapping[str, str]) -> bytes:
    """The record as it is stored; equal homes have equal bytes."""
    return msgspec.json.encode(Home(name, dict(parameters)), order="deterministic")


@dataclass(frozen=True, slots=True)
class Contents:
    """What a keystore begins with: nothing but a tenant key, or what a copy of another one held.

    epoch  number of the first epoch
    keys   slot, generation, secret of each row, that of (0, 0) first
    state  what is remembered of the log
    """

    store_id: bytes
    epoch: int
    keys: Sequence[tuple[int, int, bytes]]
    state: KeyState

    def __repr__(self) -> str:
        return f"<Contents of {self.store_id.hex()}>"


def _nothing() -> Contents:
    return Contents(random_bytes(16), 1, [(SHARED, 0, random_bytes(KEY_BYTES))], KeyState())


def create_keystore(path: Path, provider: KekProvider, now_ms: int, contents: Contents | None = None) -> None:
    """Write a new keystore in one transaction; killed before its end, it can be created again."""
    contents = contents or _nothing()
    file = create_file(path)
    try:
        with file.transaction() as tx:
            if tx.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
                raise SetupError(f"There is a keystore at {path} already. Open it, or choose another directory.")
            for statement in filter(str.strip, SCHEMA.split(";")):
                tx.execute(statement)
            tx.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            tx.execute(f"PRAGMA user_version = {FORMAT}")
            _fill(KeyChange(tx, _enrolled(provider, contents.store_id), contents.state), file, now_ms, contents)
    finally:
        file.close()
    _sync_directory(path.parent)


def open_epochs(path: Path, provider: KekProvider, expect: bytes | None) -> tuple[KeyFile, Epochs]:
    """The file and its epoch keys. Raises SetupError, or Unavailable when the provider does not answer."""
    if not path.is_file():
        raise _missing(path)
    with explained(path):
        try:
            file = KeyFile(path)
        except Unavailable as error:
            raise SetupError(f"The keystore at {path} cannot be opened. {error}", reason=error.reason) from error
        with ExitStack() as opened:
            opened.callback(file.close)
            epochs = _recognised(file, provider, expect)
            opened.pop_all()
        return file, epochs


def tenant_key(file: KeyFile, epochs: Epochs) -> bytes:
    """The key of the whole store. Raises SetupError when it is gone or damaged."""
    with explained(file.path):
        try:
            return epochs.read_key(file, SHARED, 0)[1]
        except KeyDestroyed:
            raise Tampered("the tenant's key row (slot 0) is missing") from None
        except Tampered as error:
            raise Tampered(f"the tenant's key row (slot 0) is not what was written: {error.reason}") from error


def _enrolled(provider: KekProvider, store_id: bytes) -> Epochs:
    parameters = provider.enrol(store_id)
    return Epochs(store_id, provider, home_record(provider.name, parameters))


def _fill(change: KeyChange, file: KeyFile, now_ms: int, contents: Contents) -> None:
    epochs = change.epochs
    epoch, kek = wrapped_epoch(epochs.provider, epochs.store_id, contents.epoch, now_ms)
    epochs.adopt(epoch.number, kek)
    insert_epoch(change.tx, epoch)
    for name, value in (("store", epochs.store_id), ("provider", epochs.home)):
        change.tx.execute("INSERT INTO meta(name, value) VALUES (?, ?)", (name, value))
    change.add(*contents.keys)
    KeyChanges(file, epochs, TenantKeys(contents.keys[0][2])).save(change)


def _recognised(file: KeyFile, provider: KekProvider, expect: bytes | None) -> Epochs:
    identity = _identity(file)
    if expect is not None and identity.store_id != expect:
        raise SetupError(
            f"The keystore at {file.path} belongs to another store. Put back the keystore made with this data."
        )
    home = msgspec.json.decode(identity.home, type=Home)
    if home.name != provider.name:
        raise SetupError(
            f"The keystore at {file.path} is guarded by the provider {home.name}, not by {provider.name}. "
            f"Start again with {home.name}."
        )
    provider.connect(identity.store_id, home.parameters)
    epochs = Epochs(identity.store_id, provider, identity.home)
    epochs.load(file.read)
    return epochs


def _identity(file: KeyFile) -> _Identity:
    if not file.read("SELECT 1 FROM sqlite_master LIMIT 1"):
        raise _missing(file.path)
    tables = {name for (name,) in file.read("SELECT name FROM sqlite_master")}
    if file.read("PRAGMA application_id") != [(APPLICATION_ID,)]:
        raise Tampered("the file is not a keystore")
    if not {"meta", "epoch", "key"} <= tables:
        raise Tampered("a table is missing")
    version = file.read("PRAGMA user_version")[0][0]
    if not isinstance(version, int) or version > FORMAT:
        raise SetupError(
            f"The keystore at {file.path} has format {version}; this program knows {FORMAT}. Use a newer medlock."
        )
    store, home = file.read("SELECT value FROM meta WHERE name = 'store'"), file.read(HOME)
    if not store or not home:
        raise Tampered("the keystore's own record is missing")
    return _Identity(_bytes(store[0][0]), _bytes(home[0][0]))


def _bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise Tampered("the keystore's own record is damaged")
    return value


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """While opening, what does not fit together is the operator's to mend: Tampered becomes SetupError."""
    try:
        yield
    except (Tampered, msgspec.DecodeError) as error:
        fault = error.reason if isinstance(error, Tampered) else "the row 'provider' of table meta is not readable"
        raise SetupError(
            f"The keystore at {path} is damaged or not the one that its key provider knows: {fault}. "
            "Put back the newest good copy of it.",
        ) from error


def _missing(path: Path) -> SetupError:
    return SetupError(
        f"There is no keystore at {path}. Put back its newest copy: without it the data cannot be opened. "
        "For a new store choose an empty data directory."
    )


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
