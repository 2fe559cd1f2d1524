"""What the store knows of who somebody is, for cleaning prose: it is read to be removed, and never shown.

So it is not cut to what the caller may see: a name that a hidden resource holds must not stay in a note that is shown.
It is in memory while a piece is made, and no longer.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import orjson

from medlock.deid.fhir.register import IDENTITIES
from medlock.errors import Conflict
from medlock.records.indexing import TYPE_NUMBERS
from medlock.records.vault import TENANT, Vault
from medlock.store.capsule import IndexRow

_AT_ONCE: Final = 64
_TRIES: Final = 4
_NUMBERS: Final = [TYPE_NUMBERS[name] for name in IDENTITIES]
Json = dict[str, Any]


async def record_of(vault: Vault, slot: int) -> tuple[Json, ...]:
    """Everything in a patient's index; of what belongs to nobody, what tells who is who."""
    for _ in range(_TRIES):
        rows = await _rows(vault, slot)
        found: list[Json] = []
        for start in range(0, len(rows), _AT_ONCE):
            opened = await vault.fetch(rows[start : start + _AT_ONCE])
            if None in opened:
                break
            found += [orjson.loads(each.body) for each in opened if each is not None]
        else:
            return tuple(found)
    raise Conflict("These records are being changed right now; try again.")


async def _rows(vault: Vault, slot: int) -> list[IndexRow]:
    capsule = await vault.capsules.open(slot)
    found: list[IndexRow] = []
    for segment in capsule.view():
        mask = segment.alive.copy()
        if slot == TENANT:
            mask &= np.isin(segment.rows["type"], _NUMBERS)
        chosen = segment.rows[mask][["rid", "slot", "version", "tag"]].tolist()
        found += [IndexRow(rid, owner or slot, version, tag) for rid, owner, version, tag in chosen]
    return found
