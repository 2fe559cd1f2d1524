"""The vectors in tests/vectors/audit, each read by medlock and by the naive implementation; most must fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audit import make_vectors, naive
from audit.world import Keys
from medlock.audit.checkpoints import Checkpoints, read_checkpoint
from medlock.audit.entries import EntrySealer
from medlock.audit.heads import HeadSealer
from medlock.audit.index import IndexSealer, Terms
from medlock.crypto.merkle import Frontier, leaf_hash, verify_consistency, verify_inclusion
from medlock.crypto.notes import NoteVerifier
from medlock.errors import Tampered

VECTORS = Path(__file__).parent.parent / "vectors" / "audit"
NAMES = ("trees", "inclusion", "consistency", "notes", "checkpoints", "entries", "entries-1", "heads", "runs")
unhex = bytes.fromhex


def load(name):
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def cases(name):
    document = load(name)
    return [pytest.param(case, document, id=case["name"]) for case in document["cases"]]


def alone(name):
    return [pytest.param(case, id=case["name"]) for case in load(name)["cases"]]


def agree(case, naive_reading, our_reading):
    """Both readings accept what the vector accepts and refuse what it refuses; the readings they give are equal."""
    if case["ok"]:
        assert our_reading() == naive_reading()
        return
    with pytest.raises(naive.Bad):
        naive_reading()
    with pytest.raises(Tampered):
        our_reading()


@pytest.mark.parametrize("name", NAMES)
def test_most_vectors_must_fail(name):
    """A file of vectors that all pass would not tell a verifier from a rubber stamp."""
    verdicts = [case["ok"] for case in load(name)["cases"]]
    assert 0 < sum(verdicts) < len(verdicts) / 2


@pytest.mark.parametrize("case", alone("trees"))
def test_roots(case):
    """The root over leaves is the published one, whether grown leaf by leaf or by the recursion of the RFC."""
    entries = [unhex(leaf) for leaf in case["leaves"]]
    frontier = Frontier()
    for entry in entries:
        frontier.push(leaf_hash(entry))
    assert (frontier.root().hex() == case["root"]) is case["ok"]
    assert (naive.mth([naive.leaf_hash(entry) for entry in entries]).hex() == case["root"]) is case["ok"]


@pytest.mark.parametrize("case", alone("inclusion"))
def test_inclusion(case):
    """Inclusion proofs: published ones hold, each with one thing changed does not."""
    given = (unhex(case["leaf"]), case["index"], case["size"], [*map(unhex, case["path"])], unhex(case["root"]))
    agree(case, lambda: naive.check_inclusion(*given), lambda: verify_inclusion(*given))


@pytest.mark.parametrize("case", alone("consistency"))
def test_consistency(case):
    """Consistency proofs: published ones hold, each with one thing changed does not."""
    roots = unhex(case["old_root"]), unhex(case["new_root"])
    given = (case["old"], case["new"], *roots, [*map(unhex, case["path"])])
    agree(case, lambda: naive.check_consistency(*given), lambda: verify_consistency(*given))


@pytest.mark.parametrize("case", alone("notes"))
def test_notes(case):
    """Signed notes: the text comes out only under a good signature of the wanted key, and in one form only."""
    signer, key = case["signer"], unhex(case["public_key"])
    agree(
        case,
        lambda: naive.open_note(case["note"], signer, key),
        lambda: NoteVerifier(signer, key).open(case["note"]),
    )


@pytest.mark.parametrize(("case", "document"), cases("checkpoints"))
def test_checkpoints(case, document):
    """Checkpoints: origin, size and root in canonical form, signed by this log."""
    origin, key = document["origin"], unhex(document["public_key"])

    def naively():
        found = naive.read_checkpoint(naive.open_note(case["note"], origin, key))
        naive.demand(found[0] == origin)
        return found[1:]

    def ours():
        found = read_checkpoint(case["note"], NoteVerifier(origin, key))
        return found.size, found.root

    agree(case, naively, ours)
    if case["ok"]:
        assert ours() == (case["size"], unhex(case["root"]))


@pytest.mark.parametrize(("case", "document"), [*cases("entries"), *cases("entries-1")])
def test_entries(case, document):
    """Entries, present and former ones: both copies open only when every byte is as it was sealed."""
    keys = Keys(unhex(case.get("store", document["store"])))
    key = unhex(document["patient_keys"].get(str(case["slot"]), document["detail_key"]))
    entry = unhex(case["entry"])

    def naively():
        minimal, full = naive.open_entry(entry, keys.store_id, unhex(document["log_key"]), key)
        action, outcome, account, roles, client, purpose, slot, request, recorded, _, position = minimal
        patient, touched, query, reason, basis = full
        place = position and [*position[:2], position[2].hex()]
        return (action, outcome, account, roles, client, purpose, slot, request, recorded, place), (
            (patient, touched, query, reason, basis)
        )

    def ours():
        event = EntrySealer(keys).open(0, entry).event
        place = event.position and [event.position.slot, event.position.number, event.position.tag.hex()]
        minimal = (event.action, event.outcome, event.account, [*event.roles], event.client, event.purpose)
        touched = [[each.reference, each.version, each.crud] for each in event.touched]
        return (*minimal, event.slot, event.request, event.recorded, place), (
            (event.patient, touched, event.query, event.reason, event.basis)
        )

    agree(case, naively, ours)
    if case["ok"]:
        said = case["event"]
        assert ours()[0][:4] == (said["action"], said["outcome"], said["account"], said["roles"])
        assert ours()[1] == tuple(said[name] for name in ("patient", "touched", "query", "reason", "basis"))


HEADS = {
    "head": lambda keys, row: HeadSealer(keys).open(row),
    "index-head": lambda keys, row: HeadSealer(keys).open_index(row),
    "checkpoint": lambda keys, row: Checkpoints(keys).open(row)[0],
    "turn": lambda keys, row: Checkpoints(keys).open_turn(row),
}


def shown(what, found):
    """A head as the vectors say it, from medlock's reading or the naive one."""
    if isinstance(found, int):
        return {"runs" if what == "index-head" else "number": found}
    if isinstance(found, list):
        found = found[1:]
        if len(found) == 1:
            return shown(what, found[0])
        if what == "checkpoint":
            return {"number": found[0], "time": found[1], "note": found[2]}
        nodes = [found[2][at : at + 32] for at in range(0, len(found[2]), 32)]
        root = nodes.pop()
        while nodes:
            root = naive.node(nodes.pop(), root)
        return {"size": found[0], "time": found[1], "root": root.hex()}
    if what == "checkpoint":
        return {"number": found.number, "time": found.time, "note": found.note}
    return {"size": found.size, "time": found.time, "root": found.root().hex()}


