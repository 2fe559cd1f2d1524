"""Notes with what a record knows planted into them, each once as it is and once with one slip of the pen."""

import re

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def slipped(rng, text):
    """One letter or digit wrong, missing, doubled or exchanged with its neighbour; the first stays what it is."""
    places = [at for at, each in enumerate(text) if each.isalnum() and at and text[at - 1].isalnum()]
    if not places:
        return text
    at = rng.choice(places)
    other = rng.choice("0123456789" if text[at].isdigit() else LETTERS)
    ways = [text[:at] + other + text[at + 1 :], text[:at] + text[at + 1 :], text[:at] + text[at] + text[at:]]
    if at + 1 < len(text) and text[at + 1].isalnum():
        ways.append(text[:at] + text[at + 1] + text[at] + text[at + 2 :])
    return rng.choice(ways)


def numbered(text):
    """Whether Synthea wrote a number behind a name: nobody would misspell that."""
    return re.fullmatch(r"[^\W\d_'.-]+\d{1,3}", text) is not None


def note(values, rng):
    """(text, what was planted): each value on a line of its own, in words that say nothing."""
    around = ["The chart says {}.", "Seen with {} today.", "As told by {}; plan unchanged.", "Sent to {}, no change."]
    lines = [rng.choice(around).format(value) for value in values]
    return "\n".join(lines)
