"""Entries: what goes in comes out, what is private stays sealed, and no byte may change."""

from __future__ import annotations

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.world import STORE, Keys, World, changed
from medlock.audit.copies import FULL_BYTES, MINIMAL_BYTES, lots_of
from medlock.audit.entries import EntrySealer
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


def together(told):
    """The event that several entries tell of."""
    return changed(told[0].event, touched=tuple(each for recorded in told for each in recorded.event.touched))


@given(events)
def test_an_event_comes_back_as_it_was(event):
    """Sealing and opening is the identity on events, and the counts say what was touched."""
    sealer = EntrySealer(Keys())
    told = [sealer.open(9, entry) for entry in sealer.seal(event)]
    assert together(told) == event
    assert all(recorded.seq == 9 and recorded.full for recorded in told)
    for recorded in told:
        crud = [each.crud for each in recorded.event.touched]
        assert recorded.counts == tuple(crud.count(letter) for letter in "CRUD")


@given(events.filter(lambda event: event.slot))
def test_after_erasure_the_minimal_copy_is_all_there_is(event):
    """With the patient's key gone, who did what and when still opens; whom and which resources does not."""
    keys = Keys()
    sealer = EntrySealer(keys)
    entries = sealer.seal(event)
    keys.destroy(event.slot)
    for entry in entries:
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
    entries = sealer.seal(event)
    assert [len(entry) for entry in entries] == [len(entry) for entry in before]
    for entry in entries:
        assert sealer.open(0, entry).full is False
        assert EntrySealer(Keys()).open(0, entry).full is False


def test_no_byte_of_an_entry_may_change():
    """Every single byte is authenticated, the full copy's too, by the log key alone."""
    keys = Keys()
    sealer = EntrySealer(keys)
    event = World().event(1)
    (entry,) = sealer.seal(event)
    keys.destroy(event.slot)
    for at in range(len(entry)):
        changed = entry[:at] + bytes([entry[at] ^ 0x40]) + entry[at + 1 :]
        with pytest.raises(Tampered):
            sealer.minimal(changed)


def test_the_same_event_never_seals_to_the_same_bytes():
    """Nonces and ids are fresh: equal events cannot be told from different ones."""
    sealer, event = EntrySealer(Keys()), World().event(1)
    assert len({*sealer.seal(*[event] * 25), *(sealer.seal(event)[0] for _ in range(25))}) == 50


def test_an_entry_of_another_store_does_not_open():
    """The store id is bound to every entry."""
    (entry,) = EntrySealer(Keys(STORE)).seal(World().event(1))
    with pytest.raises(Tampered):
        EntrySealer(Keys(bytes(16))).minimal(entry)


@given(events)
def test_an_entry_holds_nothing_in_clear(event):
    """No field of an event stands in its entry."""
    marked = changed(event, account="ACCOUNT-MARK", patient="PATIENT-MARK", query="QUERY-MARK", reason="REASON-MARK")
    entry = b"".join(EntrySealer(Keys()).seal(marked))
    assert b"-MARK" not in entry
    assert event.action.value.encode() not in entry


def test_the_minimal_copy_holds_no_patient_data():
    """What survives the patient names no resource, no patient, no query, no reason."""
    event = World().event(2, patient="PATIENT-MARK", query="QUERY-MARK", reason="REASON-MARK", basis="BASIS-MARK")
    sealer = EntrySealer(Keys())
    minimal = sealer.minimal(*sealer.seal(event))
    assert "MARK" not in repr(minimal)
    assert "obs-2" not in repr(minimal)


def seen(number, of=uuid4):
    """That many Observations read, of ids made by `of`."""
    return tuple(Touched(f"Observation/{of()}", 1 + at, "R") for at in range(number))


@pytest.mark.parametrize("of", [uuid4, lambda: "o" * 36])
def test_entries_have_one_length(of):
    """However much a visit touched, its entries are all as long as that of one read, whatever its ids are."""
    world, sealer = World(), EntrySealer(Keys())
    told = [changed(world.event(number), touched=seen(number, of)) for number in range(100)]
    entries = sealer.seal(*told)
    assert {len(entry) for entry in entries} == {3 + 28 + MINIMAL_BYTES + 28 + FULL_BYTES}
    assert len(entries) > len(told)


