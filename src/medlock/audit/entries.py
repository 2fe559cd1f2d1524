"""One event as bytes: two sealed copies, so that detail can die with the patient and accountability cannot.

The *full* copy lies under the patient's own audit key (or the tenant's detail key when no patient is concerned) and
says which resources, which query, which private reason. The *minimal* copy lies under the tenant's log key and says
who did what kind of thing to which opaque slot, and when. The minimal copy is bound to the ciphertext of the full
one: an entry is genuine as a whole, or not at all, and the log key alone can tell. Format: docs/spec/audit.md §3.

Entries have one length. An act that touches more resources than fit is told in several: a length would say how many
there were, and so how old a patient is or what was done.

About four microseconds an event; an entry that does not open raises `Tampered`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from medlock.audit.events import Action, Event, Outcome, Position, Touched
from medlock.audit.keys import LogKeys, place
from medlock.audit.wire import FORMAT, decoder, encode, pad, unpad
from medlock.crypto.aead import NONCE_BYTES, OVERHEAD, TAG_BYTES
from medlock.errors import NotFound, Tampered
from medlock.ids import random_bytes

_ID_BYTES = 16
_RANDOM_BYTES = _ID_BYTES + 2 * NONCE_BYTES
_HEAD_BYTES = 5
_REMEMBERED = 8_192  # twice this many at most: two runs of the index and more, 4 MB
_ONE = {"C": (1, 0, 0, 0), "R": (0, 1, 0, 0), "U": (0, 0, 1, 0), "D": (0, 0, 0, 1)}
_ARRAY_BYTES = 3  # the length of a longer list, and the mark of the padding
_SHORTEST = _HEAD_BYTES + 2 * OVERHEAD
MINIMAL_BYTES = 320
FULL_BYTES = 512
"""Both copies are padded to multiples of these. Events are parted so that one is enough (`parts`)."""


class Minimal(msgspec.Struct, array_like=True, frozen=True):
    """The copy that stays. `counts` are resources created, read, updated, deleted."""

    event_id: bytes
    action: Action
    outcome: Outcome
    account: str
    roles: tuple[str, ...]
    client: str
    purpose: str
    slot: int
    request: str
    recorded: int
    counts: tuple[int, int, int, int]
    position: Position | None


class Full(msgspec.Struct, array_like=True, frozen=True):
    """The copy that dies with the patient. `touched` are (reference, version, crud)."""

    patient: str
    touched: tuple[tuple[str, int, str], ...]
    query: str
    reason: str
    basis: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as the log gives it back. When `full` is False its detail is gone: only the minimal copy opened."""

    seq: int
    event: Event
    full: bool
    counts: tuple[int, int, int, int]


Noted = tuple[int, str, str, int, Position | None]
"""What the search index wants of an event: slot, account, action, recorded, position."""

_decode_minimal = decoder(Minimal)
_decode_full = decoder(Full)


class EntrySealer:
    """Seals and opens entries of one store. `random` is handed in so that vectors can be made."""

    def __init__(self, keys: LogKeys, random: Callable[[int], bytes] = random_bytes) -> None:
        self._keys = keys
        self._log = keys.log
        self._random = random
        self._full_place = place(keys, "full")
        self._minimal_place = place(keys, "minimal")
        self._sealed: dict[bytes, Noted] = {}
        self._sealed_before: dict[bytes, Noted] = {}

    def seal(self, event: Event) -> bytes:
        """The entry for `event`; never the same bytes twice."""
        return self._seal(event, self._random(_RANDOM_BYTES))

    def seal_all(self, events: Sequence[Event]) -> list[bytes]:
        """The same for many: randomness costs little more for all than for one."""
        drawn = self._random(_RANDOM_BYTES * len(events))
        draws = (drawn[at : at + _RANDOM_BYTES] for at in range(0, len(drawn), _RANDOM_BYTES))
        return [self._seal(event, draw) for event, draw in zip(events, draws, strict=True)]

    def _seal(self, event: Event, drawn: bytes) -> bytes:
        event_id, nonce = drawn[:_ID_BYTES], drawn[-NONCE_BYTES:]
        full = self._seal_full(event, event_id, drawn[_ID_BYTES:-NONCE_BYTES])
        plain = pad(encode(_minimal_of(event, event_id)), MINIMAL_BYTES)
        minimal = nonce + self._log.seal_with(nonce, plain, self._minimal_place + full)
        self._note(nonce, event)
        return b"\x01" + len(minimal).to_bytes(4, "big") + minimal + full

    def noted(self, entries: Iterable[bytes]) -> Iterator[Noted]:
        """What the index wants of these entries, from memory where they were sealed here. Raises Tampered.

        An entry is known by the nonce of its minimal copy, so whoever asks must know that the entries are as they were
        appended: by their tile, here.
        """
        for entry in entries:
            nonce = entry[_HEAD_BYTES : _HEAD_BYTES + NONCE_BYTES]
            known = self._sealed.get(nonce) or self._sealed_before.get(nonce)
            yield known or _noted(self.minimal(entry))

    def minimal(self, entry: bytes) -> Minimal:
        """The minimal copy; it opens only if the whole entry is as it was sealed. Raises Tampered."""
        sealed, full = _parts(entry)
        return _decode_minimal(unpad(self._log.open(sealed, self._minimal_place + full)))

    def open(self, seq: int, entry: bytes) -> Recorded:
        """The event, in full when its key still exists. Raises Tampered."""
        return self.reveal(seq, entry, self.minimal(entry))

    def reveal(self, seq: int, entry: bytes, minimal: Minimal) -> Recorded:
        """As `open`, for an entry whose minimal copy has been opened already."""
        plain = self._open_full(entry, minimal)
        full = None if plain is None else _decode_full(unpad(plain))
        return Recorded(seq, _event(minimal, full), full=full is not None, counts=minimal.counts)

    def _open_full(self, entry: bytes, minimal: Minimal) -> bytes | None:
        """What the full copy holds; None when its key is gone.

        The minimal copy vouches for every byte of the full one. So if that does not open, its bytes were not
        changed: it was sealed under a key that is no longer the patient's, or under none.
        """
        sealed = _parts(entry)[1]
        where = self._full_place + minimal.event_id + minimal.slot.to_bytes(8, "big")
        try:
            for key in self._keys.openers(minimal.slot) if minimal.slot else (self._keys.detail,):
                with suppress(Tampered):
                    return key.open(sealed, where)
        except NotFound:
            return None
        return None

    def _seal_full(self, event: Event, event_id: bytes, nonce: bytes) -> bytes:
        slot = event.slot
        plain = pad(_full_of(event), FULL_BYTES)
        try:
            key = self._keys.patient(slot) if slot else self._keys.detail
        except NotFound:
            # The patient is erased: nobody may keep this copy, and its absence must not show.
            return nonce + self._random(len(plain) + TAG_BYTES)
        return nonce + key.seal_with(nonce, plain, self._full_place + event_id + slot.to_bytes(8, "big"))

    def _note(self, nonce: bytes, event: Event) -> None:
        """Remember the newest for the index; two halves, so that forgetting is one assignment."""
        self._sealed[nonce] = (event.slot, event.account, event.action, event.recorded, event.position)
        if len(self._sealed) == _REMEMBERED:
            self._sealed, self._sealed_before = {}, self._sealed


