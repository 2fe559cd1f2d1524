"""XHTML and HTML cleaned: the structure stays, attributes go, and the text is cleaned as a reader would see it.

An identifier may run across tags (`555-<b>123</b>-4567`). So the text is read as a whole, and what is changed in it is
changed in its pieces. With a cleaner that cannot say where it changes what, the text is cleaned piece by piece and as a
whole; when the two disagree, the structure is given up and the cleaned whole stands in paragraphs.
"""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser
from typing import Final

from medlock.deid.fhir.cleaning import Cleaning
from medlock.deid.fhir.text import Edit
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
Parts = list[tuple[str, str]]  # ("tag" | "text", content)


class _Reader(HTMLParser):
    """Tags on R4's list without attributes, text in pieces; what browsers do not show is left out."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: Parts = []
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


def _read(source: str) -> Parts:
    reader = _Reader()
    reader.feed(source)
    reader.finish()
    return reader.parts


def _gap(tag: str) -> str:
    """What a tag is to somebody who reads: the end of a line, the space between cells, or nothing."""
    name = tag.strip("</>")
    return "\n" if name in _BLOCKS else "\t" if name in _CELLS else ""


def cleaned_markup(source: str, cleaning: Cleaning) -> str:
    """The markup with its text cleaned."""
    parts = _read(source)
    edits = cleaning.edits(_shown(parts))
    return _apart(parts, cleaning) if edits is None else _written(_edited(parts, edits))


def _edited(parts: Parts, edits: list[Edit]) -> Parts:
    """The parts with each edit made where it begins; what it covers in later parts goes."""
    out: Parts = []
    at = 0
    for kind, text in parts:
        end = at + len(text if kind == "text" else _gap(text))
        inside = [edit for edit in edits if edit.start < end and edit.end > at] if kind == "text" else []
        out.append((kind, _piece(text, at, inside)))
        at = end
    return out


def _piece(text: str, at: int, edits: list[Edit]) -> str:
    """A part that begins at `at` of the whole, with the edits that reach into it."""
    out: list[str] = []
    done = 0
    for edit in edits:
        out += [text[done : max(edit.start - at, 0)], edit.text if edit.start >= at else ""]
        done = edit.end - at
    return "".join([*out, text[done:]])


def _apart(parts: Parts, cleaning: Cleaning) -> str:
    """Cleaned piece by piece, held against the whole."""
    pieces = [(kind, cleaning.text(text) if kind == "text" and text.strip() else text) for kind, text in parts]
    shown, whole = _shown(pieces), cleaning.text(_shown(parts))
    if re.sub(r"\s+", " ", shown) != re.sub(r"\s+", " ", whole):
        return "".join(f"<p>{escape(line, quote=False)}</p>" for line in whole.splitlines() if line.strip())
    return _written(pieces)


def _written(parts: Parts) -> str:
    return "".join(text if kind == "tag" else escape(text, quote=False) for kind, text in parts)


def _shown(parts: Parts) -> str:
    return "".join(text if kind == "text" else _gap(text) for kind, text in parts)


def cleaned_div(div: str, cleaning: Cleaning) -> str:
    """A Narrative.div: one div in the XHTML namespace (R4 §2.4.1)."""
    body = cleaned_markup(div, cleaning)
    inner = body.removeprefix("<div>").removesuffix("</div>") if body.startswith("<div>") else body
    return f'<div xmlns="{XHTML}">{inner}</div>'
