"""Sealing, labels, masks and digests: what must hold for every input."""

from __future__ import annotations

import hashlib
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keystore import naive
from medlock.crypto.aead import OVERHEAD, Aead
from medlock.crypto.kdf import derive, expand
from medlock.crypto.mask import HeaderMask
from medlock.crypto.prf import Prf, ValueHash
from medlock.crypto.setdigest import EMPTY, SetDigest
from medlock.errors import Tampered

KEYS = st.binary(min_size=32, max_size=32)
NONCES = st.binary(min_size=12, max_size=12)
BLOCKS = st.binary(min_size=16, max_size=16)


@given(KEYS, st.binary(max_size=2048), st.binary(max_size=64))
def test_what_is_sealed_opens_again(key, plaintext, aad):
    """Round trip, with a fixed overhead and a fresh nonce each time."""
    aead = Aead(key)
    blob = aead.seal(plaintext, aad)
    assert aead.open(blob, aad) == plaintext
    assert len(blob) == len(plaintext) + OVERHEAD
    assert blob[:12] != aead.seal(plaintext, aad)[:12]


@given(KEYS, st.binary(max_size=64), st.binary(max_size=32), st.data())
def test_any_changed_bit_is_noticed(key, plaintext, aad, data):
    """One flipped bit anywhere in the blob makes it refuse to open."""
    aead = Aead(key)
    blob = bytearray(aead.seal(plaintext, aad))
    bit = data.draw(st.integers(0, 8 * len(blob) - 1))
    blob[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Tampered):
        aead.open(bytes(blob), aad)
    with pytest.raises(Tampered):
        aead.open_with(bytes(blob[:12]), bytes(blob[12:]), aad)


@given(st.tuples(KEYS, KEYS), st.binary(max_size=64), st.tuples(st.binary(), st.binary()), st.data())
def test_wrong_key_aad_or_length_is_noticed(keys, plaintext, aads, data):
    """Another key, other associated data, or a piece of the blob never opens."""
    (key, other), (aad, other_aad) = keys, aads
    blob = Aead(key).seal(plaintext, aad)
    cut = data.draw(st.integers(0, len(blob) - 1))
    attempts = [(key, blob[:cut], aad), (key, blob + b"\0", aad)]
    attempts += [(other, blob, aad)] if other != key else []
    attempts += [(key, blob, other_aad)] if other_aad != aad else []
    for attempt_key, attempt_blob, attempt_aad in attempts:
        with pytest.raises(Tampered):
            Aead(attempt_key).open(attempt_blob, attempt_aad)


@pytest.mark.parametrize("make", [Aead, Prf, ValueHash, HeaderMask, SetDigest])
def test_short_keys_are_refused_and_nothing_is_shown(make):
    """31 bytes are not a key; and an object that holds one shows neither it nor anything else."""
    with pytest.raises(ValueError, match="32 bytes"):
        make(bytes(31))
    assert repr(make(b"k" * 32)) == f"<{make.__name__}>"
    with pytest.raises(TypeError):
        pickle.dumps(make(b"k" * 32))


@given(KEYS, st.binary(max_size=200))
def test_labels_are_63_bit_and_differ_by_key(key, data):
    """A label fits a signed 64-bit column, is stable, and is another one under another key."""
    prf = Prf(key)
    assert 0 <= prf.label(data) < 2**63
    assert prf.label(data) == prf.label(data)
    assert prf.label(data) == int.from_bytes(prf.digest(data)[:8], "big") >> 1
    assert prf.digest(data) != Prf(bytes(b ^ 1 for b in key)).digest(data)


@given(KEYS, st.binary(max_size=200))
def test_value_hashes_are_keyed_blake2b(key, data):
    """The same as the standard library's one-shot call, as an unsigned 64-bit integer."""
    assert ValueHash(key).of(data) == int.from_bytes(hashlib.blake2b(data, key=key, digest_size=8).digest(), "big")


@given(KEYS, NONCES, BLOCKS)
def test_headers_hide_and_show(key, nonce, header):
    """Hiding is XOR with one AES block of the nonce, so revealing is the same."""
    mask = HeaderMask(key)
    hidden = mask.hide(nonce, header)
    assert mask.reveal(nonce, hidden) == header
    assert int.from_bytes(hidden, "big") ^ int.from_bytes(header, "big") == mask.mask(nonce)


def test_the_mask_is_one_block_of_aes():
    """The naive AES agrees, so another implementation can read our headers."""
    key, nonce = bytes(range(32)), bytes(range(12))
    assert HeaderMask(key).hide(nonce, bytes(16)) == naive.header_mask(key, nonce)


@pytest.mark.parametrize(("nonce", "header"), [(11, 16), (12, 15), (12, 17), (13, 16)])
def test_masks_refuse_wrong_sizes(nonce, header):
    """A header of another size would be hidden only in part."""
    with pytest.raises(ValueError, match="16 bytes"):
        HeaderMask(bytes(32)).hide(bytes(nonce), bytes(header))


@given(KEYS, st.text(max_size=40), st.text(max_size=40))
def test_labels_keep_derived_keys_apart(key, one, other):
    """Two labels give two keys, one label always the same."""
    assert (derive(key, one) == derive(key, other)) == (one == other)
    assert derive(key, one, 64)[:32] == derive(key, one)


@pytest.mark.parametrize("length", [0, -1, 255 * 32 + 1])
def test_expand_refuses_lengths_outside_the_rfc(length):
    """RFC 5869 §2.3: L is at most 255 hash lengths."""
    with pytest.raises(ValueError, match="8160"):
        expand(bytes(32), b"", length)


def test_expand_refuses_a_short_key():
    """Fewer than 32 bytes cannot hold 256 bits."""
    with pytest.raises(ValueError, match="32 bytes"):
        derive(bytes(16), "medlock/1/patient/body")


@given(KEYS, st.lists(BLOCKS, unique=True, max_size=30), st.randoms())
def test_a_set_digest_forgets_order_and_undoes_itself(key, tags, random):
    """Any order and any grouping give one digest; taking all rows out again gives the empty one."""
    digest = SetDigest(key)
    whole = digest.toggle(EMPTY, tags)
    shuffled = random.sample(tags, len(tags))
    half = len(tags) // 2
    assert digest.toggle(digest.toggle(EMPTY, shuffled[:half]), shuffled[half:]) == whole
    assert digest.toggle(whole, shuffled) == EMPTY


@given(KEYS, st.lists(BLOCKS, unique=True, min_size=1, max_size=30), st.data())
def test_a_set_digest_names_the_odd_one(key, tags, data):
    """If one row is too many or too few, the two digests tell which."""
    digest = SetDigest(key)
    odd = data.draw(st.sampled_from(tags))
    without = digest.toggle(EMPTY, [tag for tag in tags if tag != odd])
    assert without != digest.toggle(EMPTY, tags)
    assert digest.odd_one(digest.toggle(EMPTY, tags), without) == odd


def test_a_set_digest_refuses_odd_sizes():
    """A tag of another size would shift all that follow it."""
    with pytest.raises(ValueError, match="16 bytes"):
        SetDigest(bytes(32)).toggle(EMPTY, [bytes(15), bytes(17), b""])
