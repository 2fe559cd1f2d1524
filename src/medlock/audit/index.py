"""One run of 4,096 entries made searchable, in one sealed row (docs/spec/audit.md §7).

Rows per event would tell a thief which events belong together; one row per run tells nothing. Inside it lies an
inverted list: sorted 64-bit hashes of slot, account and action, and for each the entries that bear it. The row also
keeps the run's Merkle root, so that a verifier need not open the entries, its first and last time, and the last
position of each slot. Hashes may collide, so what is found here is checked again on the opened entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import msgspec
import numpy as np
from numpy.typing import NDArray

from medlock.audit.entries import Noted
from medlock.audit.events import Position
from medlock.audit.keys import LogKeys, place
from medlock.audit.wire import FORMAT, decoder, encode, pad, unpad
from medlock.crypto.prf import ValueHash
from medlock.ids import random_bytes

RUN = 4_096
_SALT_BYTES = 32
_STEP = 4_096
_LABELS, _OFFSETS = np.dtype("<u8"), np.dtype("<u2")


class RunRow(msgspec.Struct, array_like=True, frozen=True):
    """The sealed form of a run's index; arrays are little-endian bytes, `positions` is MessagePack within."""

    format: int
    root: bytes
    first: int
    last: int
    salt: bytes
    labels: bytes
    starts: bytes
    offsets: bytes
    positions: bytes


_decode = decoder(RunRow)
_decode_positions = decoder(tuple[Position, ...])


@dataclass(frozen=True, slots=True)
class Terms:
    """What a search may look up: an entry must bear all that are given."""

    slot: int | None = None
    account: str | None = None
    action: str | None = None

    def values(self) -> Iterator[bytes]:
        """The hashed form of each term given."""
        if self.slot is not None:
            yield b"s" + self.slot.to_bytes(8, "big")
        if self.account is not None:
            yield b"a" + self.account.encode()
        if self.action is not None:
            yield b"x" + self.action.encode()


class RunIndex:
    """An opened index. `number` is the run's; entries are numbered from `number` · 4,096."""

    def __init__(self, number: int, row: RunRow) -> None:
        self.number = number
        self.row = row

    def matches(self, terms: Terms) -> range | list[int]:
        """Sequence numbers, ascending, of the entries that may bear all terms."""
        base = self.number * RUN
        lists = [self._bearers(value) for value in self._hashed(terms)]
        if not lists:
            return range(base, base + RUN)
        found = lists[0]
        for other in lists[1:]:
            found = np.intersect1d(found, other, assume_unique=True)
        return [base + offset for offset in found.tolist()]

    def positions(self) -> list[Position]:
        """The last position of each slot in the run."""
        return list(_decode_positions(self.row.positions))

    def _hashed(self, terms: Terms) -> list[int]:
        value_hash = ValueHash(self.row.salt)
        return [value_hash.of(value) for value in terms.values()]

    def _bearers(self, label: int) -> NDArray[np.uint16]:
        labels = np.frombuffer(self.row.labels, _LABELS)
        at = int(np.searchsorted(labels, np.uint64(label)))
        if at == len(labels) or int(labels[at]) != label:
            return np.empty(0, _OFFSETS)
        starts = np.frombuffer(self.row.starts, _OFFSETS)
        return np.frombuffer(self.row.offsets, _OFFSETS)[int(starts[at]) : int(starts[at + 1])]


class RunBuilder:
    """Gathers what is looked up in the entries of one run, in order."""

    def __init__(self) -> None:
        self._times: list[int] = []
        self._slots: dict[int, list[int]] = {}
        self._accounts: dict[str, list[int]] = {}
        self._actions: dict[str, list[int]] = {}
        self._positions: dict[int, Position] = {}

    def add(self, some: Iterable[Noted]) -> None:
        """The next entries of the run."""
        slots, accounts, actions = self._slots, self._accounts, self._actions
        for offset, (slot, account, action, recorded, position) in enumerate(some, len(self._times)):
            self._times.append(recorded)
            slots.setdefault(slot, []).append(offset)
            accounts.setdefault(account, []).append(offset)
            actions.setdefault(action, []).append(offset)
            if position is not None:
                self._positions[position.slot] = position

    def index(self, number: int, root: bytes) -> RunIndex:
        """The index of everything added; `root` is the Merkle root over the run."""
        salt = random_bytes(_SALT_BYTES)
        by_label = self._by_label(ValueHash(salt))
        labels = sorted(by_label)
        lists = [by_label[label] for label in labels]
        row = RunRow(
            format=FORMAT,
            root=root,
            first=min(self._times),
            last=max(self._times),
            salt=salt,
            labels=np.array(labels, _LABELS).tobytes(),
            starts=np.cumsum([0, *map(len, lists)]).astype(_OFFSETS).tobytes(),
            offsets=np.fromiter(chain.from_iterable(lists), _OFFSETS).tobytes(),
            positions=encode(tuple(self._positions.values())),
        )
        return RunIndex(number, row)

    def _by_label(self, value_hash: ValueHash) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for value, offsets in self._postings():
            # two values with one hash share a list: the union is right, since the entry is checked again
            label = value_hash.of(value)
            found[label] = sorted({*found[label], *offsets}) if label in found else offsets
        return found

    def _postings(self) -> Iterator[tuple[bytes, list[int]]]:
        """Each value as `Terms` gives it, and the entries that bear it."""
        for slot, offsets in self._slots.items():
            yield b"s" + slot.to_bytes(8, "big"), offsets
        for account, offsets in self._accounts.items():
            yield b"a" + account.encode(), offsets
        for action, offsets in self._actions.items():
            yield b"x" + action.encode(), offsets


class IndexSealer:
    """Seals and opens rows of LOGINDEX. What does not open raises Tampered."""

    def __init__(self, keys: LogKeys) -> None:
        self._keys = keys

    def seal(self, index: RunIndex) -> bytes:
        """The row for this run."""
        return self._keys.log.seal(pad(encode(index.row), _STEP), place(self._keys, "index", index.number))

    def open(self, number: int, row: bytes) -> RunIndex:
        """The index in row `number`."""
        return RunIndex(number, _decode(unpad(self._keys.log.open(row, place(self._keys, "index", number)))))
