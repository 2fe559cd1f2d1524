"""Optional models are asked only about sentences in which something is left that could identify.

They are a hundred times slower than the rules, and most of what they say is known by then. A sentence is passed on
when a capitalised word that is neither plain nor clinical language, or a number of four digits, stands in it that
nothing has covered yet. The sentences go to the model as one text; its finds are brought back to their places.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from medlock.deid.text.lexicon import EPONYMOUS, MEDICAL, Mark, marks
from medlock.deid.text.spans import Span

_SENTENCE_END = re.compile(
    r"\n|(?<!\b[Mm]r)(?<!\b[MmDd]rs)(?<!\b[Mm]s)(?<!\b[Dd]r)(?<!\b[SM]t)(?<!\bSr)(?<!\b[SD]ra)(?<!\b[A-Z])[.!?;](?=\s)"
)
_OPEN = re.compile(r"(?<![^\W_])(?:[^\W\d_][^\W\d_]*|\d{4,})(?![^\W_])")
_JOINT = "\n"


def ask(find: Callable[[str], Iterable[Span]], text: str, covered: Iterable[Span]) -> Iterator[Span]:
    """The finds of a model in the sentences that are still open."""
    stretches = list(_open_sentences(text, covered))
    if not stretches:
        return
    starts, at = [], 0
    for start, end in stretches:
        starts.append(at)
        at += end - start + len(_JOINT)
    for span in find(_JOINT.join(text[start:end] for start, end in stretches)):
        yield from _back(span, stretches, starts, text)


def _open_sentences(text: str, covered: Iterable[Span]) -> Iterator[tuple[int, int]]:
    taken = bytearray(len(text))
    for span in covered:
        taken[span.start : span.end] = b"\1" * (span.end - span.start)
    start = 0
    for end in [*(match.end() for match in _SENTENCE_END.finditer(text)), len(text)]:
        words = _OPEN.finditer(text, start, end)
        if any(not taken[word.start()] and _telling(word[0]) for word in words):
            yield start, end
        start = end


def _telling(word: str) -> bool:
    """Whether a word could be part of an identifier."""
    if word[0].isdigit():
        return True
    if len(word) < 3 or not word[0].isupper() or (word.isupper() and len(word) < 4):
        return False
    known = marks(word)
    if known & (Mark.USUAL_FIRST | Mark.USUAL_LAST) and not known & EPONYMOUS and not known & Mark.FREQUENT:
        return True
    return not known & (Mark.ENGLISH | MEDICAL)


def _back(span: Span, stretches: list[tuple[int, int]], starts: list[int], text: str) -> Iterator[Span]:
    """The find at its place in the whole text, cut where it runs over a sentence's end."""
    for (start, end), at in zip(stretches, starts, strict=True):
        low, high = max(span.start, at), min(span.end, at + end - start)
        if low < high:
            begin, stop = start + low - at, start + high - at
            yield replace(span, start=begin, end=stop, text=text[begin:stop])
