"""Settings from the environment and from the file that it names."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlock.errors import SetupError
from medlock.settings import DRAIN_MAX, Settings, from_environment


def read(tmp_path, text, **more):
    path = tmp_path / "medlock.env"
    path.write_text(text)
    return from_environment({"MEDLOCK_ENV_FILE": str(path), **more})


def test_an_empty_environment_gives_the_defaults():
    """What is documented as default is what is set."""
    assert from_environment({}) == Settings(Path("medlock-data"))


def test_the_file_wins(tmp_path):
    """A running process keeps its environment; so what a reload reads must be stronger. Comments and quotes are for people."""
    text = '# the clinic\n\nMEDLOCK_PUBLIC_URL="https://fhir.example.org"\nMEDLOCK_STORE=postgresql://a@b/c?x=y=z\n'
    settings = read(tmp_path, text, MEDLOCK_PUBLIC_URL="https://old.example.org", MEDLOCK_DRAIN_SECONDS="7")
    assert settings.public_url == "https://fhir.example.org"
    assert settings.store == "postgresql://a@b/c?x=y=z"
    assert settings.drain_seconds == 7


@pytest.mark.parametrize(
    "line", ["nonsense", "PATH=/secret", "export MEDLOCK_STORE=x", 'MEDLOCK_STORE="secret', "MEDLOCK_store=x"]
)
def test_a_line_that_cannot_be_read_is_told_by_number(tmp_path, line):
    """Never by its text, which may be a password; other programs' variables are not set from it."""
    with pytest.raises(SetupError) as told:
        read(tmp_path, f"# first\n{line}\n")
    assert "Line 2" in str(told.value)
    assert "secret" not in str(told.value)


def test_a_file_that_is_missing_is_told(tmp_path):
    """It was named, so it is wanted."""
    with pytest.raises(SetupError):
        from_environment({"MEDLOCK_ENV_FILE": str(tmp_path / "none")})


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12))
def test_how_long_to_drain_is_a_number_within_bounds(text):
    """Whatever is written: a number from 0 to the limit, or a refusal."""
    try:
        seconds = from_environment({"MEDLOCK_DRAIN_SECONDS": text}).drain_seconds
    except SetupError:
        assert not (text.isascii() and text.isdecimal() and int(text) <= DRAIN_MAX)
    else:
        assert 0 <= seconds <= DRAIN_MAX
