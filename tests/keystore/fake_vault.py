"""Vault's transit engine as its API documentation describes it, over real HTTP: what medlock uses of it, and its refusals.

Paths, status codes and fields are those of the transit secrets engine's HTTP API (keys, encrypt, decrypt, config): 404 with
an empty list of errors for what is not there, 400 for what does not open or may not be deleted, 403 for a token that may
not, 429 when a rate limit quota is used up, 503 when Vault is sealed.
"""

from __future__ import annotations

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keystore.http_service import HttpService, Refusal

TOKEN = "hvs.a-token-for-tests"
LIMITED = Refusal(429, {"errors": ["request path: rate limit quota exceeded"]}, {"Retry-After": "1"})
SEALED = Refusal(503, {"errors": ["Vault is sealed"]})


class FakeVault(HttpService):
    """One transit engine at `transit`."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[str, dict] = {}

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/transit"

    def answer(self, method, path, body, headers):  # noqa: PLR0911 - one for each request of the API
        if headers.get("X-Vault-Token") != TOKEN:
            raise Refusal(403, {"errors": ["permission denied"]})
        parts = path.removeprefix("/v1/").strip("/").split("/")
        if parts[0] != "transit":
            raise Refusal(404, {"errors": []})
        match method, parts[1:]:
            case "LIST", ["keys"]:
                return self.listed()
            case "POST" | "PUT", ["keys", name]:
                return self.made(name, body)
            case "GET", ["keys", name]:
                return {"data": {"name": name, "type": self.key(name)["type"], "exportable": False}}
            case "POST" | "PUT", ["keys", name, "config"]:
                self.key(name, 400)["deletion_allowed"] = body["deletion_allowed"]
                return None
            case "DELETE", ["keys", name]:
                return self.deleted(name)
            case "POST" | "PUT", ["encrypt", name]:
                return self.encrypted(name, body)
            case "POST" | "PUT", ["decrypt", name]:
                return self.decrypted(name, body)
        raise Refusal(404, {"errors": []})

    def key(self, name, status=404):
        if name not in self.keys:
            raise Refusal(status, {"errors": [] if status == 404 else ["no existing key named that"]})
        return self.keys[name]

    def listed(self):
        if not self.keys:
            raise Refusal(404, {"errors": []})
        return {"data": {"keys": sorted(self.keys)}}

    def made(self, name, body):
        if body.get("type", "aes256-gcm96") != "aes256-gcm96":
            raise Refusal(400, {"errors": ["this fake makes aes256-gcm96 only"]})
        fresh = {"type": "aes256-gcm96", "secret": os.urandom(32), "deletion_allowed": False}
        self.keys.setdefault(name, fresh)

    def deleted(self, name):
        if not self.key(name, 400)["deletion_allowed"]:
            raise Refusal(400, {"errors": ["deletion is not allowed for this key"]})
        del self.keys[name]

    def encrypted(self, name, body):
        nonce, aad = os.urandom(12), base64.b64decode(body.get("associated_data", ""))
        sealed = AESGCM(self.key(name, 400)["secret"]).encrypt(nonce, base64.b64decode(body["plaintext"]), aad)
        return {"data": {"ciphertext": "vault:v1:" + base64.b64encode(nonce + sealed).decode(), "key_version": 1}}

    def decrypted(self, name, body):
        scheme, version, text = (*body["ciphertext"].split(":"), "", "")[:3]
        if (scheme, version) != ("vault", "v1"):
            raise Refusal(400, {"errors": ["invalid ciphertext: no prefix"]})
        try:
            blob = base64.b64decode(text, validate=True)
            aad = base64.b64decode(body.get("associated_data", ""))
            plain = AESGCM(self.key(name, 400)["secret"]).decrypt(blob[:12], blob[12:], aad)
        except (ValueError, InvalidTag):
            raise Refusal(400, {"errors": ["cipher: message authentication failed"]}) from None
        return {"data": {"plaintext": base64.b64encode(plain).decode()}}
