"""In place of the product's parts: parts of the same form that do not protect. The product has no switch for this.

    unsealed     bodies and indexes lie in the same tables as they are, not compressed, not encrypted, not padded;
                 token check, decision and audit log stay on
    unprotected  the same, and no token is checked, nothing decided, nothing vouched for, nothing written down

What is left out is left out wholly, so that the ratio to the product is the full price of protection.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import cached_property

import msgspec

from medlock.access.grant import _ISSUED, Grant, Rules
from medlock.access.groups import ALL_TYPES
from medlock.access.mint import mint_principal
from medlock.access.principal import Principal, Role
from medlock.access.scopes import parse_scopes
from medlock.audit.events import Event
from medlock.fhir.question import Question
from medlock.ids import random_bytes
from medlock.records.disclosure import _RELEASED, Disclosure
from medlock.records.door import Door
from medlock.records.scribe import Scribe
from medlock.records.vault import Vault
from medlock.records.visit import Visit
from medlock.store.bodies import Header, KeyFinder, Meta, Opened, tag_of
from medlock.store.capsule import IndexRow
from medlock.store.capsules import Probe
from medlock.store.keyring import PatientKeys, TenantKeys
from medlock.store.keystore import Keystore
from medlock.store.tables import Row, Table, Wanted

_HEADER = struct.Struct(">QIHH")
_encode_meta = msgspec.msgpack.Encoder().encode
_decode_meta = msgspec.msgpack.Decoder(Meta).decode


class PlainAead:
    """Has the form of `Aead` and seals nothing. The tag is random: indexes name rows by it."""

    def seal(self, plaintext: bytes, _aad: bytes) -> bytes:
        """As it is, with a tag."""
        return plaintext + random_bytes(16)

    def open(self, blob: bytes, _aad: bytes) -> bytes:
        """Without the tag."""
        return blob[:-16]


_PLAIN = PlainAead()


class PlainPatientKeys(PatientKeys):
    """A patient's keys; only the audit key is one."""

    @cached_property
    def capsule(self) -> PlainAead:  # type: ignore[override]
        """Seals nothing."""
        return _PLAIN

    @cached_property
    def directory(self) -> PlainAead:  # type: ignore[override]
        """Seals nothing."""
        return _PLAIN


class PlainKeystore:
    """The keystore as the vault needs it, handing out keys that do not seal."""

    cleared = True

    def __init__(self, keystore: Keystore) -> None:
        self._keystore = keystore
        self._plain: dict[int, PlainPatientKeys] = {}

    @property
    def tenant(self) -> TenantKeys:
        """The tenant's keys; labels stay."""
        return self._keystore.tenant

    @property
    def entries(self) -> PlainKeystore:
        """What opens directory entries: the same."""
        return self

    def keys(self, slot: int, _generation: int | None = None) -> PlainPatientKeys:
        """Keys of a slot, found at once."""
        found = self._plain.get(slot)
        if found is None:
            found = self._plain[slot] = _plain(self._keystore.keys(slot))
        return found

    def candidates(self, slot: int) -> Iterator[PlainPatientKeys]:
        """The same; there is one generation."""
        yield self.keys(slot)

    def allot(self, count: int = 1) -> list[PlainPatientKeys]:
        """New slots."""
        made = [_plain(keys) for keys in self._keystore.allot(count)]
        self._plain.update((keys.slot, keys) for keys in made)
        return made


def _plain(keys: PatientKeys) -> PlainPatientKeys:
    return PlainPatientKeys(keys.slot, keys.generation, keys._key)  # noqa: SLF001 - the same labels


