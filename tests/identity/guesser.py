"""A process of its own that guesses at a store: `python -m identity.guesser FILE LOGIN TRIES`; prints how many got through."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from identity.world import KEYS, PlainLog, StoppedClock
from medlock.errors import TooMany
from medlock.identity.ground import ground
from medlock.identity.lockout import Lockout
from medlock.store.sqlite import open_sqlite
from store.backend_conformance import CountingLedger


async def guesses(file: str, login: str, tries: int) -> int:
    """Guess so often at once, each time from another network; how many were let through."""
    backend = open_sqlite(Path(file), CountingLedger())
    lockout = Lockout(ground(backend, KEYS, StoppedClock(), PlainLog()))

    async def one(at: int) -> bool:
        try:
            await lockout.guess(login, f"198.51.{at % 250}.1", None)
        except TooMany:
            return False
        return True

    got = await asyncio.gather(*map(one, range(tries)))
    await backend.close()
    return sum(got)


if __name__ == "__main__":
    sys.stdout.write(f"{asyncio.run(guesses(sys.argv[1], sys.argv[2], int(sys.argv[3])))}\n")
