"""How strong a password is likely to be, and what to do about it, by zxcvbn: advice first, and a floor.

It reads the first 100 characters only: its time grows faster than its input (4 ms for usual passwords, 18 for 100
characters). The same library in the browser gives the same advice while somebody types; this one decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from zxcvbn import zxcvbn

READ_MAX = 100


@dataclass(frozen=True, slots=True)
class Advice:
    """score from 0 (guessed at once) to 4; sentences for people, which never repeat the password."""

    score: int
    sentences: tuple[str, ...]


def advise(password: str, words: Iterable[str] = ()) -> Advice:
    """Judge a password. `words` are what an attacker would try first for this person."""
    found = zxcvbn(password[:READ_MAX], user_inputs=list(words), max_length=READ_MAX)
    feedback = found["feedback"]
    sentences = tuple(filter(None, (feedback["warning"], *feedback["suggestions"])))
    return Advice(int(found["score"]), sentences)
