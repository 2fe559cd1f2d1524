"""Files to de-identify: Bundles, single resources and NDJSON, also gzipped, one file or a directory of them.

A file's name may name a patient, so errors call files by their number in order of name, and what is written gets names
of its own. Files are read one after another; NDJSON line by line.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from medlock.errors import SetupError, Unprocessable
from medlock.fhir.structures import resource_types

_SUFFIXES: Final = (".json", ".ndjson", ".json.gz", ".ndjson.gz")
Json = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """One input file; `number` is its place in order of name, from 1."""

    path: Path
    number: int

    @property
    def suffix(self) -> str:
        """What the output is called at its end."""
        return next(suffix for suffix in reversed(_SUFFIXES) if self.path.name.lower().endswith(suffix))

    @property
    def by_lines(self) -> bool:
        """True for NDJSON."""
        return ".ndjson" in self.suffix

    def stem(self) -> str:
        """A resource type where the file is called like one (`Patient.ndjson`), else ""."""
        stem = self.path.name[: -len(self.suffix)]
        return stem if stem in resource_types() else ""

    def resources(self) -> Iterator[Json]:
        """The resources in the file. Raises Unprocessable that names the file's number and the line."""
        try:
            with (gzip.open if self.suffix.endswith(".gz") else open)(self.path, "rb") as file:
                if not self.by_lines:
                    yield self._parsed(file.read(), 0)
                    return
                for number, line in enumerate(file, 1):
                    if line.strip():
                        yield self._parsed(line, number)
        except (OSError, EOFError, zlib.error):
            raise SetupError(f"Input file {self.number} (in order of name) cannot be read to its end.") from None

    def _parsed(self, data: bytes, line: int) -> Json:
        where = f"Input file {self.number} (in order of name)" + (f", line {line}," if line else "")
        try:
            tree = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
        except orjson.JSONDecodeError:
            raise Unprocessable(f"{where} is not valid JSON in UTF-8; nothing was written.") from None
        kind = tree.get("resourceType") if isinstance(tree, dict) else None
        if not isinstance(kind, str) or kind not in resource_types():
            raise Unprocessable(f"{where} is not a FHIR R4 resource; nothing was written.")
        return tree  # type: ignore[no-any-return]


def sources(path: Path) -> list[Source]:
    """The files under a path, in order of name. Raises SetupError when there are none."""
    if path.is_dir():
        found = sorted(each for each in path.rglob("*") if each.is_file() and _is_fhir(each.name))
    else:
        found = [path] if path.is_file() and _is_fhir(path.name) else []
    if not found:
        raise SetupError("There is nothing to read there: .json and .ndjson files, also .gz, are read.")
    return [Source(each, number) for number, each in enumerate(found, 1)]


def _is_fhir(name: str) -> bool:
    return name.lower().endswith(_SUFFIXES)
