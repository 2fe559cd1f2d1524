"""Write the vectors of the log's head from the naive implementation: `cd tests && python -m audit.make_vectors`.

Inputs are fixed, so the file changes only when the format does; a test holds it to this script. The rows of the other
heads in the same file, whose format has not changed since they were made, stay as they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit import naive
from audit.world import NOW, STORE

HEADS = Path(__file__).parents[1] / "vectors" / "audit" / "heads.json"
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


def document() -> dict[str, Any]:
    """The whole file."""
    kept = json.loads(HEADS.read_text(encoding="utf-8"))
    made = {name: {"name": name, "what": what, "row": row.hex(), "ok": False} for name, what, row in rows()}
    for size in (SIZE, 256):
        said = {"size": size, "time": NOW, "root": naive.mth(leaves(size)).hex()}
        made[f"head-of-{size}"] |= {"ok": True, "content": said, "leaves": size}
    others = [case for case in kept["cases"] if case["name"] not in made]
    return kept | {"cases": [*made.values(), *others]}


if __name__ == "__main__":
    HEADS.write_text(json.dumps(document(), indent=1) + "\n", encoding="utf-8")
