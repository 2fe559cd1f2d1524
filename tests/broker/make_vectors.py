"""Writes tests/vectors/broker: `python -m broker.make_vectors`. The naive reading makes what medlock must agree with."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from broker.naive import frames, log_key, records

HERE = Path(__file__).parents[1] / "vectors/broker"
TENANT, STORE = bytes(range(32)), bytes(range(16))


def frame(number: int, code: int, body: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack(">IQB", 9 + len(body) if length is None else length, number, code) + body


def streams():
    """Name and bytes; most of them are refused."""
    yield "nothing", b""
    yield "one request", frame(7, 6)
    yield "two requests at once", frame(7, 6) + frame(8, 1, bytes(12))
    yield "the greatest body", frame(0, 2, bytes(16_384))
    yield "the last number", frame(2**64 - 1, 6)
    yield "half a length", b"\0\0"
    yield "a length and nothing", struct.pack(">I", 9)
    yield "all but one byte", frame(7, 1, bytes(12))[:-1]
    yield "a length of nothing", frame(7, 6, length=0)
    yield "a length without room for the code", frame(7, 6, length=8)
    yield "one byte too many", frame(0, 2, bytes(16_385))
    yield "a huge length", frame(7, 6, length=2**32 - 1)
    yield "a length in the other order", struct.pack("<IQB", 9, 7, 6)
    yield "text", b"GET / HTTP/1.1\r\n\r\n"
    yield "a request, then garbage", frame(7, 6) + b"\xff" * 8
    yield "zeros", bytes(64)


def files():
    """Name and content of log files; most of them are wrong."""
    random, key = Random(6), log_key(TENANT)
    tag, content, parts = bytes(16), b"MLKBLOG1" + (5).to_bytes(8, "big") + bytes(16), []
    for number, (kind, pid, slot, generation, count) in enumerate(
        [(1, 41, 0, 0, 3_000), (2, 42, 2**62 + 1, 0, 0), (4, 42, 0, 0, 64), (2, 43, 99, 3, 0), (9, 41, 0, 0, 0)], 5
    ):
        plain = struct.pack(">QQBIQII3x", number, 1_795_000_000_000 + number, kind, pid, slot, generation, count)
        nonce = random.randbytes(12)
        one = nonce + AESGCM(key).encrypt(nonce, plain, b"MLKBL1" + STORE + tag)
        tag = one[-16:]
        parts.append(one)
    whole = content + b"".join(parts)
    yield "five records", whole
    yield "none", content
    yield "the last one was being written", whole[:-1]
    yield "no header", b""
    yield "half a header", whole[:31]
    yield "another magic", b"MLKBLOG2" + whole[8:]
    yield "another first number", whole[:15] + b"\6" + whole[16:]
    yield "another record before", whole[:31] + b"\1" + whole[32:]
    yield "a bit changed in the second", whole[:120] + bytes((whole[120] ^ 1,)) + whole[121:]
    yield "the second taken out", content + parts[0] + b"".join(parts[2:])
    yield "two exchanged", content + parts[1] + parts[0] + b"".join(parts[2:])
    yield "the first one twice", content + parts[0] + b"".join(parts)


def main() -> None:
    HERE.mkdir(exist_ok=True)
    read = []
    for name, stream in streams():
        found, end = frames(stream)
        rows = [[str(number), code, body.hex()] for number, code, body in found]
        read.append({"name": name, "stream": stream.hex(), "frames": rows, "end": end})
    (HERE / "frames.json").write_text(json.dumps(read, indent=1) + "\n")
    key = log_key(TENANT)
    logs = [{"name": n, "file": c.hex(), "found": records(c, key, STORE)} for n, c in files()]
    document = {"tenant": TENANT.hex(), "store": STORE.hex(), "files": logs}
    (HERE / "log.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
