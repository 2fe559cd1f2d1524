"""Verification of one patient's index, row by row: which of its rows is not as it was written.

Serving opens an index whole or refuses it. Here every row is judged by itself: by what names it. The log names the
last delta, each delta names the one before, the head names its segments and the delta that it was folded at. A
fold takes that delta's predecessors away, so a head whose own delta is gone while later segments open is an old one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from medlock.audit.events import Position
from medlock.audit.findings import Finding, Kind
from medlock.errors import Tampered
from medlock.store.capsule import (
    Capsule,
    Head,
    empty_head,
    kill_replaced,
    read_delta,
    read_head,
    read_segment,
)
from medlock.store.capsulerows import CapsuleCipher, SegmentName
from medlock.store.entries import Delta
from medlock.store.keyring import PatientKeys
from medlock.store.segment import Segment
from medlock.store.tables import Backend, Table

_AHEAD = 34
_PAGE = 1_024
_MISSED_MAX = 2


@dataclass(slots=True)
class IndexReport:
    """What one index came to. `capsule` is the index itself, None when it could not be read whole.

    `known` are the rows that are accounted for, by being right or by being named in a finding.
    """

    findings: list[Finding] = field(default_factory=list)
    known: set[tuple[Table, int]] = field(default_factory=set)
    capsule: Capsule | None = None


class IndexReader:
    """Reads one index. `position` is the last one in the log; `whole` says that the log can be believed.

    `keys` are those of every generation of the slot, the likeliest first.
    """

    def __init__(
        self, backend: Backend, keys: Sequence[PatientKeys], position: Position | None, *, whole: bool
    ) -> None:
        self._backend = backend
        self._ciphers = [CapsuleCipher(each) for each in keys]
        self._cipher = self._ciphers[0]
        self._slot = keys[0].slot
        self._position = position
        self._last = 0 if position is None else position.number
        self._whole = whole
        self._report = IndexReport()

    async def read(self) -> IndexReport:
        """Judge every row."""
        self._cipher = await self._generation()
        head = await self._head()
        if head is None:
            return self._report
        deltas = await self._deltas(max(1, head.base))
        if head.base and head.base not in deltas and await self._later_segments(head.next_segment):
            self._note(Table.CAPSULE, "head", 0, Kind.ROLLED_BACK, "an index was put back to an earlier state")
            await self._take_as_read()
            return self._report
        segments = await self._segments(head)
        opened = self._opened(head, deltas)
        if not self._report.findings:
            self._assemble(head, segments, opened)
        return self._report

    async def _generation(self) -> CapsuleCipher:
        """The keys that open the last change which the log knows, or else the head; all of an index lies under them."""
        delta = await self._backend.get(Table.DELTA, self._cipher.key("delta", self._last))
        head = await self._backend.get(Table.CAPSULE, self._cipher.key("head"))
        for kind, number, ct in (("delta", self._last, delta), ("head", 0, head)):
            for cipher in self._ciphers:
                if ct is not None and _opens(cipher, kind, number, ct):
                    return cipher
        return self._cipher

    async def _head(self) -> Head | None:
        """The head, an empty one when there never was one; None when it is gone or does not open."""
        key = self._cipher.key("head")
        ct = await self._backend.get(Table.CAPSULE, key)
        if ct is None and not await self._later_segments(0):
            return empty_head()
        try:
            if ct is not None:
                self._report.known.add((Table.CAPSULE, key))
                return read_head(self._cipher, ct)
            self._note(Table.CAPSULE, "head", 0, Kind.DELETED, "the head of an index is gone")
        except Tampered:
            self._note(Table.CAPSULE, "head", 0, Kind.EDITED, "the head of an index was edited")
        await self._take_as_read()
        return None

    async def _deltas(self, first: int) -> dict[int, bytes]:
        """The deltas that are there, from `first` to the last that the log knows, and what follows on them."""
        found: dict[int, bytes] = {}
        start, end = first, max(first, self._last) + _AHEAD
        while start < end:
            page = await self._rows(Table.DELTA, "delta", range(start, min(end, start + _PAGE)))
            found |= page
            start = min(end, start + _PAGE)
            if start == end and page and max(page) >= end - _AHEAD:
                end += _AHEAD
        return found

    async def _segments(self, head: Head) -> list[Segment]:
        """The segments that the head names."""
        segments = [await self._segment(name) for name in head.segments]
        return [segment for segment in segments if segment is not None]

    async def _segment(self, name: SegmentName) -> Segment | None:
        keys = self._cipher.piece_keys(name)
        self._report.known |= {(Table.CAPSULE, key) for key in keys}
        found = await self._backend.get_many(Table.CAPSULE, keys)
        pieces = [found.get(key) for key in keys]
        wrong = list(self._cipher.wrong_pieces(name, pieces))
        for piece in wrong:
            gone = pieces[piece] is None
            sentence = "a segment of an index is gone" if gone else "a segment of an index was edited"
            what = Kind.DELETED if gone else Kind.EDITED
            self._say(Table.CAPSULE, keys[piece], what, f"{sentence} (slot {self._slot}, segment {name.number})")
        return None if wrong else read_segment(self._cipher, name, [ct for ct in pieces if ct is not None])

    def _opened(self, head: Head, deltas: dict[int, bytes]) -> dict[int, tuple[Delta, bytes]]:
        """Every delta with its tag; each must be there, open, and follow the one before."""
        opened: dict[int, tuple[Delta, bytes]] = {}
        tags = {head.base: head.base_tag}
        for number in range(max(1, head.base), max([head.base, self._last, *deltas]) + 1):
            delta = self._delta(number, deltas.get(number))
            if delta is None:
                continue
            tag = deltas[number][-16:]
            if tags.setdefault(number, tag) != tag or tags.get(number - 1, delta.previous) != delta.previous:
                self._note(Table.DELTA, "delta", number, Kind.EDITED, "a change in an index follows on another one")
            opened[number] = delta, tag
        self._compare(opened)
        return opened

    def _delta(self, number: int, ct: bytes | None) -> Delta | None:
        if ct is None:
            if number <= self._last or not self._whole:
                self._note(Table.DELTA, "delta", number, Kind.DELETED, "a change in an index is gone")
            return None
        self._report.known.add((Table.DELTA, self._cipher.key("delta", number)))
        try:
            return read_delta(self._cipher, number, ct)
        except Tampered:
            kind = Kind.INSERTED if self._whole and number > self._last else Kind.EDITED
            self._note(Table.DELTA, "delta", number, kind, "a change in an index was edited")
            return None

    def _compare(self, opened: dict[int, tuple[Delta, bytes]]) -> None:
        """The last delta against the log."""
        last = self._position
        if last is not None and last.number in opened and opened[last.number][1] != last.tag:
            sentence = "the last change in an index is not the one in the log"
            self._note(Table.DELTA, "delta", last.number, Kind.EDITED, sentence)
        ahead = min((number for number in opened if number > self._last), default=0)
        if ahead and self._whole:
            self._note(Table.DELTA, "delta", ahead, Kind.INSERTED, "an index has changes that the log does not know")

    def _assemble(self, head: Head, segments: list[Segment], opened: dict[int, tuple[Delta, bytes]]) -> None:
        """The index as serving would load it."""
        capsule = Capsule(self._cipher, self._slot, head)
        capsule.segments = segments
        for at in range(1, len(segments)):
            kill_replaced(segments[:at], segments[at : at + 1])
        for number in sorted(opened):
            if number > head.base:
                capsule.apply(*opened[number])
        self._report.capsule = capsule

    async def _later_segments(self, first: int) -> list[int]:
        """Genuine segments from `first` on: there is at most one for each delta."""
        found = []
        for start in range(first, first + self._last + 1, _PAGE):
            numbers = range(start, min(start + _PAGE, first + self._last + 1))
            rows = await self._rows(Table.CAPSULE, "segment", numbers)
            found += [number for number, ct in rows.items() if _opens(self._cipher, "segment", number, ct)]
        return found

    async def _take_as_read(self) -> None:
        """Account for the rows that open, of an index that lost its head."""
        for number in range(self._last + 1):
            self._report.known |= {(Table.CAPSULE, key) for key in await self._pieces(number)}
        for start in range(1, self._last + _AHEAD, _PAGE):
            rows = await self._rows(Table.DELTA, "delta", range(start, min(start + _PAGE, self._last + _AHEAD)))
            opening = [n for n, ct in rows.items() if _opens(self._cipher, "delta", n, ct)]
            self._report.known |= {(Table.DELTA, self._cipher.key("delta", n)) for n in opening}

    async def _pieces(self, number: int) -> list[int]:
        """Where the genuine pieces of a segment lie that no head names; one among them may be damaged."""
        found: list[int] = []
        piece = missed = 0
        while missed < _MISSED_MAX:
            key = self._cipher.key("segment", number, piece)
            ct = await self._backend.get(Table.CAPSULE, key)
            genuine = ct is not None and _opens(self._cipher, "segment", number, ct, piece)
            found += [key] if genuine else []
            missed = 0 if genuine else missed + 1
            piece += 1
        return found

    async def _rows(self, table: Table, kind: str, numbers: Sequence[int]) -> dict[int, bytes]:
        """The rows of these numbers that are there."""
        keys = {self._cipher.key(kind, number): number for number in numbers}
        found = await self._backend.get_many(table, list(keys))
        return {keys[key]: ct for key, ct in found.items()}

    def _note(self, table: Table, kind: str, number: int, what: Kind, sentence: str) -> None:
        self._say(table, self._cipher.key(kind, number), what, f"{sentence} (slot {self._slot}, {kind} {number})")

    def _say(self, table: Table, key: int, what: Kind, sentence: str) -> None:
        self._report.known.add((table, key))
        self._report.findings.append(Finding(table, key, what, sentence))


def _opens(cipher: CapsuleCipher, kind: str, number: int, ct: bytes, piece: int = 0) -> bool:
    try:
        cipher.open(kind, number, ct, piece)
    except Tampered:
        return False
    return True
