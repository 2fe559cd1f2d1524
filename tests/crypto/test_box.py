"""Boxes sealed to somebody who is not there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlock.crypto.box import new_private_key, open_box, public_key_of, seal_to
from medlock.errors import Tampered

PRIVATE = new_private_key()
PUBLIC = public_key_of(PRIVATE)


@given(text=st.binary(max_size=200), aad=st.binary(max_size=20))
def test_round_trip(text, aad):
    """Only the private key opens it, twice sealed is never the same."""
    box = seal_to(PUBLIC, text, b"l", aad)
    assert open_box(PRIVATE, box, b"l", aad) == text
    assert seal_to(PUBLIC, text, b"l", aad) != box


@given(at=st.integers(0, 59), bit=st.integers(0, 7))
def test_any_changed_bit_is_found(at, bit):
    """A flipped bit anywhere is found, also the top bit of a key, which X25519 ignores and the hash does not."""
    box = bytearray(seal_to(PUBLIC, b"twelve bytes", b"l", b"a"))
    box[at] ^= 1 << bit
    with pytest.raises(Tampered):
        open_box(PRIVATE, bytes(box), b"l", b"a")


@pytest.mark.parametrize(
    ("private", "label", "aad", "cut"),
    [
        (new_private_key(), b"l", b"a", 60),
        (PRIVATE, b"m", b"a", 60),
        (PRIVATE, b"l", b"b", 60),
        (PRIVATE, b"l", b"a", 59),
        (PRIVATE, b"l", b"a", 40),
        (PRIVATE, b"l", b"a", 0),
    ],
    ids=["key", "label", "place", "a byte short", "no tag", "empty"],
)
def test_wrong_key_label_place_or_length(private, label, aad, cut):
    """All look the same to whoever tries."""
    with pytest.raises(Tampered):
        open_box(private, seal_to(PUBLIC, b"twelve bytes", b"l", b"a")[:cut], label, aad)


def test_a_point_of_small_order_is_refused():
    """An all-zero ephemeral key would make a secret that everybody knows (RFC 7748 §6.1)."""
    with pytest.raises(Tampered):
        open_box(PRIVATE, bytes(32) + bytes(28), b"l", b"a")
