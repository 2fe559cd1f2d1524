"""Write the store's vectors with the naive implementation: `cd tests && python -m store.make_vectors`.

Keys and nonces are fixed byte ramps, so the files change only when the format does; a test holds them to this script.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from store import naive, naive_content

VECTORS = Path(__file__).parents[1] / "vectors" / "store"
Case = dict[str, Any]


def ramp(start: int, length: int) -> bytes:
    """Bytes counting up."""
    return bytes((start + i) % 256 for i in range(length))


TENANT, PATIENT, OTHER = ramp(0x00, 32), ramp(0x60, 32), ramp(0x80, 32)
OWN = naive.derive(TENANT, "tenant/own")
SLOT, GENERATION, RID = 0x0123456789ABCDEF, 2, 0x1122334455667788
NONCE = bytes(11) + b"\x01"
STREAM, CONTENT_KEY = ramp(0x20, 16), ramp(0x40, 32)
SAID = naive_content.said(STREAM, CONTENT_KEY, 300_000)
WHERE = PATIENT, SLOT, GENERATION
PLACE: Case = {"patient": PATIENT.hex(), "slot": SLOT, "generation": GENERATION}


def damaged(row: bytes) -> Iterator[tuple[str, bytes]]:
    """Everything that can happen to sealed bytes on their own."""
    for name, at in (("nonce", 0), ("first sealed byte", 12), ("middle", len(row) // 2), ("tag", len(row) - 1)):
        yield f"one bit of the {name} changed", row[:at] + bytes((row[at] ^ 1,)) + row[at + 1 :]
    yield "last byte missing", row[:-1]
    yield "one byte more", row + b"\0"
    yield "half of it", row[: len(row) // 2]
    yield "nonce alone", row[:12]
    yield "empty", b""
    yield "all zeros", bytes(len(row))


def told(name: str, given: Case, rows: list[bytes], says: Any = None) -> Case:
    """A case; `says` is what it opens to, None when it must be refused."""
    case = {"name": name, **given, "rows": [row.hex() for row in rows]}
    return case if says is None else {**case, "says": naive.shown(says)}


# ---- bodies --------------------------------------------------------------------------------------


def noise(size: int) -> str:
    """Text that no compression makes short."""
    return "".join(sha256(b"%d" % at).hexdigest() for at in range(-(-size // 32)))[: 2 * size]


def meta(version: int = 3, *, deleted: bool = False) -> list[Any]:
    """The meta of an Observation."""
    return ["Observation", "o1", version, 1_760_000_000_000, ["p1"], ["sys|R"], deleted]


def body(of: list[Any], json: str, content: bytes = b"", use: str = "", **header: int) -> list[bytes]:
    """The rows of a version; `header` says otherwise than all others do, `use` names another sub-key than fits it."""
    plain = naive.packed(of, json.encode(), content)
    count = (len(plain) - naive.FIRST) // naive.FURTHER
    said = {"slot": SLOT, "version": 3, "form": 1, "generation": GENERATION, "further": count} | header
    return naive.seal_body((TENANT, PATIENT), naive.header(**said), RID, plain, NONCE, use)


SMALL = '{"resourceType":"Observation","id":"o1","status":"final"}'
LONG = '{"resourceType":"Observation","id":"o1","status":"%s"}'


def bodies() -> list[Case]:
    """§3: bodies, their headers, their further rows."""
    given: Case = {"tenant": TENANT.hex(), **PLACE, "rid": RID}
    row, long, gone = body(meta(), SMALL), body(meta(), LONG % noise(1_500)), body(meta(deleted=True), "")
    shared = naive.seal_body((TENANT, OWN), naive.header(0, 3, 1, 0, 0), RID, naive.packed([*meta()[:4], [], [], False], SMALL.encode()), NONCE)  # fmt: skip
    late = body(meta(2**24 - 1), SMALL, version=2**24 - 1)
    cases = [
        told("in one row", given, row, [meta(), SMALL]),
        told("in three rows", given, long, [meta(), LONG % noise(1_500)]),
        told("deleted", given, gone, [meta(deleted=True), ""]),
        told("with a content", given, body(meta(), SMALL, SAID, form=2), [meta(), SMALL, [STREAM.hex(), CONTENT_KEY.hex(), 300_000]]),
        told("greatest version", given, late, [meta(2**24 - 1), SMALL]),
        told("shared", given | {"patient": OWN.hex(), "slot": 0, "generation": 0}, shared, [[*meta()[:4], [], [], False], SMALL]),
    ]  # fmt: skip
    return cases + bodies_apart(given, long) + misplaced_bodies(given, row, long) + changed_bodies(given, row, long)


def bodies_apart(given: Case, long: list[bytes]) -> list[Case]:
    """Bodies of sensitive classes, and what is passed off as one or as none."""
    apart = body(meta(), LONG % noise(1_500), form=3)
    shared = naive.seal_body(
        (TENANT, OWN), naive.header(0, 3, 3, 0, 0), RID, naive.packed(meta(), SMALL.encode()), NONCE
    )
    return [
        told("apart", given, body(meta(), SMALL, form=3), [meta(), SMALL]),
        told("apart, in three rows", given, apart, [meta(), LONG % noise(1_500)]),
        told("apart, deleted", given, body(meta(deleted=True), "", form=3), [meta(deleted=True), ""]),
        told("apart, with a content", given, body(meta(), SMALL, SAID, form=4), [meta(), SMALL, [STREAM.hex(), CONTENT_KEY.hex(), 300_000]]),
        told("apart under the sub-key of others", given, body(meta(), SMALL, use="patient/body", form=3)),
        told("a content apart under the sub-key of others", given, body(meta(), SMALL, SAID, use="patient/body", form=4)),
        told("under the sub-key of those apart", given, body(meta(), SMALL, use="patient/sensitive")),
        told("apart, of another patient", given | {"patient": OTHER.hex()}, body(meta(), SMALL, form=3)),
        told("apart, further rows of one that is not", given, [apart[0], *long[1:]]),
        told("further rows of one apart", given, [long[0], *apart[1:]]),
        told("apart, one further row of one that is not", given, [*apart[:2], long[2]]),
        told("shared, and apart", given | {"patient": OWN.hex(), "slot": 0, "generation": 0}, shared),
    ]  # fmt: skip


def misplaced_bodies(given: Case, row: list[bytes], long: list[bytes]) -> list[Case]:
    """Rows that are as they were written, and lie where they do not belong."""
    older = body(meta(2), LONG % noise(1_500), version=2)
    return [
        told("under another key", given | {"rid": RID + 1}, row),
        told("of another patient", given | {"patient": OTHER.hex()}, row),
        told("under another slot", given | {"slot": SLOT + 1}, row),
        told("under another generation", given | {"generation": GENERATION + 1}, row),
        told("of another store", given | {"tenant": ramp(1, 32).hex()}, row),
        told("a further row missing", given, long[:-1]),
        told("all further rows missing", given, long[:1]),
        told("a further row too many", given, [*long, long[-1]]),
        told("further rows where there are none", given, [*row, *long[1:]]),
        told("further rows swapped", given, [long[0], long[2], long[1]]),
        told("a further row of another version", given, [long[0], older[1], long[2]]),
        told("all further rows of another version", given, [long[0], *older[1:]]),
        told("first row in a further one's place", given, [long[0], long[0], long[2]]),
        told("further row in the first one's place", given, [long[1], long[1], long[2]]),
    ]


def changed_bodies(given: Case, row: list[bytes], long: list[bytes]) -> list[Case]:
    """Rows that somebody changed, and rows that say what none of ours says."""
    changes = [("slot", 12), ("version", 20), ("form", 23), ("generation", 25), ("further", 27)]
    flips = [
        told(f"one bit of the {name} in the header changed", given, [row[0][:at] + bytes((row[0][at] ^ 1,)) + row[0][at + 1 :]])
        for name, at in changes
    ]  # fmt: skip
    unheard = [
        told("another version inside", given, body(meta(2), SMALL)),
        told("form 0", given, body(meta(), SMALL, form=0)),
        told("form 5", given, body(meta(), SMALL, form=5)),
        told("form 4 without a content", given, body(meta(), SMALL, form=4)),
        told("form 2 without a content", given, body(meta(), SMALL, form=2)),
        told("a content of no bytes", given, body(meta(), SMALL, SAID[:48] + bytes(8), form=2)),
        told(
            "a content that is too large", given, body(meta(), SMALL, SAID[:48] + struct.pack(">Q", 2**40 + 1), form=2)
        ),
        told("a content cut short", given, body(meta(), "", SAID[:55], form=2)),
        told("a slot of 64 bits", given | {"slot": 2**63}, body(meta(), SMALL, slot=2**63)),
        told("more further rows than there are", given, body(meta(), SMALL, further=1)),
    ]
    damage = [told(name, given, [bad]) for name, bad in damaged(row[0])]
    damage += [told(f"further row, {name}", given, [long[0], bad, long[2]]) for name, bad in damaged(long[1])]
    return flips + unheard + damage


# ---- capsules ------------------------------------------------------------------------------------


def entry(rid: int) -> list[Any]:
    """An index row with one hash, date and text, which are hard to compress."""
    drawn = sha256(b"%d" % rid).hexdigest()
    return [rid, SLOT, 3, 2**64 - rid, 96, 0, 1_760_000_000_000 + rid, [], [int(drawn[:16], 16)], [[77, rid, rid + 1]], [[99, drawn]]]  # fmt: skip


def in_capsule(name: str, plain: bytes, key: bytes = PATIENT, slot: int = SLOT, generation: int = GENERATION) -> bytes:
    """A row of a capsule."""
    return naive.seal(naive.capsule_key(key), NONCE, plain, naive.row_aad(slot, generation, name))


def deltas() -> list[Case]:
    """§4: deltas and their chain."""
    before = ramp(0xA0, 16)
    given: Case = {**PLACE, "number": 7, "previous": before.hex()}
    said, empty = [1, 7, "p1", before, [entry(5), entry(9)]], [1, 7, "p1", before, []]

    def row(says: list[Any], name: str = "delta|7", form: int | None = None) -> bytes:
        return in_capsule(name, naive.framed(naive.pack(says), naive.STEPS["delta"], form))

    many = [1, 7, "p1", before, [entry(rid) for rid in range(1, 9)]]
    good = [
        told("two rows", given, [row(said)], said),
        told("an anchor", given, [row(empty)], empty),
        told("compressed", given, [row(many)], many),
        told("the first", given | {"number": 1, "previous": ""}, [row([1, 1, "p1", b"", []], "delta|1")], [1, 1, "p1", b"", []]),
    ]  # fmt: skip
    wrong = [
        told("under another number", given | {"number": 8}, [row(said)]),
        told("of another slot", given | {"slot": SLOT + 1}, [row(said)]),
        told("of another generation", given | {"generation": 3}, [row(said)]),
        told("of another patient", given | {"patient": OTHER.hex()}, [row(said)]),
        told("following on another one", given | {"previous": ramp(0xA1, 16).hex()}, [row(said)]),
        told("following on none", given, [row([1, 7, "p1", b"", []])]),
        told("another number inside", given, [row([1, 8, "p1", before, []])]),
        told("version 2", given, [row([2, 7, "p1", before, []])]),
        told("frame of form 0", given, [in_capsule("delta|7", bytes(1_024))]),
        told("frame of form 3", given, [row(said, form=3)]),
        told("a head's name", given, [row(said, "head|0")]),
        told("sealed without associated data", given, [naive.seal(naive.capsule_key(PATIENT), NONCE, naive.framed(naive.pack(said), 1_024), b"")]),
    ]  # fmt: skip
    return good + wrong + [told(name, given, [bad]) for name, bad in damaged(row(said))]


def heads() -> list[Case]:
    """§4: heads."""
    said = [1, "p1", 40, ramp(0xA0, 16), 3, [[0, ramp(0xB0, 16), 2], [2, ramp(0xC0, 16), 1]]]

    def row(says: list[Any], form: int | None = None) -> bytes:
        return in_capsule("head|0", naive.framed(naive.pack(says), naive.STEPS["head"], form))

    cases = [
        told("two segments", PLACE, [row(said)], said),
        told("no segment", PLACE, [row([*said[:5], []])], [*said[:5], []]),
        told("of another slot", PLACE | {"slot": SLOT + 1}, [row(said)]),
        told("of another generation", PLACE | {"generation": 3}, [row(said)]),
        told("of another patient", PLACE | {"patient": OTHER.hex()}, [row(said)]),
        told("version 2", PLACE, [row([2, *said[1:]])]),
        told("frame of form 3", PLACE, [row(said, 3)]),
        told("a delta's name", PLACE, [in_capsule("delta|0", naive.framed(naive.pack(said), 512))]),
    ]
    return cases + [told(name, PLACE, [bad]) for name, bad in damaged(row(said))]


def segments() -> list[Case]:
    """§4 and §5: segments and their pieces."""
    few, many = [entry(rid) for rid in (5, 9)], [entry(rid) for rid in range(1, 141)]
    key = naive.capsule_key(PATIENT)
    one = naive.seal_pieces(WHERE, 4, naive.write_segment(few), 1)
    rows = naive.seal_pieces(WHERE, 4, naive.write_segment(many), 1)
    other = naive.seal_pieces(WHERE, 5, naive.write_segment(many), 50)
    newer = naive.seal_pieces(WHERE, 4, b"\2" + naive.write_segment(few)[1:], 1)

    def named(pieces: list[bytes], **more: Any) -> Case:
        return {**PLACE, "segment": 4, "tag": pieces[0][-16:].hex(), "pieces": len(pieces)} | more

    given = named(rows)
    last = naive.unseal(key, rows[-1], naive.row_aad(SLOT, GENERATION, naive.piece_name(4, len(rows) - 1)))
    again = naive.seal(key, ramp(0xD0, 12), last, naive.row_aad(SLOT, GENERATION, naive.piece_name(4, len(rows) - 1)))
    cases = [
        told("one piece", named(one), one, few),
        told("several pieces", given, rows, many),
        told("of another number", given | {"segment": 5}, rows),
        told("of another slot", given | {"slot": SLOT + 1}, rows),
        told("of another generation", given | {"generation": 3}, rows),
        told("of another patient", given | {"patient": OTHER.hex()}, rows),
        told("another first piece than the head names", given | {"tag": other[0][-16:].hex()}, rows),
        told("first piece missing", given, rows[1:]),
        told("last piece missing", given, rows[:-1]),
        told("last piece missing and not counted", given | {"pieces": len(rows) - 1}, rows[:-1]),
        told("a piece too many", given, [*rows, rows[-1]]),
        told("no pieces", given, []),
        told("pieces swapped", given, [rows[0], *rows[:0:-1]]),
        told("a piece of another segment", given, [*rows[:-1], other[-1]]),
        told("a piece sealed a second time", given, [*rows[:-1], again]),
        told("version 2", named(newer), newer),
    ]
    return cases + [told(name, named([bad or bytes(16)]), [bad]) for name, bad in damaged(one[0])]


# ---- directory, notes ----------------------------------------------------------------------------


def directory() -> list[Case]:
    """§6: directory entries."""
    key = naive.directory_key(TENANT, SLOT)
    given: Case = {"tenant": TENANT.hex(), "patient": PATIENT.hex(), "slot": SLOT, "key": key}
    name = struct.pack(">Q", SLOT)

    def row(patient: bytes = PATIENT, said: bytes = name, bound: bytes = name, form: int | None = None) -> bytes:
        framed = naive.framed(naive.pack(naive.packed_values(entry(5))), naive.STEPS["entry"], form)
        sealed = naive.seal(naive.derive(patient, "patient/directory"), NONCE, framed, b"directory|" + bound)
        return naive.seal(naive.derive(TENANT, "tenant/directory-log"), ramp(0xD0, 12), said, b"slot") + sealed

    elsewhere = struct.pack(">Q", SLOT + 1)
    cases = [
        told("as written", given, [row()], entry(5)),
        told("under another key", given | {"key": key + 1}, [row()]),
        told("copied to another patient's place", given | {"key": naive.directory_key(TENANT, SLOT + 1)}, [row()]),
        told("of another store", given | {"tenant": ramp(1, 32).hex()}, [row()]),
        told("of another patient", given, [row(OTHER)]),
        told("another slot outside", given, [row(said=elsewhere)]),
        told("another slot inside", given, [row(bound=elsewhere)]),
        told("another slot throughout", given, [row(said=elsewhere, bound=elsewhere)]),
        told("frame of form 3", given, [row(form=3)]),
        told("the slot alone", given, [row()[:36]]),
    ]
    return cases + [told(each, given, [bad]) for each, bad in damaged(row())]


def dirops() -> list[Case]:
    """§6: lines of the directory's log."""
    given: Case = {"tenant": TENANT.hex(), "number": 12}
    key = naive.derive(TENANT, "tenant/directory-log")

    def row(change: int, number: int = 12, more: bytes = b"") -> bytes:
        return naive.seal(key, NONCE, struct.pack(">QB", SLOT, change) + more, b"dirop|" + struct.pack(">Q", number))

    cases = [
        told("changed", given, [row(1)], [SLOT, 1]),
        told("shredded", given, [row(2)], [SLOT, 2]),
        told("under another number", given, [row(1, 13)]),
        told("of another store", given | {"tenant": ramp(1, 32).hex()}, [row(1)]),
        told("sealed anew", given, [row(3)], [SLOT, 3]),
        told("an unknown change", given, [row(4)]),
        told("no change", given, [row(0)]),
        told("longer than any", given, [row(1, more=b"\0")]),
        told("a slot as in a directory entry", given, [naive.seal(key, NONCE, struct.pack(">Q", SLOT), b"slot")]),
    ]
    return cases + [told(name, given, [bad]) for name, bad in damaged(row(1))]


