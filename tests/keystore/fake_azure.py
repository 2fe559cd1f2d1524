"""Azure Key Vault's keys API as its REST reference describes it: what medlock uses of it, and its refusals.

Requests of the real SDK go through its own pipeline (challenge, bearer token, retries) and over real HTTP; only the
address is changed on the way, since the SDK insists on https. Soft delete and purge are as in a vault of today: a deleted
key is invisible, its name stays taken until it is purged, and purging can be forbidden.
"""

from __future__ import annotations

import base64
import copy
import time
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import RequestsTransport
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

from keystore.http_service import HttpService, Refusal

VAULT = "https://clinic.vault.azure.net"
TOKEN = "a-token-for-tests"
LIMITED = Refusal(429, {"error": {"code": "Throttled", "message": "too many"}}, {"Retry-After": "1"})
DOWN = Refusal(503, {"error": {"code": "ServiceUnavailable", "message": "down"}})
OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
ES256 = ec.ECDSA(Prehashed(hashes.SHA256()))
CHALLENGE = 'Bearer authorization="https://login.microsoftonline.com/tenant", resource="https://vault.azure.net"'


class Identity:
    """A managed identity that always has a token."""

    def __init__(self, token: str = TOKEN) -> None:
        self.token = token

    def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        return AccessToken(self.token, int(time.time()) + 3600)


class Redirected(RequestsTransport):
    """The SDK's own transport, to the fake's port."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def send(self, request, **options):
        parts = urlsplit(request.url)
        sent = copy.copy(request)  # the pipeline goes on with its own, which says https
        sent.url = parts._replace(scheme="http", netloc=f"127.0.0.1:{self._port}").geturl()
        return super().send(sent, **options)


class FakeAzure(HttpService):
    """One vault."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: dict[str, dict] = {}
        self.deleted: dict[str, dict] = {}
        self.may_purge = True

    def answer(self, method, path, body, headers):  # noqa: PLR0911 - one for each request of the API
        given = headers.get("Authorization")
        if given is None:
            raise Refusal(401, {"error": {"code": "Unauthorized"}}, {"WWW-Authenticate": CHALLENGE})
        if given != f"Bearer {TOKEN}":
            raise Refusal(403, {"error": {"code": "Forbidden", "message": "no access policy"}})
        match method, path.strip("/").split("/"):
            case "POST", ["keys", name, "create"]:
                return self.created(name, body)
            case "GET", ["keys", name, *_]:
                return self.bundle(self.key(name))
            case "PATCH", ["keys", name, *_]:
                self.key(name)["tags"] = body.get("tags", {})
                return self.bundle(self.key(name))
            case "DELETE", ["keys", name]:
                self.deleted[name] = self.key(name)
                del self.keys[name]
                return self.gone(name)
            case "GET", ["deletedkeys", name]:
                return self.gone(name)
            case "DELETE", ["deletedkeys", name]:
                return self.purged(name)
            case "POST", ["keys", name, _, operation]:
                return self.done(self.key(name), operation, body)
        raise Refusal(404, {"error": {"code": "NotFound"}})

    def key(self, name):
        if name not in self.keys:
            raise Refusal(404, {"error": {"code": "KeyNotFound", "message": "not found"}})
        return self.keys[name]

    def created(self, name, body):
        if name in self.deleted:
            raise Refusal(409, {"error": {"code": "Conflict", "message": "deleted but recoverable"}})
        if body["kty"] == "RSA":
            secret = rsa.generate_private_key(65537, body["key_size"])
        else:
            secret = ec.generate_private_key(ec.SECP256R1())
        self.keys[name] = {"name": name, "secret": secret, "ops": body["key_ops"], "tags": body.get("tags", {})}
        return self.bundle(self.keys[name])

    def bundle(self, key):
        public = key["secret"].public_key().public_numbers()
        jwk = {"kid": f"{VAULT}/keys/{key['name']}/1", "key_ops": key["ops"]}
        if isinstance(key["secret"], rsa.RSAPrivateKey):
            jwk |= {"kty": "RSA", "n": number(public.n), "e": number(public.e)}
        else:
            jwk |= {"kty": "EC", "crv": "P-256", "x": number(public.x, 32), "y": number(public.y, 32)}
        attributes = {"enabled": True, "created": 1, "updated": 1, "recoveryLevel": "Recoverable+Purgeable"}
        return {"key": jwk, "attributes": attributes, "tags": key["tags"]}

    def gone(self, name):
        if name not in self.deleted:
            raise Refusal(404, {"error": {"code": "KeyNotFound", "message": "not found"}})
        place = {"recoveryId": f"{VAULT}/deletedkeys/{name}", "deletedDate": 1, "scheduledPurgeDate": 2}
        return self.bundle(self.deleted[name]) | place

    def purged(self, name):
        self.gone(name)
        if not self.may_purge:
            raise Refusal(403, {"error": {"code": "Forbidden", "message": "purge is not allowed"}})
        del self.deleted[name]
        raise Refusal(204)

    def done(self, key, operation, body):
        if {"wrapkey": "wrapKey", "unwrapkey": "unwrapKey"}.get(operation, operation) not in key["ops"]:
            raise Refusal(403, {"error": {"code": "Forbidden", "message": "key operation not permitted"}})
        act = {"wrapkey": wrapped, "unwrapkey": unwrapped, "sign": signed, "verify": verified}[operation]
        return {"kid": f"{VAULT}/keys/{key['name']}/1", "value": act(key["secret"], body)}


def wrapped(secret, body):
    return text(secret.public_key().encrypt(data(body["value"]), OAEP))


def unwrapped(secret, body):
    try:
        return text(secret.decrypt(data(body["value"]), OAEP))
    except ValueError:
        raise Refusal(400, {"error": {"code": "BadParameter", "message": "does not decrypt"}}) from None


def signed(secret, body):
    r, s = decode_dss_signature(secret.sign(data(body["value"]), ES256))
    return text(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def verified(secret, body):
    both = data(body["value"])
    try:
        signature = encode_dss_signature(int.from_bytes(both[:32], "big"), int.from_bytes(both[32:], "big"))
        secret.public_key().verify(signature, data(body["digest"]), ES256)
    except InvalidSignature:
        return False
    return True


def text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def data(value: str) -> bytes:
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))


def number(value: int, size: int = 0) -> str:
    return text(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))
