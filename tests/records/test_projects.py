"""For whom the server de-identifies: settings that cannot be kept to are told at start, and keys end with exports."""

import pytest

from medlock.errors import NotFound, SetupError
from medlock.fhir.options import ExportOptions
from medlock.fhir.question import Interaction, Question
from medlock.records.projects import Projects

ASKED = Question(Interaction.ANONYMIZE, options=ExportOptions(preset="safe-harbor"))


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "project.key"
    path.write_text("ab" * 32)
    path.chmod(0o600)
    return path


def test_settings_are_checked(key):
    """An unknown preset or way with text, a key file that is not there or that others can read: each is told."""
    Projects(key, "gdpr", "clean").check()
    Projects().check()
    for wrong in (Projects(key, "none"), Projects(key, prose="shred"), Projects(key.with_name("none"))):
        with pytest.raises(SetupError):
            wrong.check()
    key.chmod(0o644)
    with pytest.raises(SetupError):
        Projects(key).check()


def test_a_key_that_was_drawn_ends_with_its_export(key):
    """It is the one that was lent, an engine each; after the end there is none under that name, and no other instead."""
    projects = Projects(key)
    for name, number in (("a", 1), ("b", 2)):
        projects.lend(name, bytes([number]) * 32)
    first = projects.engine("a", ASKED)
    assert projects.engine("a", ASKED) is first
    assert (first.key, projects.engine("b", ASKED).key) == (b"\1" * 32, b"\2" * 32)
    projects.end("a")
    projects.end("never")
    for name in ("a", ""):
        with pytest.raises(NotFound):
            projects.engine(name, ASKED)


def test_keys_are_not_shown(key):
    """Neither engine nor projects tell a key when they are printed."""
    projects = Projects(key)
    engine = projects.engine("a", Question(Interaction.PSEUDONYMIZE, options=ExportOptions(preset="gdpr")))
    assert engine.key == bytes.fromhex("ab" * 32)
    assert repr(engine.key) not in repr(engine)
    assert "abab" not in repr(projects)
    assert "\\xab" not in repr(projects)
