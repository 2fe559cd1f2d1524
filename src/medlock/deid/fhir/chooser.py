"""Which preset? A few questions in words, and what the law calls the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Question:
    """One question with its answers, each under the key that chooses it."""

    key: str
    words: str
    answers: Mapping[str, str]


@dataclass(frozen=True)
class Advice:
    """A preset, why, and what the one who releases must still see to."""

    preset: str
    because: str
    duties: tuple[str, ...]


QUESTIONS: Final = (
    Question(
        "dates",
        "What must the recipient know about time?",
        {
            "years": "the year of an event is enough",
            "intervals": "how many days lie between events, but not the days themselves",
            "days": "the days themselves",
        },
    ),
    Question(
        "places",
        "What must the recipient know about places?",
        {"state": "the state, or the first three digits of the ZIP code", "town": "town and whole postal code"},
    ),
    Question(
        "again",
        "Must somebody be able to find the patient again, to ask or to warn?",
        {"no": "no, never", "yes": "yes, when two people agree that it is right"},
    ),
    Question(
        "agreement",
        "Has the recipient signed what they may do with the data (data use agreement, processing contract)?",
        {"yes": "yes", "no": "no"},
    ),
)
_AGREEMENT: Final = "Sign a data use agreement first (45 CFR 164.514(e)(4)); without it this release is not allowed."
_CONTRACT: Final = "The output is still personal data (GDPR recital 26): it needs a legal basis and a contract."


def advise(answers: Mapping[str, str]) -> Advice:
    """The preset that gives the recipient what they need and no more."""
    signed = answers["agreement"] == "yes"
    if answers["again"] == "yes" or answers["dates"] == "intervals":
        duties = ["Keep the key file apart from the data (GDPR Art. 4(5)).", _CONTRACT]
        if answers["again"] == "yes":
            duties.append("Make a vault with medlock deid vault, so that only two people together can find anybody.")
        if answers["dates"] == "days":
            duties.append("Days themselves are not given: dates move, the distances between them stay exact.")
        return Advice(
            "gdpr", "people stay recognisable to the key holder only, and intervals stay exact", tuple(duties)
        )
    if answers["dates"] == "days" or answers["places"] == "town":
        return Advice(
            "limited",
            "real days, towns and postal codes may only stay in a limited data set",
            () if signed else (_AGREEMENT,),
        )
    return Advice(
        "safe-harbor",
        "years and states are enough, so all 18 identifiers can go and the data no longer count as health records",
        ("Do not release it when you know that somebody could still be recognised (45 CFR 164.514(b)(2)(ii)).",),
    )
