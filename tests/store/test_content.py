"""Contents in chunks (docs/spec/store.md §3.1): vectors read by both, and round trips of all lengths and orders."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlock.errors import Tampered
from medlock.store.content import CHUNK, CHUNK_ROW, ChunkCipher, Content, chunk_name, new_stream, unpack_content
from medlock.store.keyring import TenantKeys
from store import make_vectors, naive, naive_content

CASES = json.loads((make_vectors.VECTORS / "contents.json").read_text(encoding="utf-8"))


def opened(content: Content, rows: list[bytes]) -> bytes:
    """All of a content, as it is read."""
    if len(rows) != content.chunks:
        raise Tampered("chunks are missing")  # the reader asks for each by its key
    cipher = ChunkCipher(content.stream, content.key)
    plain = [cipher.open(at, row, last=at == content.chunks - 1) for at, row in enumerate(rows)]
    return b"".join(plain)[: content.size]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_both_read_alike(case: dict[str, Any]) -> None:
    """The rows are those that the vector names; read by both, or refused by both."""
    stream, key, size = naive_content.heard(bytes.fromhex(case["written"]))
    rows = naive_content.seal_content(stream, key, naive_content.made(size))
    assert [sha256(row).hexdigest() for row in rows] == case["rows"]
    if case["change"]:
        rows = naive_content.changed(rows, case["change"])
    said = bytes.fromhex(case["said"])
    if "says" in case:
        assert sha256(opened(unpack_content(said), rows)).hexdigest() == case["says"]
        assert sha256(naive_content.open_content(*naive_content.heard(said), rows)).hexdigest() == case["says"]
        return
    with pytest.raises(Tampered):
        opened(unpack_content(said), rows)
    with pytest.raises(naive.Bad):
        naive_content.open_content(*naive_content.heard(said), rows)


def test_most_vectors_must_fail() -> None:
    """A format is known by what it refuses."""
    assert 0 < 3 * sum("says" in case for case in CASES) < len(CASES)
    assert len({case["name"] for case in CASES}) == len(CASES)


@given(st.integers(1, 3 * CHUNK + 2), st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_what_is_sealed_is_what_the_specification_says(size: int, random: Any) -> None:
    """Row by row the same bytes as the naive writer's; and any two rows exchanged are refused."""
    stream, key = new_stream()
    content, plain = Content(stream, key, size), naive_content.made(size)
    cipher = ChunkCipher(stream, key)
    rows = [
        cipher.seal(at, plain[at * CHUNK : (at + 1) * CHUNK], last=at == content.chunks - 1)
        for at in range(content.chunks)
    ]
    assert rows == naive_content.seal_content(stream, key, plain)
    assert {len(row) for row in rows} == {CHUNK_ROW}
    assert opened(content, rows) == plain
    assert unpack_content(content.pack()) == content
    shuffled = random.sample(rows, len(rows))
    if shuffled != rows:
        with pytest.raises(Tampered):
            opened(content, shuffled)


def test_only_the_last_is_short() -> None:
    """A chunk that is not full and not the last is a fault of the program."""
    cipher = ChunkCipher(*new_stream())
    for plain, last in ((b"x", False), (bytes(CHUNK + 1), True), (bytes(CHUNK + 1), False)):
        with pytest.raises(ValueError, match="last chunk"):
            cipher.seal(0, plain, last=last)


def test_names_and_secrets() -> None:
    """Both give chunks the same keys; a content does not show its key when it is printed."""
    label = TenantKeys(make_vectors.TENANT).rid.label
    for at in (0, 1, 2**32 - 1):
        assert label(chunk_name(make_vectors.STREAM, at)) == naive_content.chunk_key(
            make_vectors.TENANT, make_vectors.STREAM, at
        )
    shown = repr(Content(make_vectors.STREAM, make_vectors.CONTENT_KEY, 5))
    assert shown == "<Content of 5 bytes>"
