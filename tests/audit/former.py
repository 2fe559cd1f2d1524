"""Entries of version 1, sealed by the page alone (docs/spec/audit.md §12): what a log of an earlier medlock holds."""

from __future__ import annotations

import os

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit.world import STORE
from medlock.audit.events import Event


def former_entry(event: Event) -> bytes:
    """The entry of an event under the keys of `world.Keys`."""
    event_id, counts = os.urandom(16), [[each.crud for each in event.touched].count(letter) for letter in "CRUD"]
    minimal = (event_id, event.action, event.outcome, event.account, event.roles, event.client, event.purpose)
    minimal = (*minimal, event.slot, event.request, event.recorded, counts, event.position)
    detail = (event.patient, event.touched, event.query, event.reason, event.basis)
    slot = event.slot.to_bytes(8, "big")
    full = sealed(b"\x33" * 24 + slot, detail, 512, b"medlock/1/log/full|" + STORE + event_id + slot)
    kept = sealed(b"\x11" * 32, minimal, 320, b"medlock/1/log/minimal|" + STORE + full)
    return b"\x01" + len(kept).to_bytes(4, "big") + kept + full


def sealed(key: bytes, fields: tuple[object, ...], step: int, where: bytes) -> bytes:
    """An array, padded and sealed in its place."""
    plain, nonce = msgspec.msgpack.encode(fields) + b"\x80", os.urandom(12)
    return nonce + AESGCM(key).encrypt(nonce, plain + bytes(-len(plain) % step), where)
