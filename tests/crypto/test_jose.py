"""Signed tokens: exactly what is expected verifies; everything that the library alone would let pass does not."""

import base64
import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlock.crypto.jose import ALGORITHMS, BadToken, Expected, VerifyKey, key_set, new_signer, peek, signer_of, verify

NOW = 1_700_000_000
SIGNERS = {alg: new_signer(alg) for alg in sorted(ALGORITHMS)}
GOOD = {"iss": "a", "sub": "a", "aud": "us", "exp": NOW + 100, "iat": NOW, "jti": "1"}
VECTORS = json.loads((Path(__file__).parents[1] / "vectors/oauth/jose.json").read_text())


def expected(**more):
    """What is expected of a token."""
    usual = {"algorithms": ALGORITHMS, "issuer": "a", "audiences": frozenset({"us"}), "now": NOW, "longest": 300}
    return Expected(**(usual | more))


def keys_of(*signers, **more):
    """A key set."""
    return key_set({"keys": [signer.public() | more for signer in signers]})


@pytest.mark.parametrize("alg", sorted(ALGORITHMS))
def test_each_algorithm_verifies_its_own(alg):
    """A token verifies with its key, under its algorithm; with no other key, and under no other algorithm."""
    signer = SIGNERS[alg]
    token = signer.sign(GOOD)
    assert verify(token, keys_of(signer), expected())["jti"] == "1"
    with pytest.raises(BadToken):
        verify(token, keys_of(signer), expected(algorithms=ALGORITHMS - {alg}))
    with pytest.raises(BadToken):
        verify(token, keys_of(new_signer(alg), kid=signer.kid), expected())
    again = signer_of(signer.jwk, alg)
    assert again.kid == signer.kid
    assert verify(again.sign(GOOD), keys_of(signer), expected())


@pytest.mark.parametrize(
    "wrong",
    [
        {"exp": None},
        {"exp": NOW - 61},
        {"exp": NOW + 361},
        {"exp": "2100-01-01"},
        {"exp": True},
        {"exp": -1},
        {"exp": 1e12},
        {"nbf": NOW + 61},
        {"iat": NOW + 61},
        {"nbf": "now"},
        {"iss": "b"},
        {"iss": None},
        {"iss": ["a"]},
        {"aud": "them"},
        {"aud": None},
        {"aud": []},
        {"aud": [1, None]},
        {"aud": {"us": 1}},
    ],
)
def test_claims_are_always_looked_at(wrong):
    """Times, issuer and audience: what is missing, wrong, or of another type is refused, though the signature holds."""
    claims = {name: value for name, value in (GOOD | wrong).items() if value is not None}
    with pytest.raises(BadToken):
        verify(SIGNERS["ES384"].sign(claims), keys_of(SIGNERS["ES384"]), expected())


@pytest.mark.parametrize("right", [{"exp": NOW - 59}, {"exp": NOW + 359}, {"nbf": NOW + 60}, {"aud": ["them", "us"]}])
def test_clocks_may_differ_by_a_minute(right):
    """Within a minute times hold; one of several audiences is enough here (who needs more asks for more)."""
    assert verify(SIGNERS["ES384"].sign(GOOD | right), keys_of(SIGNERS["ES384"]), expected())


def test_names_of_keys_are_exact():
    """No kid, an unknown one, another case, two keys of one name: nothing verifies, even when only one key is there."""
    signer = SIGNERS["ES256"]
    for kid in ("", "other", signer.kid.swapcase()):
        with pytest.raises(BadToken):
            verify(signer.sign(GOOD, {"kid": kid}), keys_of(signer), expected())
    with pytest.raises(BadToken):
        verify(signer.sign(GOOD), keys_of(signer, signer), expected())


def encoded(part):
    """A part of a token."""
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def test_confusion_of_algorithms():
    """`none`, and a MAC keyed with the public key, verify nothing; nor does a critical header."""
    signer = SIGNERS["RS256"]
    keys = keys_of(signer)
    for header in ({"alg": "none"}, {"alg": "HS256"}, {"alg": "RS256", "crit": ["exp"]}, {"alg": ["RS256"]}, {}):
        head = encoded({"kid": signer.kid, "typ": "JWT"} | header)
        for signature in ("", signer.sign(GOOD).split(".")[2]):
            with pytest.raises(BadToken):
                verify(f"{head}.{encoded(GOOD)}.{signature}", keys, expected())


def test_another_kind_of_token():
    """Where a kind is expected, only that kind is taken, however it is written."""
    signer = SIGNERS["ES256"]
    for typ, taken in (("JWT", True), ("jwt", True), ("application/jwt", True), ("at+jwt", False), ("", False)):
        token = signer.sign(GOOD, {"typ": typ})
        if taken:
            assert verify(token, keys_of(signer), expected(typ="jwt"))
        else:
            with pytest.raises(BadToken):
                verify(token, keys_of(signer), expected(typ="jwt"))


