"""One resource as sealed rows. docs/spec/store.md §3 is the format.

    packed  = zstd_dictionary( length 2 | meta | JSON ), padded with zeros to 640 + 656 · further
    ct      = nonce 12 | hidden header 16 | AES-256-GCM( first 640 of packed )
    further = nonce 12 | AES-256-GCM( next 656 of packed )                            as often as the header says

The header (slot, version, form, key generation, number of further rows) says which key opens the row; it is hidden
under the tenant key and bound, with the row's key, as associated data. So a row can be opened only where it belongs,
by who holds both the tenant key and the patient's.

Every row is 684 bytes long, the first and the further ones: lengths would tell types apart (docs/adr/0004).

The sealed `Meta` in front of the JSON lets the door decide about a resource without parsing it. In form 2 it is
followed by what is said of a large content, whose chunks lie by themselves (`store.content`).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import NamedTuple

import msgspec
import zstandard

from medlock.crypto.aead import Aead
from medlock.crypto.mask import HeaderMask
from medlock.errors import Tampered, TooLarge
from medlock.ids import random_bytes
from medlock.store.content import SAID_BYTES, Content, unpack_content
from medlock.store.keyring import PatientKeys

NONCE = 12
PREFIX = NONCE + 16
FIRST = 640
ROW = PREFIX + FIRST + 16
FURTHER = ROW - NONCE - 16
_HEADER = struct.Struct(">QIHH")
_pack_rid = struct.Struct(">Q").pack
_FURTHER = struct.Struct(">QIH")
_PLACE = struct.Struct(">QH")
_LENGTH = struct.Struct(">H")
SLOT_MAX = (1 << 63) - 1
_PLAINTEXT_MAX = 256 * 1024 * 1024
_VERSION_MAX = (1 << 24) - 1
_FURTHER_MAX = (1 << 16) - 1
DICTIONARY = 1
"""The zstd dictionary that new bodies use. Old ones stay in the package for as long as a row may name them."""
FORM = 1
"""Format and dictionary of new bodies, together."""
CONTENT_FORM = 2
"""The same with a content in chunks."""
APART = 2
"""Added to a form: the version is sealed under the sub-key of sensitive classes."""
_LAST_FORM = CONTENT_FORM + APART
_WITH_CONTENT = (CONTENT_FORM, _LAST_FORM)


class Meta(msgspec.Struct, array_like=True, frozen=True):
    """What the door must know of a resource before anybody parses it.

    `patients` are the logical ids of the patients in whose compartment it is, the owner first; empty for shared
    resources. `updated` is ms since 1970Z. `labels` are security labels as `system|code`.
    """

    type: str
    id: str
    version: int
    updated: int
    patients: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    deleted: bool = False

    @property
    def reference(self) -> str:
        """`Type/id`."""
        return f"{self.type}/{self.id}"


class Opened(msgspec.Struct, frozen=True):
    """One version of a resource, decrypted: sealed meta, JSON bytes, and where and under which key it lay.

    `tag` is `tag_of(ct)`; `content` what lies in chunks beside the body.
    """

    meta: Meta
    body: bytes
    rid: int
    slot: int
    ct: bytes
    generation: int = 0
    further: int = 0
    tag: int = 0
    content: Content | None = None


class Header(NamedTuple):
    """A row's header revealed, and what it says.

    `further` is the number of further rows, `content` whether something lies in chunks beside it, `apart` whether it is
    sealed under the sub-key of sensitive classes.
    """

    raw: bytes
    slot: int
    version: int
    generation: int
    further: int
    content: bool = False
    apart: bool = False

    @property
    def form(self) -> int:
        """Layout and dictionary of what is sealed, whatever key it is under."""
        return CONTENT_FORM if self.content else FORM


KeyFinder = Callable[[int, int], PatientKeys]
"""Slot and generation → keys."""


class Codec:
    """Compression with the shipped dictionary. Holds reusable contexts, so one per event loop."""

    def __init__(self) -> None:
        data = files("medlock.store").joinpath(f"data/bodies-{DICTIONARY}.zdict").read_bytes()
        dictionary = zstandard.ZstdCompressionDict(data)
        dictionary.precompute_compress(level=3)
        self._compress = zstandard.ZstdCompressor(
            level=3, dict_data=dictionary, write_dict_id=False, write_checksum=False
        ).compress
        self._decompress = zstandard.ZstdDecompressor(dict_data=dictionary).decompress

    def pack(self, plaintext: bytes) -> bytes:
        """Compress, then pad with zeros to what fills a first row and as many further ones as are needed."""
        packed = self._compress(plaintext)
        missing = FIRST - len(packed)
        return packed + bytes(missing if missing >= 0 else missing % FURTHER)

    def unpack(self, packed: bytes) -> bytes:
        """Undo `pack`; bytes after the zstd frame are padding."""
        return self._decompress(packed, max_output_size=_PLAINTEXT_MAX)


_encode_meta = msgspec.msgpack.Encoder().encode
_decode_meta = msgspec.msgpack.Decoder(Meta).decode


class BodyCipher:
    """Seals and opens bodies; the tenant's header mask and the codec are its only state."""

    def __init__(self, mask: HeaderMask, codec: Codec | None = None) -> None:
        self._mask = mask
        self._codec = codec or Codec()
        self._unpack = self._codec.unpack

    def seal(  # noqa: PLR0917 - what a row is made of
        self, rid: int, keys: PatientKeys, meta: Meta, body: bytes, content: Content | None = None, apart: bool = False
    ) -> tuple[bytes, list[bytes]]:
        """The row for one version of a resource, and its further rows; `body` is its JSON, empty when deleted.

        `apart`: under the sub-key of sensitive classes.
        """
        head = _encode_meta(meta)
        said = b"" if content is None else content.pack()
        packed = self._codec.pack(_LENGTH.pack(len(head)) + head + said + body)
        form = (CONTENT_FORM if said else FORM) + APART * apart
        return self._seal(rid, keys, meta.version << 8 | form, packed)

    def reseal(  # noqa: PLR0917 - a row, what opens it, and what shall
        self, rid: int, ct: bytes, further: Sequence[bytes], keys: KeyFinder, to: PatientKeys, apart: bool = False
    ) -> tuple[bytes, list[bytes]]:
        """The same version under other keys of its slot, with as many further rows; what is in it stays packed.

        What is sealed apart stays so; what is not becomes so if `apart`. Raises as `open`.
        """
        header = self.header(ct)
        form = header.form + APART * (apart or header.apart)
        return self._seal(rid, to, header.version << 8 | form, self._packed(rid, ct, header, keys, further))

    def _seal(self, rid: int, keys: PatientKeys, formed: int, packed: bytes) -> tuple[bytes, list[bytes]]:
        """`formed`: version and form, as the header has them."""
        nonce = random_bytes(NONCE)
        count = (len(packed) - FIRST) // FURTHER
        if count > _FURTHER_MAX or formed >> 8 > _VERSION_MAX:
            raise TooLarge("The resource is too large, or has too many versions, to be stored.")
        header = _HEADER.pack(keys.slot, formed, keys.generation, count)
        aead = keys.body if formed & 0xFF <= CONTENT_FORM else keys.apart
        sealed = aead.seal_with(nonce, packed[:FIRST], header + _pack_rid(rid))
        ct = nonce + self._mask.hide(nonce, header) + sealed
        if not count:
            return ct, []
        starts = range(FIRST, len(packed), FURTHER)
        further = [
            aead.seal(packed[start : start + FURTHER], _further(header, rid, at)) for at, start in enumerate(starts)
        ]
        return ct, further

    def slot(self, ct: bytes) -> int:
        """The slot that a row's header names. Not authenticated: only `open` proves it. Raises Tampered."""
        return self.header(ct).slot

    def header(self, ct: bytes) -> Header:
        """What stands in a row's header. Not authenticated: only `open` proves it. Raises Tampered."""
        if len(ct) != ROW:
            raise Tampered("a sealed body is not as long as all are")
        header = self._mask.reveal(ct[:NONCE], ct[NONCE:PREFIX])
        return Header(header, *_read_header(header))

    def open(self, rid: int, ct: bytes, header: Header, keys: KeyFinder, further: Sequence[bytes] = ()) -> Opened:
        """A row with its header. Raises Tampered when it is not row `rid`, and what `keys` raises."""
        packed = self._packed(rid, ct, header, keys, further)
        return self._contents(packed, rid, ct, header)

    def _packed(self, rid: int, ct: bytes, header: Header, keys: KeyFinder, further: Sequence[bytes]) -> bytes:
        packed = self._open_first(rid, ct, header, keys)
        if len(further) != header.further:
            raise Tampered(f"row {rid} does not have all its further rows")
        if further:
            rest = [self._open_further(rid, header, keys, at, each) for at, each in enumerate(further)]
            packed = b"".join((packed, *rest))
        return packed

    def _open_first(self, rid: int, ct: bytes, header: Header, keys: KeyFinder) -> bytes:
        return _aead(header, keys).open_with(ct[:NONCE], ct[PREFIX:], header.raw + _pack_rid(rid))

    def _open_further(self, rid: int, header: Header, keys: KeyFinder, at: int, ct: bytes) -> bytes:
        return _aead(header, keys).open(ct, _further(header.raw, rid, at))

    def damaged(self, rid: int, ct: bytes, keys: KeyFinder, further: Sequence[bytes | None]) -> list[int] | None:
        """Which further rows do not open where the first one does; None when the first does not open either.

        For verification, which names what was changed and nothing else. Raises Tampered, and what `keys` raises.
        """
        header = self.header(ct)
        try:
            self._open_first(rid, ct, header, keys)
        except Tampered:
            return None
        return [at for at, each in enumerate(further) if not self._opens(rid, header, keys, at, each)]

    def _opens(self, rid: int, header: Header, keys: KeyFinder, at: int, ct: bytes | None) -> bool:
        try:
            return ct is not None and bool(self._open_further(rid, header, keys, at, ct))
        except Tampered:
            return False

    def open_all(self, rows: Sequence[tuple[int, bytes]], keys: KeyFinder) -> list[Opened | None]:
        """As `open`, of many rows: headers are revealed together, and a key is looked up once for all that follow.

        None stands for a body that has further rows.
        """
        if any(len(ct) != ROW for _, ct in rows):
            raise Tampered("a sealed body is not as long as all are")
        headers = self._mask.reveal_all([ct for _, ct in rows])
        opened: list[Opened | None] = []
        key: tuple[int, int, bool] | None = None
        for at, (rid, ct) in enumerate(rows):
            raw = headers[16 * at : 16 * at + 16]
            header = Header(raw, *_read_header(raw))
            if header.further:
                opened.append(None)
                continue
            if key != (header.slot, header.generation, header.apart):
                key = header.slot, header.generation, header.apart
                open_with = _aead(header, keys).open_with
            packed = open_with(ct[:NONCE], ct[PREFIX:], raw + _pack_rid(rid))
            opened.append(self._contents(packed, rid, ct, header))
        return opened

    def _contents(self, packed: bytes, rid: int, ct: bytes, header: Header) -> Opened:
        """What an unsealed row holds."""
        plaintext = self._unpack(packed)
        end = 2 + int.from_bytes(plaintext[:2], "big")
        meta = _decode_meta(plaintext[2:end])
        if meta.version != header.version:
            raise Tampered(f"row {rid} says version {header.version} outside and {meta.version} inside")
        content = None
        if header.content:
            content, end = unpack_content(plaintext[end : end + SAID_BYTES]), end + SAID_BYTES
        place = rid, header.slot, ct, header.generation, header.further, tag_of(ct)
        return Opened(meta, plaintext[end:], *place, content)