def parts(event: Event) -> list[Event]:
    """The event as events that differ in what they touch, each short enough for an entry of the one length.

    Question and reason stand in the first only (`request` ties them together): told again beside each resource, a long
    question would let one search write megabytes. The first may be longer when its question is.
    """
    if len(event.touched) <= 1 or len(_full_of(event)) < FULL_BYTES:
        return [event]
    further = replace(event, query="", reason="")
    left, room = _room(event), _room(further)
    groups: list[list[Touched]] = [[]]
    for each in event.touched:
        size = len(encode(each))
        if size > left and (groups[-1] or len(groups) == 1):
            groups.append([])
            left = room
        groups[-1].append(each)
        left -= size
    return [replace(event, touched=tuple(groups[0])), *(replace(further, touched=tuple(each)) for each in groups[1:])]


def _room(event: Event) -> int:
    """How many bytes what it touches may take in one entry."""
    return FULL_BYTES - len(_full_of(replace(event, touched=()))) - _ARRAY_BYTES


def _full_of(event: Event) -> bytes:
    return encode((event.patient, event.touched, event.query, event.reason, event.basis))


def _minimal_of(event: Event, event_id: bytes) -> tuple[object, ...]:
    """What `Minimal` is read from. A tuple, because this is made for every event and a Struct costs four times that."""
    return (
        event_id,
        event.action,
        event.outcome,
        event.account,
        event.roles,
        event.client,
        event.purpose,
        event.slot,
        event.request,
        event.recorded,
        _counts(event.touched),
        event.position,
    )


def _counts(touched: Sequence[Touched]) -> tuple[int, int, int, int]:
    """Resources created, read, updated, deleted."""
    if len(touched) == 1:
        return _ONE[touched[0].crud]
    crud = [each.crud for each in touched]
    return crud.count("C"), crud.count("R"), crud.count("U"), crud.count("D")


def _noted(minimal: Minimal) -> Noted:
    return minimal.slot, minimal.account, minimal.action, minimal.recorded, minimal.position


def _event(minimal: Minimal, full: Full | None) -> Event:
    detail = full or Full("", (), "", "", "")
    return Event(
        action=minimal.action,
        outcome=minimal.outcome,
        account=minimal.account,
        roles=minimal.roles,
        client=minimal.client,
        purpose=minimal.purpose,
        recorded=minimal.recorded,
        request=minimal.request,
        slot=minimal.slot,
        patient=detail.patient,
        touched=tuple(Touched(*each) for each in detail.touched),
        query=detail.query,
        reason=detail.reason,
        basis=detail.basis,
        position=minimal.position,
    )


def _parts(entry: bytes) -> tuple[bytes, bytes]:
    """The sealed minimal copy and the sealed full copy. Raises Tampered."""
    if len(entry) < _SHORTEST or entry[0] != FORMAT:
        raise Tampered("a log entry of a format that this program does not know")
    end = _HEAD_BYTES + int.from_bytes(entry[1:_HEAD_BYTES], "big")
    return entry[_HEAD_BYTES:end], entry[end:]
