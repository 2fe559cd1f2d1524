"""The engine: finds identifiers by rules, dictionaries, the tagger, further models and the record, and replaces them.

Everything here is a function of its arguments. Rules and tagger come with medlock; further detectors (spaCy, Rampart,
Presidio) are handed in. What several of them find is united, so that a detector can only add (`spans.resolve`). With
the record's identifiers at hand (`Known`) the sweep goes last and outranks everything: what it finds is certain.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from medlock.deid.text.ages import find_ages, is_old
from medlock.deid.text.asking import ask
from medlock.deid.text.contacts import find_contacts
from medlock.deid.text.dates import read_dates, relative_dates
from medlock.deid.text.known import Known
from medlock.deid.text.language import language_of
from medlock.deid.text.names import echoes, find_names
from medlock.deid.text.numbers import find_numbers
from medlock.deid.text.persons import find_persons
from medlock.deid.text.places import find_places
from medlock.deid.text.policy import EVERY_KIND, SAFE_HARBOR, Policy
from medlock.deid.text.spans import Kind, Span, join, resolve
from medlock.deid.text.stoplist import clinical
from medlock.deid.text.sweep import Sweep
from medlock.deid.text.tagger import LANGUAGES, shipped
from medlock.errors import BadRequest

_YEAR = re.compile(r"\W*(?:19|20)\d\d\W*")
_NEAR = 120  # characters: a sentence
Replace = Callable[[Span], str]


class Detector(Protocol):
    """Something else that finds identifiers; adapters stand in `models` and `presidio`."""

    @property
    def name(self) -> str:
        """What it is called in a span's source."""

    def find(self, text: str) -> Iterable[Span]:
        """Its finds; they may overlap."""


class Seeker(Protocol):
    """What is certain of a record's identifiers, such as a `Sweep`."""

    def find(self, text: str) -> Iterable[Span]:
        """Every place where one of them stands; finds may overlap."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without its identifiers, and where in the given text they stood."""

    text: str
    spans: tuple[Span, ...]


def tag(span: Span) -> str:
    """The kind in brackets: the replacement when no other is wanted."""
    return f"[{span.kind}]"


@dataclass(frozen=True)
class Redactor:
    """Finds and replaces, for one language or ("auto") for whichever of the two each text is in.

    `policy` None takes Safe Harbor for English and every kind for Spanish. `tagger` False leaves rules and
    dictionaries alone. Raises BadRequest for a language that is neither.
    """

    language: str = "en"
    policy: Policy | None = None
    tagger: bool = True
    detectors: tuple[Detector, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.language not in {*LANGUAGES, "auto"}:
            raise BadRequest(f"Language is one of {', '.join(LANGUAGES)} or auto.")

    def language_in(self, text: str) -> str:
        """The language that this text is read in."""
        return language_of(text) if self.language == "auto" else self.language

    def find(self, text: str, known: Known | Seeker | None = None) -> list[Span]:
        """The identifiers of the text in order, without overlaps."""
        language = self.language_in(text)
        policy = self.policy or (EVERY_KIND if language == "es" else SAFE_HARBOR)
        spans = [span for span in self._all(text, language, policy) if span.kind in policy.kinds]
        if known is not None:
            spans += (Sweep(known) if isinstance(known, Known) else known).find(text)
        return join(resolve(spans, text), text)

    def apply(self, text: str, known: Known | Seeker | None = None, replace: Replace = tag) -> Redacted:
        """The text with every identifier replaced by what `replace` makes of its span."""
        spans = self.find(text, known)
        out, at = [], 0
        for span in spans:
            out += [text[at : span.start], replace(span)]
            at = span.end
        return Redacted("".join([*out, text[at:]]), tuple(spans))

    def _all(self, text: str, language: str, policy: Policy) -> Iterator[Span]:
        certain = resolve(_rules(text, language, policy), text)
        yield from certain
        guesses = list(shipped(language).find(text)) if self.tagger else []
        guesses = [span for span in guesses if _stands(text, span, language, policy)]
        for detector in self.detectors:
            asked = ask(detector.find, text, [*certain, *guesses])
            guesses += [span for span in asked if _stands(text, span, language, policy)]
        yield from guesses
        yield from echoes(text, [*certain, *guesses])
        yield from _told_from_today(text, [*certain, *guesses])


def _told_from_today(text: str, spans: list[Span]) -> Iterator[Span]:
    """Relative dates that stand near a named person or facility; alone they identify nobody."""
    places = [span.start for span in spans if span.kind in {Kind.NAME, Kind.HOSPITAL}]
    for match in relative_dates(text):
        if any(abs(place - match.start) < _NEAR for place in places):
            yield Span(match.start, match.end, Kind.DATE, match.confidence, "rule:date-relative")


def _stands(text: str, span: Span, language: str, policy: Policy) -> bool:
    """Whether a model's guess is kept: no clinical word, no year or age that the policy lets stand."""
    if span.kind is Kind.DATE and not policy.years and _YEAR.fullmatch(text, span.start, span.end):
        return False
    if span.kind is Kind.AGE and not policy.all_ages:
        return False
    return language == "es" or not clinical(text, span)


def _rules(text: str, language: str, policy: Policy) -> Iterator[Span]:
    spanish = language == "es"
    for match in read_dates(text, day_first=spanish, years=policy.years):
        yield Span(match.start, match.end, Kind.DATE, match.confidence, f"rule:date-{match.form}")
    for age in find_ages(text):
        if policy.all_ages or is_old(age):
            yield Span(age.start, age.end, Kind.AGE, 0.95, "rule:age")
    yield from find_contacts(text)
    yield from find_numbers(text)
    yield from find_places(text, spanish=spanish)
    yield from find_names(text)
    if spanish:
        yield from find_persons(text)


def redact(text: str, *, language: str = "en", known: Known | None = None, replace: Replace = tag) -> Redacted:
    """One text with the default settings. Raises BadRequest for a language that is not read."""
    return Redactor(language).apply(text, known, replace)
