"""Everything within a caller's reach as NDJSON, one file per type, through the door page by page.

First what belongs to no patient, then patients one after another by $everything; each page is decided, re-checked and
audited like any other answer. The files are plaintext: where they go is the operator's choice and duty. A `Change` sees
each record whole before any of it is written, and decides what is written in its place (`export_deid`). Unless it is
changed, a Binary whose content lies beside it is written with it, piece by piece.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qs, urlsplit

import msgspec

from medlock.access.principal import Principal
from medlock.errors import SetupError
from medlock.fhir.binary import lies_beside, with_data
from medlock.fhir.options import EverythingOptions
from medlock.fhir.query import SearchQuery
from medlock.fhir.question import Interaction, Question
from medlock.records.door import Door
from medlock.records.everything import SHARED

PAGE = 500
Progress = Callable[[int], None]
Change = Callable[[str, list[bytes]], list[bytes]]
"""(patient or SHARED, all resources of the record) → as many resources, in the same order."""


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw(b"null")


class _Link(msgspec.Struct):
    relation: str
    url: str


class _Bundle(msgspec.Struct):
    entry: list[_Entry] = []
    link: list[_Link] = []


class _Meta(msgspec.Struct):
    versionId: str = ""  # noqa: N815 - FHIR's spelling


class _Named(msgspec.Struct):
    resourceType: str  # noqa: N815 - FHIR's spelling
    id: str
    meta: _Meta = msgspec.field(default_factory=_Meta)


class Exporter:
    """Writes NDJSON into a new directory. `counts` says how many of each type."""

    def __init__(
        self,
        door: Door,
        principal: Principal,
        progress: Progress = lambda _count: None,
        change: Change | None = None,
    ) -> None:
        self._door = door
        self._principal = principal
        self._progress = progress
        self._change = change
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
            for patient in [SHARED, *await self._patients()]:
                await self._record(patient)
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

    async def _record(self, patient: str) -> None:
        """Page by page; as a whole when it is changed."""
        whole: list[bytes] = []
        question: Question | None = Question(
            Interaction.EVERYTHING, "Patient", patient, options=EverythingOptions(PAGE, text=f"_count={PAGE}")
        )
        while question is not None:
            bundle = await self._bundle(question)
            page = [bytes(each.resource) for each in bundle.entry]
            if self._change is None:
                await self._write(page, page)
            else:
                whole += page
            self._progress(len(page))
            question = _next(question, bundle)
        if self._change is not None:
            await self._write(whole, self._change(patient, whole))

    async def _bundle(self, question: Question) -> _Bundle:
        shown = await self._door.answer(self._principal, question)
        return msgspec.json.decode(shown.body, type=_Bundle)

    async def _write(self, resources: list[bytes], lines: list[bytes]) -> None:
        """One line for each resource, once: a resource of two patients comes by twice."""
        for resource, line in zip(resources, lines, strict=True):
            named = msgspec.json.decode(resource, type=_Named)
            mark = hash((named.resourceType, named.id))
            if mark not in self._written:
                self._written.add(mark)
                await self._line(named, line)

    async def _line(self, named: _Named, line: bytes) -> None:
        if named.resourceType not in self._files:
            path = self._directory / f"{named.resourceType}.ndjson"
            self._files[named.resourceType] = self._stack.enter_context(path.open("xb"))
        file = self._files[named.resourceType]
        if named.resourceType == "Binary" and self._change is None and lies_beside(line):
            await self._content(named, line, file)
        else:
            file.write(line)
        file.write(b"\n")
        self.counts[named.resourceType] = self.counts.get(named.resourceType, 0) + 1

    async def _content(self, named: _Named, line: bytes, file: BinaryIO) -> None:
        """A Binary with what lies beside this version of it, never held whole."""
        question = Question(Interaction.VREAD, "Binary", named.id, named.meta.versionId, raw=True)
        shown = await self._door.answer(self._principal, question)
        if shown.outflow is None:
            file.write(line)
            return
        file.write(with_data(line, b"").removesuffix(b'"}'))
        rest = b""
        async for piece in shown.outflow.pieces(0, shown.outflow.size):
            whole = rest + piece
            end = len(whole) - len(whole) % 3
            file.write(b64encode(whole[:end]))
            rest = whole[end:]
        file.write(b64encode(rest) + b'"}')


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
