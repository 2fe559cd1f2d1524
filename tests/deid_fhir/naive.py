"""A second implementation of docs/spec/pseudonyms.md, written from the page and for reading, not for speed."""

import hashlib
import hmac
import json
import uuid
from datetime import date, timedelta

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id


def mac(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def subkey(project, label):
    return mac(project, f"medlock/1/deid/{label}".encode() + b"\x01")


def pseudonym(project, text):
    raw = list(mac(subkey(project, "id"), text.encode())[:16])
    raw[6], raw[8] = raw[6] % 16 + 128, raw[8] % 64 + 128
    return str(uuid.UUID(bytes=bytes(raw)))


def days(project, patient, *, weeks):
    n = int.from_bytes(mac(subkey(project, "days"), patient.encode())[:8], "big") // 2
    return -7 * (1 + n % 52) if weeks else -(1 + n % 364)


def moved(text, by):
    whole = text[:10] if len(text) >= 10 else f"{text}-15" if len(text) == 7 else f"{text}-07-01"
    new = (date(*map(int, whole.split("-"))) + timedelta(days=by)).isoformat()
    return new + text[10:] if len(text) >= 10 else new[: len(text)]


CLASSES = ["0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"]


def like(project, kind, text):
    key = subkey(project, f"like/{kind}")
    cells = [(i, c) for i, x in enumerate(text) for c, letters in enumerate(CLASSES) if x in letters]
    form = "".join(next((str(c) for c, letters in enumerate(CLASSES) if x in letters), x) for x in text)
    half = len(cells) // 2
    sides, numbers, products = [cells[:half], cells[half:]], [0, 0], [1, 1]
    for s in (0, 1):
        for i, c in sides[s]:
            numbers[s] = numbers[s] * len(CLASSES[c]) + CLASSES[c].index(text[i])
            products[s] *= len(CLASSES[c])
    for r in range(10):
        s = r % 2
        x = f"{r}\x1f{form}\x1f{numbers[1 - s]}".encode()
        noise = mac(key, x + b"\x00")[:16] + mac(key, x + b"\x01")[:16]
        numbers[s] = (numbers[s] + int.from_bytes(noise, "big")) % products[s]
    out = list(text)
    for s in (0, 1):
        for i, c in reversed(sides[s]):
            out[i] = CLASSES[c][numbers[s] % len(CLASSES[c])]
            numbers[s] //= len(CLASSES[c])
    return "".join(out)


def stretched(passphrase, salt):
    return Argon2id(salt=salt, length=32, iterations=3, lanes=1, memory_cost=65536).derive(passphrase.encode())


def join(*parts):
    return b"|".join(parts)


def write_vault(*, project, private, half, people, salts, nonces, ephemerals, entries):
    """A vault with every random choice given, for vectors."""
    name = mac(subkey(project, "project"), b"vault")[:16]
    public = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    other = bytes(x ^ y for x, y in zip(half, private, strict=True))
    shares = []
    for i, ((custodian, passphrase), share) in enumerate(zip(people, (half, other), strict=True)):
        aad = join(b"medlock/1/deid/vault-share", name, public, bytes([i]))
        sealed = nonces[i] + AESGCM(stretched(passphrase, salts[i])).encrypt(nonces[i], share, aad)
        shares.append({"custodian": custodian, "salt": salts[i].hex(), "sealed": sealed.hex()})
    lines = [{"medlock-vault": 1, "project": name.hex(), "public": public.hex(), "shares": shares}]
    for (token, value), ephemeral in zip(entries.items(), ephemerals, strict=True):
        lines.append({"token": token, "sealed": sealed_entry(name, public, ephemeral, token, value).hex()})
    return lines


def sealed_entry(name, public, ephemeral, token, value):
    key = X25519PrivateKey.from_private_bytes(ephemeral)
    shown = key.public_key().public_bytes_raw()
    shared = key.exchange(X25519PublicKey.from_public_bytes(public))
    text = json.dumps(value, separators=(",", ":")).encode() + b"\x80"
    text += b"\x00" * (-len(text) % 64)
    box_key = mac(b"medlock/1/deid/vault", shared + shown + public)
    return shown + AESGCM(box_key).encrypt(bytes(12), text, join(b"medlock/1/deid/vault-entry", name, token.encode()))


def open_vault(lines, people):
    """Token → value, or an exception of some kind."""
    header, entries = lines[0], lines[1:]
    assert header["medlock-vault"] == 1
    assert len(header["shares"]) == 2
    assert len({share["custodian"] for share in header["shares"]}) == 2
    name, public = bytes.fromhex(header["project"]), bytes.fromhex(header["public"])
    halves = []
    for i, share in enumerate(header["shares"]):
        sealed = bytes.fromhex(share["sealed"])
        aad = join(b"medlock/1/deid/vault-share", name, public, bytes([i]))
        key = stretched(people[share["custodian"]], bytes.fromhex(share["salt"]))
        halves.append(AESGCM(key).decrypt(sealed[:12], sealed[12:], aad))
    private = X25519PrivateKey.from_private_bytes(bytes(x ^ y for x, y in zip(*halves, strict=True)))
    assert private.public_key().public_bytes_raw() == public
    found = {}
    for entry in entries:
        box = bytes.fromhex(entry["sealed"])
        shared = private.exchange(X25519PublicKey.from_public_bytes(box[:32]))
        key = mac(b"medlock/1/deid/vault", shared + box[:32] + public)
        aad = join(b"medlock/1/deid/vault-entry", name, entry["token"].encode())
        text = AESGCM(key).decrypt(bytes(12), box[32:], aad).rstrip(b"\x00")
        assert text[-1:] == b"\x80"
        assert entry["token"] not in found
        found[entry["token"]] = json.loads(text[:-1])
    return found
