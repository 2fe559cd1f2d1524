"""From a template and its facts to a document: the frame's facts, times in words, browsers in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from markupsafe import Markup

from medlock.web.signin.csrf import token_of
from medlock.web.signin.static import shelf
from medlock.web.signin.visit import Visit
from medlock.web.signin.words import Words

_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000
_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True, slots=True)
class Look:
    """What all pages share: the name in the corner and in titles."""

    site: str


def document(look: Look, visit: Visit, template: str, facts: Mapping[str, Any]) -> bytes:
    """One page as HTML."""
    words = visit.words
    shared = {
        "site": look.site,
        "lang": words.language,
        "visitor": visit.visitor,
        "csrf": token_of(visit.bound) if visit.bound else "",
        "static": shelf().address,
        "ago": lambda then: ago(words, visit.now, then),
        "day": day,
        "stamp": stamp,
        "browser": lambda agent: browser(words, agent),
        "host": host,
        "now": visit.now,
        "fault": "",
        "fault_field": "",
    }
    return words.templates.get_template(template).render({**shared, **facts}).encode()


def ago(words: Words, now: int, then: int) -> str:
    """How long ago, in the largest unit that says enough."""
    gone = max(0, now - then)
    if gone < 2 * _MINUTE:
        return words.catalogue.gettext("just now")
    if gone < 2 * _HOUR:
        return words.catalogue.gettext("{} minutes ago").format(gone // _MINUTE)
    if gone < 2 * _DAY:
        return words.catalogue.gettext("{} hours ago").format(gone // _HOUR)
    return words.catalogue.gettext("{} days ago").format(gone // _DAY)


def day(then: int) -> str:
    """A date that nobody reads the wrong way round: 30 November 2026."""
    date = datetime.fromtimestamp(then / 1000, UTC)
    return f"{date.day} {date:%B %Y}"


def stamp(then: int) -> Markup:
    """An instant, for people and machines: 30 Nov 2026, 08:46 UTC."""
    date = datetime.fromtimestamp(then / 1000, UTC)
    said = f"{date.day} {date:%b %Y, %H:%M} UTC"
    return Markup('<time datetime="{}">{}</time>').format(f"{date:%Y-%m-%dT%H:%MZ}", said)


def browser(words: Words, agent: str) -> str:
    """What a browser calls itself, as people call it; it may say anything, so it decides nothing."""
    name = next((name for mark, name in _BROWSERS if mark in agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    if name and system:
        return words.catalogue.gettext("{browser} on {system}").format(browser=name, system=system)
    return name or system or words.catalogue.gettext("A device that does not say what it is")


def host(address: str) -> str:
    """The part of an address that says whose it is: of a private scheme, the scheme, whatever follows it."""
    parts = urlsplit(address)
    return parts.netloc if parts.netloc and parts.scheme in {"http", "https"} else f"{parts.scheme}:"
