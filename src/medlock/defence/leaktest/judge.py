"""The judge: what an answer gives away that its caller could not know.

Three things are leaks: a word or an address of a hidden record that the request did not hold itself; an answer that
differs from that to the twin request, once the two words are made alike; and a hidden record that has changed.
Only what may differ between any two answers is set aside first: times, names of requests, opaque tokens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from medlock.defence.leaktest.actors import Actor, words_in
from medlock.defence.leaktest.attempts import Ask, Attempt, Told
from medlock.defence.leaktest.family import decoy

_ADDRESS = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+\-]\d\d:\d\d)")
_OPAQUE = re.compile(r"[A-Za-z0-9_\-]{24,}={0,2}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ASIDE = re.compile(
    r"date|last-modified|content-length|.*request-id|traceparent|server-timing|(x-)?ratelimit.*|via|age"
)
_SHOWN = 160
_BRINGS = frozenset({"search", "total", "operation"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One leak: who learned what of which record, how, and the request that shows it."""

    actor: str
    kind: str
    about: str
    says: str
    ask: Ask
    twin: Ask | None = None


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges answers to one actor; `ids` are the server's names for the family."""

    actor: Actor
    ids: Mapping[str, str]

    def told(self, attempt: Attempt, answer: Told, ask: Ask | None = None) -> list[Finding]:
        """What one answer says outright."""
        ask = ask or attempt.ask
        text, known = _text(answer), ask.text()
        words = (words_in(text) - words_in(known)) & self.actor.secrets()
        # a link that repeats the question in canonical form may write Patient/x where the question had x
        addresses = {each for each in _ADDRESS.findall(text) if each.partition("/")[2] not in known} & self._addresses()
        says = [f"the answer ({answer.status}) holds {_around(text, each)}" for each in sorted(words | addresses)[:1]]
        return [self.finding(attempt, each, ask) for each in says]

    def apart(self, attempt: Attempt, answer: Told, twin: Told) -> list[Finding]:
        """What two answers say by being different."""
        if attempt.twin is None or self._known_already(attempt):
            return []
        if answer.status != twin.status:
            says = f"status {answer.status} where a record is, {twin.status} where none is"
        else:
            first = _alike(answer, attempt.needle)
            second = _alike(twin, decoy(attempt.needle))
            if first == second:
                return []
            says = f"the answer is another one where a record is: {_difference(first, second)}"
        return [self.finding(attempt, says)]

    def _known_already(self, attempt: Attempt) -> bool:
        """Whether the question brings visible records that name the hidden one by the address it was asked by."""
        if self.actor.needed.log and attempt.ask.target.startswith("/AuditEvent"):
            return True
        if attempt.kind not in _BRINGS or attempt.needle != self.ids[attempt.about.name]:
            return False
        related = self.actor.types_about(attempt.about)
        path = attempt.ask.target.partition("?")[0]
        return bool(related) and (path.endswith("/*") or any(each in path for each in related))

    def _addresses(self) -> frozenset[str]:
        return frozenset(
            f"{each.partition('/')[0]}/{self.ids[each.partition('/')[2]]}" for each in self.actor.addresses()
        )

    def finding(self, attempt: Attempt, says: str, ask: Ask | None = None) -> Finding:
        """A leak that an attempt showed; by its own request, unless a later one told."""
        ask = ask or attempt.ask
        return Finding(self.actor.name, attempt.kind, attempt.about.address, says, ask, attempt.twin)


def _text(answer: Told) -> str:
    """Headers and body as one text to look through."""
    told = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
    return f"{told}\n\n{answer.body.decode(errors='replace')}"


def _alike(answer: Told, needle: str) -> str:
    """The answer without what differs between any two."""
    headers = "\n".join(
        f"{name}: {value}" for name, value in sorted(answer.headers.items()) if not _ASIDE.fullmatch(name)
    )
    text = f"{headers}\n\n{answer.body.decode(errors='replace')}".replace(needle, "§")
    return _OPAQUE.sub("*", _INSTANT.sub("@", text))


def _around(text: str, found: str) -> str:
    """A find in its surroundings."""
    at = text.find(found)
    return repr(text[max(0, at - 40) : at + len(found) + 40])


def _difference(first: str, second: str) -> str:
    """Where two texts part."""
    at = next((i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second)))
    begin = max(0, at - 30)
    return f"{first[begin : begin + _SHOWN]!r} against {second[begin : begin + _SHOWN]!r}"
