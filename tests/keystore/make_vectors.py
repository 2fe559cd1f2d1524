"""Write the keystore's vectors from the naive implementation: `cd tests && python -m keystore.make_vectors`.

Inputs are fixed byte ramps, so the files change only when the format does; a test holds them to this script.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

from keystore import naive

VECTORS = Path(__file__).parents[1] / "vectors" / "keystore"
PATIENT = ("body", "capsule", "directory", "audit", "labels", "sensitive")
TENANT = (
    *("own", "rid", "header", "values", "directory-labels", "directory-log", "log", "detail", "token"),
    *("token-labels", "page", "job", "job-labels", "checkpoint", "unwraps", "keystore-state", "keystore-rows"),
    *("backup", "backup-rows", "identity", "identity-labels", "oauth", "oauth-labels", "once", "once-labels"),
    *("counter-labels", "tickets", "pepper", "share-links"),
)

Case = dict[str, object]


def ramp(start: int, length: int) -> bytes:
    """Bytes counting up."""
    return bytes((start + i) % 256 for i in range(length))


TENANT_KEY = ramp(0x00, 32)
EPOCH_KEY = ramp(0x40, 32)
PATIENT_KEY = ramp(0x60, 32)
STORE = ramp(0xA0, 16)
ROOT = ramp(0xC0, 32)
SECRET = ramp(0xE0, 32)
NONCE = bytes(11) + b"\x01"
SLOT = 0x0123456789ABCDEF


def derived() -> list[Case]:
    """§3: every label."""
    labels = [f"medlock/1/patient/{name}" for name in PATIENT] + [f"medlock/1/tenant/{name}" for name in TENANT]
    return [
        {"key": TENANT_KEY.hex(), "label": label, "derived": naive.derive(TENANT_KEY, label).hex()} for label in labels
    ]


def damaged(blob: bytes) -> Iterator[tuple[str, bytes]]:
    """Everything that can happen to sealed bytes on their own."""
    for name, position in (("nonce", 0), ("ciphertext", 12), ("tag", len(blob) - 1)):
        yield f"one bit of the {name} changed", blob[:position] + bytes((blob[position] ^ 1,)) + blob[position + 1 :]
    yield "last byte missing", blob[:-1]
    yield "one byte more", blob + b"\0"
    yield "nonce alone", blob[:12]
    yield "empty", b""
    yield "all zeros, as after destruction", bytes(len(blob))
    yield "tag moved to the front", blob[:12] + blob[-16:] + blob[12:-16]


def rows() -> list[Case]:
    """§4.1: key rows."""
    good: Case = {"kek": EPOCH_KEY.hex(), "store": STORE.hex(), "slot": SLOT, "generation": 0, "epoch": 1}
    blob = naive.seal(EPOCH_KEY, NONCE, PATIENT_KEY, naive.row_aad(STORE, SLOT, 0, 1))
    late = naive.seal(EPOCH_KEY, NONCE, PATIENT_KEY, naive.row_aad(STORE, 2**63 - 1, 2**32 - 1, 2**32 - 1))
    heir = PATIENT_KEY + b"".join(naive.derive(TENANT_KEY, f"medlock/1/patient/{use}") for use in ("labels", "audit"))
    first = naive.seal(EPOCH_KEY, NONCE, heir, naive.row_aad(STORE, SLOT, 1, 1))
    most: Case = {"slot": 2**63 - 1, "generation": 2**32 - 1, "epoch": 2**32 - 1}
    opens = [
        {"name": "as written", **good, "wrapped": blob.hex(), "key": PATIENT_KEY.hex()},
        {"name": "greatest numbers", **good, **most, "wrapped": late.hex(), "key": PATIENT_KEY.hex()},
        {"name": "after a rotation", **good, "generation": 1, "wrapped": first.hex(), "key": heir.hex()},
    ]
    changes: list[tuple[str, Case]] = [
        ("moved to another slot", {"slot": SLOT + 1}),
        ("moved to the tenant's slot", {"slot": 0}),
        ("passed off as another generation", {"generation": 1}),
        ("passed off as another epoch", {"epoch": 2}),
        ("copied from another store", {"store": ramp(0xA1, 16).hex()}),
        ("under another epoch's key", {"kek": ramp(0x41, 32).hex()}),
    ]
    other_tag = naive.seal(EPOCH_KEY, NONCE, PATIENT_KEY, b"MLE1" + naive.row_aad(STORE, SLOT, 0, 1)[4:])
    bare = naive.seal(EPOCH_KEY, NONCE, PATIENT_KEY, b"")
    refused: list[Case] = [{"name": name, **good, **change, "wrapped": blob.hex()} for name, change in changes]
    refused += [{"name": name, **good, "wrapped": bad.hex()} for name, bad in damaged(blob)]
    refused.append({"name": "sealed for another purpose", **good, "wrapped": other_tag.hex()})
    refused.append({"name": "sealed without associated data", **good, "wrapped": bare.hex()})
    return [*opens, *refused]


def epochs() -> list[Case]:
    """§4.2 and §7.1: an epoch key under a split provider key."""
    made = 1_795_000_000_000
    good: Case = {
        "root": ROOT.hex(),
        "secret": SECRET.hex(),
        "store": STORE.hex(),
        "number": 3,
        "under": 3,
        "made": made,
    }
    key = naive.provider_key(ROOT, SECRET, 3)
    blob = naive.seal(key, NONCE, EPOCH_KEY, naive.epoch_aad(STORE, 3, 3, made))
    moved = naive.seal(naive.provider_key(ROOT, SECRET, 4), NONCE, EPOCH_KEY, naive.epoch_aad(STORE, 3, 4, made))
    check = naive.check_value(ROOT, SECRET).hex()
    changes: list[tuple[str, Case]] = [
        ("another root: a wrong passphrase", {"root": ramp(0xC1, 32).hex()}),
        ("another secret: the epoch was destroyed", {"secret": ramp(0xE1, 32).hex()}),
        ("root and secret exchanged", {"root": SECRET.hex(), "secret": ROOT.hex()}),
        ("another store", {"store": ramp(0xA1, 16).hex()}),
        ("another number", {"number": 4}),
        ("another provider epoch", {"under": 4}),
        ("made at another time", {"made": made + 1}),
    ]
    return [
        {"name": "as written", **good, "wrapped": blob.hex(), "check": check, "kek": EPOCH_KEY.hex()},
        {"name": "after a move", **good, "under": 4, "wrapped": moved.hex(), "check": check, "kek": EPOCH_KEY.hex()},
        *({"name": name, **good, **change, "wrapped": blob.hex()} for name, change in changes),
        *({"name": name, **good, "wrapped": bad.hex()} for name, bad in damaged(blob)),
    ]


def state() -> list[Case]:
    """§4.3: the state row over two key rows."""
    tags = [ramp(0x10, 16), ramp(0x20, 16)]
    digest = naive.set_digest(TENANT_KEY, tags)
    packed = struct.pack(">BQQQ16sq32s", 1, 7, 2, 2, digest, 1000, ramp(0x80, 32))
    key, aad = naive.derive(TENANT_KEY, "medlock/1/tenant/keystore-state"), b"medlock/1/keystore/state|" + STORE
    good: Case = {"tenant": TENANT_KEY.hex(), "store": STORE.hex()}
    blob = naive.seal(key, NONCE, packed, aad)
    contents = naive.open_state(TENANT_KEY, STORE, blob)
    forms = [
        ("layout of version 2", b"\x02" + packed[1:]),
        ("layout of version 0", b"\x00" + packed[1:]),
        ("one byte short", packed[:-1]),
        ("one byte long", packed + b"\0"),
        ("nothing in it", b""),
    ]
    return [
        {"name": "as written", **good, "sealed": blob.hex(), "tags": [tag.hex() for tag in tags], "state": contents},
        {"name": "of another store", **good, "store": ramp(0xA1, 16).hex(), "sealed": blob.hex()},
        {"name": "of another tenant", **good, "tenant": ramp(0x01, 32).hex(), "sealed": blob.hex()},
        *({"name": name, **good, "sealed": naive.seal(key, NONCE, form, aad).hex()} for name, form in forms),
        *({"name": name, **good, "sealed": bad.hex()} for name, bad in damaged(blob)),
    ]


FILES = {"derived": derived, "rows": rows, "epochs": epochs, "state": state}


def written(cases: list[Case]) -> str:
    """The text of a vector file."""
    return json.dumps(cases, indent=1) + "\n"


def main() -> None:
    """Write them all."""
    for name, make in FILES.items():
        (VECTORS / f"{name}.json").write_text(written(make()), encoding="utf-8")


if __name__ == "__main__":
    main()
