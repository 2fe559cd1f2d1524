"""Text cut into words, numbers and single marks, each with its place; what lies between is white space only."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
# Letters carry their combining accents and whatever invisible marks a paste left between them.
LETTERS = "(?:[^\\W\\d_][\u0300-\u036f\u00ad\u200b-\u200d\u2060]*)+"
_TOKEN = re.compile(LETTERS + r"|\d+|[^\w\s]|_")


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a text: their words, and where each begins and ends (characters)."""

    words: list[str]
    starts: Ints
    ends: Ints
    breaks: NDArray[np.bool_]  # whether a line ends between the token before and this one


def tokenise(text: str) -> Tokens:
    """Cut. A letter run, a digit run, or one other visible character each make a token."""
    found = [(match[0], match.start(), match.end()) for match in _TOKEN.finditer(text)]
    words = [word for word, _, _ in found]
    starts = np.fromiter((start for _, start, _ in found), np.int64, len(found))
    ends = np.fromiter((end for _, _, end in found), np.int64, len(found))
    lines = np.fromiter((mark.start() for mark in re.finditer("\n", text)), np.int64)
    line = np.searchsorted(lines, starts)
    return Tokens(words, starts, ends, np.diff(line, prepend=-1) != 0)
