"""Optional models and Presidio, with the real packages where they are installed; a sentence where they are not."""

import sys

import pytest

from medlock.deid.text import Kind, Redactor
from medlock.deid.text.asking import ask
from medlock.deid.text.models import Model, load_model
from medlock.deid.text.spans import Span
from medlock.errors import SetupError

TEXT = "No fever today.\nThen Ms. Rosamund Oyelaran of Lowell called.\nShe takes aspirin."


class Echo:
    """A detector that remembers what it was shown and finds one word."""

    def __init__(self, word):
        self.word, self.shown = word, []
        self.name = "echo"

    def find(self, text):
        self.shown.append(text)
        at = text.find(self.word)
        return [Span(at, at + len(self.word), Kind.NAME, 0.6, "model:echo")] if at >= 0 else []


def test_only_open_sentences_are_asked_about():
    """A model sees the sentences that hold an unknown capitalised word, and its finds land where they belong."""
    echo = Echo("Oyelaran")
    spans = list(ask(echo.find, TEXT, []))
    assert [TEXT[span.start : span.end] for span in spans] == ["Oyelaran"]
    assert echo.shown == ["Then Ms. Rosamund Oyelaran of Lowell called."]


def test_a_sentence_that_is_covered_is_not_asked_about():
    """What the rules know already costs nothing."""
    start = TEXT.index("Rosamund")
    echo = Echo("x")
    assert list(ask(echo.find, TEXT, [Span(start, TEXT.index(" called"), Kind.NAME, 0.9, "rule")])) == []
    assert echo.shown == []


def test_a_guess_of_clinical_words_falls():
    """A detector that takes a drug or an eponym's sign for a name is not believed."""
    text = "The Quixblat reported that Coumadin was stopped for Chaddock reflex."
    for word in ("Coumadin", "Chaddock"):
        assert Redactor("en", tagger=False, detectors=(Echo(word),)).find(text) == []
    assert Redactor("en", tagger=False, detectors=(Echo("Quixblat"),)).find(text)


@pytest.mark.parametrize("model", list(Model))
def test_models_find_what_rules_cannot(model):
    """The packaged weights load and find people who stand in no pattern; places are exact."""
    try:
        detector = load_model(model)
    except SetupError as missing:
        pytest.skip(str(missing))
    text = "Yesterday Barack Obama went to see the doctors in Boston with his friend Angela Merkel."
    spans = list(detector.find(text))
    assert {span.kind for span in spans} >= {Kind.NAME}
    assert all(text[span.start : span.end] == span.text for span in spans)
    assert Redactor("en", detectors=(detector,)).find(text)
    assert list(detector.find("")) == []
    assert any("Merkel" in span.text for span in detector.find("Nothing here. " * 200 + text))


def test_a_missing_model_says_how_to_get_it(monkeypatch):
    """Without the library the answer is the command that installs it."""
    monkeypatch.setitem(sys.modules, "medlock.deid.text.spacy_model", None)
    with pytest.raises(SetupError, match=r"pip install 'medlock\[spacy\]'"):
        load_model(Model.SPACY)


def test_presidio_uses_medlock():
    """As a recogniser: Presidio's registry runs medlock and gets its own entities back."""
    presidio = pytest.importorskip("presidio_analyzer")
    adapter = pytest.importorskip("medlock.deid.text.presidio")
    recogniser = adapter.MedlockRecognizer("en")
    text = "Dr. Joan Alcott, MRN: SF-998877, on March 5th, 2021"
    found = recogniser.analyze(text, ["PERSON", "MRN", "DATE_TIME"])
    assert {(each.entity_type, text[each.start : each.end]) for each in found} >= {
        ("MRN", "SF-998877"),
        ("DATE_TIME", "March 5th, 2021"),
    }
    assert [each.entity_type for each in recogniser.analyze(text, ["MRN"])] == ["MRN"]
    registry = presidio.RecognizerRegistry(recognizers=[recogniser], supported_languages=["en"])
    engine = presidio.AnalyzerEngine(registry=registry, nlp_engine=_NoLanguage(), supported_languages=["en"])
    assert "MRN" in {each.entity_type for each in engine.analyze(text, language="en")}


def test_medlock_uses_presidio():
    """An analyzer engine as a detector: its score is scaled below our rules, kinds are ours."""
    presidio = pytest.importorskip("presidio_analyzer")
    adapter = pytest.importorskip("medlock.deid.text.presidio")
    ticket = presidio.PatternRecognizer("TICKET", patterns=[presidio.Pattern("ticket", r"zq-[a-z]{4}", 0.9)])
    registry = presidio.RecognizerRegistry(recognizers=[ticket], supported_languages=["en"])
    engine = presidio.AnalyzerEngine(registry=registry, nlp_engine=_NoLanguage(), supported_languages=["en"])
    detector = adapter.PresidioDetector(engine)
    text = "Given by Quixblat the code zq-abcd was noted."
    (found,) = detector.find(text)
    assert (found.kind, found.text, found.confidence <= 0.7) == (Kind.ID, "zq-abcd", True)
    assert "zq-abcd" in [span.text for span in Redactor("en", tagger=False, detectors=(detector,)).find(text)]


def _NoLanguage():  # noqa: N802 - stands for a class
    """Presidio's engine for texts that need no language model."""
    presidio = pytest.importorskip("presidio_analyzer.nlp_engine")

    class NoLanguage(presidio.NlpEngine):
        def load(self):
            pass

        def is_loaded(self):
            return True

        def process_text(self, text, language):  # noqa: ARG002 - the interface
            return presidio.NlpArtifacts([], [], [], [], self, language)

        def process_batch(self, texts, language, **_):
            return ((text, self.process_text(text, language)) for text in texts)

        def is_stopword(self, word, language):  # noqa: ARG002 - the interface
            return False

        def is_punct(self, word, language):  # noqa: ARG002 - the interface
            return False

        def get_supported_entities(self):
            return []

        def get_supported_languages(self):
            return ["en"]

    return NoLanguage()
