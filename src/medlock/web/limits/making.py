"""The limits of one serving process, put together as the operator set them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import NamedTuple

from medlock.clock import Clock
from medlock.errors import SetupError
from medlock.settings import Settings
from medlock.web.limits.alarms import Alarms
from medlock.web.limits.limiter import Limiter
from medlock.web.limits.patients import Patients
from medlock.web.limits.shares import Filling, Shared
from medlock.web.limits.stored import Names, Store, StoredCounter

_ADDRESSES = ("redis://", "rediss://", "valkey://", "valkeys://", "redis+unix://", "valkey+unix://")
_FORM = "MEDLOCK_RATE_STORE is memory, store, or the address of a Redis or Valkey server."


class Limits(NamedTuple):
    """What there is of them."""

    limiter: Limiter
    patients: Patients


@asynccontextmanager
async def limits_of(
    settings: Settings, store: Store, names: Names, clock: Clock, alarms: Alarms
) -> AsyncIterator[Limits]:
    """The limits, and the work that shares them beside. Raises SetupError."""
    shared = _shared(settings, store, names)
    patients = Patients(settings.rates, clock, alarms, shared)
    sharing = asyncio.create_task(patients.share_on())
    try:
        yield Limits(Limiter(settings.rates, Filling(shared, alarms.alone), clock, alarms), patients)
    finally:
        sharing.cancel()
        with suppress(asyncio.CancelledError):
            await sharing
        close = getattr(shared, "close", None)
        if close is not None:
            await close()


def _shared(settings: Settings, store: Store, names: Names) -> Shared | None:
    """Where workers count together; None: nowhere."""
    where = settings.rate_store or ("store" if settings.workers > 1 else "memory")
    if where == "memory":
        return None
    if where == "store":
        return StoredCounter(store, names)
    if not where.startswith(_ADDRESSES):
        raise SetupError(_FORM)
    try:
        module = import_module("medlock.web.limits.valkey")
    except ModuleNotFoundError as missing:
        raise SetupError("MEDLOCK_RATE_STORE needs more packages: pip install 'medlock[valkey]'.") from missing
    made: Shared = module.ValkeyCounter(where, names)
    return made
