"""A soft authenticator: what a security key does, in forty lines, and whatever a broken or hostile one might do.

Every part of what it sends can be changed before it is signed, so that tests can ask for one fault at a time.
"""

from __future__ import annotations

import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

ORIGIN, RP = "https://clinic.example", "clinic.example"
UP, UV, BE, BS, AT = 1, 4, 8, 16, 64


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def whole(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def new_key(alg: int):
    """A key pair and its COSE_Key (RFC 9053)."""
    if alg == -8:
        key = ed25519.Ed25519PrivateKey.generate()
        return key, {1: 1, 3: -8, -1: 6, -2: key.public_key().public_bytes_raw()}
    if alg == -257:
        key = rsa.generate_private_key(65537, 2048)
        numbers = key.public_key().public_numbers()
        return key, {1: 3, 3: -257, -1: whole(numbers.n), -2: whole(numbers.e)}
    key = ec.generate_private_key(ec.SECP256R1())
    point = key.public_key().public_numbers()
    return key, {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}


@dataclass
class Authenticator:
    """One passkey. `flags` are those of the next answer; a synced one keeps its counter at 0."""

    alg: int = -7
    flags: int = UP | UV
    counts: bool = True
    origin: str = ORIGIN
    rp_id: str = RP
    id: bytes = field(default_factory=lambda: os.urandom(32))
    aaguid: bytes = bytes(16)
    handle: bytes = b""
    count: int = 0
    client: dict = field(default_factory=dict)
    key: object = None
    cose: dict = field(default_factory=dict)

    def _client(self, kind: str, challenge: str) -> bytes:
        said = {"type": f"webauthn.{kind}", "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(said | self.client).encode()

    def _data(self, flags: int) -> bytes:
        self.count += self.counts
        return sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def create(self, options: dict, **changed) -> str:
        """What `navigator.credentials.create` gives, as JSON."""
        self.handle = unb64(options["user"]["id"])
        self.key, made = new_key(self.alg)
        self.cose = self.cose or made
        attested = self.aaguid + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(self.cose)
        data = self._data(self.flags | AT) + attested
        attestation = {"fmt": "none", "attStmt": {}, "authData": data} | changed.pop("attestation", {})
        response = {
            "clientDataJSON": b64(self._client("create", options["challenge"])),
            "attestationObject": b64(cbor2.dumps(attestation)),
            "transports": ["internal", "hybrid"],
        }
        return self._sent(response, changed, {"prf": {"enabled": True}, "credProps": {"rk": True}})

    def get(self, options: dict, **changed) -> str:
        """What `navigator.credentials.get` gives, as JSON."""
        client, data = self._client("get", options["challenge"]), self._data(self.flags)
        response = {
            "clientDataJSON": b64(client),
            "authenticatorData": b64(data),
            "signature": b64(self._sign(data + sha256(client).digest())),
            "userHandle": b64(self.handle),
        }
        return self._sent(response, changed, {})

    def _sign(self, signed: bytes) -> bytes:
        if self.alg == -8:
            return self.key.sign(signed)
        if self.alg == -257:
            return self.key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(signed, ec.ECDSA(hashes.SHA256()))

    def _sent(self, response: dict, changed: dict, extensions: dict) -> str:
        name = b64(self.id)
        sent = {"id": name, "rawId": name, "type": "public-key", "clientExtensionResults": extensions}
        response |= changed.pop("response", {})
        return json.dumps(sent | {"response": response} | changed)
