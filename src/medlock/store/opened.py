"""Bodies opened lately, so that a chart that is looked at again is not deciphered again.

A body is found here only by the very ciphertext that was opened: whoever asks has just read the row, and it is the same
to the byte as the one that was authenticated. So nothing is older or truer here than on disk. Held in memory only, a
few megabytes; whoever serves one must still ask the keystore for its key, which is gone after an erasure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

from medlock.store.bodies import Opened
from medlock.store.capsule import IndexRow

KEPT = 4_096
BODY_BYTES = 8_192
"""Longer bodies are not kept: all of them together take 32 MB at most, of usual ones 12."""


class OpenedBodies:
    """Row id → what its row held; least recently used first out. `cleared`: how often keys were destroyed."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._known: OrderedDict[int, Opened] = OrderedDict()
        self.cleared = 0

    def get(self, rid: int, ct: bytes) -> Opened | None:
        """The body that this ciphertext holds; None when it is not known."""
        known = self._known.get(rid)
        if known is None or known.ct != ct:
            return None
        self._known.move_to_end(rid)
        return known

    def get_all(self, rows: Sequence[IndexRow], cts: Mapping[int, bytes]) -> list[Opened | None]:
        """As `get`, of many: of those rows just read whose ciphertext is the one that the index names."""
        known, used = self._known.get, self._known.move_to_end
        found: list[Opened | None] = []
        for row in rows:
            rid = row.rid
            opened = known(rid)
            if opened is not None and opened.tag == row.tag and opened.ct == cts.get(rid):
                used(rid)
                found.append(opened)
            else:
                found.append(None)
        return found

    def put(self, opened: Opened) -> None:
        """Remember a body, if it is not too long."""
        if len(opened.body) > BODY_BYTES:
            return
        self._known[opened.rid] = opened
        self._known.move_to_end(opened.rid)
        if len(self._known) > self._kept:
            self._known.popitem(last=False)

    def clear(self) -> None:
        """Forget all: keys were destroyed, and nothing of what lay under them shall stay in memory."""
        self._known.clear()
        self.cleared += 1
