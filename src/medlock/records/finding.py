"""What a handler brings back to the door: an answer not yet released, and every resource that it discloses."""

from __future__ import annotations

import msgspec

from medlock.access.grant import Grant
from medlock.audit.events import Touched
from medlock.errors import Tampered
from medlock.records.outflow import Outflow
from medlock.store.bodies import Opened


class Finding(msgspec.Struct):
    """An answer in the making.

    `disclosed` lists every resource whose content is in `body`: the door checks each against the Grant again and
    writes each into the audit log. `about` is the slot and id of the one patient that the question names, for the
    log of a search that found nothing. `logged` says that the audit entry went with the commit of a write. `seen`
    are audit events shown: slot, patient, and what is noted of it. `after` is where the next piece of an export begins;
    `deidentified`: `body` holds nothing else. `outflow` is sent in place of `body`, which says what it is.
    """

    status: int
    body: bytes = b""
    version: str = ""
    updated: int = 0
    location: str = ""
    disclosed: list[Opened] = []
    about: tuple[int, str] = (0, "")
    logged: bool = False
    seen: list[tuple[int, str, Touched]] = []
    after: str = ""
    deidentified: bool = False
    outflow: Outflow | None = None


def recheck(finding: Finding, grant: Grant | None) -> None:
    """Everything that a Finding discloses must be admitted. A bundle's entries were checked one by one."""
    if grant is None:
        return
    if grant.deidentified and not finding.deidentified:
        raise Tampered("a handler brought what is not de-identified for a Grant of nothing else")
    if not grant.admits_all(finding.disclosed):
        raise Tampered("a handler brought a resource that the Grant does not admit")
