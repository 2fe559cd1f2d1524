"""One run of 4,096 entries made searchable, in one sealed row (docs/spec/audit.md §7).

Rows per event would tell a thief which events belong together; one row per run tells nothing. Inside it lies an
inverted list: sorted 64-bit hashes of slot, account and action, and for each the entries that bear it. The row also
keeps the run's Merkle root, so that a verifier need not open the entries, its first and last time, and the last
position of each slot. Hashes may collide, so what is found here is checked again on the opened entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from medlock.audit.entries import Minimal
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


_Positions = tuple[tuple[int, int, bytes], ...]
_decode = decoder(RunRow)
_decode_positions = decoder(_Positions)


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
        return [Position(*each) for each in _decode_positions(self.row.positions)]

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


@dataclass(slots=True)
class RunBuilder:
    """Gathers the minimal copies of one run, in order."""

    salt: bytes = field(default_factory=lambda: random_bytes(_SALT_BYTES))
    times: list[int] = field(default_factory=list)
    postings: dict[bytes, list[int]] = field(default_factory=dict)
    positions: dict[int, tuple[int, int, bytes]] = field(default_factory=dict)

    def add(self, minimal: Minimal) -> None:
        """The next entry of the run."""
        offset = len(self.times)
        self.times.append(minimal.recorded)
        for value in Terms(minimal.slot, minimal.account, minimal.action).values():
            self.postings.setdefault(value, []).append(offset)
        if minimal.position is not None:
            self.positions[minimal.position[0]] = minimal.position

    def index(self, number: int, root: bytes) -> RunIndex:
        """The index of everything added; `root` is the Merkle root over the run."""
        value_hash = ValueHash(self.salt)
        by_label: dict[int, list[int]] = {}
        for value, offsets in self.postings.items():
            # two values with one hash share a list: the union is right, since the entry is checked again
            label = value_hash.of(value)
            by_label[label] = sorted({*by_label[label], *offsets}) if label in by_label else offsets
        labels = sorted(by_label)
        lengths = [len(by_label[label]) for label in labels]
        row = RunRow(
            format=FORMAT,
            root=root,
            first=min(self.times),
            last=max(self.times),
            salt=self.salt,
            labels=np.array(labels, _LABELS).tobytes(),
            starts=np.cumsum([0, *lengths]).astype(_OFFSETS).tobytes(),
            offsets=np.array([at for label in labels for at in by_label[label]], _OFFSETS).tobytes(),
            positions=encode(tuple(self.positions.values())),
        )
        return RunIndex(number, row)


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
