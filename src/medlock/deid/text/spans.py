"""Where an identifier stands in a text, what kind it is, and how several finds become one set without overlaps."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Kind(StrEnum):
    """The identifiers of 45 CFR 164.514(b)(2)(i) (A to R), then those that only MEDDOCAN's guideline names."""

    NAME = "NAME"  # A
    STREET = "STREET"  # B, down to the door
    PLACE = "PLACE"  # B: city, county, precinct
    ZIP = "ZIP"  # B
    HOSPITAL = "HOSPITAL"  # B: a facility tells the place
    DATE = "DATE"  # C
    AGE = "AGE"  # C: above 89, or any age where the policy says so
    PHONE = "PHONE"  # D
    FAX = "FAX"  # E
    EMAIL = "EMAIL"  # F
    SSN = "SSN"  # G
    MRN = "MRN"  # H
    PLAN = "PLAN"  # I: health plan beneficiary
    ACCOUNT = "ACCOUNT"  # J
    LICENCE = "LICENCE"  # K: certificate or licence
    VEHICLE = "VEHICLE"  # L
    DEVICE = "DEVICE"  # M
    URL = "URL"  # N
    IP = "IP"  # O
    BIOMETRIC = "BIOMETRIC"  # P
    PHOTO = "PHOTO"  # Q
    ID = "ID"  # R: any other unique number or code
    COUNTRY = "COUNTRY"
    SEX = "SEX"
    RELATIVE = "RELATIVE"
    PROFESSION = "PROFESSION"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class Span:
    """One find: characters start to end (end not included) of the text, with its words.

    `confidence` is between 0 and 1; `source` names the rule, model or known identifier that found it. The words
    stay out of `repr`, so that a span can be logged.
    """

    start: int
    end: int
    kind: Kind
    confidence: float
    source: str
    text: str = field(default="", repr=False)


def resolve(spans: Iterable[Span], text: str) -> list[Span]:
    """One list in order, without overlaps, that covers all that any span covered.

    The more confident span (the longer one of equals) keeps its extent, so that a date stays a date that can be
    shifted; of the others what sticks out is kept as a span of its own, as long as it holds a letter or a digit.
    """
    kept: list[Span] = []
    taken = bytearray(len(text))
    for span in sorted(spans, key=lambda each: (-each.confidence, each.start - each.end, each.start)):
        for start, end in _free(taken, span.start, span.end):
            piece = _trimmed(text, start, end)
            if piece:
                kept.append(replace(span, start=piece[0], end=piece[1], text=text[piece[0] : piece[1]]))
        taken[span.start : span.end] = b"\1" * (span.end - span.start)
    return sorted(kept, key=lambda each: each.start)


_JOINED = frozenset({Kind.NAME, Kind.PLACE, Kind.HOSPITAL, Kind.STREET, Kind.AGE})
_GAP = re.compile(r"[.,]?[ \u00a0]?|-")
CERTAIN = 1.0  # the confidence of what the record itself knows


def join(spans: Iterable[Span], text: str) -> list[Span]:
    """Neighbours of one kind as one span ("Dr", "John Weber"); what the record knows stays apart, with its source."""
    out: list[Span] = []
    for span in spans:
        last = out[-1] if out else span
        touching = last.end <= span.start and _GAP.fullmatch(text, last.end, span.start)
        if (
            span.kind is last.kind
            and span.kind in _JOINED
            and touching
            and CERTAIN not in {span.confidence, last.confidence}
        ):
            best = max(last, span, key=lambda each: each.confidence)
            out[-1] = replace(best, start=last.start, end=span.end, text=text[last.start : span.end])
        else:
            out.append(span)
    return out


def _free(taken: bytearray, start: int, end: int) -> Iterable[tuple[int, int]]:
    """The stretches of start to end that no span has taken."""
    while start < end:
        begin = taken.find(b"\0", start, end)
        if begin < 0:
            return
        stop = taken.find(b"\1", begin, end)
        start = end if stop < 0 else stop
        yield begin, start


def _trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The stretch without white space at its ends; None when nothing in it could identify."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return (start, end) if any(each.isalnum() for each in text[start:end]) else None
