"""What the edge needs from the inside; `app.py` hands it in. The edge imports none of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from medlock.access.principal import Principal
from medlock.fhir.question import Question
from medlock.records.disclosure import Disclosure


class Gate(Protocol):
    """Turns credentials into a Principal; `oauth.tokens` is one."""

    async def authenticate(self, secret: str) -> Principal:
        """Whose token this is. Raises NotAuthenticated, the same for every cause."""

    async def still(self, secret: str) -> Principal:
        """The same for a request that has shown it, and what else it must, and is going on."""


class Door(Protocol):
    """The one way to data; `records.door` is it."""

    async def answer(
        self, principal: Principal, question: Question, *, arriving: AsyncIterator[bytes] | None = None
    ) -> Disclosure:
        """Decide, fetch, check again, minimise, write down, release. Raises MedlockError."""


class Jobs(Protocol):
    """What is made for an export and ends with it; `records.projects` has it."""

    def lend(self, job: str, drawn: bytes) -> None:
        """The key that was drawn for an export, as long as it lasts."""

    def end(self, job: str) -> None:
        """An export is over."""


class Watch(Protocol):
    """Writes down who was not let in."""

    async def refused(self, reason: str, request: str) -> None:
        """Note one failed authentication; `reason` is private. Raises Unavailable when it cannot be written."""


class Probe(Protocol):
    """Whether the parts that every answer depends on can be reached."""

    async def ready(self) -> None:
        """Return when they can. Raises Unavailable."""
