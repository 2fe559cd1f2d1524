"""What the broker does with a request: the keystore behind it, the limit and the log in front. docs/spec/broker.md §4.

For each operation in this order: the body is understood, the limit is asked, the keystore answers, the log has it; then
the answer may leave. Nothing here knows of sockets.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from medlock.clock import Clock
from medlock.errors import Conflict, MedlockError, SetupError, Tampered, Unavailable
from medlock.store.broker.allowance import Allowance, Capped
from medlock.store.broker.frames import NEWEST, BrokenFrame, Operation, Said
from medlock.store.broker.unwraplog import Kind, UnwrapLog
from medlock.store.keyring import SHARED, KeyDestroyed, PatientKeys
from medlock.store.keystore import Keystore

ENTRIES_MOST, ALLOT_MOST, DESTROY_MOST = 1_024, 256, 64
RATCHET_LEAST_SECONDS = 3_600
_OPEN = struct.Struct(">QI")
_ENTRY = struct.Struct(">QI32s")
_MARK = struct.Struct(">q32s")
_TEXT_MOST = 500
_NO_MARK = _MARK.pack(-1, bytes(32))
_KINDS: tuple[tuple[type[MedlockError], Said], ...] = (
    (KeyDestroyed, Said.DESTROYED),
    (Capped, Said.CAPPED),
    (Unavailable, Said.UNAVAILABLE),
    (Tampered, Said.TAMPERED),
    (Conflict, Said.CONFLICT),
    (SetupError, Said.SETUP),
)


class Ages(Protocol):
    """A monotonic clock in seconds."""

    def __call__(self) -> float:
        """Now."""


@dataclass(slots=True)
class _Refusals:
    """Of one process since the last record of them."""

    since: float
    count: int = 0


class Desk:
    """Answers requests out of an open keystore. `cleared`: whether it may hand out what opens sensitive classes."""

    def __init__(
        self,
        keystore: Keystore,
        allowance: Allowance,
        log: UnwrapLog,
        clock: Clock,
        ages: Ages,
        *,
        cleared: bool = True,
    ) -> None:
        self.store_id = keystore.store_id
        self._cleared = cleared
        self._keystore = keystore
        self._spend = allowance.spend
        self._log = log
        self._clock = clock
        self._ages = ages
        self._refusals: dict[int, _Refusals] = {}
        self._acts: dict[int, Callable[[int, bytes], bytes]] = {
            Operation.OPEN: self._open,
            Operation.ENTRIES: self._entries,
            Operation.ALLOT: self._allot,
            Operation.DESTROY: self._destroy,
            Operation.GENERATIONS: self._generations,
            Operation.ERASURES: self._erasures,
            Operation.MARK: self._mark,
            Operation.SET_MARK: self._set_mark,
            Operation.STATUS: self._status,
            Operation.RATCHET: self._ratchet,
            Operation.OPEN_COMMON: self._open_common,
            Operation.ALLOT_COMMON: self._allot_common,
        }

    def answer(self, pid: int, code: int, body: bytes) -> tuple[int, bytes]:
        """Code and body of the answer. Raises BrokenFrame when the request has no meaning."""
        act = self._acts.get(code)
        if act is None:
            raise BrokenFrame("an unknown operation")
        try:
            return Said.DONE, act(pid, body)
        except BrokenFrame:
            raise
        except Capped as refusal:
            self._note_capped(pid)
            return _refused(refusal)
        except MedlockError as refusal:
            return _refused(refusal)

    def note(self, kind: Kind, pid: int = 0, count: int = 0) -> None:
        """Write down what is no operation."""
        self._log.write(self._clock.now_ms(), kind, pid, count=count)

    def _open(self, pid: int, body: bytes) -> bytes:
        slot, generation = _place(body)
        if slot != SHARED:
            self._demand_clearance()
            self._spend(pid, (slot,))
        found, secret = self._keystore.secret(_known(slot), generation)
        self._log.write(self._clock.now_ms(), Kind.UNWRAP, pid, slot, found)
        return found.to_bytes(4, "big") + secret

    def _open_common(self, pid: int, body: bytes) -> bytes:
        """All of a patient's keys but that of sensitive classes."""
        slot, generation = _place(body)
        if slot == SHARED:
            raise BrokenFrame("shared resources have no classes")
        self._spend(pid, (slot,))
        found, secret = self._keystore.secret(_known(slot), generation)
        self._log.write(self._clock.now_ms(), Kind.UNWRAP_COMMON, pid, slot, found)
        return found.to_bytes(4, "big") + PatientKeys(slot, found, secret).common()

    def _demand_clearance(self) -> None:
        if not self._cleared:
            raise SetupError("This key broker was started without clearance: it has no keys to sensitive classes.")

    def _entries(self, pid: int, body: bytes) -> bytes:
        slots = _slots(body, ENTRIES_MOST)
        found = self._keystore.many([slot for slot in slots if slot >> 63 == 0])
        self._log.write(self._clock.now_ms(), Kind.ENTRIES, pid, count=len(found))
        return b"".join(
            _ENTRY.pack(slot, found[slot].generation, found[slot].directory_key) for slot in slots if slot in found
        )

    def _allot(self, pid: int, body: bytes) -> bytes:
        self._demand_clearance()
        made = self._made(pid, body)
        return b"".join(keys.slot.to_bytes(8, "big") + self._keystore.secret(keys.slot)[1] for keys in made)

    def _allot_common(self, pid: int, body: bytes) -> bytes:
        """The same for a process without clearance."""
        return b"".join(keys.slot.to_bytes(8, "big") + keys.common() for keys in self._made(pid, body))

    def _made(self, pid: int, body: bytes) -> list[PatientKeys]:
        count = int.from_bytes(body, "big")
        if len(body) != 2 or not 1 <= count <= ALLOT_MOST:
            raise BrokenFrame("a body of the wrong form")
        made = self._keystore.allot(count)
        self._log.write(self._clock.now_ms(), Kind.ALLOT, pid, count=count)
        return made

    def _destroy(self, pid: int, body: bytes) -> bytes:
        slots = _slots(body, DESTROY_MOST)
        self._spend(pid, slots)
        for slot in slots:
            self._log.write(self._clock.now_ms(), Kind.DESTROY, pid, slot)
        self._keystore.destroy(*map(_known, slots))
        return b""

    def _generations(self, pid: int, body: bytes) -> bytes:
        (slot,) = _slots(body, 1)
        self._spend(pid, [slot])
        self._log.write(self._clock.now_ms(), Kind.GENERATIONS, pid, slot)
        numbers = [keys.generation for keys in self._keystore.generations(_known(slot))]
        return b"".join(number.to_bytes(4, "big") for number in numbers)

    def _erasures(self, _pid: int, body: bytes) -> bytes:
        _empty(body)
        self._keystore.refresh()
        return self._keystore.erasures.to_bytes(8, "big")

    def _mark(self, _pid: int, body: bytes) -> bytes:
        _empty(body)
        mark = self._keystore.watermark()
        return _NO_MARK if mark is None else _MARK.pack(*mark)

    def _set_mark(self, _pid: int, body: bytes) -> bytes:
        if len(body) != _MARK.size:
            raise BrokenFrame("a body of the wrong form")
        size, root = _MARK.unpack(body)
        if size < 0:
            raise BrokenFrame("a negative size")
        self._keystore.set_watermark(size, root)
        return b""

    def _status(self, _pid: int, body: bytes) -> bytes:
        _empty(body)
        return msgspec.json.encode(self._keystore.status())

    def _ratchet(self, _pid: int, body: bytes) -> bytes:
        _empty(body)
        if self._keystore.status().epoch_age_seconds >= RATCHET_LEAST_SECONDS:
            self._keystore.ratchet()
        return b""

    def _note_capped(self, pid: int) -> None:
        """Write down that the limit refused, at most once a second for each process: a log is not to be flooded."""
        now = self._ages()
        held = self._refusals.get(pid)
        if held is not None and now - held.since < 1:
            held.count += 1
            return
        self.note(Kind.CAPPED, pid, 1 + (held.count if held else 0))
        self._refusals[pid] = _Refusals(now)


def _refused(refusal: MedlockError) -> tuple[int, bytes]:
    said = next((said for kind, said in _KINDS if isinstance(refusal, kind)), Said.FAULT)
    retry = refusal.retry_after if isinstance(refusal, Unavailable) else 0
    text = refusal.reason if said is Said.TAMPERED else str(refusal)
    return said, retry.to_bytes(2, "big") + text.encode()[:_TEXT_MOST]


def _place(body: bytes) -> tuple[int, int | None]:
    """Slot, and the generation wanted: None for the newest."""
    if len(body) != _OPEN.size:
        raise BrokenFrame("a body of the wrong form")
    slot, generation = _OPEN.unpack(body)
    return slot, None if generation == NEWEST else generation


def _slots(body: bytes, most: int) -> list[int]:
    count, rest = divmod(len(body), 8)
    if rest or not 1 <= count <= most:
        raise BrokenFrame("a body of the wrong form")
    return list(struct.unpack(f">{count}Q", body))


def _known(slot: int) -> int:
    """A slot that the keystore can be asked for. Raises KeyDestroyed: there is no such key."""
    if slot >> 63:
        raise KeyDestroyed
    return slot


def _empty(body: bytes) -> None:
    if body:
        raise BrokenFrame("a body where there is none")
