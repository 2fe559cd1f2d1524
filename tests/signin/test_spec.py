"""docs/spec/pages.md against its vectors, read by the code and by a second, naive implementation. Most must fail."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from medlock.web.signin.cookies import read_cookies
from medlock.web.signin.csrf import Foreign, check_source, check_token, token_of

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests/vectors/pages"
TOKENS = json.loads((VECTORS / "tokens.json").read_text())
REQUESTS = json.loads((VECTORS / "requests.json").read_text())
COOKIES = json.loads((VECTORS / "cookies.json").read_text())


def naive_token(secret):
    """HMAC (RFC 2104) by hand."""
    key = secret.encode()
    key = (hashlib.sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(each ^ 0x36 for each in key) + b"medlock/1/form|").digest()
    outer = hashlib.sha256(bytes(each ^ 0x5C for each in key) + inner).digest()
    return base64.urlsafe_b64encode(outer).decode().rstrip("=")


def test_most_vectors_must_fail():
    """Refusals outnumber what is accepted."""
    for vectors in (TOKENS, REQUESTS):
        assert sum(not each["accepted"] for each in vectors) > len(vectors) / 2


@pytest.mark.parametrize("vector", TOKENS, ids=lambda each: each["why"])
def test_tokens(vector):
    """A token is accepted for the secret it was made of, and for nothing else."""
    secret, token = vector["secret"], vector["token"]
    assert (bool(secret) and naive_token(secret) == token) is vector["accepted"]
    if vector["accepted"]:
        check_token(token, secret)
        assert token_of(secret) == token
    else:
        with pytest.raises(Foreign):
            check_token(token, secret)


@pytest.mark.parametrize("vector", REQUESTS, ids=lambda each: each["why"])
def test_sources(vector):
    """Origin and Sec-Fetch-Site, as browsers send them and as others do."""
    if vector["accepted"]:
        check_source(vector["headers"], "https://clinic.example")
    else:
        with pytest.raises(Foreign):
            check_source(vector["headers"], "https://clinic.example")


@pytest.mark.parametrize("vector", COOKIES, ids=lambda each: each["why"])
def test_cookies(vector):
    """What a Cookie header brings."""
    assert read_cookies(vector["header"]) == vector["read"]


def test_the_example_of_the_page():
    """The page's example is right."""
    secret, token = re.search(
        r"the secret `(\w+)` gives `([\w-]+)`", (ROOT / "docs/spec/pages.md").read_text()
    ).groups()
    assert naive_token(secret) == token
