"""The framing: however bytes arrive, the same frames come out, and what breaks a bound is refused."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker import naive
from medlock.store.broker.frames import (
    ANSWER_BYTES,
    REQUEST_BYTES,
    BrokenFrame,
    Greeting,
    Inbox,
    following,
    frame,
    greeting,
)

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/broker/frames.json").read_text())
numbers, codes = st.integers(0, 2**64 - 1), st.integers(0, 255)
requests = st.tuples(numbers, codes, st.binary(max_size=300))


def read(pieces, most=REQUEST_BYTES):
    """Frames out of pieces, and how it ends: as the broker reads them."""
    inbox, found = Inbox(most), []
    try:
        for piece in pieces:
            inbox.feed(piece)
            while (one := inbox.take()) is not None:
                found.append(one)
    except BrokenFrame:
        return found, "refused"
    return found, "partial" if inbox.partial else "whole"


def cut(data, places):
    """A stream in pieces."""
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if start < end]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vectors(vector):
    """Both readings agree with the file, whole and byte by byte."""
    stream = bytes.fromhex(vector["stream"])
    expected = [(int(number), code, bytes.fromhex(body)) for number, code, body in vector["frames"]], vector["end"]
    assert naive.frames(stream) == expected
    assert read([stream]) == expected
    if len(stream) < 1000:
        assert read([bytes((byte,)) for byte in stream]) == expected


@given(st.lists(requests, max_size=8), st.lists(st.integers(0, 4000), max_size=12))
def test_whatever_is_sent_arrives_in_any_pieces(sent, places):
    """Cut anywhere, the frames are those that were sent."""
    stream = b"".join(frame(*each) for each in sent)
    assert read(cut(stream, places)) == (sent, "whole")


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=6))
def test_garbage_is_read_as_the_page_says(stream, places):
    """Any bytes, in any pieces, as the naive reading has them."""
    assert read(cut(stream, places)) == naive.frames(stream)


@given(requests, st.integers(0, 400), st.integers(0, 255))
def test_a_changed_byte_never_breaks_the_reader(sent, place, value):
    """It is another frame, or none, or refused; never an error of another kind."""
    stream = bytearray(frame(*sent))
    stream[place % len(stream)] = value
    assert read([bytes(stream)]) == naive.frames(bytes(stream))


@given(requests, requests)
def test_the_short_way_is_the_long_way(first, second):
    """`at_once` gives what `feed` and `take` give for one whole frame, and nothing for anything else."""
    one, two = frame(*first), frame(*second)
    assert Inbox(REQUEST_BYTES).at_once(one) == first
    for other in (b"", one[:-1], one + b"\0", one + two):
        assert Inbox(REQUEST_BYTES).at_once(other) is None
    begun = Inbox(REQUEST_BYTES)
    begun.feed(one[:5])
    assert begun.at_once(two) is None


def test_a_length_is_refused_before_the_rest_is_read():
    """Four bytes suffice: nobody makes room for what will not be taken."""
    for most in (REQUEST_BYTES, ANSWER_BYTES):
        inbox = Inbox(most)
        inbox.feed((most + 10).to_bytes(4, "big"))
        with pytest.raises(BrokenFrame):
            inbox.take()


@given(st.binary(min_size=16, max_size=16), numbers)
def test_greetings(store, first):
    """What is packed is understood; one changed byte of magic or version is not."""
    packed = Greeting(store, first).pack()
    assert greeting(packed) == Greeting(store, first)
    for place in range(6):
        with pytest.raises(BrokenFrame):
            greeting(packed[:place] + bytes((packed[place] ^ 1,)) + packed[place + 1 :])
    for wrong in (packed[:-1], packed + b"\0", b""):
        with pytest.raises(BrokenFrame):
            greeting(wrong)


def test_numbers_come_round():
    """After the last one comes 0."""
    assert following(2**64 - 1) == 0
    assert following(5) == 6
