"""The seal of a release report: one signed note that names every byte of report and release; docs/spec/deid-report.md.

The note's text is a line with the format, then a line for each file, sorted: SHA-256, size, name. Names begin with
`report/` or `release/`. A file that is changed, missing or added is found; so is any change to the note itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from medlock.crypto.kdf import expand
from medlock.crypto.notes import NoteSigner, NoteVerifier
from medlock.errors import BadRequest, Tampered

HEAD = "medlock deid report 1"
LABEL = b"medlock/1/deid/report"
_LINE = re.compile(r"([0-9a-f]{64}) (0|[1-9][0-9]{0,18}) ((?:report|release)/[^\x00-\x1f]+)")
_CONTROL = re.compile(r"[\x00-\x1f\ud800-\udfff]")


@dataclass(frozen=True, order=True)
class Entry:
    """A file by its name, with hash (hex) and size of its bytes."""

    name: str
    sha256: str
    size: int


def entry(name: str, data: bytes) -> Entry:
    """The entry of some bytes. Raises BadRequest for a name that a note cannot hold."""
    if _CONTROL.search(name):
        msg = "A file of the release has a name with control characters; give it another one."
        raise BadRequest(msg)
    return Entry(name, sha256(data).hexdigest(), len(data))


def signer(name: str, key: bytes) -> NoteSigner:
    """Who signs reports with a key file's 32 bytes. Raises BadRequest for a name that a note cannot hold."""
    try:
        return NoteSigner(name, expand(key, LABEL, 32))
    except ValueError:
        msg = "The name of the signer should have no spaces and no plus sign, such as clinic.example/privacy."
        raise BadRequest(msg) from None


def sealed(entries: list[Entry], by: NoteSigner) -> str:
    """The signed note over files."""
    lines = [f"{each.sha256} {each.size} {each.name}" for each in sorted(entries)]
    return by.sign("\n".join([HEAD, *lines]) + "\n")


def opened(note: bytes, by: NoteVerifier) -> dict[str, Entry]:
    """The files of a note. Raises Tampered when it is not signed by that key, byte for byte, or has another form."""
    try:
        text = by.open(note.decode())
    except UnicodeDecodeError:
        raise Tampered("a note is UTF-8") from None
    head, *lines = text[:-1].split("\n")
    if head != HEAD:
        raise Tampered("not the seal of a de-identification report")
    found = [_entry(line) for line in lines]
    if [each.name for each in found] != sorted({each.name for each in found}):
        raise Tampered("the files of a seal are sorted, each once")
    return {each.name: each for each in found}


def differences(sealed_: Mapping[str, Entry], found: Mapping[str, Entry]) -> list[tuple[str, str]]:
    """What became of the files: name with `changed`, `missing` or `added`, sorted."""
    apart = [(name, "missing") for name in sealed_.keys() - found.keys()]
    apart += [(name, "added") for name in found.keys() - sealed_.keys()]
    apart += [(name, "changed") for name in sealed_.keys() & found.keys() if sealed_[name] != found[name]]
    return sorted(apart)


def _entry(line: str) -> Entry:
    match = _LINE.fullmatch(line)
    if match is None:
        raise Tampered("a line of the seal has another form")
    return Entry(match[3], match[1], int(match[2]))
