"""docs/spec/factors.md written down a second time, from the page and not from the program: short, slow, plain."""

from __future__ import annotations

import hashlib
import hmac
import struct
import unicodedata
from base64 import urlsafe_b64decode

import argon2.low_level as argon
from argon2.exceptions import VerificationError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SHA256 = hashes.SHA256()
LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def sized(text: str) -> bytes:
    return struct.pack(">I", len(text.encode())) + text.encode()


def ticket_aad(purpose: str, account: str, browser: str) -> bytes:
    """§1."""
    return b"medlock/1/ticket|" + sized(purpose) + sized(account) + sized(browser)


def sealed(key: bytes, nonce: bytes, plain: bytes, aad: bytes) -> bytes:
    return nonce + AESGCM(key).encrypt(nonce, plain, aad)


def opened(case: dict) -> bytes | None:
    """§1: the state of a ticket, or None."""
    try:
        blob = urlsafe_b64decode(case["ticket"] + "==")
        aad = ticket_aad(case["purpose"], case["account"], case["browser"])
        plain = AESGCM(bytes.fromhex(case["key"])).decrypt(blob[:12], blob[12:], aad)
    except (InvalidTag, ValueError):
        return None
    return plain[8:] if case["now_ms"] < int.from_bytes(plain[:8], "big") else None


def listed(name: str, width: int, words: list[str]) -> bytes:
    """§2: a list."""
    head = b"medlock-listed/1" + name.encode().ljust(8, b"\0") + bytes([width]) + bytes(7)
    return head + b"".join(sorted({hashlib.new(name, word.encode()).digest()[:width] for word in words}))


def in_list(data: bytes, password: str) -> bool | None:
    """§2: whether it is listed; None when the file is no list."""
    name, width = data[16:24].rstrip(b"\0").decode("latin-1"), data[24] if len(data) > 24 else 0
    if len(data) < 32 or data[:16] != b"medlock-listed/1" or name not in {"sha1", "sha256"} or not 4 <= width <= 20:
        return None
    if any(data[25:32]) or (len(data) - 32) % width:
        return None
    digests = {data[at : at + width] for at in range(32, len(data), width)}
    form = unicodedata.normalize("NFKC", password)
    forms = {form.lower()} if name == "sha256" else {form, form.lower()}
    return any(hashlib.new(name, each.encode()).digest()[:width] in digests for each in forms)


def keyed(pepper: bytes, password: str) -> bytes:
    """§3."""
    return hmac.new(pepper, unicodedata.normalize("NFKC", password).encode(), "sha256").digest()


def is_password(pepper: bytes, encoded: str, password: str) -> bool:
    """§3."""
    try:
        return argon.verify_secret(encoded.encode(), keyed(pepper, password), argon.Type.ID)
    except VerificationError:
        return False


def code(secret: bytes, step: int) -> str:
    """§4."""
    mac = hmac.new(secret, struct.pack(">Q", step), "sha1").digest()
    (number,) = struct.unpack(">I", mac[mac[19] & 15 :][:4])
    return f"{(number & 0x7FFFFFFF) % 1_000_000:06}"


def step_of(case: dict) -> int | None:
    """§4: the step that a code is for."""
    now, secret = case["time_ms"] // 30_000, bytes.fromhex(case["secret"])
    found = [each for each in (now - 1, now, now + 1) if each > case["after"] and code(secret, each) == case["code"]]
    return found[-1] if found else None


def recovery_hash(pepper: bytes, account: str, typed: str) -> bytes | None:
    """§5: what is kept of a code; None when it is none."""
    form = "".join(typed.upper().split()).replace("-", "").replace("I", "1").replace("L", "1").replace("O", "0")
    if len(form) != 24 or any(each not in LETTERS for each in form):
        return None
    key = hmac.new(pepper, b"medlock/1/identity/recovery\x01", "sha256").digest()
    return hmac.new(key, f"{account}|{form}".encode(), "sha256").digest()
