"""Writes src/medlock/web/signin/locale/messages.pot: every sentence of the pages, as gettext's tools read it.

A translator copies it to `locale/<language>/LC_MESSAGES/messages.po` and compiles that with msgfmt; the pages offer the
language from then on (web/signin/words.py). With `--check` nothing is written; exit code 1 says that it is not current.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

from jinja2 import Environment
from jinja2.ext import InternationalizationExtension, extract_from_ast

SIGNIN = Path(__file__).parents[1] / "src/medlock/web/signin"
PLACE = SIGNIN / "locale/messages.pot"
HEADER = 'msgid ""\nmsgstr ""\n"Project-Id-Version: medlock\\n"\n"Content-Type: text/plain; charset=UTF-8\\n"\n'

Message = str | tuple[str, ...]


def of_templates() -> dict[Message, str]:
    """Sentences in templates, each with the first file that has it."""
    environment = Environment(extensions=[InternationalizationExtension], trim_blocks=True, lstrip_blocks=True)  # noqa: S701 - it renders nothing
    found: dict[Message, str] = {}
    for path in sorted(SIGNIN.glob("templates/*.html")):
        for _, function, message in extract_from_ast(environment.parse(path.read_text()), babel_style=False):
            texts = [each for each in ((message,) if isinstance(message, str) else message) if each]
            if texts:
                found.setdefault(tuple(texts[:2]) if function == "ngettext" else texts[0], path.name)
    return found


def of_code() -> dict[Message, str]:
    """Sentences that code passes to gettext."""
    found: dict[Message, str] = {}
    for path in sorted(SIGNIN.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in {"gettext", "say", "BadRequest"}:
                texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
                for text in texts:
                    found.setdefault(text, path.name)
    return found


def catalogue() -> str:
    """The whole file."""
    parts = [HEADER]
    for message, place in {**of_templates(), **of_code()}.items():
        if isinstance(message, str):
            parts.append(f'#: {place}\nmsgid {_quoted(message)}\nmsgstr ""\n')
        else:
            one, many = message[:2]
            parts.append(
                f'#: {place}\nmsgid {_quoted(one)}\nmsgid_plural {_quoted(many)}\nmsgstr[0] ""\nmsgstr[1] ""\n'
            )
    return "\n".join(parts)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(PLACE.read_text() != catalogue())
    PLACE.parent.mkdir(exist_ok=True)
    PLACE.write_text(catalogue())
