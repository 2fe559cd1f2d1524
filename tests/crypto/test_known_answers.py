"""Known answers from the standards, for our primitives and for the naive ones that check the vectors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from keystore import naive
from medlock.crypto.aead import Aead
from medlock.crypto.kdf import argon2id, expand, extract
from medlock.crypto.prf import Prf

H = bytes.fromhex

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/crypto/known_answers.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", VECTORS["hkdf"]["cases"])
def test_hkdf_gives_the_answers_of_rfc_5869(case):
    """Both implementations agree with the RFC, extract and expand."""
    ikm, salt, info, prk, okm = (H(case[name]) for name in ("ikm", "salt", "info", "prk", "okm"))
    assert extract(salt, ikm) == naive.hkdf_extract(salt, ikm) == prk
    assert expand(prk, info, case["length"]) == naive.hkdf_expand(prk, info, case["length"]) == okm


@pytest.mark.parametrize("case", VECTORS["gcm"]["cases"])
def test_gcm_gives_the_answers_of_the_specification(case):
    """Both implementations seal and open the published AES-256 cases."""
    key, nonce, text, aad = (H(case[name]) for name in ("key", "nonce", "text", "aad"))
    sealed = H(case["ciphertext"] + case["tag"])
    aead = Aead(key)
    assert aead.seal_with(nonce, text, aad) == sealed
    assert naive.seal(key, nonce, text, aad) == nonce + sealed
    assert aead.open(nonce + sealed, aad) == aead.open_with(nonce, sealed, aad) == text
    assert naive.unseal(key, nonce + sealed, aad) == text


def test_naive_aes_gives_the_answer_of_fips_197():
    """Appendix C.3; every other naive answer rests on it."""
    key, block = bytes(range(32)), H("00112233445566778899aabbccddeeff")
    assert naive.aes256(key, block).hex() == "8ea2b7ca516745bfeafc49904b496089"


def test_hmac_gives_the_answer_of_rfc_4231():
    """Case 6, the first with a key of at least 32 bytes: longer than a block, so it is hashed first."""
    prf = Prf(b"\xaa" * 131)
    mac = H("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    data = b"Test Using Larger Than Block-Size Key - Hash Key First"
    assert prf.digest(data) == mac[:16]
    assert prf.label(data) == int.from_bytes(mac[:8], "big") >> 1


def test_argon2id_gives_the_answer_of_the_reference_implementation():
    """phc-winner-argon2 src/test.c, Argon2id version 0x13: t=2, m=2^16, p=1."""
    tag = argon2id(b"password", b"somesalt", memory_kib=65_536, iterations=2, lanes=1)
    assert tag.hex() == "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"


def test_the_library_below_gives_the_answer_of_rfc_9106():
    """§5.3 uses a secret and associated data, which we never do, so the library is asked directly."""
    kdf = Argon2id(
        salt=b"\x02" * 16, length=32, iterations=3, lanes=4, memory_cost=32, ad=b"\x04" * 12, secret=b"\x03" * 8
    )
    assert kdf.derive(b"\x01" * 32).hex() == "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"
