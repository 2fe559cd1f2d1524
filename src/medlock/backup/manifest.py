"""What a backup says of itself, in a signed note: whose it is, of which moment, and every file with its hash.

docs/spec/backup.md §3. It is readable without keys, so that a list can be shown on any machine; it is believed only
once its signature was checked with the key that signs the log's checkpoints.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from medlock.crypto.notes import NoteSigner, NoteVerifier
from medlock.errors import Tampered
from medlock.store.schema import FIRST_TABLES
from medlock.store.tables import Table

BYTES_MAX = 64 * 1024 * 1024
_FORMATS = {"medlock-backup/1": FIRST_TABLES, "medlock-backup/2": tuple(Table)}
"""The tables that a manifest counts; which ones there are is all that differs."""
_TEXT = re.compile(
    rf"(?P<format>{'|'.join(map(re.escape, _FORMATS))})\n"
    r"store (?P<store>[0-9a-f]{32})\n"
    r"id (?P<id>[0-9a-f]{32})\n"
    r"parent (?:none|(?P<parent>[0-9a-f]{32}) (?P<link>[0-9a-f]{64}))\n"
    r"made (?P<made>\d{1,18})\n"
    r"log (?P<size>\d{1,18}) (?P<root>[0-9a-f]{64})\n"
    r"epoch (?P<epoch>\d{1,9})\n"
    r"(?P<counts>(?:count [a-z]+ \d{1,18}\n)+)"
    r"(?P<files>(?:file [a-z]+(?:-[a-z0-9]+)* \d{1,18} [0-9a-f]{64}\n)+)"
)


@dataclass(frozen=True, slots=True)
class File:
    """One file of a backup: its name, length and SHA-256."""

    name: str
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is signed.

    parent  id of the backup that this one continues, and the SHA-256 of its manifest; empty for a full one
    log     size and root of the audit log in the snapshot
    epoch   the keystore's current epoch when the backup was made
    counts  rows of each table after this backup and its ancestors are restored; a table that is not named has none
    """

    store: str
    id: str
    parent: str
    link: str
    made: int
    size: int
    root: bytes
    epoch: int
    counts: Mapping[Table, int]
    files: tuple[File, ...]

    @property
    def text(self) -> str:
        """The text of the note."""
        lines = [
            next(each for each, tables in _FORMATS.items() if len(tables) == len(self.counts)),
            f"store {self.store}",
            f"id {self.id}",
            f"parent {self.parent} {self.link}" if self.parent else "parent none",
            f"made {self.made}",
            f"log {self.size} {self.root.hex()}",
            f"epoch {self.epoch}",
            *(f"count {table.value} {count}" for table, count in self.counts.items()),
            *(f"file {file.name} {file.size} {file.digest}" for file in self.files),
        ]
        return "\n".join(lines) + "\n"

    def sign(self, signer: NoteSigner) -> str:
        """The note, as it lies in the file."""
        return signer.sign(self.text)


def digest_of(data: bytes) -> str:
    """SHA-256 in hex."""
    return sha256(data).hexdigest()


def read_manifest(note: str, verifier: NoteVerifier | None = None) -> Manifest:
    """The manifest in a note. Without a verifier nobody vouches for it. Raises Tampered."""
    text = note.rpartition("\n\n")[0] + "\n" if verifier is None else verifier.open(note)
    found = _TEXT.fullmatch(text)
    if found is None:
        raise Tampered("this is no manifest of a backup, or one of a newer medlock")
    counts = [line.split(" ")[1:] for line in found["counts"].splitlines()]
    if [name for name, _ in counts] != [table.value for table in _FORMATS[found["format"]]]:
        raise Tampered("the manifest of a backup does not count the tables that it should")
    files = [line.split(" ")[1:] for line in found["files"].splitlines()]
    manifest = Manifest(
        found["store"],
        found["id"],
        found["parent"] or "",
        found["link"] or "",
        int(found["made"]),
        int(found["size"]),
        bytes.fromhex(found["root"]),
        int(found["epoch"]),
        {Table(name): int(count) for name, count in counts},
        tuple(File(name, int(size), digest) for name, size, digest in files),
    )
    if manifest.text != text or len({file.name for file in manifest.files}) != len(manifest.files):
        raise Tampered("the manifest of a backup is not written as it should be")
    return manifest
