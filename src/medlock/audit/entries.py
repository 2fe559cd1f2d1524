"""One event as bytes: two sealed copies, so that detail can die with the patient and accountability cannot.

The *full* copy lies under the patient's own audit key (or the tenant's detail key when no patient is concerned) and
says which resources, which query, which private reason. The *minimal* copy lies under the tenant's log key and says
who did what kind of thing to which opaque slot, and when. The minimal copy is bound to the ciphertext of the full
one: an entry is genuine as a whole, or not at all, and the log key alone can tell. Format: docs/spec/audit.md §3; what
the copies hold, and what becomes of an act that touches more resources than fit, is `audit.copies`.

About three microseconds an event, two thirds of them in the cipher; an entry that does not open raises `Tampered`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from medlock.audit.copies import (
    FULL_BYTES,
    MINIMAL_BYTES,
    Counts,
    FormerMinimal,
    Full,
    Minimal,
    Telling,
    decode_former,
    decode_full,
    decode_minimal,
    minimal_of,
    tell,
)
from medlock.audit.events import Event, Position
from medlock.audit.keys import LogKeys, place
from medlock.audit.wire import padding, unpad
from medlock.crypto.aead import NONCE_BYTES, OVERHEAD, TAG_BYTES
from medlock.errors import NotFound, Tampered
from medlock.ids import random_bytes

_DRAWN = 2 * NONCE_BYTES
_FORMER, _VERSION = 1, 2
_HEAD_BYTES = {_FORMER: 5, _VERSION: 3}
"""The version, and the length of the sealed minimal copy."""

_NONCE = slice(_HEAD_BYTES[_VERSION], _HEAD_BYTES[_VERSION] + NONCE_BYTES)
_REMEMBERED = 8_192  # twice this many at most: two runs of the index and more, 4 MB
_MINIMAL_PADDING = padding(MINIMAL_BYTES)
_FULL_PADDING = padding(FULL_BYTES)

AnyMinimal = Minimal | FormerMinimal


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event as the log gives it back. When `full` is False its detail is gone: only the minimal copy opened."""

    seq: int
    event: Event
    full: bool
    counts: Counts


Noted = tuple[int, str, str, int, Position | None]
"""What the search index wants of an event: slot, account, action, recorded, position."""


