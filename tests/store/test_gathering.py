"""A large segment gathered in portions is the one that its entries make at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from medlock.store import gathering, segment
from medlock.store.entries import IndexEntry
from medlock.store.gathering import Gathering
from medlock.store.packed import decode_packed, encode_packed, pack, unpack

WORDS = st.one_of(
    st.text("ab\x00é\U0010ffff", max_size=20),
    st.sampled_from(["", "a", "a\x00", "united states", "united kingdom", "x" * 64, "x" * 63 + "y", "ж" * 64]),
)
PARAMS = st.sampled_from([1, 2, 4_000_000_000])
NUMBERS = st.integers(-(1 << 62), 1 << 62)
ENTRIES = st.lists(
    st.builds(
        IndexEntry,
        rid=st.integers(0, 2**63 - 1),
        slot=st.integers(0, 2**63 - 1),
        version=st.integers(1, 9),
        tag=st.integers(0, 2**64 - 1),
        type=st.integers(1, 140),
        flags=st.sampled_from([0, 1, 4]),
        updated=NUMBERS,
        labels=st.sampled_from([(), ("s|a",), ("s|a", "s|b")]),
        hashes=st.lists(st.sampled_from([0, 1, 7, 2**64 - 1]), unique=True, max_size=4).map(tuple),
        dates=st.lists(st.tuples(PARAMS, NUMBERS, NUMBERS), max_size=3).map(tuple),
        texts=st.lists(st.tuples(PARAMS, WORDS), max_size=5).map(tuple),
    ),
    unique_by=lambda entry: entry.rid,
    max_size=40,
)


def gathered(entries: list[IndexEntry], portion: int) -> list[segment.Segment]:
    """The segments that portions of this size come to."""
    made, found = [], Gathering()
    for start in range(0, len(entries), portion):
        part = [pack(entry) for entry in entries[start : start + portion]]
        while (taken := found.add(part)) < len(part):
            made.append(found.segment())
            found, part = Gathering(), part[taken:]
    return [*made, found.segment()]


@given(ENTRIES)
def test_packing_loses_nothing(entries: list[IndexEntry]) -> None:
    """An entry that was packed, written and read is the one it was."""
    for entry in entries:
        assert unpack(decode_packed(encode_packed(pack(entry)))) == entry


@given(ENTRIES, st.integers(1, 50))
def test_portions_make_the_same_segment(entries: list[IndexEntry], portion: int) -> None:
    """Whatever the portions, the columns are those of all entries built at once; label sets may be numbered apart."""
    (found,) = gathered(entries, portion)
    wanted = segment.build(entries)
    assert found.entries() == wanted.entries()
    for name in segment.ROWS.names:
        if name != "label":
            assert found.rows[name].tolist() == wanted.rows[name].tolist()
    assert found.postings.tolist() == wanted.postings.tolist()
    assert found.listed.tolist() == wanted.listed.tolist()
    assert found.dates.tolist() == wanted.dates.tolist()
    assert found.texts.tolist() == wanted.texts.tolist()
    assert found.text == wanted.text
    assert [found.labels[at] for at in found.rows["label"]] == [wanted.labels[at] for at in wanted.rows["label"]]


@given(ENTRIES, PARAMS, WORDS)
def test_text_conditions(entries: list[IndexEntry], param: int, wanted: str) -> None:
    """Prefix and part find exactly the rows whose texts say so; a text that was cut may also pass for a part."""
    for found in (segment.build(entries), *gathered(entries, 7)):
        texts = {entry.rid: [text for at, text in entry.texts if at == param] for entry in entries}
        of_row = [texts[rid] for rid in found.rows["rid"].tolist()]
        prefixed = [any(text.startswith(wanted) for text in each) for each in of_row]
        assert found.with_prefix(param, wanted).tolist() == prefixed
        parts = found.with_part(param, wanted).tolist()
        for got, each in zip(parts, of_row, strict=True):
            assert got >= any(wanted in text or len(text) >= segment.TEXT_MAX for text in each)
            assert got <= any(wanted in text or len(text.encode()) >= segment.TEXT_MAX for text in each)


def test_room(monkeypatch) -> None:
    """A segment has a bounded number of rows, and of sets of labels: what does not fit begins the next one."""
    entries = [
        IndexEntry(rid, rid, 1, 0, 1, 0, 0, (f"s|{rid}",) if rid < 300 else (), (), (), ()) for rid in range(1, 400)
    ]
    assert [len(each) for each in gathered(entries, 400)] == [254, 145]
    monkeypatch.setattr(gathering, "ROWS_MAX", 100)
    assert [len(each) for each in gathered(entries, 64)] == [100, 100, 100, 99]
    assert [row for each in gathered(entries, 64) for row in each.rids.tolist()] == list(range(1, 400))
