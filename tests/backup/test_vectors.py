"""The vectors of docs/spec/backup.md, read by medlock and by a second implementation that shares nothing with it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from backup import make_vectors, naive
from keystore.make_vectors import STORE, TENANT_KEY
from keystore.naive import Refused as KeyRefused
from medlock.backup.manifest import read_manifest
from medlock.backup.pieces import Seal, entries_in, rows_in, slots_in
from medlock.crypto.shares import join, parse
from medlock.errors import Tampered
from medlock.store.keycopy import open_export
from medlock.store.keyring import TenantKeys

Case = dict
REFUSALS = (naive.Refused, KeyRefused, Tampered, ValueError, IndexError, KeyError)
TENANT = TenantKeys(TENANT_KEY)


def cases(name: str) -> list[Case]:
    return json.loads((make_vectors.VECTORS / f"{name}.json").read_text())


def ours_file(case: Case) -> object:
    name = case["name"]
    plain = Seal(TENANT.backup, STORE.hex(), make_vectors.BACKUP.hex()).open(name, bytes.fromhex(case["blob"]))
    if name.startswith("rows"):
        return [[table.value, key, None if ct is None else ct.hex()] for table, key, ct in rows_in(plain)]
    return [list(each) for each in entries_in(plain)] if name.startswith("index") else sorted(slots_in(plain))


def naive_file(case: Case) -> object:
    name = case["name"]
    plain = naive.open_file(TENANT_KEY, STORE, make_vectors.BACKUP, name, bytes.fromhex(case["blob"]))
    if name.startswith("rows"):
        return naive.rows(plain)
    if name.startswith("index"):
        return naive.entries(plain)
    naive.demand(len(plain) % 8 == 0)
    return [int.from_bytes(plain[at : at + 8], "big") for at in range(0, len(plain), 8)]


def ours_keys(case: Case) -> object:
    found = open_export(bytes.fromhex(case["blob"]), make_vectors.SECRET)
    return [found.epoch, found.made, found.log_size, found.log_root.hex(), [[a, b, c.hex()] for a, b, c in found.keys]]


def naive_keys(case: Case) -> object:
    found = naive.open_keys(bytes.fromhex(case["blob"]), make_vectors.SECRET)
    naive.demand(set(found["header"]) == set("epoch keys log made set shares store threshold".split()))
    naive.demand(found["keys"][0][:2] == [0, 0])
    return [found["header"]["epoch"], found["header"]["made"], found["size"], found["root"], found["keys"]]


def ours_manifest(case: Case) -> object:
    found = read_manifest(case["text"] + "\n\N{EM DASH} x y\n")
    counts = {table.value: count for table, count in found.counts.items()}
    files = {file.name: [file.size, file.digest] for file in found.files}
    parent = {"parent": found.parent, "link": found.link} if found.parent else {"parent": "none"}
    return {"store": found.store, "id": found.id, "made": found.made, "size": found.size, "root": found.root.hex(),
            "epoch": found.epoch, "counts": counts, "files": files, **parent}  # fmt: skip


READERS: dict[str, tuple[Callable[[Case], object], Callable[[Case], object]]] = {
    "rows": (ours_file, naive_file),
    "keys": (ours_keys, naive_keys),
    "manifests": (ours_manifest, lambda case: naive.manifest(case["text"])),
    "shares": (
        lambda case: join([parse(each, "ml") for each in case["shares"]]).hex(),
        lambda case: naive.joined(case["shares"]),
    ),
}
WANTED = {"rows": ("rows", "entries", "slots"), "manifests": ("says",), "shares": ("secret",), "keys": ()}


@pytest.mark.parametrize(
    ("name", "case"), [(name, case) for name in READERS for case in cases(name)], ids=lambda each: each if isinstance(each, str) else each["shows"]
)  # fmt: skip
def test_both_say_the_same(name: str, case: Case) -> None:
    """What must be refused is refused by both; of the rest both say the same, and what the vector says."""
    for reader in READERS[name]:
        if case.get("refused"):
            with pytest.raises(REFUSALS):
                reader(case)
            continue
        found = reader(case)
        assert found == READERS[name][1](case)
        for key in WANTED[name]:
            assert key not in case or found == case[key]


@pytest.mark.parametrize("name", sorted(READERS))
def test_the_files_are_those_of_the_script(name: str) -> None:
    """Nobody edited a vector by hand; most of them must fail."""
    made = json.loads(json.dumps(make_vectors.FILES[name]()))
    assert cases(name) == made
    assert sum(bool(case.get("refused")) for case in made) > len(made) / 2
