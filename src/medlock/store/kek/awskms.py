"""AWS KMS: one symmetric KMS key per epoch, reached by an alias; the encryption context carries what a key is bound to.

    alias/medlock/<store>/register   a key that encrypts nothing; its tag `medlock-destroyed` is the floor
    alias/medlock/<store>/<epoch>    the key of one epoch

AWS keeps a destroyed key for at least seven days (ScheduleKeyDeletion): it encrypts and decrypts nothing meanwhile, but
an administrator of the account can bring it back. `lodging` says so. Region and credentials come as AWS's own tools
take them; a file in MEDLOCK_KEY_CREDENTIAL_FILE stands for the shared credentials file.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from medlock.errors import SetupError, Tampered, Unavailable
from medlock.store.kek.credentials import Credential, Judge
from medlock.store.kek.service import TIMEOUT_SECONDS, Lodging, missing_extra

NAME = "aws-kms"
WAITING_DAYS = 7  # the least that AWS allows
_FLOOR = "medlock-destroyed"
_REGISTER = "register"
_TAMPERED = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
_DENIED = frozenset({
    "AccessDeniedException", "UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException",
    "IncompleteSignature", "MissingAuthenticationToken", "InvalidClientTokenId",
})  # fmt: skip
_USABLE = frozenset({"Enabled"})
_PLATFORM = frozenset({"iam-role", "container-role", "assume-role-with-web-identity"})
_REASON = (
    f"AWS destroys a key {WAITING_DAYS} days after the ratchet asks for it; until then an administrator of the account "
    "can bring it back."
)


class AwsKms:
    """A KeyService in one region; `judge` says what the place of a credential is worth."""

    name = NAME

    def __init__(self, region: str, credential: Path | None, judge: Judge) -> None:
        self._region = region
        self._credential = credential
        self._judge = judge
        self._store = ""
        self._client: Any = None
        self._session: Any = None

    @property
    def parameters(self) -> dict[str, str]:
        """The region."""
        return {"service": self._region}

    def reach(self, store: str) -> None:
        """Make a client; nothing is asked yet."""
        self._store = store
        try:
            core, config = import_module("botocore.session"), import_module("botocore.config")
            boto3 = import_module("boto3")
        except ModuleNotFoundError as error:
            raise missing_extra(NAME) from error
        session = core.get_session()
        if self._credential is not None:
            session.set_config_variable("credentials_file", str(self._credential))
        retries = {"total_max_attempts": 2, "mode": "standard"}
        bounds = config.Config(connect_timeout=TIMEOUT_SECONDS, read_timeout=TIMEOUT_SECONDS, retries=retries)
        self._session = session
        with _reported():
            whole = boto3.Session(botocore_session=session, region_name=self._region)
            self._client = whole.client("kms", config=bounds)

    def prepare(self) -> None:
        """Make the register."""
        self._make(_REGISTER, "medlock: remembers destroyed epochs, encrypts nothing")

    def floor(self) -> int:
        """The register's tag."""
        tags = self._ask(lambda kms: kms.list_resource_tags(KeyId=self._key_id(_REGISTER)))["Tags"]
        return max((int(tag["TagValue"]) for tag in tags if tag["TagKey"] == _FLOOR), default=0)

    def raise_floor(self, number: int) -> None:
        """Set the register's tag."""
        tag = {"TagKey": _FLOOR, "TagValue": str(number)}
        self._ask(lambda kms: kms.tag_resource(KeyId=self._key_id(_REGISTER), Tags=[tag]))

    def has(self, epoch: int) -> bool:
        """Whether its alias leads to a key that is enabled."""
        found = self._described(str(epoch))
        return found is not None and found["KeyState"] in _USABLE

    def make(self, epoch: int) -> None:
        """Make key and alias."""
        self._make(str(epoch), f"medlock: wraps the key of epoch {epoch}")

    def seal(self, epoch: int, key: bytes, aad: bytes) -> bytes:
        """Encrypt."""
        context = _context(aad)
        answer = self._ask(
            lambda kms: kms.encrypt(KeyId=self._alias(str(epoch)), Plaintext=key, EncryptionContext=context)
        )
        return bytes(answer["CiphertextBlob"])

    def open(self, epoch: int, blob: bytes, aad: bytes) -> bytes:
        """Decrypt; naming the key keeps AWS from taking the one that the blob names."""
        context = _context(aad)
        answer = self._ask(
            lambda kms: kms.decrypt(KeyId=self._alias(str(epoch)), CiphertextBlob=blob, EncryptionContext=context)
        )
        return bytes(answer["Plaintext"])

    def destroy(self, epoch: int) -> None:
        """Schedule the deletion."""
        found = self._described(str(epoch))
        if found is None or found["KeyState"] == "PendingDeletion":
            return
        self._ask(lambda kms: kms.schedule_key_deletion(KeyId=found["KeyId"], PendingWindowInDays=WAITING_DAYS))

    def lodging(self) -> Lodging:
        """In AWS; safe when the credential is not on the data's disk."""
        safe, reasons = self._judge(self._found_credential())
        return Lodging(f"AWS KMS in {self._region}", safe, (*reasons, _REASON))

    def _found_credential(self) -> Credential:
        """What AWS's library uses: a variable goes before the file that was named for it."""
        with _reported():
            found = self._session.get_credentials()
        method = "" if found is None else found.method
        if method == "shared-credentials-file":
            return Credential(path=Path(self._session.get_config_variable("credentials_file")).expanduser())
        return Credential(platform=method in _PLATFORM)

    def _alias(self, what: str) -> str:
        return f"alias/medlock/{self._store}/{what}"

    def _key_id(self, what: str) -> str:
        """The id behind an alias: some calls take no alias. Raises SetupError when there is none."""
        found = self._described(what)
        if found is None:
            raise SetupError(
                f"AWS KMS in {self._region} does not know this store. Check region and account, or restore its keys."
            )
        return str(found["KeyId"])

    def _described(self, what: str) -> dict[str, Any] | None:
        try:
            return dict(self._ask(lambda kms: kms.describe_key(KeyId=self._alias(what)))["KeyMetadata"])
        except _NotFound:
            return None

    def _make(self, what: str, description: str) -> None:
        if self._described(what) is not None:
            return
        tags = [{"TagKey": "medlock-store", "TagValue": self._store}]
        made = self._ask(lambda kms: kms.create_key(Description=description, Tags=tags))["KeyMetadata"]["KeyId"]
        try:
            self._ask(lambda kms: kms.create_alias(AliasName=self._alias(what), TargetKeyId=made))
        except _AlreadyThere:  # another process was first; ours has sealed nothing
            self._ask(lambda kms: kms.schedule_key_deletion(KeyId=made, PendingWindowInDays=WAITING_DAYS))

    def _ask(self, call: Callable[[Any], Any]) -> Any:
        with _reported():
            return call(self._client)


