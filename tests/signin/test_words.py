"""Languages: the list of sentences is current, and a browser gets the best language that there is."""

import subprocess
import sys
from pathlib import Path

import pytest

from medlock.web.signin.render import ago, browser
from medlock.web.signin.words import languages, preferred, words

ROOT = Path(__file__).parents[2]


def test_the_list_of_sentences_is_current():
    """scripts/messages.py would write what is there."""
    done = subprocess.run([sys.executable, ROOT / "scripts/messages.py", "--check"], check=False, timeout=60)
    assert done.returncode == 0, "run scripts/messages.py"


@pytest.mark.parametrize("header", ["", "de", "de-CH;q=0.8, en;q=0.1", "*", "en;q=x", ",;,", "en" * 5_000])
def test_a_language_that_there_is(header):
    """Whatever a browser asks for, the page is in a language that there is."""
    assert preferred(header) in languages()


def test_times_and_browsers_in_words():
    """The largest unit that says enough; the names that people use."""
    said = words("en")
    assert [ago(said, 10**12, 10**12 - gone * 60_000) for gone in (0, 5, 300, 6_000)] == [
        "just now",
        "5 minutes ago",
        "5 hours ago",
        "4 days ago",
    ]
    assert browser(said, "Mozilla/5.0 (Windows NT 10.0) AppleWebKit Chrome/150 Safari/537 Edg/150") == "Edge on Windows"
    assert browser(said, "curl/8") == "A device that does not say what it is"
