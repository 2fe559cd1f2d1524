"""A second, naive reader and writer of sealed rows: written from docs/spec/store.md and keystore.md §3 alone.

Nothing of medlock is imported: HMAC and hashes from the standard library, AES from `cryptography`, generic readers of
MessagePack and zstd. It is slow, and only ever right or wrong: what does not hold raises Bad.
"""

from __future__ import annotations

import hmac
import json
import struct
from pathlib import Path
from typing import Any

import msgspec
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

DICTIONARY = Path(__file__).parents[2] / "src/medlock/store/data/bodies-1.zdict"
FIRST, FURTHER, BODY = 640, 656, 684
STEPS = {"head": 512, "delta": 1_024, "entry": 1_024}
PIECE = 3_456


class Bad(Exception):
    """What is sealed does not hold."""


def demand(holds: bool) -> None:
    if not holds:
        raise Bad


Where = tuple[bytes, int, int]
"""A patient key, and the slot and generation that it is of."""


# ---- keys and names: keystore.md §3, store.md §1 -------------------------------------------------


def derive(key: bytes, use: str) -> bytes:
    return hmac.digest(key, f"medlock/1/{use}".encode() + b"\x01", "sha256")


def prf(key: bytes, name: bytes) -> int:
    return int.from_bytes(hmac.digest(key, name, "sha256")[:8], "big") >> 1


def seal(key: bytes, nonce: bytes, plain: bytes, aad: bytes) -> bytes:
    return nonce + AESGCM(key).encrypt(nonce, plain, aad)


def unseal(key: bytes, ct: bytes, aad: bytes) -> bytes:
    demand(len(ct) >= 28)
    try:
        return AESGCM(key).decrypt(ct[:12], ct[12:], aad)
    except InvalidTag:
        raise Bad from None


def unpack(data: bytes) -> list[Any]:
    try:
        found = msgspec.msgpack.decode(data)
    except msgspec.DecodeError:
        raise Bad from None
    demand(isinstance(found, list))
    return found


pack = msgspec.msgpack.encode


# ---- bodies: store.md §3 -------------------------------------------------------------------------


def masked(tenant: bytes, nonce: bytes, header: bytes) -> bytes:
    ecb = Cipher(algorithms.AES(derive(tenant, "tenant/header")), modes.ECB()).encryptor()  # noqa: S305 - one block, never the same twice
    return bytes(a ^ b for a, b in zip(header, ecb.update(nonce + bytes(4)), strict=True))


def header(slot: int, version: int, form: int, generation: int, further: int) -> bytes:
    return struct.pack(">QIHH", slot, version << 8 | form, generation, further)


