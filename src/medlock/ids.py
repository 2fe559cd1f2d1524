"""Random names: resource ids, slots, secrets. All come from the operating system's generator."""

from __future__ import annotations

import os
import secrets
import uuid


def random_bytes(count: int) -> bytes:
    """`count` bytes from the operating system's generator."""
    return os.urandom(count)


def resource_id() -> str:
    """A new logical id: 122 random bits as a UUID, which matches FHIR's id format [A-Za-z0-9-.]{1,64}."""
    return str(uuid.UUID(bytes=os.urandom(16), version=4))


def slot() -> int:
    """A new patient slot: 63 random bits, never 0 (slot 0 is the tenant)."""
    return (int.from_bytes(os.urandom(8), "big") >> 1) or 1


def secret() -> str:
    """A bearer secret of 256 random bits, URL-safe."""
    return secrets.token_urlsafe(32)
