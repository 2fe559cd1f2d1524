"""Azure Key Vault: one RSA key per epoch wraps, one EC key per store signs what was wrapped.

    medlock-<store>-register   EC P-256, signs; its tag `destroyed` is the floor
    medlock-<store>-<epoch>    RSA 3072, wraps (RSA-OAEP-256)

A vault's RSA key wraps with its public half, so whoever knows that half could wrap a key of their own choice and slip
it into the keystore. Therefore the blob is signed by the register key, whose private half never leaves the vault:

    blob = signature (64, ES256) | wrapped (384)          signature over SHA-256("MLAZ1" | SHA-256(aad) | wrapped)

A vault keeps a deleted key for its retention time (7 to 90 days), unless it may be purged; `destroy` tries to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from medlock.errors import SetupError, Tampered, Unavailable
from medlock.store.kek.credentials import Credential, Judge, read_credential
from medlock.store.kek.service import TIMEOUT_SECONDS, Lodging, missing_extra

NAME = "azure-keyvault"
SIGNATURE_BYTES = 64
_FLOOR = "destroyed"
_REGISTER = "register"
_REASON = (
    "Azure keeps a deleted key for the vault's retention time (7 to 90 days), unless medlock's identity may purge it "
    "and purge protection is off; until then an administrator can bring it back."
)


class Account(msgspec.Struct, rename="camel", frozen=True):
    """A service principal, as Azure's own tool writes it."""

    tenant_id: str
    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        return "<Account>"


class AzureKeyVault:
    """A KeyService in one vault: `https://name.vault.azure.net`.

    `token` and `transport` are for tests: without them the platform's managed identity, or the account in the file, is
    used over the library's own transport.
    """

    name = NAME

    def __init__(
        self, vault: str, credential: Path | None, judge: Judge, token: Any = None, transport: Any = None
    ) -> None:
        if not vault.startswith("https://"):
            raise SetupError("MEDLOCK_KEY_SERVICE must be the vault's https address.")
        self._vault = vault.rstrip("/")
        self._file = credential
        self._judge = judge
        self._token = token
        self._options: dict[str, Any] = {
            "connection_timeout": TIMEOUT_SECONDS, "read_timeout": TIMEOUT_SECONDS, "retry_total": 1,
            "retry_backoff_max": 1, "respect_retry_after_header": False,
        }  # fmt: skip
        if transport is not None:
            self._options["transport"] = transport
        self._prefix = ""
        self._keys: Any = None
        self._crypto: Any = None

    @property
    def parameters(self) -> dict[str, str]:
        """The vault's address."""
        return {"service": self._vault}

    def reach(self, store: str) -> None:
        """Make a client; nothing is asked yet."""
        self._prefix = f"medlock-{store}-"
        try:
            keys, self._crypto = import_module("azure.keyvault.keys"), import_module("azure.keyvault.keys.crypto")
            self._token = self._token or self._identity(import_module("azure.identity"))
        except ModuleNotFoundError as error:
            raise missing_extra(NAME) from error
        self._keys = keys.KeyClient(self._vault, self._token, **self._options)

    def prepare(self) -> None:
        """Make the register."""
        if self._found(_REGISTER) is None:
            operations = ["sign", "verify"]
            self._ask(
                lambda keys: keys.create_ec_key(self._prefix + _REGISTER, curve="P-256", key_operations=operations)
            )

    def floor(self) -> int:
        """The register's tag."""
        return int((self._register().properties.tags or {}).get(_FLOOR, "0"))

    def raise_floor(self, number: int) -> None:
        """Set the register's tag."""
        tags = {_FLOOR: str(number)}
        self._ask(lambda keys: keys.update_key_properties(self._prefix + _REGISTER, tags=tags))

    def has(self, epoch: int) -> bool:
        """Whether the key is there and enabled."""
        found = self._found(str(epoch))
        return found is not None and found.properties.enabled is not False

    def make(self, epoch: int) -> None:
        """Make the key, unless it is there: creating again would give it another version."""
        if self._found(str(epoch)) is None:
            operations = ["wrapKey", "unwrapKey"]
            self._ask(lambda keys: keys.create_rsa_key(self._prefix + str(epoch), size=3072, key_operations=operations))

    def seal(self, epoch: int, key: bytes, aad: bytes) -> bytes:
        """Wrap in the vault, then sign there."""
        algorithm = self._crypto.KeyWrapAlgorithm.rsa_oaep_256
        with _reported():
            wrapped = bytes(self._cipher(str(epoch)).wrap_key(algorithm, key).encrypted_key)
            signer = self._cipher(_REGISTER)
            signature = signer.sign(self._crypto.SignatureAlgorithm.es256, _digest(aad, wrapped)).signature
        return bytes(signature) + wrapped

    def open(self, epoch: int, blob: bytes, aad: bytes) -> bytes:
        """Check the signature with the vault's key, then unwrap in the vault."""
        signature, wrapped = blob[:SIGNATURE_BYTES], blob[SIGNATURE_BYTES:]
        digest = _digest(aad, wrapped)
        try:
            with _reported():
                register = self._cipher(_REGISTER)
                if not register.verify(self._crypto.SignatureAlgorithm.es256, digest, signature).is_valid:
                    raise Tampered("a wrapped epoch key does not carry this store's signature")
                algorithm = self._crypto.KeyWrapAlgorithm.rsa_oaep_256
                return bytes(self._cipher(str(epoch)).unwrap_key(algorithm, wrapped).key)
        except _Rejected as error:
            raise Tampered("Azure Key Vault does not open it") from error

    def destroy(self, epoch: int) -> None:
        """Delete, then purge where that is allowed."""
        name = self._prefix + str(epoch)
        if self._found(str(epoch)) is not None:
            self._ask(lambda keys: keys.begin_delete_key(name))
        try:
            self._ask(lambda keys: keys.purge_deleted_key(name))
        except (_NotFound, _Refused, _Rejected):  # gone, not allowed, or purge protection is on: `lodging` says so
            return

    def lodging(self) -> Lodging:
        """In the vault; safe when the credential is not on the data's disk."""
        safe, reasons = self._judge(Credential(self._file, platform=self._file is None))
        return Lodging(f"Azure Key Vault {self._vault}", safe, (*reasons, _REASON))

    def _identity(self, identity: Any) -> Any:
        if self._file is None:
            return identity.ManagedIdentityCredential()
        text = read_credential(self._file, "an Azure service principal as JSON")
        try:
            account = msgspec.json.decode(text, type=Account)
        except msgspec.DecodeError as error:
            raise SetupError(f"{self._file} does not hold an Azure service principal as JSON.") from error
        return identity.ClientSecretCredential(account.tenant_id, account.client_id, account.client_secret)

    def _cipher(self, name: str) -> Any:
        """What encrypts, signs and verifies with one key: the public half here, the private one in the vault."""
        found = self._found(name)
        if found is None:
            raise SetupError(f"The vault {self._vault} lacks a key of this store. Restore it there.")
        return self._crypto.CryptographyClient(found, self._token, **self._options)

    def _register(self) -> Any:
        found = self._found(_REGISTER)
        if found is None:
            raise SetupError(f"The vault {self._vault} does not know this store. Check MEDLOCK_KEY_SERVICE.")
        return found

    def _found(self, name: str) -> Any:
        try:
            return self._ask(lambda keys: keys.get_key(self._prefix + name))
        except _NotFound:
            return None

    def _ask(self, call: Callable[[Any], Any]) -> Any:
        with _reported():
            return call(self._keys)


