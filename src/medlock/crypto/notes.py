"""Signed notes and tree checkpoints: C2SP signed-note and tlog-checkpoint, signature type 01 (Ed25519, RFC 8032).

A note is text, a blank line, and signature lines. Whoever reads one states whose signature they want; lines of other
keys are passed over, a bad line of the wanted key condemns the note. Parsing is strict, since two readings of
one signed text are how split views start. Everything that does not hold raises `Tampered`.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from medlock.crypto.merkle import HASH_BYTES
from medlock.errors import Tampered

SIGNATURES_MAX = 16  # signed-note: accept at least 16, and set a limit
_ED25519 = b"\x01"
_KEY_ID_BYTES = 4
_PUBLIC_BYTES = 32
_DASH = "\N{EM DASH} "
_SIGNATURE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


class NoteVerifier:
    """A name and the Ed25519 public key (32 bytes) that signs under it."""

    def __init__(self, name: str, public_key: bytes) -> None:
        if not re.fullmatch(r"[^\s+]+", name):
            raise ValueError("a key name has no spaces and no plus sign")
        self.name = name
        self.key_id = sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:_KEY_ID_BYTES]
        self._public = public_key
        self._key = Ed25519PublicKey.from_public_bytes(public_key)

    @property
    def text(self) -> str:
        """The key as people hand it on: name, key id in hex, type and key in base64 (signed-note, "Verifier keys")."""
        return f"{self.name}+{self.key_id.hex()}+{b64encode(_ED25519 + self._public).decode()}"

    def open(self, note: str) -> str:
        """The text of a note that this key signed, final newline included. Raises Tampered."""
        text, lines = _parse(note)
        found = [signature[_KEY_ID_BYTES:] for name, signature in lines if self._is_mine(name, signature)]
        if not found:
            raise Tampered("the note is not signed by the wanted key")
        for signature in found:
            self._check(signature, text)
        return text

    def _is_mine(self, name: str, signature: bytes) -> bool:
        return name == self.name and signature[:_KEY_ID_BYTES] == self.key_id

    def _check(self, signature: bytes, text: str) -> None:
        try:
            self._key.verify(signature, text.encode())
        except (InvalidSignature, UnicodeEncodeError):
            raise Tampered("a signature of the note is wrong") from None


class NoteSigner:
    """A name and the Ed25519 seed (32 bytes) that signs under it."""

    def __init__(self, name: str, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = NoteVerifier(name, self._key.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"<NoteSigner {self.verifier.name}>"

    def sign(self, text: str) -> str:
        """The signed note over `text`, which ends in a newline and has no other control characters."""
        if not text.endswith("\n") or _CONTROL.search(text):
            raise ValueError("a note's text ends in a newline and has no other control characters")
        signature = b64encode(self.verifier.key_id + self._key.sign(text.encode())).decode()
        return f"{text}\n{_DASH}{self.verifier.name} {signature}\n"


def parse_verifier(text: str) -> NoteVerifier:
    """The verifier in a text as `NoteVerifier.text` makes it. Raises ValueError for anything else."""
    name, _, rest = text.partition("+")
    key_id, _, data = rest.partition("+")
    raw = b64decode(data, validate=True)
    if raw[:1] != _ED25519 or len(raw) != 1 + _PUBLIC_BYTES:
        raise ValueError("a verifier key holds a type, 01, and 32 bytes")
    found = NoteVerifier(name, raw[1:])
    if found.text != text or found.key_id.hex() != key_id:
        raise ValueError("name, key id and key do not belong together")
    return found


@dataclass(frozen=True)
class Checkpoint:
    """The head of a log: whose it is, how many leaves it has, and their Merkle root."""

    origin: str
    size: int
    root: bytes

    @cached_property
    def text(self) -> str:
        """The note text: origin, size, root, a line each."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint in a note's text; extension lines are passed over. Raises Tampered."""
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() or not all(lines):
        raise Tampered("a checkpoint has at least three lines, none of them empty")
    origin, size, root = lines[:3]
    if not _SIZE.fullmatch(size):
        raise Tampered("the size of a checkpoint is not a plain decimal number")
    digest = _base64(root)
    if len(digest) != HASH_BYTES:
        raise Tampered("the root of a checkpoint is not 32 bytes")
    return Checkpoint(origin, int(size), digest)


def _parse(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """The text, and for each signature line its name and bytes (key id first)."""
    if _CONTROL.search(note):
        raise Tampered("a note has no control characters but newlines")
    text, blank, tail = note.rpartition("\n\n")
    if not blank or not text or not tail.endswith("\n"):
        raise Tampered("a note is text, a blank line and signature lines")
    lines = tail[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise Tampered("a note has at most 16 signatures")
    return text + "\n", [_signature(line) for line in lines]


def _signature(line: str) -> tuple[str, bytes]:
    match = _SIGNATURE.fullmatch(line)
    if match is None:
        raise Tampered("a signature line has another form")
    signature = _base64(match[2])
    if len(signature) <= _KEY_ID_BYTES:
        raise Tampered("a signature line holds no signature")
    return match[1], signature


def _base64(text: str) -> bytes:
    """RFC 4648 §4, canonical only: what decodes must encode to the same text."""
    try:
        decoded = b64decode(text, validate=True)
    except ValueError:  # also what is not ASCII
        raise Tampered("not base64") from None
    if b64encode(decoded).decode() != text:
        raise Tampered("not canonical base64")
    return decoded
