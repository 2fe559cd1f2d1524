"""Write the vectors of entries and of the log's head, from the formats alone: `cd tests && python -m audit.make_vectors`.

Inputs are fixed, so the files change only when the formats do; a test holds them to this script. The rows of the other
heads in the same file, whose format has not changed since they were made, stay as they are; so do entries of version 1.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit import naive
from audit.world import NOW, STORE

VECTORS = Path(__file__).parents[1] / "vectors" / "audit"
HEADS, ENTRIES = VECTORS / "heads.json", VECTORS / "entries.json"
DETAIL_KEY = b"\x22" * 32
SLOT = 77
PATIENT_KEY = b"\x33" * 24 + SLOT.to_bytes(8, "big")
LOG_KEY = b"\x11" * 32
NONCE = bytes(range(12))
SIZE = 300

Case = dict[str, Any]


def leaves(count: int) -> list[bytes]:
    """Leaf hashes of the entries 0, 1, 2 … as four bytes each."""
    return [naive.leaf_hash(number.to_bytes(4, "big")) for number in range(count)]


def sealed(*fields: object) -> bytes:
    """A head's row with any fields."""
    plain = msgspec.msgpack.encode(fields)
    return NONCE + AESGCM(LOG_KEY).encrypt(NONCE, plain, b"medlock/1/log/head|" + STORE)


def fields(size: int) -> tuple[int, int, int, bytes, bytes]:
    """What the head of a log of this size says."""
    known, nodes, at = leaves(size), [], 0
    while at < size:
        width = 1 << (size - at).bit_length() - 1
        nodes.append(naive.mth(known[at : at + width]))
        at += width
    tail = known[size - size % 256 :]
    return 1, size, NOW, b"".join(nodes), b"".join(leaf[:8] for leaf in tail)


def rows() -> Iterator[tuple[str, str, bytes]]:
    """Name of a case, what it is read as, and the row."""
    _, size, time, nodes, checks = fields(SIZE)
    row = sealed(1, size, time, nodes, checks)
    yield f"head-of-{SIZE}", "head", row
    yield "head-of-256", "head", sealed(*fields(256))
    yield "head-as-index-head", "index-head", row
    yield "head-as-checkpoint", "checkpoint", row
    yield "bit-in-head", "head", row[:40] + bytes([row[40] ^ 1]) + row[41:]
    yield "cut-head", "head", row[:-1]
    yield "empty-head", "head", b""
    yield "head-of-version-2", "head", sealed(2, size, time, nodes, checks)
    yield "head-without-a-node", "head", sealed(1, size, time, nodes[32:], checks)
    yield "head-with-a-node-too-many", "head", sealed(1, size, time, nodes + bytes(32), checks)
    yield "head-without-a-check", "head", sealed(1, size, time, nodes, checks[8:])
    yield "head-with-half-a-check", "head", sealed(1, size, time, nodes, checks[:-4])
    yield "head-with-checks-of-a-complete-tile", "head", sealed(1, 256, time, fields(256)[3], bytes(8 * 256))
    yield "head-with-tiles", "head", sealed(1, size, time, nodes, [bytes(32 * 44), bytes(32)])
    yield "head-of-less-than-nothing", "head", sealed(1, -size, time, nodes, checks)
    yield "head-without-checks", "head", sealed(1, size, time, nodes)


def heads() -> dict[str, Any]:
    """The file of heads."""
    kept = json.loads(HEADS.read_text(encoding="utf-8"))
    made = {name: {"name": name, "what": what, "row": row.hex(), "ok": False} for name, what, row in rows()}
    for size in (SIZE, 256):
        said = {"size": size, "time": NOW, "root": naive.mth(leaves(size)).hex()}
        made[f"head-of-{size}"] |= {"ok": True, "content": said, "leaves": size}
    others = [case for case in kept["cases"] if case["name"] not in made]
    return kept | {"cases": [*made.values(), *others]}


# ---- entries ----------------------------------------------------------------------------------------


def padded(plain: bytes, step: int) -> bytes:
    """A mark, then zeros."""
    return plain + b"\x80" + bytes(-(len(plain) + 1) % step)


def pair(minimal: bytes, full: bytes, slot: int = SLOT, first: int = 0, store: bytes = STORE) -> tuple[bytes, bytes]:
    """Both copies, sealed; their nonces count up from `first`."""
    nonces = bytes(range(first, first + 24))
    key = PATIENT_KEY if slot else DETAIL_KEY
    where = b"medlock/2/log/full|" + store + slot.to_bytes(8, "big")
    sealed_full = nonces[:12] + AESGCM(key).encrypt(nonces[:12], full, where)
    where = b"medlock/2/log/minimal|" + store + sealed_full
    return nonces[12:] + AESGCM(LOG_KEY).encrypt(nonces[12:], minimal, where), sealed_full


def joined(minimal: bytes, full: bytes) -> bytes:
    """An entry of two sealed copies."""
    return b"\x02" + len(minimal).to_bytes(2, "big") + minimal + full


def minimal_of(event: Case) -> bytes:
    """What stays of an event."""
    names = ("action", "outcome", "account", "roles", "client", "purpose", "slot", "request", "recorded")
    counts = [[each[2] for each in event["touched"]].count(letter) for letter in "CRUD"]
    position = event["position"] and [*event["position"][:2], bytes.fromhex(event["position"][2])]
    return msgspec.msgpack.encode([*(event[name] for name in names), counts, position])


