"""Documents are checked like code: what they name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_every_test_of_the_threat_model_exists() -> None:
    """Each threat names a test; the file is there and defines it."""
    text = (ROOT / "docs/threat-model.md").read_text()
    named = re.findall(r"`(tests/[\w/.]+\.py)(?:::(\w+))?`", text)
    assert len(named) > 20
    for path, function in named:
        source = (ROOT / path).read_text()
        assert not function or re.search(rf"def {function}\b", source), f"{path}::{function}"
    rows = text.partition("## Threats")[2].partition("\n## ")[0].strip().splitlines()[2:]
    assert all("`tests/" in row for row in rows)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links point at files that are there."""
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_design_page_names_files_that_are_there() -> None:
    """Files named in the reading list exist."""
    listed = (ROOT / "docs/design.md").read_text().partition("## Files")[2].partition("\n## ")[0]
    last = ""
    for name in re.findall(r"[\w/]+\.py", listed):
        last = name.rpartition("/")[0] or last
        assert (ROOT / "src/medlock" / (name if "/" in name else f"{last}/{name}")).exists(), name
