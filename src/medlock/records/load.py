"""Bulk load: Bundles and NDJSON from files, through the door like any other caller's questions.

A transaction is all or nothing; the resources of a batch, a collection or an NDJSON file stand each for itself. What
cannot be resolved yet (a patient's bundle before the hospital's) waits for another round, until a round brings
nothing new; so the order of the files does not matter. A file that was loaded whole leaves a sealed receipt in the
same commit, and is passed over when the load is run again.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from zlib import error as zlib_error

import orjson

from medlock.access.principal import Principal
from medlock.errors import MedlockError, Problem, SetupError, Unprocessable
from medlock.records.door import Door
from medlock.records.parcels import Parcel, parcels, parted

_PATIENT = re.compile(rb'"resourceType"\s*:\s*"Patient"')
_SUFFIXES = (".json", ".json.gz", ".ndjson", ".ndjson.gz")
FILE_MAX = 1 << 30


@dataclass(slots=True)
class Refusal:
    """One thing that was not loaded, and why. Reasons name rules and paths, never values."""

    file: str
    place: str
    status: int
    problems: tuple[Problem, ...]


@dataclass(slots=True)
class Report:
    """What a load did. `loaded` counts resources, `skipped` files with a receipt."""

    files: int = 0
    loaded: int = 0
    skipped: int = 0
    refused: list[Refusal] = field(default_factory=list)

    @property
    def well(self) -> bool:
        """Whether everything was loaded."""
        return not self.refused


Progress = Callable[[str, int], None]


def found_files(path: Path) -> list[Path]:
    """The files to load, those without patients first. Raises SetupError when there are none."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise SetupError(f"There is no file or directory {path}: name one with FHIR Bundles or NDJSON.")
    files = sorted(each for each in path.iterdir() if each.name.endswith(_SUFFIXES))
    if not files:
        raise SetupError(f"{path} holds no .json, .ndjson or gzipped file.")
    return sorted(files, key=lambda each: _PATIENT.search(content(each)) is not None)


def content(path: Path) -> bytes:
    """The bytes of a file, unpacked. Raises SetupError when it cannot be read or is larger than 1 GiB."""
    try:
        data = path.read_bytes()
        if path.name.endswith(".gz"):
            with gzip.open(path) as packed:
                data = packed.read(FILE_MAX + 1)
    except (OSError, EOFError, zlib_error) as fault:
        raise SetupError(f"{path} cannot be read: {type(fault).__name__}. Check that the file is whole.") from fault
    if len(data) > FILE_MAX:
        raise SetupError(f"{path} is larger than 1 GiB unpacked: split it.")
    return data


class Loader:
    """Loads files through a door with one Principal."""

    def __init__(self, door: Door, principal: Principal, progress: Progress = lambda _file, _count: None) -> None:
        self._door = door
        self._principal = principal
        self._progress = progress
        self.report = Report()

    async def load(self, files: Iterable[Path]) -> Report:
        """Load all files; what is refused is in the report, the rest is loaded."""
        waiting: list[tuple[Parcel, Refusal]] = []
        for path in files:
            waiting += await self._file(path)
        while waiting:
            again = [each for parcel, _ in waiting for each in await self._try(parcel)]
            if len(again) == len(waiting):
                break
            waiting = again
        self.report.refused += [refusal for _, refusal in waiting]
        return self.report

    async def _file(self, path: Path) -> list[tuple[Parcel, Refusal]]:
        """Load one file; what may succeed in a later round comes back."""
        data = content(path)
        digest = hashlib.sha256(data).digest()
        self.report.files += 1
        if await self._door.has_receipt(self._principal, digest):
            self.report.skipped += 1
            return []
        waiting: list[tuple[Parcel, Refusal]] = []
        refused = len(self.report.refused)
        receipts = False
        try:
            for parcel in parcels(path.name, data, digest, self._door.frame()):
                waiting += await self._try(parcel)
                receipts = receipts or bool(parcel.receipt)
        except MedlockError as fault:
            self.report.refused.append(Refusal(path.name, "", fault.http_status, fault.problems))
        if not receipts and not waiting and len(self.report.refused) == refused:
            await self._door.give_receipt(self._principal, digest)
        return waiting

    async def _try(self, parcel: Parcel) -> list[tuple[Parcel, Refusal]]:
        """Load one parcel. A refusal that another round may cure comes back; any other goes into the report."""
        try:
            question, arriving = parted(parcel.question)
            await self._door.answer(self._principal, question, receipt=parcel.receipt, arriving=arriving)
        except MedlockError as fault:
            refusal = Refusal(parcel.file, parcel.place, fault.http_status, fault.problems)
            if isinstance(fault, Unprocessable) and any(each.code == "not-found" for each in fault.problems):
                return [(parcel, refusal)]
            self.report.refused.append(refusal)
            return []
        self.report.loaded += parcel.resources
        self._progress(parcel.file, parcel.resources)
        return []


def as_json(report: Report) -> bytes:
    """The report for machines: counts, and each refusal with its problems."""
    return orjson.dumps(
        {
            "files": report.files,
            "loaded": report.loaded,
            "skipped_files": report.skipped,
            "refused": [
                {
                    "file": each.file,
                    "place": each.place,
                    "status": each.status,
                    "problems": [
                        {"code": problem.code, "path": problem.path, "text": problem.text} for problem in each.problems
                    ],
                }
                for each in report.refused
            ],
        },
        option=orjson.OPT_INDENT_2,
    )
