"""Connections to PostgreSQL: made when needed, judged before use, made anew when they were lost.

A connection that breaks is a refusal (`Unavailable`) for whoever was using it; the next question makes a new one. Every
new one is judged again: the server may have been set up otherwise meanwhile, or be another one after a failover.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

import asyncpg

from medlock.errors import SetupError, Unavailable
from medlock.store.pgsettings import NAMES, in_the_open, to_do

Connection = Any
"""An `asyncpg.Connection`; the package has no types."""
CONNECT_SECONDS = 10.0
STATEMENT_SECONDS = 30
LOCK_SECONDS = 10
POOL_MAX = 6
_GRACE = 5
"""Seconds after which the server must have cut a statement short; if it did not, it is gone."""
_SESSION = {
    "application_name": "medlock",
    "jit": "off",
    "default_transaction_isolation": "read committed",
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "lock_timeout": f"{LOCK_SECONDS}s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "25s",
}
"""The server drops a host that is gone within half a minute, and with it the lock that other writers wait for."""
_IN_WRITING = {"idle_in_transaction_session_timeout": f"{STATEMENT_SECONDS}s"}
_FOREVER = {"statement_timeout": "0"}
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')"
)
_SETTINGS = "SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])"
_WAY = "SELECT host(inet_client_addr()) AS address, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"

FAULTS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
"""What a server, the way to it, or the client's picture of it can raise."""
_OPERATOR = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.ClientConfigurationError,
    asyncpg.InvalidSchemaNameError,
    asyncpg.UndefinedTableError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TargetServerAttributeNotMatched,
)


def said(fault: BaseException) -> str:
    """What went wrong in the server's words, without DETAIL lines: those may name keys."""
    return (str(fault).splitlines() or [""])[0] or type(fault).__name__


@contextmanager
def refusing(doing: str, remark: str = "") -> Iterator[None]:
    """Faults become Unavailable: "The store cannot be `doing` now (…)`remark`."."""
    try:
        yield
    except FAULTS as fault:
        raise Unavailable(f"The store cannot be {doing} now ({said(fault)}){remark}.") from fault


@contextmanager
def setting_up() -> Iterator[None]:
    """As `refusing`, for the start: what an operator must mend becomes SetupError."""
    try:
        with refusing("reached"):
            yield
    except (Unavailable, ValueError) as refusal:  # a ValueError is about the address
        cause = refusal.__cause__ or refusal
        if not isinstance(cause, (*_OPERATOR, ValueError)):
            raise
        raise SetupError(
            f"The PostgreSQL store cannot be opened ({_said_of_setup(cause)}): check MEDLOCK_STORE, that the "
            "database exists and is no standby, and that this role may sign in and owns it (docs/postgres.md)."
        ) from refusal


def _said_of_setup(cause: BaseException) -> str:
    """As `said`; an address that could not be taken apart is not quoted, since a password may stand anywhere in it."""
    if isinstance(cause, ValueError) and not isinstance(cause, asyncpg.ClientConfigurationError):
        return "its address cannot be read; percent-encode / ? # @ : in a password"
    return said(cause)


async def judge(connection: Connection) -> None:
    """Take the connection into use. Raises SetupError when server or way would tell others what is read."""
    await connection.execute(_DURABLE)
    changes = to_do(dict(await connection.fetch(_SETTINGS, NAMES)))
    way = await connection.fetchrow(_WAY)
    if way is not None and in_the_open(way["address"], encrypted=way["ssl"]):
        changes.append("add sslmode=verify-full to MEDLOCK_STORE, because this connection is not encrypted")
    if changes:
        raise SetupError(f"The PostgreSQL server is not fit for a sealed store: {'; '.join(changes)}.")


async def _keep(connection: Connection) -> None:
    """Connections go back as they are: nothing here leaves state behind, and a reset is a round trip."""


class Connections:
    """The connections of one process to one database."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: Any = None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """One of a few connections, for one question."""
        if self._pool is None:
            self._pool = self._make_pool()
        await self._pool  # connects nothing yet; a pool that is made is made
        async with self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
            yield connection

    async def for_writing(self) -> Connection:
        """A connection for one writer, who closes it."""
        return await self._connect(_SESSION | _IN_WRITING, STATEMENT_SECONDS + _GRACE)

    @asynccontextmanager
    async def alone(self, *, patient: bool = False) -> AsyncIterator[Connection]:
        """A connection for one purpose; `patient`: its statements may take as long as they take."""
        session = _SESSION | _FOREVER if patient else _SESSION
        connection = await self._connect(session, None if patient else STATEMENT_SECONDS + _GRACE)
        try:
            yield connection
        finally:
            await put_away(connection)

    async def close(self) -> None:
        """Let go of all that are at rest."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await pool.close()
            except FAULTS:  # they are gone already
                pool.terminate()

    def _make_pool(self) -> Any:
        return asyncpg.create_pool(
            self._url,
            min_size=0,
            max_size=POOL_MAX,
            init=judge,
            reset=_keep,
            command_timeout=STATEMENT_SECONDS + _GRACE,
            server_settings=_SESSION,
            timeout=CONNECT_SECONDS,
            target_session_attrs="primary",
        )

    async def _connect(self, session: dict[str, str], seconds: float | None) -> Connection:
        connection = await asyncpg.connect(
            self._url,
            server_settings=session,
            command_timeout=seconds,
            timeout=CONNECT_SECONDS,
            target_session_attrs="primary",
        )
        with ExitStack() as unfit:
            unfit.callback(connection.terminate)
            await judge(connection)
            unfit.pop_all()
        return connection


async def put_away(connection: Connection) -> None:
    """Close a connection in whatever state it is."""
    try:
        await connection.close(timeout=CONNECT_SECONDS)
    except FAULTS:
        connection.terminate()
