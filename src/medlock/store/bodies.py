"""One resource as a sealed row. docs/spec/store.md §3 is the format.

    ct = nonce 12 | hidden header 16 | AES-256-GCM( pad512( zstd_dictionary( length 2 | meta | JSON ) ) )

The header (slot, version, key generation, dictionary, format) says which key opens the row; it is hidden under the
tenant key and bound, with the row's key, as associated data. So a row can be opened only where it belongs, by who
holds both the tenant key and the patient's. Padding comes after compression: lengths fall into steps of 512 bytes.

The sealed `Meta` in front of the JSON lets the door decide about a resource without parsing it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from importlib.resources import files

import msgspec
import zstandard

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


@dataclass(frozen=True, slots=True)
class Header:
    """Which key opens a row, and which version of the resource it holds."""

    slot: int
    version: int
    generation: int
    dictionary: int
    format: int


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

    def header(self, ct: bytes) -> Header:
        """Which key a row needs. Not authenticated: only `open` proves it."""
        if len(ct) < PREFIX + STEP:
            raise Tampered("a sealed body is cut short")
        header = Header(*_HEADER.unpack(self._mask.reveal(ct[:NONCE], ct[NONCE:PREFIX])))
        if header.slot > SLOT_MAX:
            raise Tampered("the header of a sealed body names a slot that cannot be")
        return header

    def slot(self, ct: bytes) -> int:
        """The slot in a row's header."""
        found: int = _HEADER.unpack(self._mask.reveal(ct[:NONCE], ct[NONCE:PREFIX]))[0]
        return found

    def open(self, rid: int, keys: PatientKeys, ct: bytes) -> tuple[Meta, bytes]:
        """The meta and JSON of a row. Raises Tampered when the row is not what `rid` and its header say."""
        if len(ct) < PREFIX + STEP:
            raise Tampered(f"row {rid} is too short to be a sealed body")
        nonce = ct[:NONCE]
        header = self._mask.reveal(nonce, ct[NONCE:PREFIX])
        slot, version, _, dictionary, form = _HEADER.unpack(header)
        if slot != keys.slot or form != FORMAT or dictionary != DICTIONARY:
            raise Tampered(f"row {rid} has a header that its key does not match")
        plaintext = self._codec.unpack(keys.body.open_with(nonce, ct[PREFIX:], header + _RID.pack(rid)))
        end = 2 + _LENGTH.unpack_from(plaintext)[0]
        meta = _decode_meta(plaintext[2:end])
        if meta.version != version:
            raise Tampered(f"row {rid} says version {version} outside and {meta.version} inside")
        return meta, plaintext[end:]


def tag_of(ct: bytes) -> int:
    """The number that names this very ciphertext in an index: the first 8 bytes of its authentication tag."""
    return int.from_bytes(ct[-16:-8], "big")
