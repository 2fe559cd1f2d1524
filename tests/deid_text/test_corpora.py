"""On the public corpora, when they are there: floors that the rules alone keep, without any training."""

import sys
from pathlib import Path

import pytest

from medlock.deid.text import Redactor

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
pytestmark = pytest.mark.skipif(not (DATA / "deid").is_dir(), reason="the corpora are not here")


@pytest.fixture(scope="module")
def corpora():
    """The readers and scores of scripts and benchmarks."""
    sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "benchmarks")]
    try:
        import deid_text_scores  # noqa: PLC0415 - benchmarks are no package
        import text_corpora  # noqa: PLC0415 - scripts are no package
    finally:
        del sys.path[:2]
    return text_corpora, deid_text_scores


def test_rules_alone_on_clinical_queries(corpora):
    """Strict recall and over-redaction of rules and dictionaries on the held-out queries of ASQ-PHI."""
    text_corpora, scores = corpora
    held = [query for query in text_corpora.asq(DATA) if query.held_out()]
    summary = scores.score(Redactor("en", tagger=False).find, held).summary()
    assert summary["identifiers"] > 500
    assert summary["strict"] > 95
    assert summary["over_redaction"] < 8


def test_rules_alone_on_spanish_cases(corpora):
    """Names, ids and contacts of rules and dictionaries on MEDDOCAN's dev part."""
    text_corpora, scores = corpora
    summary = scores.score(Redactor("es", tagger=False).find, list(text_corpora.meddocan("dev", DATA))[:80]).summary()
    assert summary["direct_strict"] > 95
    assert summary["character_precision"] > 85
