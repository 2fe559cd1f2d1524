"""A second implementation of docs/spec/backup.md, on the standard library alone, slow and plain.

It shares nothing with medlock but the vectors. Primitives come from the other naive readers.
"""

from __future__ import annotations

import hashlib
import json

from keystore.naive import derive, unseal

FIRST = "body history capsule delta directory dirop log tile tip logindex token job".split()
TABLES = [*FIRST, "identity", "oauth", "once", "chunk"]
ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


class Refused(Exception):
    """It is not what it should be."""


def demand(holds: bool) -> None:
    if not holds:
        raise Refused


def hexadecimal(text: str, length: int) -> str:
    demand(len(text) == length and all(each in "0123456789abcdef" for each in text))
    return text


def decimal(text: str, digits: int = 18) -> int:
    demand(0 < len(text) <= digits and all(each in "0123456789" for each in text) and str(int(text)) == text)
    return int(text)


def manifest(text: str) -> dict[str, object]:
    """§3, line by line."""
    demand(text.endswith("\n"))
    lines = text[:-1].split("\n")

    def take(word: str, count: int) -> list[str]:
        demand(bool(lines))
        words = lines.pop(0).split(" ")
        demand(words[0] == word and len(words) == count + 1)
        return words[1:]

    demand(bool(lines) and lines[0] in {"medlock-backup/1", "medlock-backup/2"})
    tables = FIRST if lines.pop(0) == "medlock-backup/1" else TABLES
    found: dict[str, object] = {"store": hexadecimal(take("store", 1)[0], 32), "id": hexadecimal(take("id", 1)[0], 32)}
    if lines and lines[0] == "parent none":
        found["parent"] = lines.pop(0)[7:]
    else:
        parent, link = take("parent", 2)
        found["parent"], found["link"] = hexadecimal(parent, 32), hexadecimal(link, 64)
    found["made"] = decimal(take("made", 1)[0])
    size, root = take("log", 2)
    found["size"], found["root"] = decimal(size), hexadecimal(root, 64)
    found["epoch"] = decimal(take("epoch", 1)[0], 9)
    counts = {}
    for table in tables:
        name, rows = take("count", 2)
        demand(name == table)
        counts[name] = decimal(rows)
    found["counts"] = counts
    files: dict[str, list[object]] = {}
    while lines:
        name, size, digest = take("file", 3)
        demand(name not in files and name[:1].isalpha() and name.replace("-", "").isalnum() and name.islower())
        files[name] = [decimal(size), hexadecimal(digest, 64)]
    demand(bool(files))
    found["files"] = files
    return found


def open_file(tenant: bytes, store: bytes, backup: bytes, name: str, blob: bytes) -> bytes:
    """§4: what a file holds."""
    return unseal(
        derive(tenant, "medlock/1/tenant/backup"), blob, b"medlock/1/backup|" + store + backup + name.encode()
    )


def rows(plain: bytes) -> list[list[object]]:
    """Table, key and ct (hex, or None for gone) of each row."""
    found: list[list[object]] = []
    while plain:
        demand(len(plain) >= 13 and plain[0] < len(TABLES))
        table, key = TABLES[plain[0]], int.from_bytes(plain[1:9], "big", signed=True)
        length, plain = int.from_bytes(plain[9:13], "big"), plain[13:]
        if length == 2**32 - 1:
            found.append([table, key, None])
            continue
        demand(len(plain) >= length)
        found.append([table, key, plain[:length].hex()])
        plain = plain[length:]
    return found


def entries(plain: bytes) -> list[list[int]]:
    """Key and hash of each entry of an index."""
    demand(len(plain) % 16 == 0)
    return [
        [int.from_bytes(plain[at : at + 8], "big", signed=True), int.from_bytes(plain[at + 8 : at + 16], "big")]
        for at in range(0, len(plain), 16)
    ]


def row_hash(tenant: bytes, ct: bytes) -> int:
    """The hash in an index."""
    key = derive(tenant, "medlock/1/tenant/backup-rows")
    return int.from_bytes(hashlib.blake2b(ct, key=key, digest_size=8).digest(), "big")


def open_keys(blob: bytes, secret: bytes) -> dict[str, object]:
    """§6: header, log and key rows of a file of keys."""
    demand(blob[:5] == b"MLKB\x01" and len(blob) > 7)
    end = 7 + int.from_bytes(blob[5:7], "big")
    header = json.loads(blob[7:end])
    demand(json.dumps(header, sort_keys=True, separators=(",", ":")).encode() == blob[7:end])
    plain = unseal(derive(secret, "medlock/1/keystore-backup"), blob[end:], blob[:end])
    size, root, plain = int.from_bytes(plain[:8], "big", signed=True), plain[8:40], plain[40:]
    keys = []
    while plain:
        slot, generation, length = (int.from_bytes(plain[a:b], "big") for a, b in ((0, 8), (8, 12), (12, 14)))
        keys.append([slot, generation, plain[14 : 14 + length].hex()])
        demand(len(plain) >= 14 + length)
        plain = plain[14 + length :]
    demand(len(keys) == header["keys"])
    return {"header": header, "size": size, "root": root.hex(), "keys": keys}


def multiply(a: int, b: int) -> int:
    """In GF(32) of BIP-173: times x, again and again."""
    total = 0
    while b:
        if b & 1:
            total ^= a
        a <<= 1
        if a & 32:
            a ^= 0b101001
        b >>= 1
    return total


def divide(a: int, b: int) -> int:
    return next(each for each in range(32) if multiply(each, b) == a)


def share(text: str) -> tuple[str, list[int]]:
    """§6: the letter and values of a share. Raises Refused."""
    demand(text.startswith("ml1") and len(text) == 74 and all(each in ALPHABET for each in text[3:]))
    values = [ALPHABET.index(each) for each in text[3:]]
    polynomial = [ord("m") >> 5, ord("l") >> 5, 0, ord("m") & 31, ord("l") & 31, *values]
    residue = 1
    for value in polynomial:
        top, residue = residue >> 60, (residue & (2**60 - 1)) << 5 ^ value
        for at, generator in enumerate(
            (0x19DC500CE73FDE210, 0x1BFAE00DEF77FE529, 0x1FBD920FFFE7BEE52, 0x1739640BDEEE3FDAD, 0x07729A039CFC75F5A)
        ):
            if top >> at & 1:
                residue ^= generator
    demand(residue == 0x10CE0795C2FD1E62A and text[3] in "23456789" and text[8] != "s")
    return text[8], values


def joined(texts: list[str]) -> str:
    """The secret in hex."""
    demand(
        len({text[:8] for text in texts}) == 1 and len({text[8] for text in texts}) == len(texts) == int(texts[0][3])
    )
    points = [(ALPHABET.index(letter), values) for letter, values in map(share, texts)]
    place, bits = ALPHABET.index("s"), ""
    for at in range(6, 58):
        total = 0
        for x, values in points:
            weight = 1
            for other, _ in points:
                if other != x:
                    weight = multiply(weight, divide(place ^ other, x ^ other))
            total ^= multiply(weight, values[at])
        bits += f"{total:05b}"
    return bytes(int(bits[at : at + 8], 2) for at in range(0, 256, 8)).hex()
