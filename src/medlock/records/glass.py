"""Emergency access ("break the glass") as sealed notes: who opened which record, how it ended, what was found of it.

Notes of table JOB (docs/spec/store.md §8.2). An opening, an end and a verdict are written once and never changed, each
named by an event of the log, so `medlock verify` misses one that is gone. A person's own row lists what they opened
lately: it is all that a request has to look at, and only where a record bears the mark of having been opened
(`records.holders`). The number of an opening is the next that is free: of two at once, one starts over.

What was typed, and whose record it was, is sealed under the patient's audit key: it dies with the patient, and who did
it, when, and what was found of it stays. A record that does not exist is opened like any other. It opens nothing, and
neither the answer nor the work says so.
"""

from __future__ import annotations

import re
import struct
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Final, TypeVar

import msgspec

from medlock.access.principal import Principal
from medlock.access.roles import MAY_BREAK_GLASS
from medlock.crypto.aead import Aead
from medlock.errors import NotFound, Tampered
from medlock.records.notes import Notes
from medlock.records.vault import Vault
from medlock.store.tables import Batch, Row, Table

MINUTES: Final = 30
WINDOW_MS: Final = MINUTES * 60_000
DAY_MS: Final = 86_400_000
OFTEN: Final = 3
"""So many openings of one person in a day are not remarkable by themselves."""

_SKEW_MS: Final = 5_000
"""Clocks of several hosts may differ by this: one that is further behind opens nothing, rather than longer."""
_NAME: Final = b"glass|"
_STEP: Final = 3_072
_TOLD_STEP: Final = 2_304
"""More than the longest id with the longest reason takes: all openings have one length."""
_PAGE: Final = 256
_OPEN: Final = _NAME + b"open|"
_ID: Final = re.compile("[0-7][0-9a-f]{15}")
_LENGTH: Final = struct.Struct(">I")
T = TypeVar("T")
_NOTHING: Final[Mapping[int, str]] = MappingProxyType({})


class Window(msgspec.Struct, frozen=True, array_like=True):
    """One opening, as the row of who did it lists it. Times in ms.

    grant    the approval that the token came of: no other token of theirs is in it
    slot     whose record; 0: there is no such patient
    patient  keyed digest of the id that was asked for
    proof    when they had proved who they are (s)
    """

    number: int
    grant: str
    slot: int
    patient: bytes
    opened: int
    until: int
    proof: int

    def lasts(self, now: int) -> bool:
        """Whether it has begun and not run out."""
        return self.opened - _SKEW_MS <= now < self.until


class Opened(msgspec.Struct, frozen=True, array_like=True):
    """What there is to say of an opening at once. `sealed`: patient and reason, under the patient's audit key.

    recent   how many this was of the same person in a day
    due      until when it is to be reviewed (ms)
    """

    number: int
    account: str
    roles: tuple[str, ...]
    person: str
    client: str
    slot: int
    opened: int
    until: int
    due: int
    recent: int
    sealed: bytes


class Ended(msgspec.Struct, frozen=True, array_like=True):
    """It ended before its time. `why`: holder, officer, account."""

    at: int
    by: str
    why: str


class Verdict(msgspec.Struct, frozen=True, array_like=True):
    """What the privacy officer found."""

    at: int
    by: str
    outcome: str
    note: str


class Told(msgspec.Struct, frozen=True, array_like=True):
    """What dies with the patient."""

    patient: str
    reason: str


class Case(msgspec.Struct, frozen=True):
    """An opening with what became of it. `told` is None when the patient was erased."""

    opened: Opened
    told: Told | None
    ended: Ended | None = None
    verdict: Verdict | None = None

    def overdue(self, now: int) -> bool:
        """Whether it should have been reviewed by now."""
        return self.verdict is None and now >= self.opened.due

    @property
    def often(self) -> bool:
        """Whether the person had opened as many before, that day, as to be asked about it."""
        return self.opened.recent > OFTEN


