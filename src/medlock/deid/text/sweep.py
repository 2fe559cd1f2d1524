"""The sweep."""

from __future__ import annotations

from collections.abc import Iterator

from medlock.deid.text.known import Known
from medlock.deid.text.spans import Span


class Sweep:
    """To come."""

    def __init__(self, known: Known) -> None:
        self.known = known

    def find(self, text: str) -> Iterator[Span]:
        """Nothing yet."""
        return iter(())