def full_of(event: Case, *, lots: bool = False) -> bytes:
    """What dies with the patient; in lots, when all that was touched is of one type."""
    told = [event["patient"], event["touched"], event["query"], event["reason"], event["basis"]]
    if lots:
        ids = b"".join(uuid.UUID(each[0].partition("/")[2]).bytes for each in event["touched"])
        kind, crud = event["touched"][0][0].partition("/")[0], event["touched"][0][2]
        told = [told[0], [], *told[2:], [[kind, crud, ids, [each[1] for each in event["touched"]]]]]
    return msgspec.msgpack.encode(told)


def events() -> dict[str, Case]:
    """A read, an act of the tenant's, a page of a search."""
    kept = json.loads((VECTORS / "entries-1.json").read_text(encoding="utf-8"))
    read, admin, search = (case["event"] for case in kept["cases"][:3])
    some = [[f"Observation/00112233-4455-6677-8899-aabbccddee{number:02x}", 1 + number, "R"] for number in range(7)]
    return {"a-read": read, "an-admin-act": admin, "a-search-of-7": search | {"touched": some, "query": "Observation?"}}


def genuine() -> Iterator[tuple[str, bytes, Case]]:
    """Name, entry and event of what opens."""
    for name, event in events().items():
        plain = full_of(event, lots=name == "a-search-of-7")
        yield name, joined(*pair(padded(minimal_of(event), 224), padded(plain, 288), event["slot"])), event
    plain = events()["a-read"] | {"query": "q" * 400}
    yield "a-long-question", joined(*pair(padded(minimal_of(plain), 224), padded(full_of(plain), 288))), plain
    short = joined(*pair(padded(minimal_of(events()["a-read"]), 1), padded(full_of(events()["a-read"]), 1)))
    yield "of-another-length", short, events()["a-read"]


def changed() -> Iterator[tuple[str, bytes]]:
    """What must not open: genuine bytes with one thing changed."""
    event = events()["a-read"]
    plain = padded(minimal_of(event), 224), padded(full_of(event), 288)
    minimal, full = pair(*plain)
    entry = joined(minimal, full)
    yield "empty", b""
    yield "version-0", b"\0" + entry[1:]
    yield "version-1", b"\1" + entry[1:]
    yield "version-1-of-its-own-length", b"\1" + len(minimal).to_bytes(4, "big") + minimal + full
    yield "version-3", b"\3" + entry[1:]
    yield "cut", entry[:-1]
    yield "a-byte-behind", entry + b"\0"
    yield "header-only", entry[:3]
    places = {"nonce": 3, "ciphertext": 40, "tag": -1}
    for name, at in places.items():
        end = 3 + len(minimal)
        yield f"bit-in-{name}-of-minimal", flipped(entry, at % end if at > 0 else end - 1)
        yield f"bit-in-{name}-of-full", flipped(entry, end + at - 3 if at > 0 else len(entry) - 1)
    yield "length-of-minimal", flipped(entry, 2)
    yield "length-beyond-the-end", entry[:1] + b"\xff\xff" + entry[3:]
    other_minimal, other_full = pair(*plain, first=1)
    yield "full-copy-of-another-entry", joined(minimal, other_full)
    yield "minimal-copy-of-another-entry", joined(other_minimal, full)
    yield "of-another-store", joined(*pair(*plain, store=bytes(16)))
    yield "full-before-minimal", joined(full, minimal)


def unreadable() -> Iterator[tuple[str, bytes]]:
    """What must not open: sealed as it should be, and nonsense within."""
    event = events()["a-read"]
    good = padded(minimal_of(event), 224), padded(full_of(event), 288)
    yield "minimal-not-padded", joined(*pair(minimal_of(event) + b"\x01", good[1]))
    yield "full-not-padded", joined(*pair(good[0], full_of(event) + b"\x01"))
    yield "minimal-all-zeros", joined(*pair(bytes(224), good[1]))
    yield "minimal-no-array", joined(*pair(padded(b"\xa1a", 224), good[1]))
    yield "full-no-array", joined(*pair(good[0], padded(b"\xa1a", 288)))
    lots = events()["a-search-of-7"]
    whole = full_of(lots, lots=True)
    ids = bytes.fromhex(lots["touched"][6][0].partition("/")[2].replace("-", ""))
    for name, put in (("a-lot-with-half-an-id", ids[:8]), ("a-lot-with-an-id-too-many", ids * 2)):
        at, length = whole.index(ids), 7 * 16 + len(put) - 16
        told = whole[:at].replace(b"\xc4\x70", bytes([0xC4, length])) + put + whole[at + 16 :]
        yield name, joined(*pair(good[0], padded(told, 288)))


def flipped(entry: bytes, at: int) -> bytes:
    return entry[:at] + bytes([entry[at] ^ 1]) + entry[at + 1 :]


def entries() -> dict[str, Any]:
    """The file of entries."""
    good = [
        {"name": name, "entry": entry.hex(), "leaf": naive.leaf_hash(entry).hex(), "ok": True, "slot": event["slot"]}
        | {"event": event}
        for name, entry, event in genuine()
    ]
    bad = [
        {"name": name, "entry": entry.hex(), "ok": False, "slot": SLOT} for name, entry in (*changed(), *unreadable())
    ]
    return {
        "source": "Made with this project; the sealed bytes follow from keys, event and the randomness 00 01 02 ... alone.",
        "store": STORE.hex(),
        "log_key": LOG_KEY.hex(),
        "detail_key": DETAIL_KEY.hex(),
        "patient_keys": {str(SLOT): PATIENT_KEY.hex()},
        "cases": [*good, *bad],
    }


if __name__ == "__main__":
    HEADS.write_text(json.dumps(heads(), indent=1) + "\n", encoding="utf-8")
    ENTRIES.write_text(json.dumps(entries(), indent=1) + "\n", encoding="utf-8")
