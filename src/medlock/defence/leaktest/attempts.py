"""An attempt: one request by somebody who may not see a record, and what its answer would give away.

Many leaks are not in what an answer says but in that it says something else when the record is there. So most attempts
are pairs: the request, and its *twin*, which differs only in a word that stands for nothing. An answer that tells the
two apart tells that the record exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import orjson

from medlock.defence.leaktest.family import Record, decoy

FHIR_JSON = "application/fhir+json"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: `target` is what follows the server's base address."""

    method: str
    target: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def text(self) -> str:
        """All that the caller already knows, since the caller sent it."""
        return f"{self.target} {self.body.decode()} {' '.join(value for _, value in self.headers)}"

    def turned(self, needle: str) -> Ask:
        """The same with a word that stands for nothing in the needle's place."""
        other = decoy(needle)
        headers = tuple((name, value.replace(needle, other)) for name, value in self.headers)
        body = self.body.replace(needle.encode(), other.encode())
        return replace(self, target=self.target.replace(needle, other), body=body, headers=headers)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is tried. `about` is the record that must stay hidden; with a `needle` there is a twin."""

    kind: str
    about: Record
    ask: Ask
    needle: str = ""

    @property
    def twin(self) -> Ask | None:
        """The request that asks for nothing."""
        return self.ask.turned(self.needle) if self.needle else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    body: bytes = b""


class Told(Protocol):
    """What came back from a server; `Answer` is one."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Names in lower case."""

    @property
    def body(self) -> bytes:
        """The body as it came."""


class Caller(Protocol):
    """Sends requests to the server under test; never follows a redirect."""

    async def call(self, ask: Ask, token: str) -> Told:
        """The answer; `token` "" sends no credentials. Raises Unavailable."""


def get(target: str, **headers: str) -> Ask:
    """A GET."""
    return Ask("GET", target, headers=_named(headers))


def send(method: str, target: str, body: object, content_type: str = FHIR_JSON, **headers: str) -> Ask:
    """A request with a JSON body."""
    return Ask(method, target, orjson.dumps(body), (("content-type", content_type), *_named(headers)))


def form(target: str, text: str) -> Ask:
    """A search by POST."""
    return Ask("POST", target, text.encode(), (("content-type", FORM),))


def _named(headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Headers from keyword arguments."""
    return tuple((name.replace("_", "-"), value) for name, value in headers.items())
