"""A second reading of docs/spec/broker.md, written from the page alone: frames of a stream, and records of the log."""

from __future__ import annotations

import hashlib
import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

REQUEST_LIMIT = 16_393


def frames(stream: bytes, limit: int = REQUEST_LIMIT):
    """The frames of a stream (number, code, body), and how it ends: `whole`, `partial` or `refused` (§3)."""
    found = []
    while stream:
        if len(stream) < 4:
            return found, "partial"
        length = int.from_bytes(stream[0:4], "big")
        if length < 9 or length > limit:
            return found, "refused"
        if len(stream) < 4 + length:
            return found, "partial"
        found.append((int.from_bytes(stream[4:12], "big"), stream[12], stream[13 : 4 + length]))
        stream = stream[4 + length :]
    return found, "whole"


def log_key(tenant: bytes) -> bytes:
    """HKDF-Expand(tenant key, label, 32): one block (RFC 5869 §2.3)."""
    return hmac.new(tenant, b"medlock/1/tenant/unwraps\x01", hashlib.sha256).digest()


def records(content: bytes, key: bytes, store: bytes):
    """The records of a file as dictionaries, or a word for what is wrong (§6)."""
    if len(content) < 32 or content[:8] != b"MLKBLOG1":
        return "header"
    number, tag = int.from_bytes(content[8:16], "big"), content[16:32]
    found, rest = [], content[32:]
    while len(rest) >= 68:
        one, rest = rest[:68], rest[68:]
        try:
            plain = AESGCM(key).decrypt(one[:12], one[12:], b"MLKBL1" + store + tag)
        except InvalidTag:
            return "record"
        if int.from_bytes(plain[0:8], "big") != number or plain[37:40] != bytes(3):
            return "number"
        found.append(
            {
                "number": number,
                "time": int.from_bytes(plain[8:16], "big"),
                "kind": plain[16],
                "pid": int.from_bytes(plain[17:21], "big"),
                "slot": int.from_bytes(plain[21:29], "big"),
                "generation": int.from_bytes(plain[29:33], "big"),
                "count": int.from_bytes(plain[33:37], "big"),
            }
        )
        number, tag = number + 1, one[-16:]
    return found


def window(events, limit: int, seconds: float = 60.0):
    """Which of the events (time, slot) a limit of different slots in any `seconds` admits (§5), slowly."""
    counted, answers = [], []
    for now, slot in events:
        counted = [(since, each) for since, each in counted if since > now - seconds]
        known = slot in {each for _, each in counted}
        admitted = known or len(counted) < limit
        if admitted and not known:
            counted.append((now, slot))
        answers.append(admitted)
    return answers