def notes() -> list[Case]:
    """§8: notes, and ends of erased indexes."""
    job = naive.derive(TENANT, "tenant/job")
    receipt, shred, pair = b"receipt|" + ramp(0xE0, 32), b"shred", struct.pack(">QQ", SLOT, 99)

    def row(name: bytes, state: bytes, key: int) -> bytes:
        plain = struct.pack(">HH", len(name), len(state)) + name + state
        return naive.seal(job, NONCE, plain + bytes(-len(plain) % 128), b"medlock/1/job|" + struct.pack(">Q", key))

    def note(name: bytes, state: bytes, *, key: int | None = None) -> tuple[Case, bytes]:
        at = naive.note_key(TENANT, name)
        return {"tenant": TENANT.hex(), "what": "note", "key": at if key is None else key}, row(name, state, at)

    done = b"shredded|" + struct.pack(">Q", SLOT)
    good = [(name, state, *note(name, state)) for name, state in ((receipt, b"done"), (shred, pair), (done, pair))]
    given, sealed = note(receipt, b"done")
    end: Case = {"tenant": TENANT.hex(), "what": "end", "key": 99}
    last = naive.seal(
        job, NONCE, naive.framed(struct.pack(">Q", SLOT), 1_024), b"medlock/1/end|" + struct.pack(">Q", 99)
    )
    cases = [told(name.split(b"|")[0].decode(), case, [ct], [name, state]) for name, state, case, ct in good]
    cases += [
        told("end", end, [last], SLOT),
        told("under another key", given | {"key": given["key"] ^ 1}, [sealed]),
        told("under another note's key", given | {"key": good[1][2]["key"]}, [sealed]),
        told("sealed for another name's place", given, [row(shred, b"done", given["key"])]),
        told("of another store", given | {"tenant": ramp(1, 32).hex()}, [sealed]),
        told("an end in a note's place", given | {"key": 99}, [last]),
        told("a note in an end's place", end | {"key": given["key"]}, [sealed]),
        told("an end under another key", end | {"key": 98}, [last]),
        told("an end of another store", end | {"tenant": ramp(1, 32).hex()}, [last]),
    ]
    cases += [told(name, given, [bad]) for name, bad in damaged(sealed)]
    return cases + [told(f"end, {name}", end, [bad]) for name, bad in damaged(last)]


