"""docs/spec/audit.md says what the program does: its worked example, its numbers, its table of findings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audit import naive
from audit.world import NOW, Keys
from medlock.audit.entries import EntrySealer
from medlock.audit.events import Action, Event, Outcome, Position, Touched
from medlock.audit.findings import Kind
from medlock.audit.heads import CHECKPOINT, FIRST_TURN, INDEX_HEAD, TREE_HEAD
from medlock.audit.index import RUN
from medlock.audit.ledger import tile_key
from medlock.crypto.tiles import TILE_BYTES

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "spec" / "audit.md").read_text(encoding="utf-8")
VECTORS = ROOT / "tests" / "vectors" / "audit"


def first_case(name):
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))["cases"][0]


def test_the_worked_example_comes_out_byte_for_byte():
    """Event, keys and randomness of the page give the entry of the vectors, and it the root of its log."""
    event = Event(
        action=Action.READ,
        outcome=Outcome.SUCCESS,
        account="dr-alice",
        roles=("clinician",),
        client="app",
        purpose="TREAT",
        recorded=NOW,
        request="request-1",
        slot=77,
        patient="p1",
        touched=(Touched("Observation/o1", 3, "R"),),
        query="Observation/o1",
        basis="role clinician",
        position=Position(77, 5, bytes(range(16))),
    )
    (entry,) = EntrySealer(Keys(), lambda count: bytes(range(count))).seal(event)
    assert entry.hex() == first_case("entries.json")["entry"]
    assert f"It is {len(entry)} bytes" in PAGE
    assert naive.leaf_hash(entry).hex() == first_case("entries.json")["leaf"]


def test_the_log_of_one_former_entry_has_the_root_that_its_checkpoint_tells():
    """Section 12: entries of version 1 are leaves like all others."""
    entry = bytes.fromhex(first_case("entries-1.json")["entry"])
    assert naive.leaf_hash(entry).hex() == first_case("checkpoints.json")["root"]
    assert f"is {len(entry)} bytes long" in PAGE.partition("## 12 ")[2]


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_finding_is_on_the_page(kind):
    """What verification can say is in the table of section 9."""
    assert kind.value.replace("-", " ") in PAGE.partition("## 9 ")[2]


def test_numbers_on_the_page_are_those_of_the_program():
    """Tile and run sizes, tile keys and the keys of table TIP."""
    assert f"{TILE_BYTES:,} bytes" in PAGE
    assert f"{RUN}n …" in PAGE
    assert "`l · 2^48 + n`" in PAGE
    assert tile_key(2, 5) == 2 * 2**48 + 5
    for row in (
        f"| {TREE_HEAD} | head of the tree",
        f"| {CHECKPOINT} | the last signed checkpoint",
        f"| {INDEX_HEAD} | index head",
        f"| {FIRST_TURN} + n | turn",
    ):
        assert row in PAGE