class _NotFound(SetupError):
    """There is no such key."""


class _Rejected(SetupError):
    """The vault answered 400."""


class _Refused(SetupError):
    """The vault answered 401 or 403."""


@contextmanager
def _reported() -> Iterator[None]:
    """Azure's errors as ours; their texts may name tenants and stay private."""
    faults = import_module("azure.core.exceptions")
    try:
        yield
    except faults.ResourceNotFoundError as error:
        raise _NotFound("Azure Key Vault does not know this key. Check MEDLOCK_KEY_SERVICE.") from error
    except faults.ClientAuthenticationError as error:
        raise _Refused("Azure Key Vault refuses this identity: see docs/keys.md for the rights it needs.") from error
    except faults.HttpResponseError as error:
        raise _meant(error.status_code) from error
    except faults.AzureError as error:
        raise Unavailable(
            "Azure Key Vault cannot be reached now. Try again.", reason=f"azure-keyvault: {type(error).__name__}"
        ) from error


def _meant(status: int | None) -> Exception:
    if status == 400:
        return _Rejected("Azure Key Vault refuses the request.")
    if status == 403:
        return _Refused("Azure Key Vault refuses this identity: see docs/keys.md for the rights it needs.")
    return Unavailable("Azure Key Vault does not do it now. Try again.", reason=f"azure-keyvault: {status}")


def _digest(aad: bytes, wrapped: bytes) -> bytes:
    return sha256(b"MLAZ1" + sha256(aad).digest() + wrapped).digest()