def contents() -> list[Case]:
    """§3.1: contents in chunks. Rows are told by their digests, and what became of them by one change."""
    sizes = {"one chunk": 300, "one chunk, full": 262_144, "two chunks": 262_145, "three chunks": 600_000}
    cases = [_content(name, size) for name, size in sizes.items()]
    three = 600_000
    changes: dict[str, list[int | str]] = {
        "a bit of the first chunk": ["flip", 0, 0],
        "a bit in the middle": ["flip", 1, 131_072],
        "a bit of the filling": ["flip", 2, 262_000],
        "a bit of a tag": ["flip", 2, 262_159],
        "two chunks swapped": ["swap", 0, 1],
        "the last swapped with the first": ["swap", 0, 2],
        "a chunk twice": ["copy", 0, 1],
        "the last one twice": ["copy", 2, 1],
        "the first chunk gone": ["drop", 0],
        "a chunk in the middle gone": ["drop", 1],
        "the last chunk gone": ["drop", 2],
        "a chunk cut": ["cut", 1, 262_159],
        "the last chunk cut to its content": ["cut", 2, 75_728],
        "a chunk of nothing": ["cut", 0, 0],
        "a chunk longer than all": ["fill", 1, 1],
    }
    cases += [_content(name, three, change=change) for name, change in changes.items()]
    said = {
        "a shorter size, so another last chunk": naive_content.said(STREAM, CONTENT_KEY, 300_000),
        "a longer size, so another last chunk": naive_content.said(STREAM, CONTENT_KEY, 262_144 * 3 + 1),
        "another stream": naive_content.said(ramp(0x21, 16), CONTENT_KEY, three),
        "another key": naive_content.said(STREAM, ramp(0x41, 32), three),
    }
    return cases + [_content(name, three, said=each) for name, each in said.items()]