class Recent(msgspec.Struct, frozen=True, array_like=True):
    """What somebody opened lately: `openings` of a day, `windows` that have not run out."""

    openings: tuple[int, ...] = ()
    windows: tuple[Window, ...] = ()

    def of_day(self, now: int) -> tuple[int, ...]:
        """When they opened others in the day before."""
        return tuple(each for each in self.openings if each > now - DAY_MS)


_encode = msgspec.msgpack.Encoder().encode
_recent = msgspec.msgpack.Decoder(Recent).decode
_opened = msgspec.msgpack.Decoder(Opened).decode
_ended = msgspec.msgpack.Decoder(Ended).decode
_verdict = msgspec.msgpack.Decoder(Verdict).decode
_told = msgspec.msgpack.Decoder(Told).decode


def is_recent(name: bytes) -> bool:
    """Whether a note is a person's row, which no event names."""
    return name.startswith(_NAME + b"of|")


def name_of(kind: bytes, number: int) -> bytes:
    """The name of a note about opening number `number`: open, end, verdict."""
    return _NAME + kind + b"|" + number.to_bytes(8, "big")


def _of(account: str) -> bytes:
    """The name of a person's row."""
    return _NAME + b"of|" + account.encode()


def _place(slot: int) -> bytes:
    return b"medlock/1/glass|" + slot.to_bytes(8, "big")


