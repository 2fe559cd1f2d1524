"""What a page's handler answers with; `counter.py` makes a response of it. There is no other way to leave.

An address of ours is written in code and begins with one slash; an app's address comes from oauth alone (`ToApp`), so
no field of a request ever becomes a redirect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medlock.web.signin.cookies import Cookie
from medlock.web.signin.ports import ToApp


@dataclass(frozen=True, slots=True)
class Page:
    """A template and what it shows. `target`: the app that a form may end at; `wait`: seconds, for Retry-After."""

    template: str
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)
    status: int = 200
    target: str = ""
    wait: int = 0
    cookies: tuple[Cookie, ...] = ()


@dataclass(frozen=True, slots=True)
class Goto:
    """On to one of our pages, by GET. `leaving` clears what the browser keeps of us."""

    path: str
    cookies: tuple[Cookie, ...] = ()
    leaving: bool = False

    def __post_init__(self) -> None:
        """Refuse what a browser might read as another site's address."""
        if not self.path.startswith("/") or self.path.startswith(("//", "/\\")):
            raise ValueError("a page of ours has an address of ours")


@dataclass(frozen=True, slots=True)
class Data:
    """JSON for a script of ours."""

    body: Mapping[str, Any] = field(repr=False)


Answer = Page | Goto | Data | ToApp
