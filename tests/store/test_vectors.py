"""The vectors of docs/spec/store.md, read by medlock and by the naive implementation; most must be refused by both."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from msgspec.structs import astuple

from medlock.errors import MedlockError, NotFound, Tampered
from medlock.identity.accounts import Named
from medlock.records.jobs import read_job
from medlock.records.notes import Notes
from medlock.store.bodies import BodyCipher, further_name
from medlock.store.cabinet import Cabinet, named
from medlock.store.capsule import Capsule, Head, read_delta, read_head, read_segment
from medlock.store.capsulerows import CapsuleCipher, SegmentName
from medlock.store.directory import Directory
from medlock.store.keyring import PatientKeys, TenantKeys
from medlock.store.memory import MemoryBackend
from medlock.store.tables import Table
from store import make_vectors, naive
from store.backend_conformance import CountingLedger

H = bytes.fromhex
Case = dict[str, Any]


def patient(case: Case) -> PatientKeys:
    return PatientKeys(case["slot"], case.get("generation", 0), H(case["patient"]))


def ours_body(case: Case, rows: list[bytes]) -> Any:
    keys, cipher = patient(case), BodyCipher(TenantKeys(H(case["tenant"])).header)

    def find(slot: int, generation: int) -> PatientKeys:
        if (slot, generation) != (keys.slot, keys.generation):
            raise NotFound("There is nothing here.")
        return keys

    found = cipher.open(case["rid"], rows[0], cipher.header(rows[0]), find, rows[1:])
    assert found.slot == keys.slot
    if len(rows) == 1:
        assert cipher.open_all([(case["rid"], rows[0])], find) == [found]
    content = found.content
    said = [] if content is None else [[content.stream.hex(), content.key.hex(), content.size]]
    return [astuple(found.meta), found.body.decode(), *said]


def ours_delta(case: Case, rows: list[bytes]) -> Any:
    cipher = CapsuleCipher(patient(case))
    delta = read_delta(cipher, case["number"], rows[0])
    Capsule(cipher, case["slot"], Head(1, "", case["number"] - 1, H(case["previous"]), 0, ())).apply(
        delta, rows[0][-16:]
    )
    return (*astuple(delta)[:4], [astuple(entry) for entry in delta.entries])


def ours_head(case: Case, rows: list[bytes]) -> Any:
    head = read_head(CapsuleCipher(patient(case)), rows[0])
    return (*astuple(head)[:5], [astuple(name) for name in head.segments])


def ours_segment(case: Case, rows: list[bytes]) -> Any:
    name = SegmentName(case["segment"], H(case["tag"]), case["pieces"])
    return [astuple(entry) for entry in read_segment(CapsuleCipher(patient(case)), name, rows).entries()]


class OneKey:
    """The keys of one patient, whoever is asked for."""

    def __init__(self, keys: PatientKeys) -> None:
        self._keys = keys

    def candidates(self, _slot: int) -> list[PatientKeys]:
        return [self._keys]

    def many(self, slots: Sequence[int]) -> dict[int, PatientKeys]:
        return dict.fromkeys(slots, self._keys)


def ours_directory(case: Case) -> Directory:
    keys = PatientKeys(case.get("slot", 1), 0, H(case.get("patient", "00" * 32)))
    return Directory(MemoryBackend(CountingLedger()), TenantKeys(H(case["tenant"])), OneKey(keys))


def ours_entry(case: Case, rows: list[bytes]) -> Any:
    entry = ours_directory(case).open_row(case["key"], rows[0])
    assert entry is not None
    return astuple(entry)


def ours_dirop(case: Case, rows: list[bytes]) -> Any:
    found = ours_directory(case).operation(case["number"], rows[0])
    if found is None:
        raise Tampered("not a line of the directory's log")
    return found


def ours_note(case: Case, rows: list[bytes]) -> Any:
    notes = Notes(TenantKeys(H(case["tenant"])))
    if case["what"] == "note":
        return notes.open(case["key"], rows[0])
    slot = notes.ends(case["key"], rows[0])
    if slot is None:
        raise Tampered("not an end")
    return slot


def ours_job(case: Case, rows: list[bytes]) -> Any:
    name, state = Notes(TenantKeys(H(case["tenant"]))).open(case["key"], rows[0])
    said = msgspec.to_builtins(read_job(state), builtin_types=(bytes,))
    return [name, said[: len(msgspec.msgpack.decode(state))]]  # fields that are not there have defaults


def where(case: Case) -> tuple[bytes, int, int]:
    return H(case["patient"]), case["slot"], case["generation"]


def ours_thing(case: Case, rows: list[bytes]) -> Any:
    keys = TenantKeys(H(case["tenant"]))
    cabinet = Cabinet(MemoryBackend(CountingLedger()), Table(case["table"]), keys.identity, keys.identity_labels)
    return list(astuple(cabinet.drawer(case["kind"], Named).open(case["key"], rows[0])))


def naive_thing(case: Case, rows: list[bytes]) -> Any:
    return naive.open_thing(H(case["tenant"]), case["table"], case["kind"], case["key"], rows[0])


READERS: dict[str, tuple[Callable[[Case, list[bytes]], Any], Callable[[Case, list[bytes]], Any]]] = {
    "cabinets": (ours_thing, naive_thing),
    "bodies": (ours_body, lambda case, rows: naive.open_body(H(case["tenant"]), where(case), case["rid"], rows)),
    "deltas": (ours_delta, lambda case, rows: naive.open_delta(where(case), case["number"], H(case["previous"]), rows[0])),
    "heads": (ours_head, lambda case, rows: naive.open_head(where(case), rows[0])),
    "segments": (
        ours_segment,
        lambda case, rows: naive.open_segment(where(case), [case["segment"], H(case["tag"]), case["pieces"]], rows),
    ),
    "directory": (
        ours_entry,
        lambda case, rows: naive.open_directory(H(case["tenant"]), H(case["patient"]), case["slot"], case["key"], rows[0]),
    ),
    "dirops": (ours_dirop, lambda case, rows: naive.open_dirop(H(case["tenant"]), case["number"], rows[0])),
    "jobs": (ours_job, lambda case, rows: naive.open_job(H(case["tenant"]), case["key"], rows[0])),
    "notes": (
        ours_note,
        lambda case, rows: (naive.open_note if case["what"] == "note" else naive.open_end)(H(case["tenant"]), case["key"], rows[0]),
    ),
}  # fmt: skip
"""By file: how medlock reads a case, and how the naive implementation does."""


def vectors(name: str) -> list[Case]:
    return json.loads((make_vectors.VECTORS / f"{name}.json").read_text(encoding="utf-8"))


ALL = [pytest.param(name, case, id=f"{name}: {case['name']}") for name in READERS for case in vectors(name)]


@pytest.mark.parametrize(("name", "case"), ALL)
def test_both_read_alike(name: str, case: Case) -> None:
    """What a vector says is read alike by both; what must be refused is refused by both."""
    ours, naively = READERS[name]
    rows = [H(row) for row in case["rows"]]
    if "says" in case:
        assert naive.shown(ours(case, rows)) == naive.shown(naively(case, rows)) == case["says"]
        return
    with pytest.raises(MedlockError):
        ours(case, rows)
    with pytest.raises(naive.Bad):
        naively(case, rows)


@pytest.mark.parametrize("name", make_vectors.FILES)
def test_vector_files_are_current(name: str) -> None:
    """They are what the naive implementation makes of fixed keys and nonces."""
    text = (make_vectors.VECTORS / f"{name}.json").read_text(encoding="utf-8")
    assert text == naive.text(make_vectors.FILES[name]())


@pytest.mark.parametrize("name", READERS)
def test_most_vectors_must_fail(name: str) -> None:
    """A format is known by what it refuses; no two cases of a file have one name."""
    cases = vectors(name)
    good = [case for case in cases if "says" in case]
    assert 0 < len(good) * 3 < len(cases)
    assert len({case["name"] for case in cases}) == len(cases)


def test_names_of_rows() -> None:
    """Both give rows the same keys."""
    tenant, keys = TenantKeys(make_vectors.TENANT), PatientKeys(make_vectors.SLOT, 2, make_vectors.PATIENT)
    for at in range(3):
        ours = tenant.rid.label(further_name(make_vectors.RID, 3, at))
        assert ours == naive.further_key(make_vectors.TENANT, make_vectors.RID, 3, at)
        label = naive.prf(naive.derive(make_vectors.PATIENT, "patient/labels"), naive.piece_name(4, at).encode())
        assert CapsuleCipher(keys).key("segment", 4, at) == label
    ours = named(tenant.identity_labels, "login", "ann")
    assert ours == naive.cabinet_key(make_vectors.TENANT, "identity", "login", b"ann")
    assert tenant.rid.label(b"Observation/o1") == naive.prf(
        naive.derive(make_vectors.TENANT, "tenant/rid"), b"Observation/o1"
    )
