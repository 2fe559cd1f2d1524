"""Which words are names, places, clinical terms or plain language: a bit set for each known word or phrase.

The shipped file is distilled by scripts/text_lexicon.py from registry packages whose licences stand there. A word
that is not listed has no marks; nothing here decides, it only tells. Keys are lower case without accents, so
"Gómez", "Gomez" and "GOMEZ" are one entry.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from functools import cache
from importlib.resources import files

import zstandard


class Mark:
    """What a word is known as; a word may be several things ("Graves", "Lima", "Rose").

    Bits as plain integers: an IntFlag costs a microsecond an operation, and these are asked for every word.
    """

    FIRST = 1  # a first name
    USUAL_FIRST = 2  # one of the few hundred most borne
    LAST = 4  # a surname
    USUAL_LAST = 8
    CITY = 16
    REGION = 32  # a state of the USA
    COUNTRY = 64
    CLINICAL = 128  # occurs in ICD-10-CM
    DRUG = 256
    EPONYM = 512  # a person whose name became a clinical word
    ENGLISH = 1024  # an English word
    FREQUENT = 2048  # one of the 5,000 most frequent
    FEMALE = 4096  # a usual first name of women
    MALE = 8192  # and of men
    HISPANIC = 16384  # a name of the Spanish-speaking world


# Letters that Unicode does not take apart, typographic apostrophes, and marks that cannot be seen.
_PLAIN = str.maketrans(
    {"ß": "ss", "ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
    | dict.fromkeys("’‘´`", "'")
    | dict.fromkeys("\u00ad\u200b\u200c\u200d\u2060", "")
)
NAME = Mark.FIRST | Mark.LAST
EPONYMOUS = Mark.DRUG | Mark.EPONYM
MEDICAL = Mark.CLINICAL | Mark.DRUG | Mark.EPONYM


def fold(text: str) -> str:
    """Lower case, accents off, typographic apostrophes straight. The length may change."""
    plain = text.lower()
    if plain.isascii():
        return plain
    parts = unicodedata.normalize("NFKD", plain.translate(_PLAIN))
    return "".join(part for part in parts if not unicodedata.combining(part))


@cache
def _read() -> tuple[dict[str, int], dict[str, frozenset[str]]]:
    packed = files("medlock.deid.text").joinpath("data", "lexicon.zst").read_bytes()
    words: dict[str, int] = {}
    phrases: dict[str, set[str]] = defaultdict(set)
    for line in zstandard.decompress(packed).decode().split("\n"):
        value, _, entries = line.partition("\t")
        for entry in entries.split("|"):
            words[entry] = int(value)
            first, gap, _ = entry.partition(" ")
            if gap:
                phrases[first].add(entry)
    return words, {first: frozenset(entries) for first, entries in phrases.items()}


def marks(word: str) -> int:
    """The marks of a word or phrase, 0 when it is unknown; a plain int because it is asked for every token."""
    return _read()[0].get(fold(word), 0)


def phrases_from(word: str) -> frozenset[str]:
    """The known phrases of several words that begin with this one, folded."""
    return _read()[1].get(fold(word), frozenset())


def entries(mark: int) -> list[str]:
    """All words and phrases that carry a mark, in order."""
    return sorted(word for word, value in _read()[0].items() if value & mark)
