"""Renders known identifiers in all spellings into texts and counts what the redactor leaves of them."""

from __future__ import annotations

import re

from deid_text.variants import People, rendered
from medlock.deid.text.lexicon import fold
from medlock.deid.text.redactor import Redactor
from medlock.deid.text.sweep import Sweep

BATCH = 25
# Particles of names and the word between day and month: they say nothing of the person.
_LITTLE = frozenset("de la del van der st the of to".split())


def survivors(count: int, seed: int, *, sweep: bool = True) -> list[tuple[str, str, str]]:
    """(field, spelling, what is left of it) for every spelling of which a letter or digit is left.

    Rules and sweep only: the tagger could but hide what they miss.
    """
    people, engine, left = People(seed), Redactor("en", tagger=False), []
    for _ in range(count // BATCH):
        known = people.person()
        text, places = "", []
        for each in rendered(people, known, BATCH):
            text += each.before
            places.append((len(text), each))
            text += each.value + each.after + " "
        covered = bytearray(len(text))
        for span in engine.find(text, Sweep(known) if sweep else None):
            covered[span.start : span.end] = b"\1" * (span.end - span.start)
        for start, each in places:
            rest = "".join(" " if covered[start + at] else letter for at, letter in enumerate(each.value))
            words = [word for word in re.findall(r"\w+", fold(rest)) if word not in _LITTLE]
            if words:
                left.append((each.field, each.value, " ".join(words)))
    return left


def harm(texts: list[str], people: int = 60, seed: int = 5) -> float:
    """Percent of the words of texts about others that the sweep for random people takes away."""
    crowd = People(seed)
    words = lost = 0
    for _ in range(people):
        sweep = Sweep(crowd.person())
        for text in texts:
            words += len(re.findall(r"\w+", text))
            lost += sum(len(re.findall(r"\w+", span.text)) for span in sweep.find(text))
    return round(100 * lost / words, 4) if words else 0.0
