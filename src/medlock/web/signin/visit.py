"""One request to a page, taken apart: who, from where, with which fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medlock.errors import NotAuthenticated
from medlock.web.signin.cookies import BROWSER, PENDING, SESSION
from medlock.web.signin.form import Form
from medlock.web.signin.ports import Place, Visitor
from medlock.web.signin.words import Words

FRESH_MS = 5 * 60_000
"""How long a proof counts for what needs one (ASVS 5.0 7.5.3)."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request. `path` holds the parts named in the route."""

    method: str
    path: Mapping[str, str]
    query: Form
    form: Form
    place: Place
    words: Words
    cookies: Mapping[str, str] = field(repr=False)
    visitor: Visitor | None = None
    now: int = 0

    @property
    def who(self) -> Visitor:
        """Who is signed in. Raises NotAuthenticated."""
        if self.visitor is None:
            raise NotAuthenticated("Please sign in.")
        return self.visitor

    @property
    def pending(self) -> str:
        """The secret of a sign-in of which the second factor is missing, or ""."""
        return self.cookies.get(PENDING, "")

    @property
    def bound(self) -> str:
        """The secret that forms of this visit are bound to, or ""."""
        return self.cookies.get(SESSION, "") if self.visitor else self.cookies.get(BROWSER, "")

    @property
    def fresh(self) -> bool:
        """Whether they proved themselves within minutes. Raises NotAuthenticated."""
        return 0 <= self.now - self.who.proven < FRESH_MS
