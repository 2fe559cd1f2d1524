"""Text files in and out: encodings that are said when they are broken, results that appear whole or not at all."""

from __future__ import annotations

import codecs
import os
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from medlock.errors import BadRequest, Conflict, NotFound

ENDINGS = frozenset({".txt", ".text", ".md", ".note"})
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True, slots=True)
class Note:
    """A text to work on: what to call it, its path below the given directory, its content."""

    name: str
    path: Path
    text: str


def sources(path: Path) -> list[Path]:
    """The file, or the text files of the directory in order. Raises NotFound, and BadRequest when there is none."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise NotFound(f"There is no file or directory {path}.")
    found = sorted(each for each in path.rglob("*") if each.suffix.lower() in ENDINGS and each.is_file())
    if not found:
        raise BadRequest(f"{path} holds no text files ({', '.join(sorted(ENDINGS))}).")
    return found


def read(path: Path, encoding: str) -> str:
    """The content. Raises BadRequest that names the file and the place where it cannot be read."""
    try:
        return decode(path.read_bytes(), str(path), encoding)
    except OSError as error:
        raise NotFound(f"{path} cannot be read: {error.strerror}.") from error


def read_stdin(encoding: str) -> str:
    """All of standard input. Raises BadRequest as `read`."""
    return decode(sys.stdin.buffer.read(), "standard input", encoding)


def decode(data: bytes, name: str, encoding: str) -> str:
    """Bytes as text, line ends untouched. A byte order mark outranks `encoding`. Raises BadRequest."""
    marked = next((known for mark, known in _MARKS if data.startswith(mark)), encoding)
    try:
        text = data.decode(marked)
    except LookupError:
        raise BadRequest(f"There is no encoding called {encoding}.") from None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadRequest(
            f"{name} is not {marked} at byte {error.start} (line {line}); say what it is with --encoding, such as "
            f"latin-1."
        ) from None
    if "\0" in text:
        raise BadRequest(
            f"{name} holds NUL characters at line {text[: text.index(chr(0))].count(chr(10)) + 1}: that is no text."
        )
    return text


def check_target(target: Path, *, directory: bool) -> None:
    """Raises Conflict when something is there that would be overwritten."""
    if directory and target.is_dir() and any(target.iterdir()):
        raise Conflict(f"{target} is not empty; name a new or empty directory.")
    if (directory and target.exists() and not target.is_dir()) or (not directory and target.exists()):
        raise Conflict(f"{target} exists; name a new one.")


def write_all(target: Path, results: Iterable[tuple[Path, str]]) -> None:
    """Results below a new directory: they are made beside it, and it appears when all are there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as beside:
        made = Path(beside) / "made"
        made.mkdir()
        for path, text in results:
            (made / path).parent.mkdir(parents=True, exist_ok=True)
            (made / path).write_bytes(text.encode())
        if target.exists():
            target.rmdir()
        made.rename(target)


def write(target: Path, text: str) -> None:
    """One result, atomically."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, beside = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        Path(beside).rename(target)
    finally:
        Path(beside).unlink(missing_ok=True)
