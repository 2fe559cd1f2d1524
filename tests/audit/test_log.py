"""The log in use: durable or refused, found again, proven, signed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.world import NOW, World
from medlock.audit.checkpoints import MemoryWitness
from medlock.audit.entries import Recorded
from medlock.audit.events import Action, Outcome
from medlock.audit.index import Terms
from medlock.audit.log import AuditLog
from medlock.audit.search import AuditQuery
from medlock.crypto.merkle import verify_consistency, verify_inclusion
from medlock.crypto.notes import NoteVerifier, parse_checkpoint
from medlock.errors import NotFound, Tampered, Unavailable
from medlock.store.memory import Fault
from medlock.store.tables import Table

RUN = 4_096


async def test_events_come_back_under_the_numbers_they_were_given():
    """Append returns the first number; reading it back gives the event."""
    world = World()
    events = await world.fill(5)
    assert await world.log.append(events[0], events[1]) == 5
    assert [(await world.log.event(seq)).event for seq in range(7)] == [*events, *events[:2]]
    assert await world.log.size() == 7
    with pytest.raises(NotFound):
        await world.log.event(7)


async def test_no_log_no_data():
    """When the entry cannot be made durable, append refuses, and afterwards it is as if nobody had asked."""
    world = World()
    await world.fill(3)
    world.backend.fault = Fault.REFUSE
    with pytest.raises(Unavailable):
        await world.log.append(world.event())
    world.backend.fault = None
    assert await world.log.size() == 3
    assert await world.verify() == []


async def test_no_row_of_the_log_holds_anything_in_clear():
    """After 5,000 events, an index and a checkpoint, no account, patient, resource or query is in any row."""
    world = World()
    await world.fill(5_000, 500)
    await world.settle()
    marks = [b"account-", b"patient-", b"Observation", b"8480", b"clinician", b"request-", b"record:resource", b"TREAT"]
    rows = b"\n".join(row for table in world.disk.rows.values() for row in table.values())
    assert len(rows) > 1_000_000
    assert [mark for mark in marks if mark in rows] == []


queries = st.builds(
    AuditQuery,
    slot=st.none() | st.integers(0, 42),
    patients=st.none() | st.frozensets(st.integers(1, 40).map(lambda slot: f"patient-{slot}"), max_size=3),
    account=st.none() | st.integers(0, 8).map(lambda number: f"account-{number}"),
    action=st.none() | st.sampled_from([Action.READ, Action.UPDATE, Action.SEARCH]),
    outcome=st.none() | st.sampled_from([Outcome.SUCCESS, Outcome.DENIED]),
    since_ms=st.none() | st.integers(NOW - 10, NOW + 10_000),
    until_ms=st.none() | st.integers(NOW - 10, NOW + 10_000),
    request=st.none() | st.integers(0, 9_500).map(lambda number: f"request-{number}"),
    after_seq=st.none() | st.integers(-2, 10_000),
    limit=st.integers(1, 400),
    newest_first=st.booleans(),
)


def naive_find(events, query):
    """What a plain reading of the query finds in the list of all events."""
    found = [
        seq
        for seq, event in enumerate(events)
        if query.slot in {None, event.slot}
        and (query.patients is None or event.patient in query.patients)
        and query.account in {None, event.account}
        and query.action in {None, event.action}
        and query.outcome in {None, event.outcome}
        and query.request in {None, event.request}
        and (query.since_ms is None or query.since_ms <= event.recorded)
        and (query.until_ms is None or event.recorded < query.until_ms)
    ]
    if query.newest_first:
        found = [seq for seq in reversed(found) if query.after_seq is None or seq < query.after_seq]
    else:
        found = [seq for seq in found if query.after_seq is None or seq > query.after_seq]
    return found[: query.limit]


@pytest.fixture(scope="module")
def filled():
    """9,000 events about 40 patients: two indexed runs and a tail."""
    return World()


@settings(max_examples=150, deadline=None)
@given(query=queries)
async def test_search_finds_what_a_plain_reading_finds(filled, query):
    """Index, tail, order, paging and limit together give exactly the events that match."""
    if not filled.disk.rows[Table.LOG]:
        filled.events = await filled.fill(9_000, 500)
    found = await filled.log.find(query)
    assert [recorded.seq for recorded in found] == naive_find(filled.events, query)
    assert all(recorded.event == filled.events[recorded.seq] for recorded in found)


async def test_pages_of_a_search_join_without_gap_or_overlap():
    """Going on behind the last entry seen walks through everything once."""
    world = World()
    await world.fill(4_500, 500)
    seen: list[Recorded] = []
    while page := await world.log.find(AuditQuery(slot=7, limit=10, after_seq=seen[-1].seq if seen else None)):
        seen += page
    assert [each.seq for each in seen] == [each.seq for each in await world.log.find(AuditQuery(slot=7, limit=9_999))]


async def test_an_erased_patient_is_found_by_slot_but_not_by_name():
    """The retention duty is met by the slot; the name died with the key."""
    world = World()
    await world.log.append(world.event(1, slot=5, patient="p5"))
    world.keys.destroy(5)
    (recorded,) = await world.log.find(AuditQuery(slot=5))
    assert (recorded.full, recorded.event.patient, recorded.counts) == (False, "", (0, 1, 0, 0))
    assert await world.log.find(AuditQuery(patients=frozenset({"p5"}))) == []


async def test_runs_are_indexed_once_by_whoever_comes_first():
    """Each complete run gets one row; a second process finds nothing left to do."""
    world = World()
    await world.fill(2 * RUN + 5, 512)
    assert [await world.log.index_run() for _ in range(2)] == [0, 1]
    assert await world.another().log.index_run() is None
    assert world.disk.keys[Table.LOGINDEX] == [0, 1]


async def test_what_is_remembered_is_what_would_be_read():
    """The index that the sealing process makes from memory finds what one made from the entries alone finds."""
    world = World()
    events = await world.fill(4_096, 512)
    remembered = await world.log._indexer.build(0)
    read = await world.another().log._indexer.build(0)
    for terms in (Terms(slot=7), Terms(account="account-3"), Terms(action=Action.UPDATE), Terms(slot=0)):
        assert remembered.matches(terms) == read.matches(terms)
    assert remembered.positions() == read.positions()
    assert (remembered.row.first, remembered.row.last) == (read.row.first, read.row.last)
    assert len(remembered.matches(Terms(slot=7))) == sum(event.slot == 7 for event in events)


async def test_a_changed_entry_is_not_indexed_though_it_is_remembered():
    """What this process sealed must still stand there, byte for byte."""
    world = World()
    await world.fill(4_096, 512)
    row = world.disk.rows[Table.LOG][77]
    world.disk.put(Table.LOG, 77, row[:-1] + bytes([row[-1] ^ 1]))
    with pytest.raises(Tampered):
        await world.log.index_run()


async def test_two_processes_that_index_at_once_agree():
    """One of two concurrent inserts loses; the rows and the index head stay right."""
    world = World()
    await world.fill(RUN + 5, 512)
    late = world.another()
    late.backend.fault = Fault.STALE  # it looks now, before the other writes
    await world.log.index_run()
    with pytest.raises(Tampered):  # and sees the old head even after it lost, which only tampering explains
        await late.log.index_run()
    late.backend.fault = None
    assert await late.log.index_run() is None
    assert await world.verify() == []


async def test_entries_that_were_moved_are_not_indexed():
    """The index never describes what the tiles do not confirm."""
    world = World()
    await world.fill(RUN, 512)
    rows = world.disk.rows[Table.LOG]
    rows[10], rows[20] = rows[20], rows[10]
    with pytest.raises(Tampered):
        await world.log.index_run()
    assert world.disk.keys[Table.LOGINDEX] == []


async def test_a_missing_index_row_costs_time_but_no_answers():
    """A search reads the run itself when its index is gone, and does not paper over the loss."""
    world = World()
    events = await world.fill(RUN + 100, 512)
    await world.settle()
    world.disk.delete(Table.LOGINDEX, 0)
    query = AuditQuery(slot=3, limit=9_999)
    assert [each.seq for each in await world.log.find(query)] == naive_find(events, query)
    assert world.disk.keys[Table.LOGINDEX] == []


async def test_a_disk_that_loses_the_index_does_not_stop_a_search():
    """A commit that was confirmed and lost makes the search slower, not endless."""
    world = World()
    events = await world.fill(RUN + 10, 512)
    world.backend.fault = Fault.DROP
    query = AuditQuery(account="account-3", limit=9_999)
    assert [each.seq for each in await world.log.find(query)] == naive_find(events, query)


async def test_proofs_hold_against_signed_checkpoints():
    """An entry is proven against the root of a checkpoint, and two checkpoints against each other."""
    world = World()
    await world.fill(700)
    early = parse_checkpoint(world.log.verifier.open(await world.log.checkpoint()))
    await world.fill(5_000, 500)
    late = parse_checkpoint(world.log.verifier.open(await world.log.checkpoint()))
    proof = await world.log.inclusion_proof(333, early.size)
    verify_inclusion(proof.leaf, 333, early.size, proof.path, early.root)
    proof = await world.log.inclusion_proof(5_555)
    assert (proof.size, proof.root) == (late.size, late.root)
    verify_inclusion(proof.leaf, 5_555, late.size, proof.path, late.root)
    link = await world.log.consistency_proof(early.size, late.size)
    verify_consistency(early.size, late.size, early.root, late.root, link.path)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
async def test_every_proof_from_tiles_holds(filled, data):
    """Whatever the entry and the sizes, proofs read from tiles and head hold."""
    if not filled.disk.rows[Table.LOG]:
        filled.events = await filled.fill(9_000, 500)
    size = data.draw(st.integers(1, 9_000))
    seq = data.draw(st.integers(0, size - 1))
    proof = await filled.log.inclusion_proof(seq, size)
    verify_inclusion(proof.leaf, seq, size, proof.path, proof.root)
    link = await filled.log.consistency_proof(seq, size)
    verify_consistency(seq, size, link.old_root, link.new_root, link.path)
    assert link.new_root == proof.root


async def test_there_is_no_proof_of_what_is_not_there():
    """Numbers and sizes beyond the log are not found."""
    world = World()
    await world.fill(3)
    for ask in (world.log.inclusion_proof(3), world.log.inclusion_proof(-1), world.log.inclusion_proof(0, 4)):
        with pytest.raises(NotFound):
            await ask
    for ask in (world.log.consistency_proof(0, 4), world.log.consistency_proof(2, 1)):
        with pytest.raises(NotFound):
            await ask


async def test_a_proof_is_not_made_from_a_damaged_tile():
    """A tile that is gone or cut gives an error, never a proof."""
    world = World()
    await world.fill(600)
    world.disk.put(Table.TILE, 0, b"short")
    with pytest.raises(Tampered):
        await world.log.inclusion_proof(5)


async def test_checkpoints_are_stored_remembered_and_only_move_forward():
    """A checkpoint lies in one row with one turn; the watermark follows; without news there is no new one."""
    world = World()
    await world.fill(10)
    first = await world.log.seal_checkpoint()
    assert await world.log.seal_checkpoint() == first
    await world.fill(10)
    second = await world.another().log.seal_checkpoint()
    assert parse_checkpoint(world.log.verifier.open(second)).size == 20
    assert world.disk.keys[Table.TIP] == [0, 1, 4]
    assert world.watermark is not None
    assert world.watermark[0] == 10


async def test_of_two_processes_that_sign_at_once_one_gives_way():
    """The later insert of the same turn loses, and does not move the watermark."""
    world = World()
    await world.fill(10)
    late = world.another()
    late.backend.fault = Fault.STALE
    await world.fill(10)
    await world.log.seal_checkpoint()
    await late.log.seal_checkpoint()
    assert late.watermark is None
    assert await world.verify() == []


async def test_a_log_does_not_sign_what_contradicts_its_last_checkpoint():
    """After the head was put back, or the checkpoint taken away, there is no new checkpoint."""
    world = World()
    await world.fill(10)
    early = world.disk.rows[Table.TIP][0]
    await world.fill(10)
    await world.log.seal_checkpoint()
    now = world.disk.rows[Table.TIP][0]
    world.disk.put(Table.TIP, 0, early)
    with pytest.raises(Tampered):
        await world.log.seal_checkpoint()
    world.disk.put(Table.TIP, 0, now)
    world.disk.delete(Table.TIP, 1)
    with pytest.raises(Tampered):
        await world.log.seal_checkpoint()


async def test_a_witness_finds_a_log_that_was_replaced():
    """It follows a log that grows, and refuses one that has another past, even with everything else in order."""
    world = World()
    witness = MemoryWitness(world.log.verifier)
    log = AuditLog(world.backend, world.keys, world.clock, witnesses=[witness])
    for _ in range(3):
        await world.fill(300)
        await log.seal_checkpoint()
    assert witness.last.size == 900
    other = World()
    await other.fill(1_000)
    forked = AuditLog(other.backend, other.keys, other.clock, witnesses=[witness])
    with pytest.raises(Tampered):
        await forked.seal_checkpoint()
    assert witness.last.size == 900


async def test_a_witness_out_of_reach_does_not_stop_the_log():
    """Checkpoints go on; the witness catches up when it can be reached."""

    class Offline(MemoryWitness):
        async def size(self, origin):
            raise Unavailable(f"The witness of {origin} cannot be reached.")

    world = World()
    await world.fill(5)
    log = AuditLog(world.backend, world.keys, world.clock, witnesses=[Offline(world.log.verifier)])
    assert await log.seal_checkpoint()


async def test_a_witness_refuses_other_keys_and_other_starts():
    """Only this log's signature counts, and only from the size last seen."""
    world = World()
    await world.fill(5)
    note = await world.log.checkpoint()
    stranger = MemoryWitness(NoteVerifier(world.log.verifier.name, bytes.fromhex("01" + "00" * 30 + "00")))
    with pytest.raises(Tampered):
        await stranger.observe(0, (), note)
    witness = MemoryWitness(world.log.verifier)
    with pytest.raises(Tampered):
        await witness.observe(3, (), note)
    await witness.observe(0, (), note)
    assert await witness.size(world.log.verifier.name) == 5
    assert await witness.size("medlock/other") == 0