class PlainBodies:
    """Has the form of `BodyCipher`: header | meta | JSON | tag, all as they are."""

    def seal(
        self, _rid: int, keys: PatientKeys, meta: Meta, body: bytes, *_how: object, **_more: object
    ) -> tuple[bytes, list[bytes]]:
        """One row, however long and under whichever key. No case has contents that lie in rows of their own."""
        head = _encode_meta(meta)
        return _HEADER.pack(keys.slot, meta.version, 0, len(head)) + head + body + random_bytes(16), []

    def slot(self, ct: bytes) -> int:
        """Whose row it is."""
        return int.from_bytes(ct[:8], "big")

    def header(self, ct: bytes) -> Header:
        """Whose row it is, and which version."""
        slot, version, _, length = _HEADER.unpack_from(ct)
        return Header(ct[:16], slot, version, length, 0, apart=True)  # so that nobody wants the past sealed anew

    def open(self, rid: int, ct: bytes, header: Header, keys: KeyFinder, _further: Sequence[bytes]) -> Opened:
        """A row, taken apart; the key is fetched as for a sealed one."""
        keys(header.slot, 0)
        return taken_apart(rid, ct, tag_of(ct))

    def open_all(self, rows: Sequence[tuple[int, bytes]], keys: KeyFinder) -> list[Opened]:
        """The same of many rows, the key fetched once."""
        if rows:
            keys(self.slot(rows[0][1]), 0)
        return [taken_apart(rid, ct, tag_of(ct)) for rid, ct in rows]


def taken_apart(rid: int, ct: bytes, tag: int = 0) -> Opened:
    """What a plain row holds; the tag only where somebody asks for it."""
    end = 16 + int.from_bytes(ct[14:16], "big")
    return Opened(_decode_meta(ct[16:end]), ct[end:-16], rid, int.from_bytes(ct[:8], "big"), ct, tag=tag)


class OpenVault(Vault):
    """Reads rows and believes them: no index vouches, no key is fetched."""

    async def current(self, type_: str, id_: str) -> Opened | None:
        """The row of a resource."""
        rid = self.rid(f"{type_}/{id_}")
        ct = await self.backend.get(Table.BODY, rid)
        return None if ct is None else taken_apart(rid, ct)

    async def fetch(self, rows: Sequence[IndexRow], _unproven: Sequence[Probe] = ()) -> list[Opened | None]:
        """The rows that index rows name."""
        found = await self.backend.get_many(Table.BODY, [row.rid for row in rows])
        return [taken_apart(row.rid, found[row.rid]) if row.rid in found else None for row in rows]


class NoLedger:
    """Has the form of `store.tables.Ledger` and keeps nothing."""

    def resume(self, _tip: bytes | None) -> Sequence[Wanted]:
        """Nothing to take up."""
        return ()

    def load(self, _rows: Sequence[Row]) -> None:
        """Nothing to load."""

    def extend(self, _entries: Sequence[bytes]) -> tuple[int, list[Row]]:
        """Nothing to put."""
        return 0, []

    def forget(self) -> None:
        """Nothing to forget."""


class NoLog:
    """Has the form of `AuditLog` as writes use it, and keeps nothing."""

    def seal(self, *_events: Event) -> list[bytes]:
        """No entries."""
        return []


ANYBODY = mint_principal("anybody", frozenset({Role.CLINICIAN}), parse_scopes("user/*.cruds"))
ANYTHING = Grant("anybody", {}, Rules(frozenset(ALL_TYPES)), frozenset(ALL_TYPES), "", _ISSUED)


class OpenGate:
    """Lets everybody in."""

    async def authenticate(self, _secret: str) -> Principal:
        """The same principal for every secret."""
        return ANYBODY


class OpenDoor(Door):
    """Decides nothing, checks nothing again and writes nothing down."""

    async def answer(self, principal: Principal, question: Question, *, receipt: bytes = b"") -> Disclosure:
        """What the handler finds."""
        del receipt
        now = self._clock.now_ms()
        visit = Visit(principal, question, ANYTHING, Scribe(principal, question, now, ""), now)
        finding = await self._handlers[question.interaction](visit)
        return Disclosure(
            finding.status, finding.body, finding.version, finding.updated, finding.location, 0, _RELEASED
        )