def packed(meta: list[Any], body: bytes, content: bytes = b"") -> bytes:
    """As long as a first row and as many further rows as it takes."""
    head = pack(meta)
    dictionary = zstandard.ZstdCompressionDict(DICTIONARY.read_bytes())
    compressor = zstandard.ZstdCompressor(level=3, dict_data=dictionary, write_dict_id=False, write_checksum=False)
    data = compressor.compress(struct.pack(">H", len(head)) + head + content + body)
    further = max(0, -(-(len(data) - FIRST) // FURTHER))
    return data.ljust(FIRST + FURTHER * further, b"\0")


def body_use(form: int) -> str:
    """Which sub-key of the patient's a form is sealed under."""
    return "patient/body" if form <= 2 else "patient/sensitive"


def seal_body(  # noqa: PLR0917 - what a row is made of
    keys: tuple[bytes, bytes], head: bytes, rid: int, plain: bytes, nonce: bytes, use: str = ""
) -> list[bytes]:
    """The first row and the further ones; the nonces of these count on from `nonce`. Keys: tenant and patient.

    `use` is another sub-key than the form calls for.
    """
    tenant, patient = keys
    key = derive(patient, use or body_use(head[11]))
    sealed = seal(key, nonce, plain[:FIRST], head + struct.pack(">Q", rid))
    rows = [nonce + masked(tenant, nonce, head) + sealed[12:]]
    for at, start in enumerate(range(FIRST, len(plain), FURTHER)):
        following = (int.from_bytes(nonce, "big") + at + 1).to_bytes(12, "big")
        aad = b"further|" + head + struct.pack(">QH", rid, at)
        rows.append(seal(key, following, plain[start : start + FURTHER], aad))
    return rows


def open_body(tenant: bytes, where: Where, rid: int, rows: list[bytes]) -> list[Any]:
    """Meta and JSON, and in form 2 what is said of the content; there is no other key than that of `where`."""
    patient, slot, generation = where
    demand(all(len(row) == BODY for row in rows))
    ct, further = rows[0], rows[1:]
    head = masked(tenant, ct[:12], ct[12:28])
    named, version, of, count = struct.unpack(">QIHH", head)
    form = version & 0xFF
    demand(form in {1, 2, 3, 4} and named < 1 << 63 and (named, of) == (slot, generation))
    demand(form <= 2 or named != 0)
    key = derive(patient, body_use(form))
    plain = unseal(key, ct[:12] + ct[28:], head + struct.pack(">Q", rid))
    demand(count == len(further))
    for at, row in enumerate(further):
        plain += unseal(key, row, b"further|" + head + struct.pack(">QH", rid, at))
    opener = zstandard.ZstdDecompressor(dict_data=zstandard.ZstdCompressionDict(DICTIONARY.read_bytes()))
    data = opener.decompress(plain, max_output_size=1 << 24)
    end = 2 + int.from_bytes(data[:2], "big")
    meta = unpack(data[2:end])
    demand(meta[2] == version >> 8)
    if form in {1, 3}:
        return [meta, data[end:].decode()]
    content, size = data[end : end + 56], int.from_bytes(data[end + 48 : end + 56], "big")
    demand(len(content) == 56 and 1 <= size <= 1 << 40)
    return [meta, data[end + 56 :].decode(), [content[:16].hex(), content[16:48].hex(), size]]


def further_key(tenant: bytes, rid: int, version: int, at: int) -> int:
    return prf(derive(tenant, "tenant/rid"), b"further|" + struct.pack(">QIH", rid, version, at))


# ---- capsules: store.md §4 -----------------------------------------------------------------------


def framed(data: bytes, step: int, form: int | None = None) -> bytes:
    """Padded to a multiple of `step`; compressed when it does not fit into one. `form` says something else."""
    small = 5 + len(data) <= step
    payload = data if small else zstandard.ZstdCompressor(level=1).compress(data)
    head = struct.pack("<BI", form or (1 if small else 2), len(payload))
    return head + payload + bytes(-(5 + len(payload)) % step)


def unframed(plain: bytes) -> bytes:
    form, length = struct.unpack_from("<BI", plain)
    demand(form in {1, 2})
    payload = plain[5 : 5 + length]
    return payload if form == 1 else zstandard.ZstdDecompressor().decompress(payload, max_output_size=1 << 24)


def row_aad(slot: int, generation: int, name: str) -> bytes:
    return struct.pack(">QH", slot, generation) + name.encode()


def capsule_key(patient: bytes) -> bytes:
    return derive(patient, "patient/capsule")


def open_delta(where: Where, number: int, previous: bytes, ct: bytes) -> list[Any]:
    """Delta `number`, which must follow on the one with the tag `previous`."""
    patient, slot, generation = where
    found = unpack(unframed(unseal(capsule_key(patient), ct, row_aad(slot, generation, f"delta|{number}"))))
    demand(found[0] == 1 and found[1] == number and found[3] == previous)
    return found


def open_head(where: Where, ct: bytes) -> list[Any]:
    patient, slot, generation = where
    found = unpack(unframed(unseal(capsule_key(patient), ct, row_aad(slot, generation, "head|0"))))
    demand(found[0] == 1)
    return found


def piece_name(number: int, piece: int) -> str:
    return f"segment|{number}|{piece}" if piece else f"segment|{number}"


def seal_pieces(where: Where, number: int, data: bytes, nonce: int) -> list[bytes]:
    patient, slot, generation = where
    key = capsule_key(patient)
    frame = framed(data, PIECE)
    parts = [frame[at : at + PIECE] for at in range(0, len(frame), PIECE)]
    rows: list[bytes] = []
    for piece in range(len(parts) - 1, -1, -1):
        following = rows[0][-16:] if rows else bytes(16)
        aad = row_aad(slot, generation, piece_name(number, piece))
        rows.insert(0, seal(key, (nonce + piece).to_bytes(12, "big"), following + parts[piece], aad))
    return rows


def open_segment(where: Where, name: list[Any], rows: list[bytes]) -> list[Any]:
    """The rows of a segment that a head names [number, tag of the first piece, pieces]; store.md §5."""
    patient, slot, generation = where
    number, expected, count = name
    demand(len(rows) == count)
    frame = b""
    for piece, ct in enumerate(rows):
        demand(ct[-16:] == expected)
        plain = unseal(capsule_key(patient), ct, row_aad(slot, generation, piece_name(number, piece)))
        expected, frame = plain[:16], frame + plain[16:]
    demand(expected == bytes(16))
    return read_segment(unframed(frame))


def read_segment(data: bytes) -> list[Any]:
    """Each row as an entry, in the order of rids."""
    form, sets, rows, hashes, postings, dates, texts, text_size, label_size = struct.unpack_from("<HHIIIIIII", data)
    demand(form == 1)
    at = 32
    columns = []
    for shape, count in (("QQQqIHBB", rows), ("QI", hashes), ("I", postings), ("IIqq", dates), ("III", texts)):
        columns.append(
            [struct.unpack_from(f"<{shape}", data, at + i * struct.calcsize(f"<{shape}")) for i in range(count)]
        )
        at += count * struct.calcsize(f"<{shape}")
    text, labels = data[at : at + text_size], data[at + text_size : at + text_size + label_size].decode()
    known = [line.split("\t") if line else [] for line in labels.split("\n")][:sets]
    found = [[rid, slot, version, tag, type_, flags, updated, known[label], [], [], []] for rid, slot, tag, updated, version, type_, flags, label in columns[0]]  # fmt: skip
    start = 0
    for value, end in columns[1]:
        for (row,) in columns[2][start:end]:
            found[row][8].append(value)
        start = end
    for param, row, low, high in columns[3]:
        found[row][9].append([param, low, high])
    start = 0
    for param, row, end in columns[4]:
        found[row][10].append([param, text[start:end].decode()])
        start = end
    return found


def write_segment(entries: list[Any]) -> bytes:
    """The columns of entries with one hash, one date and one text each and no labels, ascending by rid."""
    rows = b"".join(struct.pack("<QQQqIHBB", e[0], e[1], e[3], e[6], e[2], e[4], e[5], 0) for e in entries)
    hashes = sorted((e[8][0], row) for row, e in enumerate(entries))
    dates = sorted((*e[9][0][:1], row, *e[9][0][1:]) for row, e in enumerate(entries))
    texts = sorted((e[10][0][0], e[10][0][1], row) for row, e in enumerate(entries))
    count, text, ends = len(entries), b"", []
    for _, each, _ in texts:
        text += each.encode()
        ends.append(len(text))
    return b"".join((
        struct.pack("<HHIIIIIII", 1, 1, count, count, count, count, count, len(text), 0),
        rows,
        b"".join(struct.pack("<QI", value, at + 1) for at, (value, _) in enumerate(hashes)),
        b"".join(struct.pack("<I", row) for _, row in hashes),
        b"".join(struct.pack("<IIqq", *each) for each in dates),
        b"".join(struct.pack("<III", param, row, end) for (param, _, row), end in zip(texts, ends, strict=True)),
        text,
    ))  # fmt: skip


# ---- directory, notes: store.md §6 and §8 --------------------------------------------------------


def directory_key(tenant: bytes, slot: int) -> int:
    return prf(derive(tenant, "tenant/directory-labels"), b"directory|" + struct.pack(">Q", slot))


def open_directory(tenant: bytes, patient: bytes, slot: int, key: int, ct: bytes) -> list[Any]:
    """The entry of a slot whose key is `patient`, from the row under `key`."""
    said = unseal(derive(tenant, "tenant/directory-log"), ct[:36], b"slot")
    demand(int.from_bytes(said, "big") == slot and directory_key(tenant, slot) == key)
    found = unpack(unframed(unseal(derive(patient, "patient/directory"), ct[36:], b"directory|" + said)))
    return [*found[:8], *values(*found[8:])]


def values(hashes: bytes, dates: bytes, texts: bytes, text: bytes) -> list[list[Any]]:
    """Hashes, dates and texts of a packed entry."""
    start, cut = 0, []
    for param, length in struct.iter_unpack("<IH", texts):
        cut.append([param, text[start : start + length].decode()])
        start += length
    return [
        [value for (value,) in struct.iter_unpack("<Q", hashes)],
        [list(date) for date in struct.iter_unpack("<Iqq", dates)],
        cut,
    ]


def packed_values(entry: list[Any]) -> list[Any]:
    """An entry with its values packed."""
    texts = [(param, text.encode()) for param, text in entry[10]]
    return [
        *entry[:8],
        b"".join(struct.pack("<Q", value) for value in entry[8]),
        b"".join(struct.pack("<Iqq", *date) for date in entry[9]),
        b"".join(struct.pack("<IH", param, len(text)) for param, text in texts),
        b"".join(text for _, text in texts),
    ]


def open_dirop(tenant: bytes, number: int, ct: bytes) -> list[int]:
    plain = unseal(derive(tenant, "tenant/directory-log"), ct, b"dirop|" + struct.pack(">q", number))
    demand(len(plain) == 9 and plain[8] in {1, 2, 3})
    return list(struct.unpack(">QB", plain))


def note_key(tenant: bytes, name: bytes) -> int:
    return prf(derive(tenant, "tenant/job-labels"), name)


def open_note(tenant: bytes, key: int, ct: bytes) -> list[str]:
    """Name and state."""
    plain = unseal(derive(tenant, "tenant/job"), ct, b"medlock/1/job|" + struct.pack(">Q", key))
    length, size = struct.unpack_from(">HH", plain)
    name, state = plain[4 : 4 + length], plain[4 + length : 4 + length + size]
    demand(note_key(tenant, name) == key)
    return [name.hex(), state.hex()]


def open_job(tenant: bytes, key: int, ct: bytes) -> list[Any]:
    """Name and state of a job: as many fields as are known, six at least."""
    name, state = open_note(tenant, key, ct)
    found = unpack(bytes.fromhex(state))
    demand(len(found) >= 6)
    return [name, found[:14]]


def open_end(tenant: bytes, key: int, ct: bytes) -> int:
    """Whose end it is."""
    plain = unframed(unseal(derive(tenant, "tenant/job"), ct, b"medlock/1/end|" + struct.pack(">Q", key)))
    demand(len(plain) == 8)
    return int.from_bytes(plain, "big")


def sized(part: bytes) -> bytes:
    """A part of a name, with its length before it."""
    return struct.pack(">I", len(part)) + part


def cabinet_key(tenant: bytes, table: str, kind: str, *parts: bytes) -> int:
    """Where a thing lies (§11)."""
    return prf(derive(tenant, f"tenant/{table}-labels"), b"".join(map(sized, (kind.encode(), *parts))))


def cabinet_aad(table: str, kind: str, key: int) -> bytes:
    """What its seal binds."""
    return f"medlock/1/{table}|".encode() + sized(kind.encode()) + struct.pack(">Q", key)


def open_thing(tenant: bytes, table: str, kind: str, key: int, ct: bytes) -> list[Any]:
    """The fields of a thing that has one."""
    plain = unseal(derive(tenant, f"tenant/{table}"), ct, cabinet_aad(table, kind, key))
    demand(plain[:1] == b"\x01" and len(plain) >= 5)
    (size,) = struct.unpack(">I", plain[1:5])
    demand(size <= len(plain) - 5)
    found = unpack(plain[5 : 5 + size])
    demand(isinstance(found, list) and len(found) >= 1 and isinstance(found[0], str))
    return found[:1]


def shown(value: Any) -> Any:
    """As it stands in a vector file: bytes in hex."""
    if isinstance(value, bytes):
        return value.hex()
    return [shown(each) for each in value] if isinstance(value, list | tuple) else value


def text(cases: list[dict[str, Any]]) -> str:
    """The text of a vector file."""
    return json.dumps(cases, indent=1) + "\n"
