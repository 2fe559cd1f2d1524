"""What a file of FHIR data holds, piece by piece, as questions to ask the door.

A transaction is one piece; an entry of a batch or collection, a line of NDJSON, or a lone resource is one each.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from urllib.parse import quote

import msgspec

from medlock.errors import BadRequest
from medlock.fhir import bundle
from medlock.fhir.binary import without_data
from medlock.fhir.question import Interaction, Question
from medlock.fhir.request import Frame
from medlock.records import bundles
from medlock.settings import MIB


@dataclass(slots=True)
class Parcel:
    """Something to load in one go: a transaction, or one resource. `place` says where in the file it stood."""

    file: str
    place: str
    question: Question
    resources: int
    receipt: bytes = b""


def parcels(name: str, data: bytes, digest: bytes, frame: Frame) -> Iterator[Parcel]:
    """What a file holds, piece by piece. Raises BadRequest when it is neither a Bundle nor NDJSON."""
    if ".ndjson" in name:
        for number, line in enumerate(data.splitlines(), 1):
            if line.strip():
                yield _single(name, f"line {number}", line)
        return
    head = _head(data)
    if head.resourceType != "Bundle":
        yield _single(name, "", data)
    elif head.type == "transaction":
        asked = Question(Interaction.TRANSACTION, body=shared_once(data), prefer="minimal")
        yield Parcel(name, "transaction", asked, len(head.entry), digest)
    elif head.type == "batch":
        for number, entry in enumerate(bundle.entries(data, len(head.entry))):
            yield Parcel(name, f"Bundle.entry[{number}]", bundles.question(entry, frame), 1)
    else:
        yield from _pieces(name, head)


def parted(question: Question) -> tuple[Question, AsyncIterator[bytes] | None]:
    """A long Binary without its data, and its content as it is received; any other question as it is."""
    if question.type != "Binary" or len(question.body) <= MIB:
        return question, None
    try:
        body, data = without_data(question.body)
        content = b64decode(data, validate=True)
    except (msgspec.MsgspecError, ValueError):
        return question, None  # refused by whoever validates it
    return (msgspec.structs.replace(question, body=body), _flowing(content)) if content else (question, None)


async def _flowing(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), MIB):
        yield content[start : start + MIB]


class _Entry(msgspec.Struct):
    resource: msgspec.Raw = msgspec.Raw(b"null")
    fullUrl: str = ""  # noqa: N815 - FHIR's spelling


class _Head(msgspec.Struct):
    resourceType: str = ""  # noqa: N815 - FHIR's spelling
    type: str = ""
    entry: list[_Entry] = []


class _Names(msgspec.Struct):
    resourceType: str = ""  # noqa: N815 - FHIR's spelling
    id: str = ""


_ONCE = frozenset({"Organization", "Practitioner", "PractitionerRole", "Location", "HealthcareService"})


def shared_once(data: bytes) -> bytes:
    """A transaction in which the clinic's own resources are created only if their identifier is not there yet.

    Senders repeat organisations and practitioners in every patient's bundle. Made anew each time, a later
    `Practitioner?identifier=` would find several of them and mean none.
    """
    bundle_ = msgspec.json.decode(data, type=_Transaction)
    changed = False
    for entry in bundle_.entry:
        criteria = _criteria(entry)
        if criteria:
            entry.request["ifNoneExist"] = criteria
            changed = True
    return msgspec.json.encode(bundle_) if changed else data


def _criteria(entry: _Posted) -> str:
    """The If-None-Exist of an entry that creates a shared resource without one; "" for all others."""
    if entry.request.get("method") != "POST" or "ifNoneExist" in entry.request:
        return ""
    if entry.request.get("url") not in _ONCE:
        return ""
    found = msgspec.json.decode(entry.resource, type=_Identified)
    marks = [f"{each.system}|{each.value}" for each in found.identifier if each.system and each.value]
    return "identifier=" + quote(marks[0], safe="") if marks else ""


class _Identifier(msgspec.Struct):
    system: str = ""
    value: str = ""


class _Identified(msgspec.Struct):
    identifier: list[_Identifier] = []


class _Posted(msgspec.Struct, omit_defaults=True):
    resource: msgspec.Raw = msgspec.Raw(b"null")
    fullUrl: str = ""  # noqa: N815 - FHIR's spelling
    request: dict[str, str] = {}


class _Transaction(msgspec.Struct):
    resourceType: str  # noqa: N815 - FHIR's spelling
    type: str
    entry: list[_Posted] = []


def _head(data: bytes) -> _Head:
    try:
        return msgspec.json.decode(data, type=_Head)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise BadRequest("The file is not a FHIR Bundle or resource in JSON.") from fault


def _pieces(name: str, head: _Head) -> Iterator[Parcel]:
    """The entries of a collection, each for itself."""
    if head.type not in {"collection", "searchset", "history", "document", "message"}:
        raise BadRequest("The Bundle has no type that can be loaded.")
    for number, entry in enumerate(head.entry):
        yield _single(name, f"Bundle.entry[{number}]", bytes(entry.resource))


def _single(name: str, place: str, data: bytes) -> Parcel:
    """One resource: under its own id when it has one, so that loading twice changes nothing but the version."""
    try:
        names = msgspec.json.decode(data, type=_Names)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        names = _Names()
    interaction = Interaction.UPDATE if names.id else Interaction.CREATE
    return Parcel(name, place, Question(interaction, names.resourceType, names.id, body=data, prefer="minimal"), 1)
