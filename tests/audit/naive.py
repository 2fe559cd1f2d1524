"""A second implementation of docs/spec/audit.md, written for plainness: straight recursion, no tables, no speed.

It shares no code with medlock: only `hashlib`, `cryptography` and a generic MessagePack reader. Everything that does
not hold raises `Bad`.
"""

from __future__ import annotations

import base64
import hashlib
import struct
import uuid
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Bad(Exception):
    """It does not hold."""


def demand(holds: bool) -> None:
    if not holds:
        raise Bad


# ---- trees: RFC 9162 §2.1 -----------------------------------------------------------------------


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\0" + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def split_at(count: int) -> int:
    """The largest power of two smaller than `count`."""
    k = 1
    while k * 2 < count:
        k *= 2
    return k


def mth(leaves: list[bytes]) -> bytes:
    """MTH over leaf hashes (§2.1.1)."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split_at(len(leaves))
    return node(mth(leaves[:k]), mth(leaves[k:]))


def path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH(index, leaves) (§2.1.3.1)."""
    if len(leaves) == 1:
        return []
    k = split_at(len(leaves))
    if index < k:
        return [*path(index, leaves[:k]), mth(leaves[k:])]
    return [*path(index - k, leaves[k:]), mth(leaves[:k])]


def proof(old: int, leaves: list[bytes]) -> list[bytes]:
    """PROOF(old, leaves) (§2.1.4.1); empty when old is 0."""
    return subproof(old, leaves, whole=True) if old else []


def subproof(old: int, leaves: list[bytes], *, whole: bool) -> list[bytes]:
    if old == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split_at(len(leaves))
    if old <= k:
        return [*subproof(old, leaves[:k], whole=whole), mth(leaves[k:])]
    return [*subproof(old - k, leaves[k:], whole=False), mth(leaves[:k])]


def check_inclusion(leaf: bytes, index: int, size: int, hashes: list[bytes], root: bytes) -> None:
    demand(0 <= index < size and all(len(each) == 32 for each in (leaf, root, *hashes)))
    demand(root_by(leaf, index, size, list(hashes)) == root)


def root_by(leaf: bytes, index: int, size: int, hashes: list[bytes]) -> bytes:
    """The recursion of PATH run backwards: the last hash is the sibling at the top."""
    if size == 1:
        demand(not hashes)
        return leaf
    demand(bool(hashes))
    *below, sibling = hashes
    k = split_at(size)
    if index < k:
        return node(root_by(leaf, index, k, below), sibling)
    return node(sibling, root_by(leaf, index - k, size - k, below))


def check_consistency(old: int, new: int, old_root: bytes, new_root: bytes, hashes: list[bytes]) -> None:
    demand(0 <= old <= new and all(len(each) == 32 for each in (old_root, new_root, *hashes)))
    if old == 0:
        demand(not hashes and old_root == mth([]))
        return
    before, after = roots_by(old, new, list(hashes), old_root, whole=True)
    demand(before == old_root and after == new_root)


def roots_by(old: int, new: int, hashes: list[bytes], known: bytes, *, whole: bool) -> tuple[bytes, bytes]:
    """The recursion of SUBPROOF run backwards: both roots of this subtree."""
    if old == new:
        demand(len(hashes) == (0 if whole else 1))
        return (known, known) if whole else (hashes[0], hashes[0])
    demand(bool(hashes))
    *below, other = hashes
    k = split_at(new)
    if old <= k:
        before, after = roots_by(old, k, below, known, whole=whole)
        return before, node(after, other)
    before, after = roots_by(old - k, new - k, below, known, whole=False)
    return node(other, before), node(other, after)


# ---- notes: C2SP signed-note and tlog-checkpoint --------------------------------------------------


def open_note(note: str, name: str, public_key: bytes) -> str:
    demand(all(character >= " " or character == "\n" for character in note))
    cut = note.rfind("\n\n")
    demand(cut > 0 and note.endswith("\n"))
    text, lines = note[: cut + 1], note[cut + 2 :].splitlines()
    demand(0 < len(lines) <= 16)
    key_id = hashlib.sha256(name.encode() + b"\n\x01" + public_key).digest()[:4]
    verified = 0
    for line in lines:
        dash, who, signature = parts if len(parts := line.split(" ")) == 3 else ("", "", "")
        demand(dash == "\u2014" and who != "" and "+" not in who)
        raw = from_base64(signature)
        demand(len(raw) > 4)
        if who == name and raw[:4] == key_id:
            try:
                Ed25519PublicKey.from_public_bytes(public_key).verify(raw[4:], text.encode())
            except InvalidSignature:
                raise Bad from None
            verified += 1
    demand(verified > 0)
    return text


def read_checkpoint(text: str) -> tuple[str, int, bytes]:
    demand(text.endswith("\n"))
    lines = text[:-1].split("\n")
    demand(len(lines) >= 3 and all(lines))
    origin, size, root = lines[:3]
    demand(size.isascii() and size.isdigit() and str(int(size)) == size)
    digest = from_base64(root)
    demand(len(digest) == 32)
    return origin, int(size), digest


