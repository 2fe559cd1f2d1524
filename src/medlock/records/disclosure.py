"""The Disclosure: what may leave the building. Checked, minimised and already in the audit log."""

from __future__ import annotations

import msgspec

from medlock.records.outflow import Outflow

_RELEASED = object()


class Disclosure(msgspec.Struct, frozen=True):
    """A finished answer. `web` turns it into bytes on the wire and can send nothing else.

    `version` gives the ETag, `updated` (ms) Last-Modified, `location` is relative to the FHIR base
    (`Patient/1/_history/1`). `body` is FHIR JSON, or empty; of an export it is a piece of a file, and `after` says
    where the next one begins. `outflow`, where there is one, is what is sent, and `body` the Binary without its data.
    """

    status: int
    body: bytes = b""
    version: str = ""
    updated: int = 0
    location: str = ""
    sequence: int = -1
    _released: object = None
    after: str = ""
    outflow: Outflow | None = None

    def __post_init__(self) -> None:
        """Refuse to be built before the audit entry is durable."""
        if self._released is not _RELEASED:
            raise TypeError("a Disclosure comes from the door")
