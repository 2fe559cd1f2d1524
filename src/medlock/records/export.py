"""Everything within a caller's reach as NDJSON, one file per type, through the door page by page.

Patients one after another by $everything, then what belongs to no patient; each page is decided, re-checked and
audited like any other answer. The files are plaintext: where they go is the operator's choice and duty.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qs, urlsplit

import msgspec

from medlock.access.principal import Principal
from medlock.errors import SetupError
from medlock.fhir.query import SearchQuery
from medlock.fhir.question import Interaction, Question
from medlock.records.door import Door
from medlock.records.everything import SHARED

PAGE = 500
Progress = Callable[[int], None]


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw(b"null")


class _Link(msgspec.Struct):
    relation: str
    url: str


class _Bundle(msgspec.Struct):
    entry: list[_Entry] = []
    link: list[_Link] = []


class _Named(msgspec.Struct):
    resourceType: str  # noqa: N815 - FHIR's spelling
    id: str


class Exporter:
    """Writes NDJSON into a new directory. `counts` says how many of each type."""

    def __init__(self, door: Door, principal: Principal, progress: Progress = lambda _count: None) -> None:
        self._door = door
        self._principal = principal
        self._progress = progress
        self._files: dict[str, BinaryIO] = {}
        self._directory = Path()
        self._stack = ExitStack()
        self._written: set[int] = set()
        self.counts: dict[str, int] = {}

    async def export(self, directory: Path) -> dict[str, int]:
        """Write everything within reach. Raises SetupError when the directory holds something already."""
        _claim(directory)
        self._directory = directory
        with self._stack:
            for patient in await self._patients():
                await self._pages(Question(Interaction.EVERYTHING, "Patient", patient, query=_paged("Patient")))
            await self._pages(Question(Interaction.EVERYTHING, "Patient", SHARED, query=_paged("Patient")))
        return self.counts

    async def _patients(self) -> list[str]:
        """Ids of the patients within reach, collected before anything is written."""
        found: list[str] = []
        question: Question | None = Question(Interaction.SEARCH, "Patient", query=_paged("Patient"))
        while question is not None:
            bundle = await self._bundle(question)
            found += [msgspec.json.decode(each.resource, type=_Named).id for each in bundle.entry]
            question = _next(question, bundle)
        return found

    async def _pages(self, first: Question) -> None:
        question: Question | None = first
        while question is not None:
            bundle = await self._bundle(question)
            for each in bundle.entry:
                self._write(bytes(each.resource))
            self._progress(len(bundle.entry))
            question = _next(question, bundle)

    async def _bundle(self, question: Question) -> _Bundle:
        shown = await self._door.answer(self._principal, question)
        return msgspec.json.decode(shown.body, type=_Bundle)

    def _write(self, resource: bytes) -> None:
        """One line, once: a resource of two patients comes by twice."""
        named = msgspec.json.decode(resource, type=_Named)
        mark = hash((named.resourceType, named.id))
        if mark in self._written:
            return
        self._written.add(mark)
        if named.resourceType not in self._files:
            path = self._directory / f"{named.resourceType}.ndjson"
            self._files[named.resourceType] = self._stack.enter_context(path.open("xb"))
        self._files[named.resourceType].write(resource + b"\n")
        self.counts[named.resourceType] = self.counts.get(named.resourceType, 0) + 1


def _claim(directory: Path) -> None:
    """Make the directory, readable by this user only."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise SetupError(f"{directory} is not empty: name a new directory for the export.")


def _paged(type_: str) -> SearchQuery:
    return SearchQuery(type_, count=PAGE, text=f"_count={PAGE}")


def _next(question: Question, bundle: _Bundle) -> Question | None:
    """The question for the next page, None after the last."""
    for link in bundle.link:
        if link.relation == "next":
            token = parse_qs(urlsplit(link.url).query)["_page"][0]
            return Question(question.interaction, question.type, question.id, page=token)
    return None
