"""Ten thousand distinct markers, and a clinic in which everything that says something about somebody is one."""

from __future__ import annotations

import random
import string
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]
_LETTERS = string.ascii_letters + string.digits
_NARRATIVE = '<div xmlns="http://www.w3.org/1999/xhtml"><p>{}</p></div>'


@dataclass
class Mint:
    """Makes markers that nobody else ever wrote, and remembers them by what they are for."""

    rng: random.Random
    minted: dict[str, list[str]] = field(default_factory=dict)

    def text(self, use: str, length: int = 18) -> str:
        """Letters and digits; fits an id, a code, a name."""
        return self._keep(use, "".join(self.rng.choices(_LETTERS, k=length)))

    def name(self, use: str) -> str:
        """The same with letters that folding changes."""
        return self._keep(use, "Ž" + "".join(self.rng.choices(_LETTERS + "äéñøß", k=15)))

    def instant(self, use: str) -> str:
        """A date and time to the millisecond, in a zone of its own."""
        made = datetime(1890, 1, 1, tzinfo=UTC) + timedelta(milliseconds=self.rng.randrange(4_000_000_000_000))
        return self._keep(use, made.isoformat(timespec="milliseconds").replace("+00:00", "+05:45"))

    def day(self, use: str) -> str:
        """A date; there are few enough of them that one may come twice, and then another is drawn."""
        while True:
            made = (datetime(1850, 1, 1, tzinfo=UTC) + timedelta(days=self.rng.randrange(45_000))).date().isoformat()
            if made not in self.minted.get(use, ()):
                return self._keep(use, made)

    def all(self) -> list[str]:
        """Every marker."""
        return [marker for markers in self.minted.values() for marker in markers]

    def _keep(self, use: str, marker: str) -> str:
        self.minted.setdefault(use, []).append(marker)
        return marker


def record(mint: Mint, observations: int = 12) -> list[Json]:
    """One patient and everything about them; the texts are markers for use `stored`."""
    text = lambda: mint.text("stored")  # noqa: E731 - a word for it
    patient: Json = {
        "resourceType": "Patient",
        "id": text(),
        "text": {"status": "generated", "div": _NARRATIVE.format(text())},
        "identifier": [{"system": "urn:clinic", "value": text()}],
        "name": [{"family": mint.name("stored"), "given": [mint.name("stored")]}],
        "telecom": [{"system": "phone", "value": text()}],
        "birthDate": mint.day("stored"),
        "address": [{"line": [text()], "city": text()}],
    }
    subject = {"reference": f"Patient/{patient['id']}"}
    return [patient, *(_observation(mint, subject) for _ in range(observations)), *_documents(mint, subject)]


def _observation(mint: Mint, subject: Json) -> Json:
    return {
        "resourceType": "Observation",
        "id": mint.text("stored"),
        "identifier": [{"system": "urn:lab", "value": mint.text("stored")}],
        "status": "final",
        "code": {"coding": [{"system": "urn:codes", "code": mint.text("stored")}], "text": mint.text("stored")},
        "subject": subject,
        "effectiveDateTime": mint.instant("stored"),
        "valueString": mint.text("stored"),
        "note": [{"text": mint.text("stored", 200)}],
    }


def _documents(mint: Mint, subject: Json) -> Iterator[Json]:
    letter = b64encode(f"Dear colleague, {mint.text('stored')}".encode()).decode()
    yield {
        "resourceType": "DocumentReference",
        "id": mint.text("stored"),
        "status": "current",
        "description": mint.text("stored"),
        "subject": subject,
        "content": [{"attachment": {"contentType": "text/plain", "title": mint.text("stored"), "data": letter}}],
    }
    yield {
        "resourceType": "Binary",
        "id": mint.text("stored"),
        "contentType": "text/plain",
        "securityContext": subject,
        "data": b64encode(mint.text("stored").encode()).decode(),
    }


def transaction(resources: list[Json]) -> Json:
    """A transaction that puts them."""
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for each in resources
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}
