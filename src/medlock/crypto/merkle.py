"""Merkle trees as in RFC 9162 §2.1, over SHA-256: hashing, frontier, proofs and their verification.

A tree of n leaves is the recursion MTH of the RFC. Everything here works on leaf *hashes*; only `leaf_hash` sees an
entry. The `Frontier` (a "compact range") holds the roots of the perfect subtrees from left to right, one per bit
set in n: enough to append and to tell the root. Proofs are planned as ranges of leaves without touching any hash, so
that whoever stores the tree fetches exactly what is needed. A proof that does not hold raises `Tampered`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

from medlock.errors import Tampered

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()

Span = tuple[int, int]
"""Leaves first … last - 1 as (first, last)."""

Node = tuple[int, int]
"""The root of a perfect subtree as (level, index): it spans leaves index·2^level … (index+1)·2^level - 1."""


def leaf_hash(entry: bytes) -> bytes:
    """H(00 | entry): the prefix keeps a leaf from passing as a node (§2.1.1)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """H(01 | left | right)."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree that can grow and tell its root, in 32 bytes per bit set in `size`."""

    __slots__ = ("nodes", "size")

    def __init__(self, size: int = 0, nodes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.nodes = list(nodes)
        if len(self.nodes) != size.bit_count():
            raise ValueError("a frontier has one node per bit set in its size")

    def push(self, leaf: bytes) -> None:
        """Append one leaf hash; one node hash on average."""
        nodes, size = self.nodes, self.size
        while size & 1:
            leaf = sha256(b"\x01" + nodes.pop() + leaf).digest()
            size >>= 1
        nodes.append(leaf)
        self.size += 1

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Append many, level by level: half the Python of pushing them one by one."""
        nodes, size, behind = self.nodes, self.size, []
        self.size += len(leaves)
        while leaves:
            if size & 1:
                leaves = [nodes.pop(), *leaves]
            if len(leaves) & 1:
                behind.append(leaves[-1])
            pairs = iter(leaves)
            leaves = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)]
            size >>= 1
        nodes += reversed(behind)

    def root(self) -> bytes:
        """MTH of all leaves pushed so far."""
        return fold(self.nodes)


def fold(nodes: Sequence[bytes]) -> bytes:
    """The root over perfect subtrees of falling size, from the right; H("") when there are none."""
    if not nodes:
        return EMPTY_ROOT
    root = nodes[-1]
    for node in reversed(nodes[:-1]):
        root = node_hash(node, root)
    return root


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """MTH of 2^k hashes, level by level: less Python per hash than pushing them one by one."""
    level = hashes
    while len(level) > 1:
        pairs = iter(level)
        level = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
    return level[0]


def perfect_roots(hashes: Sequence[bytes]) -> list[bytes]:
    """The roots of the perfect subtrees over any number of hashes, left to right."""
    frontier = Frontier()
    frontier.extend(hashes)
    return frontier.nodes


def subtrees(span: Span) -> list[Node]:
    """The perfect subtrees that make up a span of MTH's recursion, left to right."""
    first, last = span
    nodes = []
    while first < last:
        level = (last - first).bit_length() - 1
        nodes.append((level, first >> level))
        first += 1 << level
    return nodes


def inclusion_path(index: int, size: int) -> list[Span]:
    """The spans whose hashes are PATH(index, D[size]) of §2.1.3.1, leaf end first. Needs index < size."""
    if not 0 <= index < size:
        raise ValueError("only a leaf of the tree has a path in it")
    first, last, path = 0, size, []
    while last - first > 1:
        middle = first + _split(last - first)
        if index < middle:
            path.append((middle, last))
            last = middle
        else:
            path.append((first, middle))
            first = middle
    return path[::-1]


def consistency_path(old: int, new: int) -> list[Span]:
    """The spans whose hashes are PROOF(old, D[new]) of §2.1.4.1. Needs old <= new; empty when old is 0 or new."""
    if not 0 <= old <= new:
        raise ValueError("a tree is consistent only with a larger one")
    if old in {0, new}:
        return []
    first, last, known, path = 0, new, True, []
    while old != last:
        middle = first + _split(last - first)
        if old <= middle:
            path.append((middle, last))
            last = middle
        else:
            path.append((first, middle))
            first, known = middle, False
    if not known:
        path.append((first, last))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Check that `leaf` is number `index` of the tree (§2.1.3.2). Raises Tampered."""
    _demand(0 <= index < size, "the leaf is not in a tree of this size")
    _demand_hashes(leaf, root, *path)
    place, last, node = index, size - 1, leaf
    for sibling in path:
        _demand(last > 0, "the path is longer than the tree is high")
        if place & 1 or place == last:
            node = node_hash(sibling, node)
            place, last = _climb(place, last)
        else:
            node = node_hash(node, sibling)
        place, last = place >> 1, last >> 1
    _demand(last == 0 and node == root, "the path does not lead to the root")


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> None:
    """Check that the tree of size `old` is a prefix of the tree of size `new` (§2.1.4.2). Raises Tampered."""
    _demand(0 <= old <= new, "a tree is consistent only with a larger one")
    _demand_hashes(old_root, new_root, *path)
    if old in {0, new}:  # not covered by the RFC, which starts at 0 < old < new
        _demand(not path, "between these sizes a proof is empty")
        _demand(old_root == (new_root if old else EMPTY_ROOT), "the roots differ")
        return
    hashes = [old_root, *path] if old & (old - 1) == 0 else list(path)
    _demand(bool(path), "the proof is empty")
    place, last = _strip(old - 1, new - 1)
    before = after = hashes[0]
    for sibling in hashes[1:]:
        _demand(last > 0, "the proof is longer than the tree is high")
        if place & 1 or place == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            place, last = _climb(place, last)
        else:
            after = node_hash(after, sibling)
        place, last = place >> 1, last >> 1
    _demand(last == 0 and before == old_root and after == new_root, "the proof does not lead to both roots")


def _split(count: int) -> int:
    """The RFC's k: the largest power of two smaller than `count`."""
    return 1 << (count - 1).bit_length() - 1


def _climb(place: int, last: int) -> tuple[int, int]:
    """Shift until the place is a right child or 0 (step 4.b of both algorithms)."""
    while place and not place & 1:
        place, last = place >> 1, last >> 1
    return place, last


def _strip(place: int, last: int) -> tuple[int, int]:
    """Shift while the place is a right child (§2.1.4.2 step 4)."""
    while place & 1:
        place, last = place >> 1, last >> 1
    return place, last


def _demand(holds: bool, reason: str) -> None:
    if not holds:
        raise Tampered(reason)


def _demand_hashes(*hashes: bytes) -> None:
    _demand(all(len(each) == HASH_BYTES for each in hashes), "a hash is not 32 bytes long")
