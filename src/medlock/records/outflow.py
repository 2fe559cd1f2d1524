"""A large content that is sent: chunk by chunk, each opened before a byte of it leaves, and none after an erasure.

The decision and the audit entry are the Binary's: they are made and durable before the first piece is asked for. In
JSON a content comes whole, so only up to a bound; beyond it, and wherever a Binary is one of several, it comes without
its data, marked SUBSETTED as it is stored, and is fetched from its own address.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncGenerator, Callable
from typing import Final, NamedTuple

import msgspec

from medlock.access.grant import Grant
from medlock.errors import NotAcceptable, NotFound, Tampered
from medlock.fhir.binary import with_data
from medlock.records.minimise import minimised
from medlock.records.vault import Vault
from medlock.settings import MIB
from medlock.store.bodies import Opened
from medlock.store.content import CHUNK, ChunkCipher, Content
from medlock.store.tables import Table

WHOLE_BYTES: Final = 16 * MIB
"""Up to this a content is given in JSON, which is held whole."""
_SAMPLE: Final = b"QQ=="
_TOO_LONG: Final = "This content is too large for JSON: ask for it as itself, without naming FHIR JSON in Accept."


class Outflow(NamedTuple):
    """A content on its way out: how many bytes it has, and those from one place up to another."""

    size: int
    pieces: Callable[[int, int], AsyncGenerator[bytes, None]]


def outflow(vault: Vault, grant: Grant, opened: Opened, content: Content) -> Outflow:
    """The content of a Binary. Raises NotFound when the Grant's masks hide data."""
    _demand_shown(grant, opened)
    return Outflow(content.size, lambda start, stop: _pieces(vault, opened, content, start, stop))


async def in_json(vault: Vault, grant: Grant, opened: Opened, content: Content) -> bytes:
    """The Binary with its data. Raises NotAcceptable when that is too much to be held whole, NotFound as above."""
    if content.size > WHOLE_BYTES:
        raise NotAcceptable(_TOO_LONG)
    _demand_shown(grant, opened)
    data = bytearray()
    async for piece in _pieces(vault, opened, content, 0, content.size):
        data += piece
    return with_data(minimised(grant, opened), b64encode(data))


async def in_line(vault: Vault, grant: Grant, opened: Opened, body: bytes) -> bytes:
    """A resource as it is exported: a Binary with its data, if it is not too long to be held whole."""
    if opened.content is None or opened.content.size > WHOLE_BYTES:
        return body
    return await in_json(vault, grant, opened, opened.content)


def length(opened: Opened) -> int:
    """How many bytes a resource comes to, with what lies beside it."""
    return len(opened.body) + (0 if opened.content is None else opened.content.size)


def _demand_shown(grant: Grant, opened: Opened) -> None:
    """Raise NotFound unless data of this Binary would be shown, if it stood in its body."""
    sample = msgspec.structs.replace(opened, body=with_data(opened.body, _SAMPLE))
    if minimised(grant, sample) != sample.body:
        raise NotFound("There is no such resource, or you may not see it.", reason="data of this Binary is masked")


async def _pieces(vault: Vault, opened: Opened, content: Content, start: int, stop: int) -> AsyncGenerator[bytes, None]:
    """The bytes from `start` up to `stop`. Raises Tampered, NotFound when the patient was erased meanwhile."""
    cipher = ChunkCipher(content.stream, content.key)
    stop = min(stop, content.size)
    for at in range(start // CHUNK, -(-stop // CHUNK)):
        vault.keystore.keys(opened.slot)  # raises NotFound when it was destroyed since
        row = await vault.backend.get(Table.CHUNK, vault.chunk_key(content.stream, at))
        if row is None:
            raise Tampered(f"chunk {at} of row {opened.rid} is gone")
        plain = cipher.open(at, row, last=at == content.chunks - 1)
        first, after = max(start - at * CHUNK, 0), min(stop - at * CHUNK, CHUNK)
        yield plain if after - first == CHUNK else plain[first:after]
