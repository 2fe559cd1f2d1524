"""SMART scopes: one text for one meaning, and nothing that is not understood gets through."""

import re
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlock.access.groups import ALL_TYPES
from medlock.access.scopes import NO_SCOPES, Kind, letters, parse_scopes, rights
from medlock.errors import BadRequest

VECTORS = orjson.loads((Path(__file__).parents[1] / "vectors/access/scopes.json").read_bytes())["vectors"]
TYPES = [*sorted(ALL_TYPES), "*"]


def scope_words():
    """Well-formed scopes."""
    return st.builds(
        "{}/{}.{}".format,
        st.sampled_from([kind.value for kind in Kind]),
        st.sampled_from(TYPES),
        st.integers(1, 31).map(letters) | st.sampled_from(["read", "write", "*"]),
    )


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: repr(vector["text"])[:60])
def test_every_vector_is_read_or_refused_as_written(vector):
    """Each text of the vector file becomes its canonical form, or is refused."""
    if vector["canonical"] is None:
        with pytest.raises(BadRequest):
            parse_scopes(vector["text"])
    else:
        assert parse_scopes(vector["text"]).text == vector["canonical"]


@given(st.lists(scope_words(), min_size=1, max_size=8))
def test_canonical_text_is_a_fixed_point(words):
    """Parsing the canonical text gives the same scopes, whatever the order they were written in."""
    scopes = parse_scopes(" ".join(words))
    assert parse_scopes(scopes.text) == scopes
    assert parse_scopes(" ".join(reversed(words))) == scopes
    for kind in Kind:
        for resource_type in TYPES:
            assert parse_scopes(scopes.text).allowed(kind, resource_type) == scopes.allowed(kind, resource_type)


@given(st.lists(scope_words(), min_size=1, max_size=5), scope_words(), st.sampled_from(TYPES))
def test_adding_a_scope_adds_exactly_its_own_rights(words, more, resource_type):
    """The rights of two scopes together are the union of the rights of each."""
    before, alone = parse_scopes(" ".join(words)), parse_scopes(more)
    both = parse_scopes(" ".join([*words, more]))
    for kind in Kind:
        union = before.allowed(kind, resource_type) | alone.allowed(kind, resource_type)
        assert both.allowed(kind, resource_type) == union


@given(st.text(st.sampled_from("patienuservsym/*.?CrudsPO \t\x00:"), max_size=30) | st.text(max_size=30))
def test_no_text_outside_the_grammar_is_read(text):
    """Texts made of a scope's own characters, or of any, are refused unless every word is well formed."""
    try:
        scopes = parse_scopes(text)
    except BadRequest:
        return
    assert all(
        re.fullmatch(r"(patient|user|system)/(\*|[A-Z][A-Za-z]+)\.c?r?u?d?s?(\?.+)?", word)
        for word in scopes.text.split()
    )
    assert scopes.kinds()


def test_a_refusal_never_repeats_the_scope():
    """The error counts out the scope and keeps its text to itself."""
    with pytest.raises(BadRequest) as refusal:
        parse_scopes("user/Patient.rs user/Observation.rs?secret-marker=secret-marker")
    assert "Scope 2" in str(refusal.value)
    assert "secret-marker" not in str(refusal.value)


@given(st.integers(0, 31))
def test_rights_and_letters_are_inverse(bits):
    """Every set of rights has one spelling."""
    assert rights(letters(bits)) == bits


def test_no_scopes_allow_nothing():
    """The empty Scopes allow no right on any type."""
    assert all(NO_SCOPES.allowed(kind, name) == 0 for kind in Kind for name in TYPES)
