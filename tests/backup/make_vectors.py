"""Write the vectors of docs/spec/backup.md: `cd tests && python -m backup.make_vectors`.

Inputs are fixed byte ramps, so the files change only when the format does. Each case says what it shows and what must
come of it; `refused` means that nothing may.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

from backup import naive
from keystore.make_vectors import NONCE, STORE, TENANT_KEY, ramp
from keystore.naive import derive, seal
from medlock.crypto.shares import split

VECTORS = Path(__file__).parents[1] / "vectors" / "backup"
BACKUP = ramp(0x10, 16)
SECRET = ramp(0x80, 32)
SET = "w8jt"
Case = dict[str, object]


def rows() -> list[Case]:
    """§4: sealed files, whole and broken."""
    key = derive(TENANT_KEY, "medlock/1/tenant/backup")
    row = struct.Struct(">BqI")
    plain = (
        row.pack(0, 5, 3) + b"abc" + row.pack(0, 9, 2**32 - 1) + row.pack(3, -7, 0) + row.pack(11, 2**63 - 1, 1) + b"z"
    )
    index = struct.pack(">qQqQ", 5, naive.row_hash(TENANT_KEY, b"abc"), 2**63 - 1, naive.row_hash(TENANT_KEY, b"z"))

    def case(
        shows: str, name: str, content: bytes, *, place: bytes = BACKUP, sealed_as: str = "", cut: int = 0
    ) -> Case:
        aad = b"medlock/1/backup|" + STORE + place + (sealed_as or name).encode()
        blob = seal(key, NONCE, content, aad)
        return {"shows": shows, "name": name, "blob": blob[: len(blob) - cut].hex()}

    good = [
        case("rows, one of them gone", "rows-00000", plain) | {"rows": naive.rows(plain)},
        case("an index", "index-body-00000", index) | {"entries": naive.entries(index)},
        case("two erased", "erased", struct.pack(">QQ", 3, 2**63 - 1)) | {"slots": [3, 2**63 - 1]},
    ]
    bad = [
        case("sealed under another name", "rows-00000", plain, sealed_as="rows-00001"),
        case("sealed for another backup", "rows-00000", plain, place=ramp(0x11, 16)),
        case("cut by a byte", "rows-00000", plain, cut=1),
        case("cut to less than a nonce", "rows-00000", b"", cut=20),
        case("ends within a row", "rows-00000", plain[:-1]),
        case("ends within the head of a row", "rows-00000", plain[:5]),
        case("a table that is not there", "rows-00000", b"\x7f" + plain[1:]),
        case("an index that is no index", "index-body-00000", index[:-1]),
        case("a list of erased that is none", "erased", b"\x00" * 7),
    ]
    return good + [each | {"refused": True} for each in bad]


def keys() -> list[Case]:
    """§6: a file of keys, and what is not one."""
    sealing = derive(SECRET, "medlock/1/keystore-backup")
    told: dict[str, object] = {"epoch": 4, "keys": 2, "log": 17, "made": 1795000000000, "set": SET, "shares": 3}
    told |= {"store": STORE.hex(), "threshold": 2}
    entry = struct.Struct(">QIH")
    plain = struct.pack(">q32s", 17, ramp(0x20, 32)) + entry.pack(0, 0, 32) + TENANT_KEY
    plain += entry.pack(0x0123456789ABCDEF, 0, 32) + ramp(0x60, 32)

    def file(header: dict[str, object], content: bytes, magic: bytes = b"MLKB\x01") -> bytes:
        packed = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
        start = magic + struct.pack(">H", len(packed)) + packed
        return start + seal(sealing, NONCE, content, start)

    whole = file(told, plain)
    cases = [{"shows": "two keys", "blob": whole.hex(), "opens": naive.open_keys(whole, SECRET)}]
    bad = {
        "another version": file(told, plain, b"MLKB\x02"),
        "no file of keys": b"SQLite format 3\x00" + bytes(80),
        "a key fewer than the header says": file(told, plain[:-46]),
        "cut": whole[:-1],
        "cut in the header": whole[:40],
        "header edited": whole.replace(b'"threshold":2', b'"threshold":3'),
        "a byte flipped": whole[:-20] + bytes((whole[-20] ^ 1,)) + whole[-19:],
        "a field that nobody knows": file(told | {"zeal": 1}, plain),
        "the tenant key is not the first": file(told, plain[:40] + plain[86:] + plain[40:86]),
    }
    return cases + [{"shows": shows, "blob": blob.hex(), "refused": True} for shows, blob in bad.items()]


def manifests() -> list[Case]:
    """§3: texts. Signatures are audit.md's."""
    counts = "".join(f"count {table} {at}\n" for at, table in enumerate(naive.TABLES))
    first = "".join(counts.splitlines(keepends=True)[: len(naive.FIRST)])
    head = f"medlock-backup/2\nstore {STORE.hex()}\nid {BACKUP.hex()}\n"
    tail = f"made 1795000000000\nlog 17 {ramp(0x20, 32).hex()}\nepoch 4\n{counts}"
    files = f"file rows-00000 1234 {ramp(0x30, 32).hex()}\nfile erased 28 {ramp(0x40, 32).hex()}\n"
    parent = f"parent {ramp(0x50, 16).hex()} {ramp(0x60, 32).hex()}\n"
    full, more = f"{head}parent none\n{tail}{files}", f"{head}{parent}{tail}{files}"
    former = full.replace("/2\n", "/1\n", 1).replace(counts, first)
    good = {"a full backup": full, "an incremental one": more, "one of format 1": former}
    bad = {
        "another format": full.replace("/2\n", "/3\n", 1),
        "tables of format 2 in one of format 1": full.replace("/2\n", "/1\n", 1),
        "tables of format 1 in one of format 2": full.replace(counts, first),
        "no file": f"{head}parent none\n{tail}",
        "a file twice": full + files,
        "a table missing": full.replace("count tip 8\n", ""),
        "tables in another order": full.replace("count tip 8\n", "").replace("count log", "count tip 8\ncount log"),
        "a number with a zero in front": full.replace("made 1", "made 01"),
        "a negative number": full.replace("log 17", "log -17"),
        "a path for a name": full.replace("file erased", "file ../erased"),
        "a capital in a digest": full.replace(STORE.hex(), STORE.hex().upper()),
        "a short root": full.replace(ramp(0x20, 32).hex(), ramp(0x20, 31).hex()),
        "a parent without its hash": more.replace(f" {ramp(0x60, 32).hex()}\nmade", "\nmade"),
        "a line more": full + "note hello\n",
        "a line between": full.replace("epoch", "note hello\nepoch"),
        "two spaces": full.replace("epoch 4", "epoch  4"),
        "no newline at its end": full[:-1],
        "a checkpoint": f"medlock/{STORE.hex()}\n17\nAAAA\n",
        "nothing": "",
    }
    cases: list[Case] = [{"shows": shows, "text": text, "says": naive.manifest(text)} for shows, text in good.items()]
    return cases + [{"shows": shows, "text": text, "refused": True} for shows, text in bad.items()]