class EntrySealer:
    """Seals and opens entries of one store. `random` is handed in so that vectors can be made."""

    def __init__(self, keys: LogKeys, random: Callable[[int], bytes] = random_bytes) -> None:
        self._keys = keys
        self._log = keys.log
        self._random = random
        self._full_place = {version: place(keys, "full", version=version) for version in _HEAD_BYTES}
        self._minimal_place = {version: place(keys, "minimal", version=version) for version in _HEAD_BYTES}
        self._place = self._minimal_place[_VERSION], self._full_place[_VERSION]
        self._sealed: dict[bytes, Noted] = {}
        self._sealed_before: dict[bytes, Noted] = {}

    def seal(self, *events: Event) -> list[bytes]:
        """The entries for events, in order; never the same bytes twice."""
        told = tell(events)
        drawn = self._random(_DRAWN * len(told))  # randomness costs little more for all than for one
        return list(self._seal(told, drawn))

    def _seal(self, told: Sequence[Telling], drawn: bytes) -> Iterator[bytes]:
        """One entry after the other, in one loop: calls and look-ups would be a third of what it takes."""
        minimal_place, full_place = self._place
        seal_minimal, key_of, detail, note = self._log.seal_with, self._keys.patient, self._keys.detail, self._note
        at = 0
        for event, counts, plain in told:
            nonce, other = drawn[at : at + NONCE_BYTES], drawn[at + NONCE_BYTES : at + _DRAWN]
            at += _DRAWN
            slot = event.slot
            padded = plain + _FULL_PADDING[len(plain) % FULL_BYTES]
            try:
                key = key_of(slot) if slot else detail
                full = nonce + key.seal_with(nonce, padded, full_place + slot.to_bytes(8, "big"))
            except NotFound:
                # The patient is erased: nobody may keep this copy, and its absence must not show.
                full = nonce + self._random(len(padded) + TAG_BYTES)
            kept = minimal_of(event, counts)
            kept += _MINIMAL_PADDING[len(kept) % MINIMAL_BYTES]
            note(other, event)
            yield _head(len(kept)) + other + seal_minimal(other, kept, minimal_place + full) + full

    def noted(self, entries: Iterable[bytes]) -> Iterator[Noted]:
        """What the index wants of these entries, from memory where they were sealed here. Raises Tampered.

        An entry is known by the nonce of its minimal copy, so whoever asks must know that the entries are as they were
        appended: by their tile, here.
        """
        for entry in entries:
            nonce = entry[_NONCE]
            known = self._sealed.get(nonce) or self._sealed_before.get(nonce)
            yield known or _noted(self.minimal(entry))

    def minimal(self, entry: bytes) -> AnyMinimal:
        """The minimal copy; it opens only if the whole entry is as it was sealed. Raises Tampered."""
        version, sealed, full = _parts(entry)
        plain = unpad(self._log.open(sealed, self._minimal_place[version] + full))
        return decode_minimal(plain) if version == _VERSION else decode_former(plain)

    def open(self, seq: int, entry: bytes) -> Recorded:
        """The event, in full when its key still exists. Raises Tampered."""
        return self.reveal(seq, entry, self.minimal(entry))

    def reveal(self, seq: int, entry: bytes, minimal: AnyMinimal) -> Recorded:
        """As `open`, for an entry whose minimal copy has been opened already."""
        plain = self._open_full(entry, minimal)
        full = None if plain is None else decode_full(unpad(plain))
        return Recorded(seq, _event(minimal, full), full=full is not None, counts=minimal.counts)

    def _open_full(self, entry: bytes, minimal: AnyMinimal) -> bytes | None:
        """What the full copy holds; None when its key is gone.

        The minimal copy vouches for every byte of the full one. So if that does not open, its bytes were not
        changed: it was sealed under a key that is no longer the patient's, or under none.
        """
        version, _, sealed = _parts(entry)
        named = minimal.event_id if isinstance(minimal, FormerMinimal) else b""
        where = self._full_place[version] + named + minimal.slot.to_bytes(8, "big")
        try:
            for key in self._keys.openers(minimal.slot) if minimal.slot else (self._keys.detail,):
                with suppress(Tampered):
                    return key.open(sealed, where)
        except NotFound:
            return None
        return None

    def _note(self, nonce: bytes, event: Event) -> None:
        """Remember the newest for the index; two halves, so that forgetting is one assignment."""
        self._sealed[nonce] = (event.slot, event.account, event.action, event.recorded, event.position)
        if len(self._sealed) == _REMEMBERED:
            self._sealed, self._sealed_before = {}, self._sealed


@cache
def _head(length: int) -> bytes:
    """The first bytes of an entry, by how long the minimal copy is before it is sealed."""
    return _VERSION.to_bytes(1, "big") + (length + OVERHEAD).to_bytes(2, "big")


def _noted(minimal: AnyMinimal) -> Noted:
    return minimal.slot, minimal.account, minimal.action, minimal.recorded, minimal.position


def _event(minimal: AnyMinimal, full: Full | None) -> Event:
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
        touched=detail.all_touched(),
        query=detail.query,
        reason=detail.reason,
        basis=detail.basis,
        position=minimal.position,
    )


def _parts(entry: bytes) -> tuple[int, bytes, bytes]:
    """The version, the sealed minimal copy and the sealed full copy. Raises Tampered."""
    version = entry[0] if entry else 0
    start = _HEAD_BYTES.get(version)
    if start is None or len(entry) < start + 2 * OVERHEAD:
        raise Tampered("a log entry of a format that this program does not know")
    end = start + int.from_bytes(entry[1:start], "big")
    return version, entry[start:end], entry[end:]