def from_base64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raise Bad from None
    demand(base64.b64encode(raw).decode() == text)
    return raw


# ---- sealed rows ------------------------------------------------------------------------------------


def unseal(key: bytes, blob: bytes, what: str, tail: bytes, version: int = 1) -> bytes:
    try:
        return AESGCM(key).decrypt(blob[:12], blob[12:], f"medlock/{version}/log/{what}|".encode() + tail)
    except (InvalidTag, ValueError):
        raise Bad from None


def unpad(padded: bytes) -> bytes:
    plain = padded.rstrip(b"\0")
    demand(plain[-1:] == b"\x80")
    return plain[:-1]


def unpack(plain: bytes) -> Any:
    try:
        return msgspec.msgpack.decode(plain)
    except msgspec.MsgspecError:
        raise Bad from None


def open_entry(entry: bytes, store: bytes, log_key: bytes, detail_key: bytes) -> tuple[list[Any], list[Any]]:
    """Minimal and full copy; `detail_key` is the patient's, or the tenant's when the slot is 0."""
    demand(len(entry) > 3 and entry[0] in (1, 2))
    return (open_former if entry[0] == 1 else open_present)(entry, store, log_key, detail_key)


def open_present(entry: bytes, store: bytes, log_key: bytes, detail_key: bytes) -> tuple[list[Any], list[Any]]:
    """Section 3."""
    end = 3 + struct.unpack(">H", entry[1:3])[0]
    full = entry[end:]
    minimal = unpack(unpad(unseal(log_key, entry[3:end], "minimal", store + full, 2)))
    demand(isinstance(minimal, list) and len(minimal) >= 11)
    detail = unpack(unpad(unseal(detail_key, full, "full", store + minimal[6].to_bytes(8, "big"), 2)))
    demand(isinstance(detail, list) and len(detail) >= 5)
    lots = detail[5] if len(detail) > 5 else []
    return minimal[:11], [detail[0], detail[1] + [each for lot in lots for each in open_lot(lot)], *detail[2:5]]


def open_lot(lot: list[Any]) -> list[list[Any]]:
    kind, crud, ids, versions = lot
    demand(len(ids) == 16 * len(versions))
    names = [str(uuid.UUID(bytes=ids[16 * at : 16 * at + 16])) for at in range(len(versions))]
    return [[f"{kind}/{name}", version, crud] for name, version in zip(names, versions, strict=True)]


def open_former(entry: bytes, store: bytes, log_key: bytes, detail_key: bytes) -> tuple[list[Any], list[Any]]:
    """Section 12."""
    demand(len(entry) > 5)
    end = 5 + struct.unpack(">I", entry[1:5])[0]
    full = entry[end:]
    minimal = unpack(unpad(unseal(log_key, entry[5:end], "minimal", store + full)))
    demand(isinstance(minimal, list) and len(minimal) >= 12)
    place = store + minimal[0] + minimal[7].to_bytes(8, "big")
    detail = unpack(unpad(unseal(detail_key, full, "full", place)))
    demand(isinstance(detail, list) and len(detail) >= 5)
    return minimal[1:12], detail[:5]


def open_row(row: bytes, what: str, store: bytes, log_key: bytes) -> list[Any]:
    """A row of table TIP."""
    array = unpack(unseal(log_key, row, what, store))
    demand(array[0] == 1)
    if what == "head":
        demand(len(array) >= 5 and len(array[3]) == 32 * array[1].bit_count() and len(array[4]) == 8 * (array[1] % 256))
    return array


def check_head(head: list[Any], leaves: list[bytes]) -> None:
    """Whether a head is that of a log of these leaf hashes: root, perfect subtrees, checks."""
    size, nodes, at = head[1], head[3], 0
    demand(size == len(leaves))
    while at < size:
        width = 1 << (size - at).bit_length() - 1
        demand(nodes[:32] == mth(leaves[at : at + width]))
        nodes, at = nodes[32:], at + width
    demand(head[4] == b"".join(leaf[:8] for leaf in leaves[size - size % 256 :]))


def search_run(row: bytes, number: int, store: bytes, log_key: bytes, value: bytes) -> list[int]:
    """The entries of a run index that bear a term."""
    array = unpack(unpad(unseal(log_key, row, "index", store + number.to_bytes(8, "big"))))
    demand(array[0] == 1)
    _, _, _, _, salt, labels, starts, offsets, _ = array
    hashed = hashlib.blake2b(value, key=salt, digest_size=8).digest()
    for at in range(len(labels) // 8):
        if labels[8 * at : 8 * at + 8] == hashed[::-1]:
            first, last = struct.unpack_from("<HH", starts, 2 * at)
            return [number * 4096 + struct.unpack_from("<H", offsets, 2 * each)[0] for each in range(first, last)]
    return []
