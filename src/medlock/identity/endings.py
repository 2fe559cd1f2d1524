"""How all that was given to an account ends with it: whoever gives something lists it, and says how it is taken back.

Sessions, tokens, approvals and codes are looked up by their own secret, in one row, so that answering stays quick. Two
rules make what was ended dead on the next request, on every worker:

1. What is issued for an account is committed with the expectation that its row is as it was read.
2. Whoever changes that row so that less is allowed deletes, in the same commit, all that was issued.

Should both happen at once, one of the two commits loses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from medlock.store.tables import Batch


class Endings(Protocol):
    """Something that was given to accounts; sessions are one, the authorization server has another."""

    async def of_account(self, account_id: str) -> Batch:
        """What takes all of it back, for the batch that changes the account; Raced when committed too late."""


async def all_of(endings: Sequence[Endings], account_id: str) -> Batch:
    """What takes back everything that an account was given."""
    batch = Batch()
    for each in endings:
        batch += await each.of_account(account_id)
    return batch
