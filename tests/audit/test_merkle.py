"""Trees against the recursion of RFC 9162: roots, frontiers, tiles, and every proof there is up to 300 leaves."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import naive
from medlock.crypto.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_path,
    inclusion_path,
    leaf_hash,
    perfect_roots,
    subtrees,
    verify_consistency,
    verify_inclusion,
)
from medlock.crypto.tiles import TILE_BYTES, TileTree, split, widths
from medlock.errors import Tampered

MOST = 300
LEAVES = [leaf_hash(number.to_bytes(4, "big")) for number in range(70_000)]


def counts(size):
    """How many hashes there are of each level."""
    return [size >> 8 * level for level in range(len(widths(size)))]


@cache
def mth(first, last):
    """MTH of LEAVES[first:last], remembered: the recursion of the RFC word for word."""
    if last - first < 2:
        return LEAVES[first] if last > first else EMPTY_ROOT
    middle = first + naive.split_at(last - first)
    return naive.node(mth(first, middle), mth(middle, last))


def grown(size):
    tree = TileTree()
    return tree, tree.extend(LEAVES[:size])


def test_every_inclusion_proof_up_to_300_leaves_holds():
    """For every size and every leaf, the planned path leads from the leaf to the root."""
    for size in range(1, MOST + 1):
        for index in range(size):
            path = [mth(*span) for span in inclusion_path(index, size)]
            verify_inclusion(LEAVES[index], index, size, path, mth(0, size))


def test_every_consistency_proof_up_to_300_leaves_holds():
    """For every pair of sizes, the planned proof leads to both roots."""
    for new in range(MOST + 1):
        for old in range(new + 1):
            path = [mth(*span) for span in consistency_path(old, new)]
            verify_consistency(old, new, mth(0, old), mth(0, new), path)


@given(st.integers(1, 70), st.data())
def test_planned_paths_are_those_of_the_rfc(size, data):
    """Span by span, a plan names the very hashes that PATH and PROOF of the RFC list, in their order."""
    index = data.draw(st.integers(0, size - 1))
    leaves = LEAVES[:size]
    assert [mth(*span) for span in inclusion_path(index, size)] == naive.path(index, leaves)
    assert [mth(*span) for span in consistency_path(index + 1, size)] == naive.proof(index + 1, leaves)


@given(st.integers(2, 200), st.data())
def test_a_proof_with_one_bit_changed_does_not_hold(size, data):
    """No bit of a path may change, nor may the path be given for the neighbouring leaf."""
    index = data.draw(st.integers(0, size - 1))
    path = [mth(*span) for span in inclusion_path(index, size)]
    at, bit = data.draw(st.integers(0, len(path) - 1)), data.draw(st.integers(0, 255))
    changed = (int.from_bytes(path[at], "big") ^ 1 << bit).to_bytes(32, "big")
    with pytest.raises(Tampered):
        verify_inclusion(LEAVES[index], index, size, [*path[:at], changed, *path[at + 1 :]], mth(0, size))
    with pytest.raises(Tampered):
        verify_inclusion(LEAVES[index], (index + 1) % size, size, path, mth(0, size))


@given(st.integers(1, 150), st.integers(1, 150), st.data())
def test_a_history_with_one_leaf_changed_is_not_consistent(old, more, data):
    """When a leaf that the old tree had is another one now, no proof from the new tree leads to the old root."""
    new = old + more
    changed = data.draw(st.integers(0, old - 1))
    leaves = [*LEAVES[:changed], leaf_hash(b"another"), *LEAVES[changed + 1 : new]]
    with pytest.raises(Tampered):
        verify_consistency(old, new, mth(0, old), naive.mth(leaves), naive.proof(old, leaves))


@pytest.mark.parametrize("plan", [lambda: inclusion_path(3, 3), lambda: inclusion_path(-1, 3)])
def test_a_leaf_outside_of_the_tree_has_no_path(plan):
    """A path is only planned for a leaf that is there."""
    with pytest.raises(ValueError, match="leaf of the tree"):
        plan()


def test_a_larger_tree_is_not_a_prefix_of_a_smaller_one():
    """Consistency is planned forwards only."""
    with pytest.raises(ValueError, match="larger"):
        consistency_path(4, 3)


def test_the_frontier_knows_every_root_up_to_300_leaves():
    """Pushing leaf by leaf gives the root of the RFC at every size, with one node per bit of the size."""
    frontier = Frontier()
    for size in range(MOST):
        assert frontier.root() == mth(0, size)
        assert frontier.nodes == [mth(index << level, index + 1 << level) for level, index in subtrees((0, size))]
        frontier.push(LEAVES[size])


@given(st.lists(st.integers(0, 90), max_size=6))
def test_many_leaves_at_once_are_as_good_as_one_by_one(steps):
    """Appended in heaps of any size, leaves give the frontier that pushing them gives."""
    one, many = Frontier(), Frontier()
    for step in steps:
        leaves = LEAVES[many.size : many.size + step]
        many.extend(leaves)
        for leaf in leaves:
            one.push(leaf)
        assert (many.size, many.nodes) == (one.size, one.nodes)
    assert perfect_roots(LEAVES[: many.size]) == many.nodes


def test_a_frontier_of_another_size_is_refused():
    """Nodes that cannot belong to a tree of the given size are a mistake, not a tree."""
    with pytest.raises(ValueError, match="one node per bit"):
        Frontier(3, [EMPTY_ROOT])


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 511, 512, 5_000, 65_535, 65_536, 65_537, 70_000])
def test_tiles_hold_the_hashes_that_c2sp_says(size):
    """Complete and incomplete tiles of every level hold MTH of their 256^level leaves; the root is MTH of all."""
    tree, done = grown(size)
    tiles = {(level, index): split(hashes) for level, index, hashes in done}
    tiles[0, size // 256] = list(tree.tail)
    wanted = {(level, at) for level, count in enumerate(counts(size)) for at in range(-(-count // 256))}
    assert set(tiles) == wanted | {(0, size // 256)}
    for (level, index), hashes in tiles.items():
        spans = [((index * 256 + at) << 8 * level, (index * 256 + at + 1) << 8 * level) for at in range(len(hashes))]
        assert hashes == [mth(*span) for span in spans]
    assert sum(len(hashes) for (level, _), hashes in tiles.items() if level == 0) == size
    assert tree.root() == mth(0, size)


def test_tiles_come_out_once_each_and_in_order():
    """70,000 leaves make 273 tiles of level 0 and one of level 1 (the example of tlog-tiles); two more have begun."""
    tree, done = grown(70_000)
    assert [(level, index) for level, index, _ in done if level == 0] == [(0, index) for index in range(273)]
    assert all(len(hashes) == TILE_BYTES for level, _, hashes in done if level == 0)
    above = {(level, index): len(hashes) // 32 for level, index, hashes in done if level}
    assert above == {(1, 0): 256, (2, 0): 1, (1, 1): 17}
    assert widths(70_000) == [len(tree.tail), 17, 1] == [112, 17, 1]


@given(st.lists(st.integers(0, 700), max_size=6))
def test_a_tree_taken_up_again_goes_on_as_if_nothing_had_happened(steps):
    """Put down and taken up between appends, a tree gives the same tiles and root as one grown in one go."""
    tree, tiles, size = TileTree(), {}, 0
    for step in steps:
        above = [tiles.get((1, 0), [])] if size > 255 else []
        tree = TileTree.taken_up(tree.size, [tree.tail, *above])
        tiles |= {(level, index): split(hashes) for level, index, hashes in tree.extend(LEAVES[size : size + step])}
        size += step
    whole, done = grown(size)
    assert tiles == {(level, index): split(hashes) for level, index, hashes in done}
    assert (tree.nodes, tree.root()) == (whole.nodes, mth(0, size))


@pytest.mark.parametrize(
    ("size", "partial"),
    [(1, [[]]), (0, [[EMPTY_ROOT]]), (256, [[]]), (256, [[], []]), (257, [[EMPTY_ROOT] * 2, [EMPTY_ROOT]]), (2, [])],
)
def test_a_tree_whose_parts_do_not_fit_is_not_taken_up(size, partial):
    """Incomplete tiles must be as many and as long as the size says."""
    with pytest.raises(ValueError, match="size"):
        TileTree.taken_up(size, partial)
