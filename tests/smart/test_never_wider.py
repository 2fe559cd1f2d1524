"""The scopes of a token never widen: through request, approval, launch, code, refresh and downscoping, whatever is asked.

What scopes mean is taken from `access.scopes` alone, type by type and letter by letter; the rule of narrowing is not asked.
MEDLOCK_THOROUGH=1 tries twenty times as many ways.
"""

import os
import random
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlock.access.groups import ALL_TYPES
from medlock.access.scopes import parse_scopes
from medlock.errors import BadRequest, OAuthRefused
from medlock.oauth import scope
from medlock.oauth.authorize import NeedConsent
from medlock.oauth.client import Kind
from medlock.oauth.launching import LaunchRequest
from smart.world import ANN, DOC, World, answer

THOROUGH = bool(os.environ.get("MEDLOCK_THOROUGH"))
WAYS = 1_000 if THOROUGH else 50
TYPES = ("Observation", "Condition", "Patient", "*")
LETTERS = ("r", "s", "rs", "cruds", "u", "read", "write", "*")
QUERIES = ("", "", "", "?category=laboratory", "?category=vital-signs", "?category=survey&code=x")
SOME = [*sorted(ALL_TYPES)[::12], "Observation", "Condition", "Patient"]


def one(chance):
    """A resource scope."""
    query = chance.choice(QUERIES)
    kind = chance.choice(("patient", "user"))
    return f"{kind}/{chance.choice(TYPES[:2] if query else TYPES)}.{chance.choice(LETTERS[:5] if query else LETTERS)}{query}"


def several(chance, words=("launch/patient", "openid", "offline_access")):
    """A scope string."""
    return [*(word for word in words if chance.random() < 0.6), *(one(chance) for _ in range(chance.randint(1, 4)))]


def rights(texts):
    """What scopes allow: (kind, type, query) → bits, each scope by itself."""
    found = {}
    for text in texts:
        if text in scope.WORDS:
            continue
        for each in SOME:
            for kind in ("patient", "user", "system"):
                bits = parse_scopes(text).allowed(kind, each)
                name = kind, each, text.partition("?")[2]
                found[name] = found.get(name, 0) | bits
    return found


def within(wide, narrow):
    """Whether what `narrow` allows is allowed by `wide`: under the same query, or under none."""
    wide, narrow = rights(wide), rights(narrow)
    for (kind, each, query), bits in narrow.items():
        whole = wide.get((kind, each, ""), 0) | wide.get((kind, each, query), 0)
        if bits & ~whole:
            return False
    return True


scopes = st.randoms(use_true_random=False).map(several)


@settings(max_examples=2_000 if THOROUGH else 200)
@given(scopes, scopes)
def test_what_is_covered_is_within(wide, narrow):
    """Where the rule says that something is covered, no letter on no type is beyond; and a set covers itself."""
    first, second = scope.asked(" ".join(wide)), scope.asked(" ".join(narrow))
    if scope.covers(first, second):
        assert within(wide, narrow)
        assert set(second.words) <= set(first.words)
    assert scope.covers(first, first)
    assert scope.covers(first, scope.Asked(first.words[:1], first.resources[:1]))


@pytest.mark.parametrize("seed", range(WAYS))
async def test_no_way_leads_to_wider_scopes(seed):
    """Client, request, approval, token, five refreshes: each is within the one before, whatever was asked for."""
    chance, world = random.Random(seed), World()
    allowed = several(chance, scope.WORDS)
    app = await world.register(Kind.PUBLIC, scopes=" ".join(allowed), launch_url="https://app.example.org/launch")
    person, more = (DOC, {}) if chance.random() < 0.5 else (ANN, {})
    asked = chance.sample(allowed, chance.randint(1, len(allowed))) + ([one(chance)] if chance.random() < 0.3 else [])
    if "launch" in asked:
        address = await world.server.launching.begin(person.id, LaunchRequest(app.id, "ann"))
        more = {"launch": address.rpartition("launch=")[2]}
    need = await world.begin(app, " ".join(asked), person, **more)
    if not isinstance(need, NeedConsent):
        assert answer(need)["error"] == "invalid_scope"
        return
    assert within(allowed, asked)
    chosen = chance.sample(asked, chance.randint(1, len(asked))) + ([one(chance)] if chance.random() < 0.3 else [])
    try:
        done = answer(await world.server.authorize.decide(need.handle, world.session(person), chosen, "ann"))
    except BadRequest:
        assert not within(asked, chosen) or any("?" in each for each in chosen)
        return
    got = (await world.redeem(app, done["code"])).json()
    await check(world, got, asked)
    approved, refresh = got["scope"].split(), got.get("refresh_token")
    for _ in range(5 if refresh else 0):
        wanted = chance.choice(
            [None, chance.sample(approved, chance.randint(1, len(approved))), [one(chance)], several(chance)]
        )
        tried = await world.refresh(app, refresh, **({"scope": " ".join(wanted)} if wanted else {}))
        if tried.status_code == 200:
            await check(world, tried.json(), approved)
            refresh = tried.json()["refresh_token"]
        else:
            assert tried.json()["error"] == "invalid_scope"


async def check(world, got, wide):
    """What a token has, and what its principal may do, is within `wide`."""
    granted = got["scope"].split()
    assert within(wide, granted)
    assert {each for each in granted if each in scope.WORDS} <= set(wide)
    text = (await world.tokens.authenticate(got["access_token"])).scopes.text
    assert within(wide, text.split())


@given(st.text(max_size=200))
def test_scope_strings_that_are_none(text):
    """Whatever is sent as a scope is understood whole, or refused."""
    with suppress(OAuthRefused):
        assert set(scope.asked(text).every) == set(text.split())
