"""Google Cloud KMS: one symmetric CryptoKey per epoch in a key ring, bound by additional authenticated data.

    medlock-<store>-register   a CryptoKey without versions; its label `destroyed` is the floor
    medlock-<store>-<epoch>    a CryptoKey with one version

Google keeps a destroyed version for the key's `destroy_scheduled_duration`, here the least that it allows: 24 hours in
which an administrator can bring it back. A CryptoKey's name stays taken for ever.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from medlock.errors import SetupError, Tampered, Unavailable
from medlock.store.kek.credentials import Credential, Judge
from medlock.store.kek.service import TIMEOUT_SECONDS, Lodging, missing_extra

NAME = "gcp-kms"
WAITING = dt.timedelta(hours=24)  # the least that Google allows
_FLOOR = "destroyed"
_REGISTER = "register"
_REASON = (
    "Google destroys a key 24 hours after the ratchet asks for it; until then an administrator of the project can "
    "bring it back."
)


class GcpKms:
    """A KeyService in one key ring: `projects/P/locations/L/keyRings/R`.

    `transport` is for tests: without it the library makes one from the platform's identity, or from the file.
    """

    name = NAME

    def __init__(self, ring: str, credential: Path | None, judge: Judge, transport: Any = None) -> None:
        self._ring = ring
        self._credential = credential
        self._judge = judge
        self._transport = transport
        self._prefix = ""
        self._kms: Any = None
        self._client: Any = None
        self._from_platform = False

    @property
    def parameters(self) -> dict[str, str]:
        """The key ring."""
        return {"service": self._ring}

    def reach(self, store: str) -> None:
        """Make a client; nothing is asked yet."""
        self._prefix = f"{self._ring}/cryptoKeys/medlock-{store}-"
        try:
            self._kms = import_module("google.cloud.kms_v1")
        except ModuleNotFoundError as error:
            raise missing_extra(NAME) from error
        with _reported():
            self._client = self._made_client()

    def prepare(self) -> None:
        """Make the register."""
        self._create(_REGISTER, {}, empty=True)

    def floor(self) -> int:
        """The register's label."""
        return int(self._register().labels.get(_FLOOR, "0"))

    def raise_floor(self, number: int) -> None:
        """Set the register's label."""
        key = self._register()
        key.labels[_FLOOR] = str(number)
        self._ask(
            lambda kms, bounds: kms.update_crypto_key(crypto_key=key, update_mask={"paths": ["labels"]}, **bounds)
        )

    def has(self, epoch: int) -> bool:
        """Whether its one version is enabled."""
        found = self._found(str(epoch))
        return found is not None and found.primary.state == self._states().ENABLED

    def make(self, epoch: int) -> None:
        """Make key and version in one call."""
        self._create(str(epoch), {})

    def seal(self, epoch: int, key: bytes, aad: bytes) -> bytes:
        """Encrypt."""
        request = {"name": self._prefix + str(epoch), "plaintext": key, "additional_authenticated_data": aad}
        return bytes(self._ask(lambda kms, bounds: kms.encrypt(request=request, **bounds)).ciphertext)

    def open(self, epoch: int, blob: bytes, aad: bytes) -> bytes:
        """Decrypt. Google answers InvalidArgument to whatever does not open."""
        request = {"name": self._prefix + str(epoch), "ciphertext": blob, "additional_authenticated_data": aad}
        try:
            return bytes(self._ask(lambda kms, bounds: kms.decrypt(request=request, **bounds)).plaintext)
        except _Rejected as error:
            raise Tampered("Google Cloud KMS does not open it") from error

    def destroy(self, epoch: int) -> None:
        """Schedule the destruction of the version."""
        found = self._found(str(epoch))
        if found is None or found.primary.state not in {self._states().ENABLED, self._states().DISABLED}:
            return
        name = found.primary.name
        self._ask(lambda kms, bounds: kms.destroy_crypto_key_version(name=name, **bounds))

    def lodging(self) -> Lodging:
        """With Google; safe when the credential is not on the data's disk."""
        safe, reasons = self._judge(Credential(self._credential, platform=self._from_platform))
        return Lodging(f"Google Cloud KMS, {self._ring}", safe, (*reasons, _REASON))

    def _made_client(self) -> Any:
        if self._transport is not None:
            return self._kms.KeyManagementServiceClient(transport=self._transport)
        if self._credential is not None:
            return self._kms.KeyManagementServiceClient.from_service_account_file(str(self._credential))
        credentials, _ = import_module("google.auth").default()
        platform = import_module("google.auth.compute_engine").Credentials
        self._from_platform = isinstance(credentials, platform)
        return self._kms.KeyManagementServiceClient(credentials=credentials)

    def _create(self, name: str, labels: dict[str, str], *, empty: bool = False) -> None:
        key = self._kms.CryptoKey(
            purpose=self._kms.CryptoKey.CryptoKeyPurpose.ENCRYPT_DECRYPT,
            labels=labels,
            destroy_scheduled_duration=WAITING,
        )
        whole = self._prefix + name
        request = {
            "parent": self._ring,
            "crypto_key_id": whole.rpartition("/")[2],
            "crypto_key": key,
            "skip_initial_version_creation": empty,
        }
        try:
            self._ask(lambda kms, bounds: kms.create_crypto_key(request=request, **bounds))
        except _AlreadyThere:
            return

    def _register(self) -> Any:
        found = self._found(_REGISTER)
        if found is None:
            raise SetupError(f"The key ring {self._ring} does not know this store. Check MEDLOCK_KEY_SERVICE.")
        return found

    def _found(self, name: str) -> Any:
        try:
            return self._ask(lambda kms, bounds: kms.get_crypto_key(name=self._prefix + name, **bounds))
        except _NotFound:
            return None

    def _states(self) -> Any:
        return self._kms.CryptoKeyVersion.CryptoKeyVersionState

    def _ask(self, call: Callable[[Any, dict[str, Any]], Any]) -> Any:
        with _reported():
            return call(self._client, {"timeout": TIMEOUT_SECONDS, "retry": None})


class _NotFound(SetupError):
    """There is no such key."""


class _AlreadyThere(SetupError):
    """The name is taken."""


class _Rejected(SetupError):
    """An argument was refused."""


@contextmanager
def _reported() -> Iterator[None]:
    """Google's errors as ours; their texts may name projects and stay private."""
    faults, auth = import_module("google.api_core.exceptions"), import_module("google.auth.exceptions")
    try:
        yield
    except faults.NotFound as error:
        raise _NotFound("Google Cloud KMS does not know this key ring or key. Check MEDLOCK_KEY_SERVICE.") from error
    except faults.AlreadyExists as error:
        raise _AlreadyThere("This key exists already.") from error
    except faults.InvalidArgument as error:
        raise _Rejected("Google Cloud KMS refuses the request. Check MEDLOCK_KEY_SERVICE.") from error
    except (faults.FailedPrecondition, faults.Forbidden, faults.Unauthorized) as error:
        raise SetupError(
            "Google Cloud KMS refuses this account, or the key is disabled: see docs/keys.md for the rights it needs."
        ) from error
    except (auth.DefaultCredentialsError, OSError, ValueError) as error:
        raise SetupError("No credential for Google Cloud KMS was found, or its file is damaged.") from error
    except (faults.GoogleAPIError, auth.GoogleAuthError) as error:
        raise Unavailable(
            "Google Cloud KMS cannot be reached or does not do it now. Try again.",
            reason=f"gcp-kms: {type(error).__name__}",
        ) from error