def _content(name: str, size: int, *, change: list[int | str] | None = None, said: bytes = b"") -> Case:
    content = naive_content.made(size)
    rows = naive_content.seal_content(STREAM, CONTENT_KEY, content)
    case: Case = {
        "name": name,
        "written": naive_content.said(STREAM, CONTENT_KEY, size).hex(),
        "rows": [sha256(row).hexdigest() for row in rows],
        "said": (said or naive_content.said(STREAM, CONTENT_KEY, size)).hex(),
        "change": change or [],
    }
    return case if change or said else {**case, "says": sha256(content).hexdigest()}


def jobs() -> list[Case]:
    """§8.1: exports and questions that wait, and §3.1: the note of an upload."""
    job = naive.derive(TENANT, "tenant/job")
    owner = ["dr", "app", ["clinician"], "user/*.rs", "", "TREAT"]
    asked = ["GET", b"/$export", b"_type=Patient", [[b"prefer", b"respond-async"]], b""]
    state = [sha256(b"secret").digest(), owner, asked, 1_760_000_000_000, 1_760_003_600_000, ramp(0x10, 32), 0,
             {"Patient": 3}, 3, 3, "", True, False, [[5, 1_760_000_060_000]]]  # fmt: skip
    begun = [*state[:6], 1_760_000_030_000, {}, 1, 9, "77.0", False, False, []]

    def row(name: bytes, said: bytes, key: int, step: int = 1_024) -> bytes:
        plain = struct.pack(">HH", len(name), len(said)) + name + said
        return naive.seal(job, NONCE, plain + bytes(-len(plain) % step), b"medlock/1/job|" + struct.pack(">Q", key))

    def case(name: bytes, said: bytes, place: bytes = b"") -> tuple[Case, list[bytes]]:
        key = naive.note_key(TENANT, place or name)
        return {"tenant": TENANT.hex(), "key": key}, [row(name, said, naive.note_key(TENANT, name))]

    export, later, upload = b"export|2|dr", b"later|0|dr", b"upload|" + STREAM
    given, rows = case(export, naive.pack(state))
    cases = [
        told("an export that is counted", given, rows, [export, state]),
        told("an export that is being counted", *case(export, naive.pack(begun)), [export, begun]),
        told("a question", *case(later, naive.pack(state[:6])), [later, state[:6]]),
        told("a field more than are known", *case(export, naive.pack([*state, 1])), [export, state]),
        told("in another place of the account", *case(export, naive.pack(state), b"export|1|dr")),
        told("in another account's place", *case(export, naive.pack(state), b"export|2|dx")),
        told("in a question's place", *case(export, naive.pack(state), b"later|2|dr")),
        told("of another store", given | {"tenant": ramp(1, 32).hex()}, rows),
        told("an upload in a job's place", *case(upload, struct.pack(">IQ", 7, 1_760_000_000_000), export)),
        told("a field short", *case(export, naive.pack(state[:5]))),
        told("no array", *case(export, naive.pack("state"))),
        told("cut in the middle", *case(export, naive.pack(state)[:-3])),
    ]
    return cases + [told(name, given, [bad]) for name, bad in damaged(rows[0])]


