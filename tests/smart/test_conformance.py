"""Every row of the list of checks is a test, or stands in docs/smart-conformance.md with the reason why it is none."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs/smart-conformance.md").read_text()
ROWS = (HERE / "rows.txt").read_text().split()
_NAME = re.compile(r"\b((?:X-)?[A-Z])-?(\d\d)(?: to (?:X-)?[A-Z]-?(\d\d))?\b")


def named(text):
    """The ids in a sentence: `A-12`, `X-B19`, and `A-12 to A-17` for all between."""
    for letter, first, last in _NAME.findall(text):
        for number in range(int(first), int(last or first) + 1):
            joint = "" if letter.startswith("X") else "-"
            yield f"{letter}{joint}{number:02}"


def ids_of_tests():
    """The ids in the docstrings of tests."""
    found = set()
    for path in HERE.parent.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found |= set(named(ast.get_docstring(node) or ""))
    return found


def test_every_row_is_tested_or_has_a_reason():
    """No row of the list is forgotten, and none has both a test and an excuse."""
    excused = set(re.findall(r"^\| ((?:X-)?[A-Z]-?\d\d) \|", PAGE.partition("\n## ")[0], flags=re.MULTILINE))
    assert excused <= set(ROWS)
    assert set(ROWS) - ids_of_tests() - excused == set()
    assert excused & ids_of_tests() == set()