@given(st.text(max_size=300) | st.from_regex(r"[A-Za-z0-9_\-]{0,40}(\.[A-Za-z0-9_\-]{0,40}){2}", fullmatch=True))
def test_anything_else_is_no_token(text):
    """Whatever is sent as a token, the answer is BadToken and nothing else."""
    with pytest.raises(BadToken):
        verify(text, keys_of(SIGNERS["ES256"]), expected())


@given(st.data())
def test_one_changed_character_is_noticed(data):
    """No character of a token can be changed."""
    token = SIGNERS["ES256"].sign(GOOD)
    at = data.draw(st.integers(0, len(token) - 2))  # the last one may hold bits that nobody reads
    other = data.draw(st.sampled_from("AZaz09-_."))
    if token[at] == other:
        return
    with pytest.raises(BadToken):
        verify(token[:at] + other + token[at + 1 :], keys_of(SIGNERS["ES256"]), expected())


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"keys": []},
        {"keys": "x"},
        {"keys": [1]},
        {"keys": [{"kty": "oct", "k": "AAAA"}]},
        {"keys": [dict(SIGNERS["ES256"].jwk)]},
        {"keys": [SIGNERS["ES256"].public(), dict(SIGNERS["RS256"].jwk)]},
        {"keys": [SIGNERS["ES256"].public() | {"use": "enc"}]},
        {"keys": [SIGNERS["ES256"].public() | {"x": "AA"}]},
        {"keys": [{"kty": "EC", "crv": "P-256"}]},
        {"keys": [{"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}]},
        {"keys": [SIGNERS["ES256"].public()] * 33},
    ],
)
def test_key_sets_that_are_refused(document):
    """Empty, symmetric, private, unreadable, too many: refused whole."""
    with pytest.raises(BadToken):
        key_set(document)
    with pytest.raises(BadToken):
        key_set(json.dumps(document).encode())


def test_keys_of_other_kinds_are_passed_over():
    """A set may hold kinds of keys that nobody knows here (RFC 7517 §5)."""
    found = key_set({"keys": [{"kty": "AKP", "alg": "ML-DSA-44", "pub": "x"}, SIGNERS["ES256"].public()]})
    assert [key.kty for key in found.keys] == ["EC"]


def test_a_key_for_one_algorithm_is_for_no_other():
    """`alg` in a key is heeded."""
    key = VerifyKey(SIGNERS["RS384"].public())
    assert key.fits("RS384")
    assert not key.fits("RS256")
    assert not key.fits("ES256")


def test_peeking_proves_nothing_and_never_falls_over():
    """What cannot be read is BadToken, also when it is deep or long."""
    for token in ("", "..", "a.b.c", "e30.e30", "x" * 20_000, f"{encoded({})}.{encoded([])}.x", "é.é.é"):
        with pytest.raises(BadToken):
            peek(token)


def test_signers_show_nothing():
    """A private key is in no representation."""
    signer = SIGNERS["ES256"]
    assert signer.jwk["d"] not in repr(signer)
    assert "d" not in signer.public()


@pytest.mark.parametrize("vector", VECTORS["thumbprints"], ids=lambda vector: vector["from"])
def test_thumbprints(vector):
    """RFC 7638 §3.1, RFC 8037 A.3."""
    assert VerifyKey(vector["jwk"]).thumbprint == vector["thumbprint"]


@pytest.mark.parametrize("vector", VECTORS["tokens"], ids=lambda vector: vector["name"])
def test_vectors(vector):
    """Tokens in a file, most of which must fail."""
    keys = VECTORS["keys"]
    want = Expected(
        frozenset(vector["algorithms"]), "backend", frozenset({"https://localhost:8443/oauth/token"}), NOW, 300
    )
    if vector["valid"]:
        assert verify(vector["token"], key_set(keys), want)["iss"] == "backend"
    else:
        with pytest.raises(BadToken):
            verify(vector["token"], key_set(keys), want)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = ("kty", "crv", "x", "y", "n", "e", "kid", "alg", "use")


@given(st.dictionaries(st.sampled_from(MEMBERS), JSON), st.sampled_from(["", *sorted(ALGORITHMS)]))
def test_keys_of_any_form(members, like):
    """Whatever stands in a key that a stranger sends, it is a key or BadToken, and nothing else."""
    jwk = (SIGNERS[like].public() if like else {}) | members
    for act in (lambda: VerifyKey(jwk), lambda: key_set({"keys": [jwk]})):
        with suppress(BadToken):
            act()


@given(st.dictionaries(st.sampled_from(["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "x"]), JSON))
def test_claims_of_any_form(members):
    """Whatever is claimed under a good signature is taken, or BadToken."""
    with suppress(BadToken):
        verify(SIGNERS["ES256"].sign(GOOD | members), keys_of(SIGNERS["ES256"]), expected())


@given(st.dictionaries(st.sampled_from(["alg", "kid", "typ", "crit", "jwk", "jku", "x"]), JSON))
def test_headers_of_any_form(members):
    """Whatever stands in a header, the token is taken, or BadToken."""
    _, payload, signature = SIGNERS["ES256"].sign(GOOD).split(".")
    with suppress(BadToken):
        verify(f"{encoded({'alg': 'ES256'} | members)}.{payload}.{signature}", keys_of(SIGNERS["ES256"]), expected())
