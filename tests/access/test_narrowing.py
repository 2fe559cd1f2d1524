"""Fewer scopes: what two sets have in common, and what lies within what. Nothing ever comes out wider."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlock.access.narrowing import covers, narrow
from medlock.access.residual import Met, Seen, holds
from medlock.access.scopes import NO_SCOPES, Kind, Scopes, letters, parse_scopes
from medlock.store.bodies import Meta

QUERIES = (
    "category=a", "category=b", "category=s|a", "category=s|", "category=a,b", "category=a&category=b", "status=final",
    "category=a&status=final", "status=final&category=a", "subject=Patient/1", "subject=1", "date=2024", "date=ge2024-02",
    "_tag=t|x", "_id=o1", "value-quantity=5.4", "value-quantity=5.40",
)  # fmt: skip
COMMON = ("_tag=t|x", "_id=o1")


def words() -> st.SearchStrategy[str]:
    """Scopes of any kind, with and without a query."""
    some = st.integers(1, 31).map(letters)
    plain = st.builds(
        "{}/{}.{}".format, st.sampled_from(list(Kind)), st.sampled_from(["Observation", "Patient", "*"]), some
    )
    granular = st.builds("{}/Observation.{}?{}".format, st.sampled_from(list(Kind)), some, st.sampled_from(QUERIES))
    starred = st.builds("{}/*.{}?{}".format, st.sampled_from(list(Kind)), some, st.sampled_from(COMMON))
    return plain | granular | starred


def scopes() -> st.SearchStrategy[Scopes]:
    """A few together."""
    return st.lists(words(), min_size=1, max_size=5).map(" ".join).map(parse_scopes)


def observations() -> list[Seen]:
    """Observations of every mixture that the queries tell apart."""
    made = []
    systems, tags = ("s", "other"), ([], [{"system": "t", "code": "x"}])
    codes, states, days, values = (
        (("a",), ("b",), ("a", "b"), ()),
        ("final", "amended"),
        ("2024-01-05", "2024-03-05"),
        (5.4, 5.36),
    )
    for id_, (system, code, status, day, value, tag) in enumerate(product(systems, codes, states, days, values, tags)):
        body: dict[str, Any] = {
            "resourceType": "Observation",
            "id": f"o{id_ % 3}",
            "meta": {"tag": tag},
            "status": status,
            "category": [{"coding": [{"system": system, "code": each}]} for each in code],
            "subject": {"reference": f"Patient/{1 + id_ % 2}"},
            "effectiveDateTime": day,
            "valueQuantity": {"value": value},
        }
        made.append(
            Seen(Meta("Observation", body["id"], 1, 0), b"", {name: each for name, each in body.items() if each})
        )
    return made


SEEN = observations()


def allowed(scopes: Scopes, kind: Kind, seen: Seen) -> int:
    """The rights that these scopes give on one very resource, one scope after the other."""
    bits = 0
    for each in scopes.each:
        if each.kind is kind and each.type in {"*", "Observation"} and holds(Met(each.conditions), seen):
            bits |= each.bits
    return bits


@given(scopes(), scopes())
def test_what_two_have_in_common_is_exactly_that(one: Scopes, other: Scopes) -> None:
    """On every resource `narrow` allows what both allow: never more, and never less."""
    both = narrow(one, other)
    for kind, seen in product(Kind, SEEN[::3]):
        assert allowed(both, kind, seen) == allowed(one, kind, seen) & allowed(other, kind, seen)


@given(scopes(), scopes())
def test_what_is_in_common_lies_within_both(one: Scopes, other: Scopes) -> None:
    """`covers` says so of either, and the text of the result means the same when it is read again."""
    both = narrow(one, other)
    assert covers(one, both)
    assert covers(other, both)
    assert both == NO_SCOPES or parse_scopes(both.text).text == both.text
    assert both == NO_SCOPES or covers(parse_scopes(both.text), both)


@given(scopes(), scopes())
def test_what_is_covered_allows_no_more(wide: Scopes, narrower: Scopes) -> None:
    """A yes of `covers` holds on every resource, for every kind."""
    if covers(wide, narrower):
        for kind, seen in product(Kind, SEEN):
            assert not allowed(narrower, kind, seen) & ~allowed(wide, kind, seen)


@given(scopes())
def test_everything_covers_itself_and_nothing_covers_more(some: Scopes) -> None:
    """A set covers itself and its narrowing with itself; the empty set covers only itself."""
    assert covers(some, some)
    assert covers(narrow(some, some), some)
    assert covers(some, NO_SCOPES)
    assert not covers(NO_SCOPES, some)
    assert narrow(some, NO_SCOPES) == NO_SCOPES


@pytest.mark.parametrize(
    ("wide", "narrower", "within"),
    [
        ("patient/Observation.rs", "patient/Observation.rs?category=a", True),
        ("patient/Observation.rs?category=a", "patient/Observation.rs", False),
        ("patient/Observation.rs?category=a", "patient/Observation.rs?category=a&status=final", True),
        ("patient/Observation.rs?category=a", "patient/Observation.rs?category=s|a", True),
        ("patient/Observation.rs?category=s|a", "patient/Observation.rs?category=a", False),
        ("patient/Observation.rs?category=a,b", "patient/Observation.rs?category=b", True),
        ("patient/Observation.rs?category=a", "patient/Observation.rs?category=a,b", False),
        ("patient/Observation.rs?category=a", "patient/Observation.cruds?category=a", False),
        (
            "patient/Observation.r?category=a patient/Observation.s?category=a",
            "patient/Observation.rs?category=a",
            True,
        ),
        (
            "patient/Observation.r?category=a patient/Observation.s?category=b",
            "patient/Observation.rs?category=a",
            False,
        ),
        ("patient/*.rs", "patient/Observation.r?category=a", True),
        ("patient/Observation.rs patient/Patient.rs", "patient/*.rs", False),
        ("patient/*.rs?_tag=t|x", "patient/Observation.rs?_tag=t|x&category=a", True),
        ("patient/*.rs?_tag=t|x", "patient/Observation.rs", False),
        ("patient/Observation.rs", "user/Observation.rs", False),
        ("patient/Observation.rs?value-quantity=5.4", "patient/Observation.rs?value-quantity=5.40", False),
    ],
)
def test_what_lies_within_what(wide: str, narrower: str, within: bool) -> None:
    """One row for each way in which a scope can be narrower than another."""
    assert covers(parse_scopes(wide), parse_scopes(narrower)) is within