@pytest.mark.parametrize(("case", "document"), cases("heads"))
def test_heads(case, document):
    """Rows of table TIP: each opens as what it is, and as nothing else."""
    keys, row, what = Keys(unhex(document["store"])), unhex(case["row"]), case["what"]
    log_key = unhex(document["log_key"])
    agree(
        case,
        lambda: shown(what, naive.open_row(row, what, keys.store_id, log_key)),
        lambda: shown(what, HEADS[what](keys, row)),
    )
    if case["ok"]:
        assert shown(what, HEADS[what](keys, row)) == case["content"]
    if "leaves" in case:
        naive.check_head(naive.open_row(row, what, keys.store_id, log_key), make_vectors.leaves(case["leaves"]))


def test_the_vectors_are_those_of_the_script():
    """Nobody edits them by hand."""
    assert load("heads") == make_vectors.heads()
    assert load("entries") == make_vectors.entries()


@pytest.mark.parametrize(("case", "document"), cases("runs"))
def test_runs(case, document):
    """Run indexes: a term gives the entries that bear it; a row does not open in another place."""
    keys, row, number = Keys(unhex(document["store"])), unhex(case["row"]), case["number"]
    terms = Terms(**case["term"])
    value = next(terms.values())
    log_key = unhex(document["log_key"])
    agree(
        case,
        lambda: naive.search_run(row, number, keys.store_id, log_key, value),
        lambda: IndexSealer(keys).open(number, row).matches(terms),
    )
    if case["ok"]:
        assert IndexSealer(keys).open(number, row).matches(terms) == case["found"]
