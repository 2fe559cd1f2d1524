"""Ways to reach a person or a machine: e-mail, URL, IP address, phone, fax, and pictures named in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from medlock.deid.text.spans import Kind, Span

_EMAIL = re.compile(r"(?<![\w.+'-])[\w.+'-]++\s?@\s?[^\W_][\w-]*(?:\.[\w-]+)+")
_SPELLED_EMAIL = re.compile(
    r"(?<![\w.+-])[\w.+-]++\s?[(\[{]at[)\]}]\s?[\w-]+(?:\s?(?:\.|[(\[{]dot[)\]}])\s?[\w-]+)+", re.IGNORECASE
)
_SPELLED_HINT = re.compile(r"[(\[{]at[)\]}]", re.IGNORECASE)
_LOOSE_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w.-]+")
_URL = re.compile(
    r"(?:https?|ftp)://[^\s<>\"'()\[\]]+|\bwww\.[^\s<>\"'()\[\]]+"
    r"|(?<![\w@.-])(?:[a-z0-9-]++\.)+(?:com|org|net|edu|gov|info|io|es|eu|co\.uk|health|"
    r"care)\b(?:/[^\s<>\"'()\[\]]*)?(?![\w@])",
    re.IGNORECASE,
)
_URL_HINT = re.compile(r"://|www\.|\.(?:com|org|net|edu|gov|info|io|es|eu|co\.uk|health|care)\b", re.IGNORECASE)
_PHOTO = re.compile(r"[^\s<>\"'()\[\]:]+\.(?:jpe?g|png|heic|tiff?|bmp|gif|dcm)\b|data:image/[^\s\"')]+", re.IGNORECASE)
_PHOTO_HINT = re.compile(r"\.(?:jpe?g|png|heic|tiff?|bmp|gif|dcm)\b|data:image", re.IGNORECASE)
_IPV4 = re.compile(
    r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:/\d{1,2})?(?![\w.]?\d)"
)
_IPV6 = re.compile(
    r"(?<![\w:])(?:[0-9a-f]{1,4}:){3,7}(?::?[0-9a-f]{1,4})?(?::[0-9a-f]{1,4}){0,6}(?![\w:])", re.IGNORECASE
)
_MAC = re.compile(r"(?<![\w:-])[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}(?![\w:-])", re.IGNORECASE)
_PHONE = re.compile(
    # North American, with or without country code, brackets, extension
    r"(?<![\w.+-])(?:\+?1[-. ]?)?(?:\([2-9]\d{2}\)\s?|[1-9]\d{2}\s?[-.·]\s?|[2-9]\d{2} )\d{3}\s?[-.· ]\s?\d{4}"
    r"(?:\s?(?:x|ext\.?|extension)\s?\d{1,6})?(?![\w-])"
    # any country written with its code
    r"|(?<![\w+])(?:\+|00)\d{1,3}(?:[-. ()]{0,2}\d){6,13}(?!\d)"
    # Spain: nine digits in the usual groups
    r"|(?<![\w.,-])[6789]\d{2}[ .-]?\d{3}[ .-]?\d{3}(?![\w-]|[.,]\d)"
    r"|(?<![\w.,-])[6789]\d{2}(?:[ .-]\d{2}){3}(?![\w-]|[.,]\d)"
    r"|(?<![\w.,-])9\d(?:[ .-]\d{3}){1}(?:[ .-]\d{2}){2}(?![\w-]|[.,]\d)",
    re.IGNORECASE,
)
_CUED = re.compile(
    r"\b(?P<cue>phone|tel|tel[eé]fono|tlfno?|tfno|mobile|m[oó]vil|cell|call|contact|pager|beeper|fax)(?:[^\W\d_]*)?"
    r"(?:\s(?:number|no|n[ºo°]|is|at|de contacto))*[.:#\s]{0,4}(?P<number>[(+]?\d[\d ().+-]{5,20}\d)",
    re.IGNORECASE,
)
_FAX_BEFORE = re.compile(r"fax[^\d\n]{0,15}$", re.IGNORECASE)


def find_contacts(text: str) -> Iterator[Span]:
    """All of them; finds may overlap, `resolve` decides."""
    if _SPELLED_HINT.search(text):
        yield from _all(_SPELLED_EMAIL, text, Kind.EMAIL, 0.99)
    if "@" in text:
        yield from _all(_EMAIL, text, Kind.EMAIL, 0.99)
        yield from _all(_LOOSE_EMAIL, text, Kind.EMAIL, 0.98)
    if _PHOTO_HINT.search(text):
        yield from _all(_PHOTO, text, Kind.PHOTO, 0.985)
    yield from _urls(text)
    yield from _all(_IPV4, text, Kind.IP, 0.9)
    yield from _all(_MAC, text, Kind.DEVICE, 0.95)
    if text.count(":") > 3:
        yield from _all(_IPV6, text, Kind.IP, 0.9)
    for match in _PHONE.finditer(text):
        kind = Kind.FAX if _FAX_BEFORE.search(text, max(0, match.start() - 24), match.start()) else Kind.PHONE
        yield Span(match.start(), match.end(), kind, 0.93, "rule:phone")
    for match in _CUED.finditer(text):
        kind = Kind.FAX if match["cue"].lower() == "fax" else Kind.PHONE
        yield Span(*match.span("number"), kind, 0.95, "rule:phone-cue")


def _urls(text: str) -> Iterator[Span]:
    if not _URL_HINT.search(text):
        return
    for match in _URL.finditer(text):
        end = match.start() + len(match[0].rstrip(".,;:!?"))
        yield Span(match.start(), end, Kind.URL, 0.97, "rule:url")


def _all(pattern: re.Pattern[str], text: str, kind: Kind, sure: float) -> Iterator[Span]:
    for match in pattern.finditer(text):
        end = match.start() + len(match[0].rstrip(".,;"))
        yield Span(match.start(), end, kind, sure, f"rule:{kind.lower()}")
