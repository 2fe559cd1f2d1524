"""A release on disk: all of it or nothing.

Files are written into a directory beside the place they are meant for, and moved there in one step when everything is
written; on any error the half-made directory is removed. Names of files come from the input only where they are
resource types; all others are numbered.
"""

from __future__ import annotations

import gzip
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import orjson

from medlock.deid.fhir.sources import Source
from medlock.errors import Conflict, SetupError

Json = dict[str, Any]


class Release:
    """An unfinished release. `bytes` counts what was written, before compression."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._taken: set[str] = set()
        self.bytes = 0
        self.files = 0

    @contextmanager
    def file(self, source: Source) -> Iterator[IO[bytes]]:
        """The output file for an input file."""
        with self.named(self._name(source)) as file:
            yield file

    @contextmanager
    def named(self, name: str) -> Iterator[IO[bytes]]:
        """An output file of a name that names nobody."""
        path = self._directory / name
        self.files += 1
        with path.open("xb") as raw:
            if name.endswith(".gz"):
                with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, mtime=0) as packed:
                    yield packed  # type: ignore[misc]
            else:
                yield raw
            raw.flush()
            os.fsync(raw.fileno())

    def write(self, file: IO[bytes], resource: Json) -> None:
        """One resource on one line."""
        data = orjson.dumps(resource) + b"\n"
        self.bytes += len(data)
        file.write(data)

    def _name(self, source: Source) -> str:
        stem = source.stem() or f"{'resources' if source.by_lines else 'bundle'}-{source.number:05}"
        name = stem + source.suffix
        if name in self._taken:
            name = f"{stem}-{source.number:05}{source.suffix}"
        self._taken.add(name)
        return name


@contextmanager
def release(target: Path) -> Iterator[Release]:
    """A release that appears at `target` when the block ends well. Raises Conflict, SetupError."""
    with appearing(target) as half:
        yield Release(half)


@contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """A directory that appears at `target` when the block ends well. Raises Conflict, SetupError."""
    if target.exists():
        raise Conflict("The output directory is there already; name one that is not, nothing was written.")
    half = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        half.mkdir(mode=0o700, parents=True)
    except OSError:
        raise SetupError("The output cannot be written there; check the directory and its permissions.") from None
    try:
        yield half
        half.rename(target)
    except OSError:
        raise SetupError("The output could not be written to its end; nothing was left behind.") from None
    finally:
        shutil.rmtree(half, ignore_errors=True)
