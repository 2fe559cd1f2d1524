"""Vectors of docs/spec/oauth.md in a file, most of which must fail; and the page itself against the program."""

import json
import re
from pathlib import Path

import pytest

from medlock.errors import OAuthRefused
from medlock.oauth import client, handles, lifetimes, proofs
from medlock.oauth.pkce import check_verifier
from medlock.oauth.redirects import check_redirects, is_registered
from medlock.oauth.rows import open_rows
from medlock.oauth.scope import asked, covers
from medlock.store.keyring import TenantKeys
from smart.world import Log, StoppedClock

ROOT = Path(__file__).parents[2]
VECTORS = json.loads((ROOT / "tests/vectors/oauth/scopes.json").read_text())
PAGE = (ROOT / "docs/spec/oauth.md").read_text()


@pytest.mark.parametrize("vector", VECTORS["covers"], ids=lambda each: f"{each['wide']} > {each['narrow']}")
def test_covers(vector):
    """What lies within what, §6."""
    assert covers(asked(vector["wide"]), asked(vector["narrow"])) is vector["covered"]


@pytest.mark.parametrize("scope", VECTORS["refused"])
def test_scopes_that_nobody_knows(scope):
    """Refused, not passed over."""
    with pytest.raises(OAuthRefused) as refusal:
        asked(scope)
    assert refusal.value.code == "invalid_scope"


@pytest.mark.parametrize("vector", VECTORS["pkce"], ids=str)
def test_pkce(vector):
    """RFC 7636 appendix B, and what does not fit."""
    if vector["fits"]:
        check_verifier(vector["challenge"], vector["verifier"])
    else:
        with pytest.raises(OAuthRefused):
            check_verifier(vector["challenge"], vector["verifier"])


@pytest.mark.parametrize("vector", VECTORS["redirects"], ids=lambda each: each["given"])
def test_redirects(vector):
    """Character by character, but for the port of a loopback address."""
    check_redirects([vector["registered"]])
    assert is_registered([vector["registered"]], vector["given"]) is vector["same"]


def test_lifetimes_are_those_of_the_page():
    """§4 has every lifetime of the program."""
    section = PAGE.partition("## 4 ")[2].partition("\n## ")[0]
    written = [int(number) for number in re.findall(r"\| (\d+) \|$", section, flags=re.MULTILINE)]
    used = [
        *(lifetimes.ACCESS, lifetimes.BACKEND, lifetimes.CODE, lifetimes.ID_TOKEN),
        *(lifetimes.REFRESH_IDLE, lifetimes.REFRESH_ABSOLUTE, lifetimes.ONLINE_IDLE),
        *(lifetimes.PENDING, lifetimes.PUSHED, lifetimes.LAUNCH, lifetimes.ASSERTION, lifetimes.KEY_OVERLAP),
    ]
    assert written == used


def test_algorithms_are_those_of_the_page():
    """§7 and §8 name the algorithms that are taken."""
    assert f"`alg` one of {', '.join(client.ASSERTION_ALGORITHMS)};" in PAGE
    (named,) = re.findall(r"fits `alg` \(([^)]*)\)", PAGE)
    assert set(named.split(", ")) == set(proofs.ALGORITHMS)


def test_kinds_of_rows_are_those_of_the_page():
    """§2 lists every kind of row."""
    rows = open_rows(None, TenantKeys(bytes(32)), StoppedClock(), Log())
    kinds = {each._kind.decode() for each in (getattr(rows, name) for name in rows.__slots__) if hasattr(each, "_kind")}
    section = PAGE.partition("## 2 ")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", section, flags=re.MULTILINE)) | {"assertion"} == kinds


def test_strings_that_prove_something():
    """§1: a code and a refresh token read as they were made, under one key only; a changed one is not ours."""
    prf, other = TenantKeys(bytes(32)).oauth_labels, TenantKeys(bytes([1] * 32)).oauth_labels
    code, digest = handles.new_code("approval-1")
    assert handles.read_code(code) == handles.Named("approval-1", digest)
    token, digest = handles.new_refresh(prf, "approval-1")
    assert handles.read_refresh(prf, token) == handles.Named("approval-1", digest, issued=True)
    assert handles.read_refresh(other, token).issued is False
    for at in range(len(token)):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        found = handles.read_refresh(prf, changed)
        assert found is None or not found.issued or at == len(token) - 1
    assert handles.read_refresh(prf, code) is None
    assert handles.read_code(token) is None
