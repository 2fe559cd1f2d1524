"""Entries: what goes in comes out, what is private stays sealed, and no byte may change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.world import STORE, Keys, World, changed
from medlock.audit.entries import FULL_BYTES, MINIMAL_BYTES, EntrySealer, parts
from medlock.audit.events import Action, Event, Outcome, Position, Touched
from medlock.audit.wire import pad, unpad
from medlock.errors import Tampered

text = st.text(max_size=40)
slots = st.integers(0, 2**63 - 1)
touched = st.builds(Touched, text, st.integers(0, 2**31), st.sampled_from("CRUD"))
positions = st.none() | st.builds(Position, slots, st.integers(0, 2**40), st.binary(min_size=16, max_size=16))
events = st.builds(
    Event,
    action=st.sampled_from(Action),
    outcome=st.sampled_from(Outcome),
    account=text,
    roles=st.lists(text, max_size=3).map(tuple),
    client=text,
    purpose=text,
    recorded=st.integers(-(2**53), 2**53),
    request=text,
    slot=slots,
    patient=text,
    touched=st.lists(touched, max_size=5).map(tuple),
    query=text,
    reason=text,
    basis=text,
    position=positions,
)


@given(events)
def test_an_event_comes_back_as_it_was(event):
    """Sealing and opening is the identity on events, and the counts say what was touched."""
    sealer = EntrySealer(Keys())
    recorded = sealer.open(9, sealer.seal(event))
    assert (recorded.seq, recorded.event, recorded.full) == (9, event, True)
    crud = [each.crud for each in event.touched]
    assert recorded.counts == tuple(crud.count(letter) for letter in "CRUD")


@given(events.filter(lambda event: event.slot))
def test_after_erasure_the_minimal_copy_is_all_there_is(event):
    """With the patient's key gone, who did what and when still opens; whom and which resources does not."""
    keys = Keys()
    sealer = EntrySealer(keys)
    entry = sealer.seal(event)
    keys.destroy(event.slot)
    recorded = sealer.open(0, entry)
    assert recorded.full is False
    assert recorded.event == changed(event, patient="", touched=(), query="", reason="", basis="")


@given(events.filter(lambda event: event.slot))
def test_an_event_about_an_erased_patient_looks_like_any_other(event):
    """It can still be logged, at the same length, and its detail opens under no key, not even the one destroyed."""
    keys = Keys()
    sealer = EntrySealer(keys)
    before = sealer.seal(event)
    keys.destroy(event.slot)
    entry = sealer.seal(event)
    assert len(entry) == len(before)
    assert sealer.open(0, entry).full is False
    assert EntrySealer(Keys()).open(0, entry).full is False


def test_no_byte_of_an_entry_may_change():
    """Every single byte is authenticated, the full copy's too, by the log key alone."""
    keys = Keys()
    sealer = EntrySealer(keys)
    event = World().event(1)
    entry = sealer.seal(event)
    keys.destroy(event.slot)
    for at in range(len(entry)):
        changed = entry[:at] + bytes([entry[at] ^ 0x40]) + entry[at + 1 :]
        with pytest.raises(Tampered):
            sealer.minimal(changed)


def test_the_same_event_never_seals_to_the_same_bytes():
    """Nonces and ids are fresh: equal events cannot be told from different ones."""
    sealer, event = EntrySealer(Keys()), World().event(1)
    assert len({sealer.seal(event) for _ in range(50)}) == 50


def test_an_entry_of_another_store_does_not_open():
    """The store id is bound to every entry."""
    entry = EntrySealer(Keys(STORE)).seal(World().event(1))
    with pytest.raises(Tampered):
        EntrySealer(Keys(bytes(16))).minimal(entry)


@given(events)
def test_an_entry_holds_nothing_in_clear(event):
    """No field of an event stands in its entry."""
    marked = changed(event, account="ACCOUNT-MARK", patient="PATIENT-MARK", query="QUERY-MARK", reason="REASON-MARK")
    entry = EntrySealer(Keys()).seal(marked)
    assert b"-MARK" not in entry
    assert event.action.value.encode() not in entry


def test_the_minimal_copy_holds_no_patient_data():
    """What survives the patient names no resource, no patient, no query, no reason."""
    event = World().event(2, patient="PATIENT-MARK", query="QUERY-MARK", reason="REASON-MARK", basis="BASIS-MARK")
    sealer = EntrySealer(Keys())
    minimal = sealer.minimal(sealer.seal(event))
    assert "MARK" not in repr(minimal)
    assert "obs-2" not in repr(minimal)


def test_entries_have_one_length():
    """However much a visit touched, its entries are all as long as that of one read."""
    world, sealer = World(), EntrySealer(Keys())
    seen = [changed(world.event(number), touched=world.event(number).touched * number) for number in range(100)]
    entries = [sealer.seal(part) for event in seen for part in parts(event)]
    assert {len(entry) for entry in entries} == {5 + 28 + MINIMAL_BYTES + 28 + FULL_BYTES}
    assert len(entries) > len(seen)


@given(events, st.integers(0, 30))
def test_parts_tell_all_that_the_event_tells(event, times):
    """Together parts touch the same in the same order; the first has question and reason, none is too long."""
    whole = changed(event, touched=event.touched * times)
    told = parts(whole)
    assert tuple(each for part in told for each in part.touched) == whole.touched
    assert changed(told[0], touched=()) == changed(whole, touched=())
    assert {changed(part, touched=()) for part in told[1:]} <= {changed(whole, touched=(), query="", reason="")}
    short = len(EntrySealer(Keys()).seal(changed(whole, touched=())))
    assert all(len(EntrySealer(Keys()).seal(part)) <= short + FULL_BYTES for part in told)


def test_a_long_question_is_told_once():
    """A search that shows a thousand resources writes as many entries with a long question as with a short one."""
    world = World()
    seen = [
        changed(world.event(1), touched=world.event(1).touched[:1] * 1_000, query=query) for query in ("", "q" * 29_000)
    ]
    short, long = (parts(event) for event in seen)
    assert abs(len(long) - len(short)) <= 1
    assert sum(len(EntrySealer(Keys()).seal(part)) for part in long) < 200_000


@given(st.binary(max_size=20_000), st.sampled_from((MINIMAL_BYTES, FULL_BYTES, 4_096)))
def test_padding_comes_off_again(plain, step):
    """Padding is reversible for any bytes, ends on a step, and adds at most a step."""
    padded = pad(plain, step)
    assert unpad(padded) == plain
    assert len(padded) % step == 0
    assert len(padded) - len(plain) <= step


@pytest.mark.parametrize("padded", [b"", b"\x00" * 128, b"abc", b"abc\x00"])
def test_what_was_not_padded_is_refused(padded):
    """Sealed data without a mark was not made by this program."""
    with pytest.raises(Tampered):
        unpad(padded)
