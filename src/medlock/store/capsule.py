"""The index of one patient: what a search opens instead of the patient's bodies. docs/spec/store.md §4.

A capsule is a list of immutable segments named by a sealed head, followed by numbered deltas, one per write. A delta
is inserted under a key derived from its number: if another process wrote that number first the insert fails, and
nobody's write is lost. When deltas pile up, the next write folds them into a segment in its own commit; it deletes
the deltas before it and keeps its own as the anchor, so that whoever holds an older state finds its last delta gone
and loads afresh. `renew` does the same for an index that moves to another key: all of it in one commit, so that at
every moment one generation opens the whole index.

Each delta carries the tag of the one before and the head carries the tags of its segments: a row that is swapped,
rolled back or taken away breaks the chain. What the chain cannot show, the loss of the newest delta, the audit log
shows: every write's event records number and tag.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from medlock.errors import Tampered
from medlock.store import segment as columns
from medlock.store.capsulerows import CapsuleCipher, SegmentName
from medlock.store.entries import DELETED, DROPPED, POINTER, Delta, IndexEntry, decode_delta, encode_delta
from medlock.store.frames import DELTA_BYTES, HEAD_BYTES, frame, unframe
from medlock.store.keyring import PatientKeys
from medlock.store.merging import merge
from medlock.store.segment import Segment
from medlock.store.tables import Batch, Row, Table

FORMAT = 1
FOLD_DELTAS = 32
FOLD_ROWS = 64
TIER = 4
TIER_ROWS_MAX = 16_384
LARGE_SEGMENTS_MAX = 6
"""Segments beyond TIER_ROWS_MAX rows are joined so that there are no more of them: a head has one length."""


class Head(msgspec.Struct, array_like=True, frozen=True):
    """What a capsule was when deltas were last folded: everything up to delta `base` is in `segments`."""

    format: int
    patient: str
    base: int
    base_tag: bytes
    next_segment: int
    segments: tuple[SegmentName, ...]


_encode_head = msgspec.msgpack.Encoder().encode
_decode_head = msgspec.msgpack.Decoder(Head).decode


class Capsule:
    """One patient's index in memory, as of delta `number` whose tag is `tag`. Made by `Capsules`."""

    def __init__(self, cipher: CapsuleCipher, slot: int, head: Head) -> None:
        self.cipher = cipher
        self.slot = slot
        self.head = head
        self.patient = head.patient
        self.number = head.base
        self.tag = head.base_tag
        self.segments: list[Segment] = []
        self.cached_rows = 0
        self._held = 0
        self._tail: dict[int, IndexEntry] = {}
        self._tail_segment: Segment | None = None
        self.probe = cipher.key("delta", head.base), cipher.key("delta", head.base + 1)
        """Keys of the last delta, which must be there, and of the next, which must not."""
        self._trail = [self.probe[0]]  # keys of the deltas from the base on

    def apply(self, delta: Delta, tag: bytes) -> None:
        """Take in the next delta. Raises Tampered when it does not follow the last one."""
        if delta.number != self.number + 1 or delta.previous != self.tag:
            raise Tampered(f"delta {self.number + 1} of an index does not follow the one before it")
        self.number, self.tag, self.patient = delta.number, tag, delta.patient
        self.probe = self.probe[1], self.cipher.key("delta", delta.number + 1)
        self._trail.append(self.probe[0])
        if delta.entries:
            self._tail_segment = None
            for entry in delta.entries:
                self._tail[entry.rid] = entry
                for each in self.segments:  # it is rarely there: looking costs a tenth of what `kill` would
                    at = each.find(entry.rid)
                    if at >= 0:
                        each.alive[at] = each.whole = False

    def view(self) -> list[Segment]:
        """Segments that together hold every row once alive."""
        if not self._tail:
            return self.segments
        if self._tail_segment is None:
            self._tail_segment = columns.build(list(self._tail.values()))
        return [*self.segments, self._tail_segment]

    @property
    def generation(self) -> int:
        """Of the keys that all of this index lies under."""
        return self.cipher.generation

    def find(self, rid: int) -> IndexRow | None:
        """The current row of a resource, tombstones included."""
        entry = self._tail.get(rid)
        if entry is not None:
            return None if entry.flags & DROPPED else IndexRow(entry.rid, entry.slot, entry.version, entry.tag)
        for each in reversed(self.segments):
            at = each.find(rid)
            if at >= 0:
                _, slot, tag, _, version, _, flags, _ = each.row(at)
                return None if flags & DROPPED else IndexRow(rid, slot, version, tag)
        return None

    def rows(self) -> Iterator[IndexRow]:
        """Every current row, tombstones included: for verification, shredding and sealing anew."""
        return (row for row, flags in self._newest() if not flags & DROPPED)

    def elsewhere(self) -> Iterator[IndexRow]:
        """Resources that belong to somebody else now; versions up to `version` may lie under this patient's key."""
        return (row for row, flags in self._newest() if flags & (DROPPED | POINTER) and row.version)

    def mark(self, rid: int) -> int:
        """The last version of somebody else's resource that may lie under this patient's key; 0 for none."""
        known = self._tail.get(rid)
        if known is not None:
            return known.version if known.flags & (DROPPED | POINTER) else 0
        for each in reversed(self.segments):
            at = each.find(rid)
            if at >= 0:
                return int(each.rows["version"][at]) if each.rows["flags"][at] & (DROPPED | POINTER) else 0
        return 0

    def entries(self) -> dict[int, IndexEntry]:
        """The last word on every resource, whole. Slow: everything is taken apart."""
        found: dict[int, IndexEntry] = {}
        for each in self.segments:
            found.update((entry.rid, entry) for entry in each.entries())
        return found | self._tail

    def _newest(self) -> Iterator[tuple[IndexRow, int]]:
        """The last word on every resource, with its flags."""
        seen: set[int] = set()
        for each in reversed(self.view()):
            for rid, slot, version, tag, flags in each.rows[["rid", "slot", "version", "tag", "flags"]].tolist():
                if rid not in seen:
                    seen.add(rid)
                    yield IndexRow(rid, slot, version, tag, deleted=bool(flags & DELETED)), flags

    def row_keys(self) -> Iterator[tuple[Table, int]]:
        """Where this index lies: head, segments, and the deltas from the anchor on."""
        if self.head.next_segment:
            yield Table.CAPSULE, self.cipher.key("head")
        for name in self.head.segments:
            yield from ((Table.CAPSULE, key) for key in self.cipher.piece_keys(name))
        yield from ((Table.DELTA, key) for key in (self._trail if self.head.base else self._trail[1:]))

    def size(self) -> int:
        """Rows held in memory, dead ones included."""
        return self._held + len(self._tail)

    def hold(self, segments: list[Segment]) -> None:
        """These are the segments that the head names."""
        self.segments = segments
        self._held = sum(map(len, segments))

    def living(self) -> list[IndexRow]:
        """The rows of all resources that are there and that this index owns."""
        gone = DELETED | DROPPED | POINTER
        return [row for row, flags in self._newest() if not flags & gone]

    def live_rows(self) -> int:
        """How many resources are there."""
        return sum(int(np.count_nonzero(each.alive)) for each in self.view())

    def change(self, patient: str, entries: Sequence[IndexEntry], batch: Batch) -> Appended:
        """Add the next delta to a batch, folding when it is time. Nothing in memory changes until `settle`."""
        number = self.number + 1
        due = number - self.head.base >= FOLD_DELTAS or len(self._tail) + len(entries) >= FOLD_ROWS
        delta = Delta(FORMAT, number, patient, self.tag, () if due else tuple(entries))
        framed = _framed(delta)
        if len(framed) > DELTA_BYTES:  # deltas have one length; what does not fit goes into a segment at once
            due, delta = True, Delta(FORMAT, number, patient, self.tag, ())
            framed = _framed(delta)
        appended = self._append(delta, framed, self.cipher, batch)
        if due:
            appended.folded = self._fold(appended, entries, batch)
        return appended

    def renew(self, keys: PatientKeys, batch: Batch) -> Appended:
        """Add to a batch what moves this index to other keys of its slot: a fold that seals every row anew."""
        delta = Delta(FORMAT, self.number + 1, self.patient, self.tag, ())
        appended = self._append(delta, _framed(delta), CapsuleCipher(keys), batch)
        appended.folded = self._fold(appended, (), batch)
        return appended

    def _append(self, delta: Delta, framed: bytes, cipher: CapsuleCipher, batch: Batch) -> Appended:
        ct = cipher.seal("delta", delta.number, framed)
        batch.inserts.append((Table.DELTA, self.probe[1], ct))
        if self.number:
            batch.requires.append((Table.DELTA, self.probe[0]))  # two folds since would have freed the other key again
        return Appended(self, delta, ct[-16:], cipher)

    def _fold(self, appended: Appended, entries: Iterable[IndexEntry], batch: Batch) -> tuple[Head, list[Segment]]:
        """Write tail, new entries and small segments as one segment, and a head that names what remains."""
        cipher = appended.cipher
        newest = dict(self._tail)
        newest.update((entry.rid, entry) for entry in entries)
        names, kept = list(self.head.segments), list(self.segments)
        joined = [columns.build(list(newest.values()))]
        rows, largest = len(newest), max(TIER_ROWS_MAX, self.size() // LARGE_SEGMENTS_MAX)
        while kept and len(kept[-1]) <= min(TIER * rows, largest):
            rows += len(kept[-1])
            joined.append(kept.pop())
            batch.deletes += [(Table.CAPSULE, key) for key in self.cipher.piece_keys(names.pop())]
        merged = merge(joined[::-1], whole=not kept)
        if cipher is not self.cipher:
            again = zip(names, kept, strict=True)
            names = [_write_segment(cipher, name.number, each, batch.puts) for name, each in again]
        if len(merged):
            kept.append(merged)
            names.append(_write_segment(cipher, self.head.next_segment, merged, batch.inserts))
        delta = appended.delta
        head = Head(FORMAT, delta.patient, delta.number, appended.tag, self.head.next_segment + 1, tuple(names))
        sealed = cipher.seal("head", 0, frame(_encode_head(head), HEAD_BYTES))
        batch.puts.append((Table.CAPSULE, cipher.key("head"), sealed))
        batch.deletes += [(Table.DELTA, key) for key in self._trail]
        return head, kept

    def settle(self, appended: Appended) -> None:
        """Take in a change that was just committed."""
        self.apply(appended.delta, appended.tag)
        self.cipher = appended.cipher
        if appended.folded is not None:
            self.head, segments = appended.folded
            self.hold(segments)
            del self._trail[:-1]
            self._tail, self._tail_segment = {}, None
            kill_replaced(self.segments[:-1], self.segments[-1:])


@dataclass(slots=True)
class Appended:
    """A change of a capsule that waits for its commit. `folded` is the head and segments it leaves, after a fold."""

    capsule: Capsule
    delta: Delta
    tag: bytes
    cipher: CapsuleCipher
    folded: tuple[Head, list[Segment]] | None = None


def _write_segment(cipher: CapsuleCipher, number: int, segment: Segment, rows: list[Row]) -> SegmentName:
    """Add the sealed pieces of a segment to rows of a batch; its name."""
    name, pieces = cipher.seal_segment(number, columns.to_bytes(segment))
    rows += [(Table.CAPSULE, key, ct) for key, ct in zip(cipher.piece_keys(name), pieces, strict=True)]
    return name


def _framed(delta: Delta) -> bytes:
    return frame(encode_delta(delta), DELTA_BYTES)


def kill_replaced(earlier: Iterable[Segment], later: Iterable[Segment]) -> None:
    """Rows of earlier segments that a later one replaces are dead."""
    for segment in later:
        for each in earlier:
            each.kill(segment.rids)


class IndexRow(msgspec.Struct, frozen=True, gc=False):
    """Where the current version of a resource lies, and the tag that its sealed body must have."""

    rid: int
    slot: int
    version: int
    tag: int
    deleted: bool = False


def empty_head() -> Head:
    """The head of a capsule that was never written."""
    return Head(FORMAT, "", 0, b"", 0, ())


def read_head(cipher: CapsuleCipher, ct: bytes) -> Head:
    """The head in a sealed row. Raises Tampered."""
    head = _decode_head(unframe(cipher.open("head", 0, ct)))
    if head.format != FORMAT:
        raise Tampered(f"head of an index in unknown format {head.format}")
    return head


def read_segment(cipher: CapsuleCipher, name: SegmentName, pieces: Sequence[bytes]) -> Segment:
    """The segment that a head names. Raises Tampered when a piece is not the one that was named."""
    return columns.from_bytes(cipher.open_segment(name, pieces))


def read_delta(cipher: CapsuleCipher, number: int, ct: bytes) -> Delta:
    """The delta in a sealed row. Raises Tampered."""
    delta = decode_delta(unframe(cipher.open("delta", number, ct)))
    if delta.format != FORMAT:
        raise Tampered(f"delta {number} of an index in unknown format {delta.format}")
    return delta
