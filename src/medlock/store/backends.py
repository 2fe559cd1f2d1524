"""Which back end holds the sealed tables: the file in the data directory, or the PostgreSQL database in settings.

Only the one that is used is imported: asyncpg is an optional extra.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from medlock.errors import SetupError
from medlock.settings import Settings
from medlock.store.leaving import moved_to
from medlock.store.opening import DATA
from medlock.store.sqlite import open_sqlite
from medlock.store.tables import Backend, Ledger

_SCHEMES = ("postgresql://", "postgres://")


async def open_backend(settings: Settings, ledger: Ledger, store: bytes, *, used: bool = False) -> Backend:
    """The sealed tables that the settings name.

    store  name of the keystore; a database that is sealed under another one is refused
    used   whether the keystore remembers records: a file is not begun anew then
    Raises SetupError with a sentence for the operator, Unavailable when a server cannot be reached.
    """
    file = settings.data_dir / DATA
    if not settings.store:
        if used and not file.exists():
            raise SetupError(
                f"This keystore has records, and {file} is not there: set MEDLOCK_STORE if they are in PostgreSQL, "
                "or put the file back from a backup that is as new as the keystore."
            )
        return open_sqlite(file, ledger)
    demand_address(settings.store)
    if file.exists() and moved_to(file) is None:
        raise SetupError(
            f"{file} holds this keystore's records already, and MEDLOCK_STORE names another place for them: unset "
            "it, or use a data directory of its own for the PostgreSQL store."
        )
    backend: Backend = await postgres_module("postgres").open_postgres(settings.store, ledger, store)
    return backend


def demand_address(store: str) -> None:
    """Raises SetupError unless it is the address of a PostgreSQL database."""
    if not store.startswith(_SCHEMES):
        raise SetupError("MEDLOCK_STORE is the address of a PostgreSQL database: postgresql://role@host/database.")


def postgres_module(name: str) -> ModuleType:
    """A module of this package that needs the driver. Raises SetupError when that is not installed."""
    try:
        return import_module(f"medlock.store.{name}")
    except ModuleNotFoundError as missing:
        raise SetupError("MEDLOCK_STORE needs the package asyncpg: pip install 'medlock[postgres]'.") from missing