class _NotFound(SetupError):
    """The service knows no such key."""


class _AlreadyThere(SetupError):
    """The alias was taken meanwhile."""


@contextmanager
def _reported() -> Iterator[None]:
    """AWS's errors as ours; their texts may name accounts and stay private."""
    faults = import_module("botocore.exceptions")
    try:
        yield
    except faults.ClientError as error:
        raise _meant(str(error.response.get("Error", {}).get("Code", ""))) from error
    except (faults.NoCredentialsError, faults.PartialCredentialsError, faults.NoRegionError) as error:
        raise SetupError(
            "AWS KMS needs a region in MEDLOCK_KEY_SERVICE and credentials, as AWS's own tools take them."
        ) from error
    except faults.BotoCoreError as error:
        raise Unavailable(
            "AWS KMS cannot be reached now. Try again.", reason=f"aws-kms: {type(error).__name__}"
        ) from error


def _meant(code: str) -> Exception:
    if code in _TAMPERED:
        return Tampered(f"AWS KMS does not open it: {code}")
    if code == "NotFoundException":
        return _NotFound("AWS KMS does not know a key of this store. Check region and account.")
    if code == "AlreadyExistsException":
        return _AlreadyThere("This key exists already.")
    if code in {"KMSInvalidStateException", "DisabledException"}:
        return SetupError("A key of this store is disabled or about to be deleted in AWS KMS. Enable it there.")
    if code in _DENIED:
        return SetupError(f"AWS KMS refuses this account ({code}): see docs/keys.md for the rights it needs.")
    return Unavailable("AWS KMS does not do it now. Try again.", reason=f"aws-kms: {code}")


def _context(aad: bytes) -> dict[str, str]:
    """The encryption context (it appears in CloudTrail; nothing in it is secret)."""
    return {"medlock": base64.b64encode(aad).decode()}