def _aead(header: Header, keys: KeyFinder) -> Aead:
    """What a row is sealed under. Raises what `keys` raises."""
    found = keys(header.slot, header.generation)
    return found.apart if header.apart else found.body


def _read_header(header: bytes) -> tuple[int, int, int, int, bool, bool]:
    """Slot, version, key generation, number of further rows, whether there is a content, whether it is sealed apart.

    Raises Tampered for what this program never writes.
    """
    slot, version, generation, count = _HEADER.unpack(header)
    form = version & 0xFF
    if slot > SLOT_MAX or not FORM <= form <= _LAST_FORM or (form > CONTENT_FORM and not slot):
        raise Tampered("the header of a sealed body names a slot, format or dictionary that cannot be")
    return slot, version >> 8, generation, count, form in _WITH_CONTENT, form > CONTENT_FORM


def further_name(rid: int, version: int, at: int) -> bytes:
    """What names further row number `at` of one version of a resource; its key is a PRF of this."""
    return b"further|" + _FURTHER.pack(rid, version, at)


def _further(header: bytes, rid: int, at: int) -> bytes:
    """What a further row is bound to: this version of this resource under this key, and its place."""
    return b"further|" + header + _PLACE.pack(rid, at)


def tag_of(ct: bytes) -> int:
    """The number that names this very ciphertext in an index: the first 8 bytes of its authentication tag."""
    return int.from_bytes(ct[-16:-8], "big")
