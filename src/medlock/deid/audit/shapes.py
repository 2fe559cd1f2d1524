"""Marks of which plots are made: SVG as text, with a title and a description, and without scripts or references."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

WIDTH = 640
INK, PALE, BEFORE, AFTER, BAD = "#1f2933", "#d5dbe1", "#9aa5b1", "#0b6e6e", "#b42318"


@dataclass(frozen=True)
class Frame:
    """A plot's name, what it says in words, and its height."""

    key: str
    title: str
    says: str
    height: int

    def around(self, marks: Iterable[str]) -> str:
        """The whole picture."""
        return (
            f'<svg role="img" aria-labelledby="{self.key}-t {self.key}-d" viewBox="0 0 {WIDTH} {self.height}" '
            f'xmlns="http://www.w3.org/2000/svg"><title id="{self.key}-t">{escape(self.title)}</title>'
            f'<desc id="{self.key}-d">{escape(self.says)}</desc>{"".join(marks)}</svg>'
        )


def text(x: float, y: float, words: str, anchor: str = "start", *, strong: bool = False) -> str:
    """Words."""
    weight = ' font-weight="600"' if strong else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{weight}>{escape(words)}</text>'


def bar(x: float, y: float, width: float, height: float, colour: str) -> str:
    """A filled box; what is not nothing stays visible."""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="1.5" fill="{colour}"/>'


def box(x: float, y: float, width: float, height: float, colour: str) -> str:
    """An outlined box."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="3" fill="#fff" '
        f'stroke="{colour}" stroke-width="1.2"/>'
    )


def line(start: tuple[float, float], end: tuple[float, float], colour: str, *, width: float = 1, dash: str = "") -> str:
    """A line."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" stroke="{colour}" '
        f'stroke-width="{width:g}"{dashed}/>'
    )


def dot(x: float, y: float, radius: float, colour: str, *, faint: bool = False) -> str:
    """A point."""
    opacity = ' fill-opacity="0.55"' if faint else ""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{colour}"{opacity}/>'


def diamond(x: float, y: float, radius: float, colour: str) -> str:
    """The mark of the release itself: told from a point without its colour."""
    points = f"{x:.1f},{y - radius:.1f} {x + radius:.1f},{y:.1f} {x:.1f},{y + radius:.1f} {x - radius:.1f},{y:.1f}"
    return f'<polygon points="{points}" fill="{colour}" stroke="#fff" stroke-width="1.5"/>'
