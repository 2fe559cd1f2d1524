"""One resource as a sealed row. docs/spec/store.md §3 is the format.

    ct = nonce 12 | hidden header 16 | AES-256-GCM( pad512( zstd_dictionary( length 2 | meta | JSON ) ) )

The header (slot, version, key generation, dictionary, format) says which key opens the row; it is hidden under the
tenant key and bound, with the row's key, as associated data. So a row can be opened only where it belongs, by who
holds both the tenant key and the patient's. Padding comes after compression: lengths fall into steps of 512 bytes.

The sealed `Meta` in front of the JSON lets the door decide about a resource without parsing it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from importlib.resources import files

import msgspec
import zstandard

from medlock.crypto.aead import Aead
from medlock.crypto.mask import HeaderMask
from medlock.errors import Tampered
from medlock.ids import random_bytes
from medlock.store.keyring import PatientKeys

FORMAT = 1
STEP = 512
NONCE = 12
PREFIX = NONCE + 16
_HEADER = struct.Struct(">QIHBB")
_RID = struct.Struct(">Q")
_LENGTH = struct.Struct(">H")
SLOT_MAX = (1 << 63) - 1
_PLAINTEXT_MAX = 256 * 1024 * 1024
DICTIONARY = 1
"""The zstd dictionary that new bodies use. Old ones stay in the package for as long as a row may name them."""


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
        """Compress, then pad with zeros to a multiple of 512 bytes."""
        packed = self._compress(plaintext)
        return packed + bytes(-len(packed) % STEP)

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

    def seal(self, rid: int, keys: PatientKeys, meta: Meta, body: bytes) -> bytes:
        """The row for one version of a resource; `body` is its JSON, empty when deleted."""
        nonce = random_bytes(NONCE)
        header = _HEADER.pack(keys.slot, meta.version, keys.generation, DICTIONARY, FORMAT)
        head = _encode_meta(meta)
        packed = self._codec.pack(_LENGTH.pack(len(head)) + head + body)
        sealed = keys.body.seal_with(nonce, packed, header + _RID.pack(rid))
        return nonce + self._mask.hide(nonce, header) + sealed

    def slot(self, ct: bytes) -> int:
        """The slot that a row's header names. Not authenticated: only `open` proves it. Raises Tampered."""
        return self._header(ct)[1]

    def _header(self, ct: bytes) -> tuple[bytes, int, int, int]:
        """The header revealed, and the slot, version and key generation in it."""
        if len(ct) < PREFIX + STEP:
            raise Tampered("a sealed body is cut short")
        header = self._mask.reveal(ct[:NONCE], ct[NONCE:PREFIX])
        return header, *_read_header(header)

    def open(self, rid: int, ct: bytes, keys: KeyFinder) -> tuple[int, Meta, bytes]:
        """Slot, meta and JSON of a row. Raises Tampered when it is not the row `rid`, and what `keys` raises."""
        header, slot, version, generation = self._header(ct)
        packed = keys(slot, generation).body.open_with(ct[:NONCE], ct[PREFIX:], header + _RID.pack(rid))
        meta, body = self._contents(packed, rid, version)
        return slot, meta, body

    def open_all(self, rows: Sequence[tuple[int, bytes]], keys: KeyFinder) -> list[tuple[int, Meta, bytes]]:
        """As `open`, of many rows: headers are revealed together, and a key is looked up once."""
        if any(len(ct) < PREFIX + STEP for _, ct in rows):
            raise Tampered("a sealed body is cut short")
        headers = self._mask.reveal_all([ct for _, ct in rows])
        known: dict[tuple[int, int], Aead] = {}
        opened: list[tuple[int, Meta, bytes]] = []
        for at, (rid, ct) in enumerate(rows):
            header = headers[16 * at : 16 * at + 16]
            slot, version, generation = _read_header(header)
            aead = known.get((slot, generation))
            if aead is None:
                aead = known[slot, generation] = keys(slot, generation).body
            packed = aead.open_with(ct[:NONCE], ct[PREFIX:], header + _RID.pack(rid))
            opened.append((slot, *self._contents(packed, rid, version)))
        return opened

    def _contents(self, packed: bytes, rid: int, version: int) -> tuple[Meta, bytes]:
        """Meta and JSON in an unsealed row."""
        plaintext = self._codec.unpack(packed)
        end = 2 + _LENGTH.unpack_from(plaintext)[0]
        meta = _decode_meta(plaintext[2:end])
        if meta.version != version:
            raise Tampered(f"row {rid} says version {version} outside and {meta.version} inside")
        return meta, plaintext[end:]


def _read_header(header: bytes) -> tuple[int, int, int]:
    """Slot, version and key generation. Raises Tampered for what no program of this version writes."""
    slot, version, generation, dictionary, form = _HEADER.unpack(header)
    if slot > SLOT_MAX or form != FORMAT or dictionary != DICTIONARY:
        raise Tampered("the header of a sealed body names a slot, format or dictionary that cannot be")
    return slot, version, generation


def tag_of(ct: bytes) -> int:
    """The number that names this very ciphertext in an index: the first 8 bytes of its authentication tag."""
    return int.from_bytes(ct[-16:-8], "big")
