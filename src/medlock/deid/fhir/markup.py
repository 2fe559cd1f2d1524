"""XHTML and HTML cleaned: the structure stays, attributes go, and the text is cleaned as a reader would see it.

An identifier may run across tags (`555-<b>123</b>-4567`). So the text is cleaned piece by piece and as a whole; when
the two disagree, the structure is given up and the cleaned whole stands in one paragraph.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from html.parser import HTMLParser
from typing import Final

from medlock.fhir.narrative import ELEMENTS, XHTML

_VOID: Final = frozenset({"br", "hr"})
_DROPPED: Final = frozenset({"img", "map", "area"})
_HIDDEN: Final = frozenset(
    {"script", "style", "head", "title", "template", "noscript", "svg", "math", "iframe", "object"}
)
_CELLS: Final = frozenset({"td", "th"})
_BLOCKS: Final = frozenset(
    {"p", "div", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "br", "hr", "dt", "dd", "table"}
)
Clean = Callable[[str], str]


class _Reader(HTMLParser):
    """Tags on R4's list without attributes, text in pieces; what browsers do not show is left out."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[tuple[str, str]] = []  # ("tag" | "text", content)
        self._hidden = 0
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in _HIDDEN:
            self._hidden += 1
        elif tag in ELEMENTS - _DROPPED and not self._hidden:
            self.parts.append(("tag", f"<{tag}/>" if tag in _VOID else f"<{tag}>"))
            if tag not in _VOID:
                self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden = max(self._hidden - 1, 0)
        elif tag in self._open and not self._hidden:
            while self._open:
                last = self._open.pop()
                self.parts.append(("tag", f"</{last}>"))
                if last == tag:
                    break

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(("text", data))

    def finish(self) -> None:
        self.close()
        while self._open:
            self.parts.append(("tag", f"</{self._open.pop()}>"))


def _read(source: str) -> list[tuple[str, str]]:
    reader = _Reader()
    reader.feed(source)
    reader.finish()
    return reader.parts


def _gap(tag: str) -> str:
    """What a tag is to somebody who reads: the end of a line, the space between cells, or nothing."""
    name = tag.strip("</>")
    return "\n" if name in _BLOCKS else "\t" if name in _CELLS else ""


def cleaned_markup(source: str, clean: Clean) -> str:
    """The markup with its text cleaned."""
    parts = _read(source)
    pieces = [(kind, clean(text) if kind == "text" and text.strip() else text) for kind, text in parts]
    shown, whole = _shown(pieces), clean(_shown(parts))
    if re.sub(r"\s+", " ", shown) != re.sub(r"\s+", " ", whole):
        return "".join(f"<p>{escape(line, quote=False)}</p>" for line in whole.splitlines() if line.strip())
    return "".join(text if kind == "tag" else escape(text, quote=False) for kind, text in pieces)


def _shown(parts: list[tuple[str, str]]) -> str:
    return "".join(text if kind == "text" else _gap(text) for kind, text in parts)


def cleaned_div(div: str, clean: Clean) -> str:
    """A Narrative.div: one div in the XHTML namespace (R4 §2.4.1)."""
    body = cleaned_markup(div, clean)
    inner = body.removeprefix("<div>").removesuffix("</div>") if body.startswith("<div>") else body
    return f'<div xmlns="{XHTML}">{inner}</div>'
