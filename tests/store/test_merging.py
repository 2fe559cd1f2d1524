"""Segments merged column by column hold what the same entries make when they are built anew."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from medlock.store import segment
from medlock.store.entries import DELETED, DROPPED, POINTER, IndexEntry
from medlock.store.merging import merge

U64 = st.integers(0, (1 << 64) - 1)
PARAM = st.integers(0, 3)
TIMES = st.integers(-(1 << 62), 1 << 62)


def entries_of(rids: st.SearchStrategy[int]) -> st.SearchStrategy[IndexEntry]:
    """Entries in which values repeat, within one and among several."""
    return st.builds(
        IndexEntry,
        rids,
        U64,
        st.integers(0, 3),
        U64,
        st.integers(1, 150),
        st.sampled_from((0, DELETED, POINTER, DROPPED)),
        TIMES,
        st.lists(st.sampled_from(("s|R", "s|V", "t|é")), unique=True, max_size=2).map(tuple),
        st.lists(st.integers(0, 6) | U64, max_size=6).map(tuple),
        st.lists(st.tuples(PARAM, TIMES, TIMES), max_size=3).map(tuple),
        st.lists(st.tuples(PARAM, st.text(max_size=6)), max_size=3).map(tuple),
    )


RUNS = st.lists(
    st.lists(entries_of(st.integers(0, 12)), max_size=6, unique_by=lambda each: each.rid), min_size=1, max_size=4
)


@given(RUNS)
def test_what_is_merged_is_what_would_have_been_built(runs: list[list[IndexEntry]]) -> None:
    """Byte for byte: later rows replace earlier ones, values of replaced rows are gone, label sets are numbered anew."""
    last = {entry.rid: entry for run in runs for entry in run}
    merged = merge([segment.build(run) for run in runs], whole=False)
    assert segment.to_bytes(merged) == segment.to_bytes(segment.build(list(last.values())))


@given(RUNS)
def test_marks_without_a_version_go_when_nothing_lies_before(runs: list[list[IndexEntry]]) -> None:
    """They hide nothing any more; a mark with a version says where history lies, and stays."""
    last = {entry.rid: entry for run in runs for entry in run}
    kept = [entry for entry in last.values() if not entry.flags & DROPPED or entry.version]
    merged = merge([segment.build(run) for run in runs], whole=True)
    assert segment.to_bytes(merged) == segment.to_bytes(segment.build(kept))


@given(RUNS)
def test_what_was_read_from_disk_merges_alike(runs: list[list[IndexEntry]]) -> None:
    """Columns over a buffer are read-only: merging changes none of them."""
    built = [segment.build(run) for run in runs]
    read = [segment.from_bytes(segment.to_bytes(each)) for each in built]
    assert segment.to_bytes(merge(read, whole=False)) == segment.to_bytes(merge(built, whole=False))