def cabinets() -> list[Case]:
    """§11: the row of a user name, in its place and in others."""

    def row(plain: bytes, table: str = "identity", kind: str = "login", name: bytes = b"ann") -> bytes:
        place = naive.cabinet_aad(table, kind, naive.cabinet_key(TENANT, table, kind, name))
        return naive.seal(naive.derive(TENANT, f"tenant/{table}"), NONCE, plain + bytes(-len(plain) % 256), place)

    def framed(fields: Any, form: bytes = b"\x01", more: int = 0) -> bytes:
        said = naive.pack(fields)
        return form + struct.pack(">I", len(said) + more) + said

    key = naive.cabinet_key(TENANT, "identity", "login", b"ann")
    given: Case = {"tenant": TENANT.hex(), "table": "identity", "kind": "login", "key": key}
    good = row(framed(["0123"]))
    cases = [
        told("a user name", given, [good], ["0123"]),
        told("a field more than are known", given, [row(framed(["0123", 7]))], ["0123"]),
        told("a longer row", given, [row(framed(["x" * 600]))], ["x" * 600]),
        told("in another name's place", given, [row(framed(["0123"]), name=b"bob")]),
        told("of another kind", given, [row(framed(["0123"]), kind="person")]),
        told("of another table", given, [row(framed(["0123"]), table="oauth")]),
        told("of another store", given | {"tenant": ramp(1, 32).hex()}, [good]),
        told("of another form", given, [row(framed(["0123"], form=b"\x02"))]),
        told("longer than it is", given, [row(framed(["0123"], more=600))]),
        told("no field", given, [row(framed([]))]),
        told("another type of field", given, [row(framed([7]))]),
        told("no array", given, [row(framed("0123"))]),
        told("cut in the middle", given, [row(framed(["0123"], more=-2))]),
    ]
    return cases + [told(name, given, [bad]) for name, bad in damaged(good)]


FILES = {
    "cabinets": cabinets,
    "contents": contents,
    "jobs": jobs,
    "bodies": bodies,
    "deltas": deltas,
    "heads": heads,
    "segments": segments,
    "directory": directory,
    "dirops": dirops,
    "notes": notes,
}


def main() -> None:
    """Write them all."""
    for name, make in FILES.items():
        (VECTORS / f"{name}.json").write_text(naive.text(make()), encoding="utf-8")


if __name__ == "__main__":
    main()