def shares() -> list[Case]:
    """§6: sets, and slips. `tests/crypto/test_shares.py` has those that BIP-93 publishes."""
    two = split(SECRET, 2, 3, ("ml", SET), ramp(0x01, 33))
    three = split(SECRET, 3, 5, ("ml", SET), ramp(0x01, 66))
    good = {
        "two of three": two[:2],
        "the others of them": [two[2], two[0]],
        "three of five": [three[4], three[0], three[2]],
    }
    one = two[0]
    bad = {
        "one character wrong": one[:30] + ("q" if one[30] != "q" else "p") + one[31:],
        "two exchanged": next(
            one[:at] + one[at + 1] + one[at] + one[at + 2 :] for at in range(20, 40) if one[at] != one[at + 1]
        ),
        "one missing": one[:30] + one[31:],
        "one too many": one[:30] + "q" + one[30:],
        "another prefix": "ms" + one[2:],
        "threshold changed": one[:3] + "3" + one[4:],
        "set changed": one[:4] + "q" + one[5:],
        "letter changed": one[:8] + "c" + one[9:],
    }
    cases: list[Case] = [{"shows": shows, "shares": some, "secret": SECRET.hex()} for shows, some in good.items()]
    return cases + [{"shows": shows, "shares": [text], "refused": True} for shows, text in bad.items()]


FILES = {"rows": rows, "keys": keys, "manifests": manifests, "shares": shares}


def main() -> None:
    """Write them."""
    VECTORS.mkdir(parents=True, exist_ok=True)
    for name, make in FILES.items():
        (VECTORS / f"{name}.json").write_text(json.dumps(make(), indent=1) + "\n")


if __name__ == "__main__":
    main()