@pytest.mark.parametrize(
    "reference", ["Observation/o1", "Observation/01234567-89ab-cdef-0123-456789abcdef", f"MedicationRequest/{'m' * 64}"]
)
@pytest.mark.parametrize("length", [0, 100, 130, 150, 170, 190, 210, 230])
def test_a_question_of_any_length_says_nothing_of_what_was_found(reference, length):
    """Nothing, one resource, or several: a search with one hit was longer than without, when its question was long."""
    world = World()
    sealer = EntrySealer(world.keys)
    for count in (0, 1, 2, 5):
        touched = tuple(Touched(reference, 1, "R") for _ in range(count))
        event = changed(world.event(1), touched=touched, query="q" * length, patient=str(uuid4()), basis="role x")
        entries = sealer.seal(event)
        assert {len(entry) for entry in entries} == {571}
        told = [each for seq, entry in enumerate(entries) for each in sealer.open(seq, entry).event.touched]
        assert told == list(touched)


def test_a_page_of_uuids_takes_few_entries():
    """Fifty resources are told in five entries, where references would take seventeen."""
    event = changed(World().event(1), touched=seen(50))
    assert len(EntrySealer(Keys()).seal(event)) <= 5
    assert len(EntrySealer(Keys()).seal(changed(event, touched=seen(50, lambda: "o" * 36)))) >= 12


@given(events, st.integers(0, 30), st.booleans())
def test_entries_tell_all_that_the_event_tells(event, times, as_uuids):
    """Together they touch the same in the same order; the first has question and reason, none is too long."""
    mine = seen(len(event.touched)) if as_uuids else ()
    named = [Touched(uuid.reference, each.version, each.crud) for each, uuid in zip(event.touched, mine, strict=False)]
    whole = changed(event, touched=(tuple(named) or event.touched) * times)
    sealer = EntrySealer(Keys())
    entries = sealer.seal(whole)
    told = [sealer.open(0, entry) for entry in entries]
    assert together(told) == whole
    rest = {changed(recorded.event, touched=()) for recorded in told[1:]}
    assert rest <= {changed(whole, touched=(), query="", reason="")}
    (short,) = sealer.seal(changed(whole, touched=()))
    assert all(len(entry) <= len(short) + FULL_BYTES for entry in entries)


def test_a_long_question_is_told_once():
    """A search that shows a thousand resources writes as many entries with a long question as with a short one."""
    world = World()
    for of in (uuid4, lambda: "o" * 36):
        told = [changed(world.event(1), touched=seen(1_000, of), query=query) for query in ("", "q" * 29_000)]
        short, long = (EntrySealer(Keys()).seal(event) for event in told)
        assert abs(len(long) - len(short)) <= 1
        assert sum(map(len, long)) < sum(map(len, short)) + 30_000


@pytest.mark.parametrize(
    "reference",
    [
        "Observation/o1",
        "Observation/01234567-89AB-cdef-0123-456789abcdef",
        "Observation/0123456789ab-cdef-0123-4567-89abcdef",
        "Observation/01234567-89ab-cdef-0123-456789abcdef0",
        "Observation/ 1234567-89ab-cdef-0123-456789abcdef",
        "01234567-89ab-cdef-0123-456789abcdef",
        "",
    ],
)
def test_what_is_no_uuid_stands_as_it_is(reference):
    """Only a UUID in its one form may be shortened: anything else would come back as another id."""
    touched = (*seen(2), Touched(reference, 1, "R"))
    assert lots_of(touched) is None
    assert lots_of(touched[:2]) is not None
    sealer = EntrySealer(Keys())
    told = [sealer.open(0, entry) for entry in sealer.seal(changed(World().event(1), touched=touched))]
    assert together(told).touched == touched


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
