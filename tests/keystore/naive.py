"""A second, naive keystore reader: written from docs/spec/keystore.md alone, on the standard library alone.

AES-256 (FIPS 197) and GCM (NIST SP 800-38D) are spelled out byte by byte; nothing of medlock is imported. It is
slow, and it is only ever right or wrong.
"""

from __future__ import annotations

import hashlib
import hmac
import struct


class Refused(Exception):
    """What is sealed does not open."""


# -- AES-256, FIPS 197


def _gf_multiply(a: int, b: int) -> int:
    product = 0
    while b:
        if b & 1:
            product ^= a
        a = (a << 1) ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return product


def _substitute(byte: int) -> int:
    inverse = next((x for x in range(256) if _gf_multiply(byte, x) == 1), 0)
    rotated = [((inverse << k) | (inverse >> (8 - k))) & 0xFF for k in range(5)]
    return rotated[0] ^ rotated[1] ^ rotated[2] ^ rotated[3] ^ rotated[4] ^ 0x63


SBOX = [_substitute(byte) for byte in range(256)]


def _round_keys(key: bytes) -> list[bytes]:
    words = [key[i : i + 4] for i in range(0, 32, 4)]
    rcon = 1
    for i in range(8, 60):
        word = words[i - 1]
        if i % 8 == 0:
            word = bytes(SBOX[b] for b in word[1:] + word[:1])
            word = bytes((word[0] ^ rcon,)) + word[1:]
            rcon = _gf_multiply(rcon, 2)
        elif i % 8 == 4:
            word = bytes(SBOX[b] for b in word)
        words.append(bytes(x ^ y for x, y in zip(words[i - 8], word, strict=True)))
    return [b"".join(words[i : i + 4]) for i in range(0, 60, 4)]


def _mix(state: bytes) -> bytes:
    mixed = bytearray()
    for column in (state[i : i + 4] for i in range(0, 16, 4)):
        for row in range(4):
            a, b, c, d = (column[(row + k) % 4] for k in range(4))
            mixed.append(_gf_multiply(a, 2) ^ _gf_multiply(b, 3) ^ c ^ d)
    return bytes(mixed)


def aes256(key: bytes, block: bytes) -> bytes:
    """One block, encrypted."""
    keys = _round_keys(key)
    state = bytes(x ^ y for x, y in zip(block, keys[0], strict=True))
    for number, round_key in enumerate(keys[1:], 1):
        state = bytes(SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16))  # SubBytes and ShiftRows
        if number < 14:
            state = _mix(state)
        state = bytes(x ^ y for x, y in zip(state, round_key, strict=True))
    return state


# -- GCM, NIST SP 800-38D


def _ghash(subkey: int, data: bytes) -> int:
    y = 0
    for i in range(0, len(data), 16):
        y ^= int.from_bytes(data[i : i + 16], "big")
        z, v = 0, subkey
        for bit in range(127, -1, -1):
            if y >> bit & 1:
                z ^= v
            v = v >> 1 ^ (0xE1 << 120 if v & 1 else 0)
        y = z
    return y


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 16)


def _counter_mode(key: bytes, nonce: bytes, data: bytes) -> bytes:
    stream = b"".join(aes256(key, nonce + struct.pack(">I", 2 + i)) for i in range(-(-len(data) // 16)))
    return bytes(x ^ y for x, y in zip(data, stream, strict=False))


def _tag(key: bytes, nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes:
    subkey = int.from_bytes(aes256(key, bytes(16)), "big")
    lengths = struct.pack(">QQ", 8 * len(aad), 8 * len(ciphertext))
    digest = _ghash(subkey, _padded(aad) + _padded(ciphertext) + lengths)
    mask = int.from_bytes(aes256(key, nonce + struct.pack(">I", 1)), "big")
    return (digest ^ mask).to_bytes(16, "big")


def seal(key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """The nonce, the ciphertext and the tag, in this order."""
    ciphertext = _counter_mode(key, nonce, plaintext)
    return nonce + ciphertext + _tag(key, nonce, ciphertext, aad)


def unseal(key: bytes, blob: bytes, aad: bytes) -> bytes:
    """Undo `seal`, or Refused."""
    if len(key) != 32 or len(blob) < 28:
        raise Refused
    nonce, ciphertext, tag = blob[:12], blob[12:-16], blob[-16:]
    if tag != _tag(key, nonce, ciphertext, aad):
        raise Refused
    return _counter_mode(key, nonce, ciphertext)


# -- the keystore, docs/spec/keystore.md


def hkdf_expand(key: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 §2.3, with SHA-256."""
    output = block = b""
    counter = 1
    while len(output) < length:
        block = hmac.new(key, block + info + bytes([counter]), hashlib.sha256).digest()
        output += block
        counter += 1
    return output[:length]


def hkdf_extract(salt: bytes, secret: bytes) -> bytes:
    """RFC 5869 §2.2, with SHA-256."""
    return hmac.new(salt, secret, hashlib.sha256).digest()


def derive(key: bytes, label: str) -> bytes:
    """§3: a key for one use."""
    return hkdf_expand(key, label.encode(), 32)


def row_aad(store: bytes, slot: int, generation: int, epoch: int) -> bytes:
    """§4.1."""
    return b"MLK1" + store + struct.pack(">QII", slot, generation, epoch)


def epoch_aad(store: bytes, number: int, under: int, made: int) -> bytes:
    """§4.2."""
    return b"MLE1" + store + struct.pack(">IIQ", number, under, made)


def provider_key(root: bytes, secret: bytes, epoch: int) -> bytes:
    """§7.1."""
    return hkdf_expand(hkdf_extract(secret, root), b"medlock/1/provider/epoch" + struct.pack(">I", epoch), 32)


def check_value(root: bytes, secret: bytes) -> bytes:
    """§7.1."""
    return hkdf_expand(hkdf_extract(secret, root), b"medlock/1/provider/check", 16)


def open_state(tenant: bytes, store: bytes, blob: bytes) -> dict[str, object]:
    """§4.3."""
    packed = unseal(derive(tenant, "medlock/1/tenant/keystore-state"), blob, b"medlock/1/keystore/state|" + store)
    if len(packed) != 81 or packed[0] != 1:
        raise Refused
    revision, erasures, keys = struct.unpack(">QQQ", packed[1:25])
    (log_size,) = struct.unpack(">q", packed[41:49])
    return {
        "revision": revision,
        "erasures": erasures,
        "keys": keys,
        "digest": packed[25:41].hex(),
        "log_size": log_size,
        "log_root": packed[49:].hex(),
    }


def set_digest(tenant: bytes, tags: list[bytes]) -> bytes:
    """§4.3: XOR of AES-256(tag)."""
    key = derive(tenant, "medlock/1/tenant/keystore-rows")
    total = 0
    for tag in tags:
        total ^= int.from_bytes(aes256(key, tag), "big")
    return total.to_bytes(16, "big")


def header_mask(key: bytes, nonce: bytes) -> bytes:
    """§3.3."""
    return aes256(key, nonce + bytes(4))
