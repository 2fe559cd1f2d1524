"""Google Cloud KMS as its gRPC reference describes it: what medlock uses of it, and its refusals.

A real gRPC server on the loopback that speaks `google.cloud.kms.v1.KeyManagementService`, so the real client library is
met with real messages and status codes: NOT_FOUND, ALREADY_EXISTS, INVALID_ARGUMENT for what does not open,
FAILED_PRECONDITION for a version that is not enabled, RESOURCE_EXHAUSTED over quota, UNAVAILABLE.
"""

from __future__ import annotations

import os
import threading
from concurrent import futures
from contextlib import contextmanager

import grpc
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from google.cloud import kms_v1
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceGrpcTransport

RING = "projects/clinic/locations/europe/keyRings/medlock"
SERVICE = "google.cloud.kms.v1.KeyManagementService"
States = kms_v1.CryptoKeyVersion.CryptoKeyVersionState
Code = grpc.StatusCode


class FakeGcp:
    """One key ring. `mood` is the status that every call gets, or None."""

    def __init__(self) -> None:
        self.mood: grpc.StatusCode | None = None
        self.keys: dict[str, kms_v1.CryptoKey] = {}
        self.secrets: dict[str, bytes] = {}
        self._lock = threading.Lock()
        methods = {
            "GetCryptoKey": (self.get, kms_v1.GetCryptoKeyRequest, kms_v1.CryptoKey),
            "CreateCryptoKey": (self.create, kms_v1.CreateCryptoKeyRequest, kms_v1.CryptoKey),
            "UpdateCryptoKey": (self.update, kms_v1.UpdateCryptoKeyRequest, kms_v1.CryptoKey),
            "DestroyCryptoKeyVersion": (self.destroy, kms_v1.DestroyCryptoKeyVersionRequest, kms_v1.CryptoKeyVersion),
            "Encrypt": (self.encrypt, kms_v1.EncryptRequest, kms_v1.EncryptResponse),
            "Decrypt": (self.decrypt, kms_v1.DecryptRequest, kms_v1.DecryptResponse),
        }
        handlers = {name: self._handler(*parts) for name, parts in methods.items()}
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        self._channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")

    @property
    def transport(self) -> KeyManagementServiceGrpcTransport:
        """The library's own, to this server."""
        return KeyManagementServiceGrpcTransport(channel=self._channel)

    @contextmanager
    def moody(self, mood: grpc.StatusCode):
        self.mood = mood
        try:
            yield
        finally:
            self.mood = None

    def close(self) -> None:
        self._channel.close()
        self._server.stop(None).wait()

    def _handler(self, act, request, response):
        def behaviour(message, context):
            if self.mood is not None:
                context.abort(self.mood, "moody")
            with self._lock:
                return act(message, context)

        return grpc.unary_unary_rpc_method_handler(behaviour, request.deserialize, response.serialize)

    def _key(self, name, context):
        if name not in self.keys:
            context.abort(Code.NOT_FOUND, "no such key")
        return self.keys[name]

    def _secret(self, name, context):
        key = self._key(name, context)
        if not key.primary.name or key.primary.state != States.ENABLED:
            context.abort(Code.FAILED_PRECONDITION, "not enabled")
        return self.secrets[key.primary.name]

    def get(self, request, context):
        return self._key(request.name, context)

    def create(self, request, context):
        name = f"{request.parent}/cryptoKeys/{request.crypto_key_id}"
        if request.parent != RING:
            context.abort(Code.NOT_FOUND, "no such key ring")
        if name in self.keys:
            context.abort(Code.ALREADY_EXISTS, "taken")
        key = kms_v1.CryptoKey(request.crypto_key, name=name)
        if not request.skip_initial_version_creation:
            key.primary = kms_v1.CryptoKeyVersion(name=f"{name}/cryptoKeyVersions/1", state=States.ENABLED)
            self.secrets[key.primary.name] = os.urandom(32)
        self.keys[name] = key
        return key

    def update(self, request, context):
        key = self._key(request.crypto_key.name, context)
        if list(request.update_mask.paths) != ["labels"]:
            context.abort(Code.INVALID_ARGUMENT, "labels only")
        key.labels = dict(request.crypto_key.labels)
        return key

    def destroy(self, request, context):
        key = self._key(request.name.partition("/cryptoKeyVersions/")[0], context)
        if key.primary.state not in {States.ENABLED, States.DISABLED}:
            context.abort(Code.FAILED_PRECONDITION, "destroyed already")
        key.primary.state = States.DESTROY_SCHEDULED
        return key.primary

    def encrypt(self, request, context):
        nonce = os.urandom(12)
        sealed = AESGCM(self._secret(request.name, context)).encrypt(
            nonce, request.plaintext, request.additional_authenticated_data
        )
        return kms_v1.EncryptResponse(name=self.keys[request.name].primary.name, ciphertext=nonce + sealed)

    def decrypt(self, request, context):
        blob, aad = request.ciphertext, request.additional_authenticated_data
        try:
            plain = AESGCM(self._secret(request.name, context)).decrypt(blob[:12], blob[12:], aad)
        except (InvalidTag, ValueError):
            context.abort(Code.INVALID_ARGUMENT, "Decryption failed: the ciphertext is invalid.")
        return kms_v1.DecryptResponse(plaintext=plain)