class Glass:
    """The notes of one store. Batches are made here; whoever opens, ends or judges commits them with the event."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._next = 1

    @property
    def _notes(self) -> Notes:
        return self._vault.notes

    def digest(self, patient: str) -> bytes:
        """An id, so that nobody without the keys can try one."""
        return self._notes.digest(b"Patient/" + patient.encode())

    async def within(self, principal: Principal, now: int) -> Mapping[int, str]:
        """Slot → name of the window in which this very token of theirs is now."""
        if not principal.grant_id or MAY_BREAK_GLASS.isdisjoint(principal.roles):
            return _NOTHING
        _, recent = await self.recent(principal.account)
        lasting = [each for each in recent.windows if each.grant == principal.grant_id and each.lasts(now)]
        over = await self.over(lasting)
        return {each.slot: self.id(each.number) for each in lasting if each.slot and each.number not in over}

    async def recent(self, account: str) -> tuple[bytes | None, Recent]:
        """What somebody opened lately, and the row that says so."""
        name = _of(account)
        row = await self._vault.backend.get(Table.JOB, self._notes.key(name))
        return row, Recent() if row is None else self._read(name, row, _recent)

    async def over(self, windows: Sequence[Window]) -> set[int]:
        """Those of the windows that ended before their time."""
        if not windows:
            return set()
        keys = {self._notes.key(name_of(b"end", each.number)): each.number for each in windows}
        return {keys[key] for key in await self._vault.backend.get_many(Table.JOB, list(keys))}

    async def free(self) -> int:
        """The next number; whoever takes it may find that somebody else was first (Raced)."""
        while True:
            numbers = range(self._next, self._next + _PAGE)
            keys = [self._notes.key(name_of(b"open", number)) for number in numbers]
            there = await self._vault.backend.get_many(Table.JOB, keys)
            taken = [number for number, key in zip(numbers, keys, strict=True) if key in there]
            if not taken:
                return self._next
            self._next = taken[-1] + 1

    def sealed(self, slot: int, told: Told) -> bytes:
        """What dies with the patient; of nobody's record it lies under the tenant's own key."""
        keystore = self._vault.keystore
        key = keystore.keys(slot).audit if slot else keystore.tenant.detail
        plain = _encode(told)
        framed = _LENGTH.pack(len(plain)) + plain
        return key.seal(framed + bytes(-len(framed) % _TOLD_STEP), _place(slot))

    async def opening(self, opened: Opened, window: Window, former: tuple[bytes | None, Recent]) -> Batch:
        """The batch that opens a record; `former` is the person's row as it was read."""
        row, recent = former
        kept = [each for each in recent.windows if opened.opened < each.until]
        openings = (*recent.of_day(opened.opened), opened.opened)
        batch = Batch(inserts=[self._row(name_of(b"open", opened.number), opened)])
        fresh = self._row(_of(opened.account), Recent(openings, (*kept, window)))
        if row is None:
            batch.inserts.append(fresh)
        else:
            batch.expects.append((*fresh[:2], row))
            batch.puts.append(fresh)
        if opened.slot:
            await self._vault.holders.mark(opened.slot, batch)
        return batch

    def ending(self, number: int, ended: Ended) -> Batch:
        """The batch that ends one; Raced when it has ended before."""
        return Batch(inserts=[self._row(name_of(b"end", number), ended)])

    def judging(self, number: int, verdict: Verdict) -> Batch:
        """The batch that says what was found; Raced when something was before."""
        return Batch(inserts=[self._row(name_of(b"verdict", number), verdict)])

    def id(self, number: int, kind: bytes = b"open") -> str:
        """How people and the log call an opening: where its note lies, which does not tell how many there are.

        With another kind: how the event of an end or a verdict names that one's note, in `request`.
        """
        return f"{self._notes.key(name_of(kind, number)):016x}"

    async def case(self, id_: str) -> Case:
        """One, by what it is called. Raises NotFound."""
        if _ID.fullmatch(id_) is not None:
            row = await self._vault.backend.get(Table.JOB, int(id_, 16))
            name = b"" if row is None else self._notes.open(int(id_, 16), row)[0]
            if name.startswith(_OPEN):
                return (await self._some([int.from_bytes(name.removeprefix(_OPEN), "big")]))[0]
        raise NotFound("There is no such emergency access; medlock break-glass list shows them.")

    async def cases(self) -> AsyncIterator[Case]:
        """All, the latest last."""
        first = 1
        while found := await self._some(range(first, first + _PAGE)):
            for each in found:
                yield each
            first += _PAGE

    async def _some(self, numbers: Iterable[int]) -> list[Case]:
        """Those that there are, in order."""
        names = [[name_of(kind, number) for kind in (b"open", b"end", b"verdict")] for number in numbers]
        keys = {name: self._notes.key(name) for each in names for name in each}
        rows = await self._vault.backend.get_many(Table.JOB, list(keys.values()))
        there = {name: rows[key] for name, key in keys.items() if key in rows}
        return [self._case(each, there) for each in names if each[0] in there]

    def _case(self, names: Sequence[bytes], there: Mapping[bytes, bytes]) -> Case:
        open_, end, verdict = names
        opened = self._read(open_, there[open_], _opened)
        ended = self._read(end, there[end], _ended) if end in there else None
        found = self._read(verdict, there[verdict], _verdict) if verdict in there else None
        return Case(opened, self._told(opened), ended, found)

    def _told(self, opened: Opened) -> Told | None:
        """What was typed, and of whose record; None when they were erased."""
        with suppress(NotFound):
            for key in self._openers(opened.slot):
                with suppress(Tampered):
                    framed = key.open(opened.sealed, _place(opened.slot))
                    return _told(framed[_LENGTH.size :][: _LENGTH.unpack_from(framed)[0]])
        return None

    def _openers(self, slot: int) -> Iterator[Aead]:
        """Keys that may open it; last, one that another process has made since. Raises NotFound."""
        keystore = self._vault.keystore
        if not slot:
            yield keystore.tenant.detail
            return
        yield from keystore.keys(slot).audits
        yield from keystore.generations(slot)[0].audits

    def _row(self, name: bytes, value: msgspec.Struct) -> Row:
        return self._notes.seal(name, _encode(value), _STEP)

    def _read(self, name: bytes, row: bytes, decode: Callable[[bytes], T]) -> T:
        """What a row says. Raises Tampered when it is another one."""
        found, state = self._notes.open(self._notes.key(name), row)
        if found != name:
            raise Tampered("a note of an emergency access lies under another name")
        return decode(state)
