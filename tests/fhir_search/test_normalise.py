"""Folding text for string search."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_search import readings
from medlock.fhir.normalise import fold

LETTERS = st.characters(codec="utf-8", categories=["Ll", "Lu", "Nd", "Po", "Pd", "Zs"], max_codepoint=0x24F)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Müller", "muller"),
        ("MU\u0308LLER", "muller"),
        ("O'Brien", "obrien"),
        ("O\u2019Brien", "obrien"),
        ("St. Mary's", "st marys"),
        ("Smith-Jones", "smith jones"),
        ("  a \t b\n", "a b"),
        ("1 Elm St., Apt #4", "1 elm st apt 4"),
        ("Straße", "strasse"),
        ("\u0130zmir", "izmir"),
        ("ἈΓΆΠΗ", "αγαπη"),
        ("किताब", "किताब"),
        ("王小明", "王小明"),
        ("™", "tm"),
        ("-.'", ""),
        ("", ""),
    ],
)
def test_examples(text: str, folded: str) -> None:
    """Case, accents, apostrophes, punctuation and spacing fall away; letters of every script stay."""
    assert fold(text) == folded


@given(st.text())
def test_idempotent(text: str) -> None:
    """Folding what is folded changes nothing, so stored and asked text meet in one form."""
    assert fold(fold(text)) == fold(text)


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_ascii_path_is_no_second_rule(text: str) -> None:
    """The fast path for ASCII gives what the general rule gives."""
    assert fold(text) == fold(text + "\u0301").removesuffix("\u0301")


@given(st.text(alphabet=LETTERS))
def test_agrees_with_the_oracle(text: str) -> None:
    """The oracle's own folding gives the same for Latin text."""
    assert fold(text) == readings.folded(text)
