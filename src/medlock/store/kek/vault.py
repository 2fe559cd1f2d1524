"""HashiCorp Vault or OpenBao, transit engine: one AES-256-GCM key per epoch, bound by `associated_data`.

    medlock-<store>-<epoch>        the key of one epoch; not exportable, no plaintext backup
    medlock-<store>-destroyed-<n>  encrypts nothing: its name is the floor (transit has nothing else to write on)

Transit deletes a key at once and for good, as far as Vault's own storage and its snapshots do; `lodging` says so.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from medlock.errors import SetupError, Tampered, Unavailable
from medlock.store.kek.credentials import Credential, Judge, read_credential
from medlock.store.kek.service import TIMEOUT_SECONDS, Lodging, missing_extra

NAME = "vault-transit"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SNAPSHOTS = (
    "Snapshots of Vault made before a ratchet still hold the old key: keep them no longer than copies of the data."
)


class VaultTransit:
    """A KeyService. The address ends in the mount: `https://vault.example:8200/transit`."""

    name = NAME

    def __init__(self, address: str, token_file: Path | None, judge: Judge) -> None:
        parts = urlsplit(address)
        self._host = parts.hostname or ""
        if parts.scheme != "https" and self._host not in _LOOPBACK:
            raise SetupError("MEDLOCK_KEY_SERVICE must be an https address: keys travel on this connection.")
        self._url = f"{parts.scheme}://{parts.netloc}"
        self._mount = parts.path.strip("/") or "transit"
        self._token_file = token_file
        self._judge = judge
        self._prefix = ""
        self._hvac: Any = None

    @property
    def parameters(self) -> dict[str, str]:
        """Address and mount."""
        return {"service": f"{self._url}/{self._mount}"}

    def reach(self, store: str) -> None:
        """Load the client library; nothing is asked yet."""
        self._prefix = f"medlock-{store}-"
        read_credential(self._token_file, "a Vault token")
        try:
            self._hvac = import_module("hvac")
        except ModuleNotFoundError as error:
            raise missing_extra(NAME) from error

    def prepare(self) -> None:
        """See that the engine answers; the floor needs no place of its own."""
        self.floor()

    def floor(self) -> int:
        """The greatest number among the names of destroyed epochs."""
        pattern = re.compile(re.escape(self._prefix) + r"destroyed-(\d+)")
        with _reported():
            try:
                names = self._transit().list_keys(mount_point=self._mount)["data"]["keys"]
            except self._hvac.exceptions.InvalidPath:  # transit answers 404 to an empty list
                return 0
        return max((int(found[1]) for name in names if (found := pattern.fullmatch(name))), default=0)

    def raise_floor(self, number: int) -> None:
        """Make a key with the new number in its name, then drop the one before."""
        former = self.floor()
        self._create(f"destroyed-{number}")
        if 0 < former < number:
            self._delete(f"destroyed-{former}")

    def has(self, epoch: int) -> bool:
        """Whether the key is there."""
        with _reported():
            try:
                self._transit().read_key(name=self._prefix + str(epoch), mount_point=self._mount)
            except self._hvac.exceptions.InvalidPath:
                return False
        return True

    def make(self, epoch: int) -> None:
        """Create; transit leaves a key of that name as it is. The epochs' keys are AES-256-GCM96."""
        self._create(str(epoch))

    def seal(self, epoch: int, key: bytes, aad: bytes) -> bytes:
        """Encrypt: `vault:v1:…`."""
        answer = self._asked(
            lambda transit: transit.encrypt_data(
                name=self._prefix + str(epoch),
                plaintext=_text(key),
                associated_data=_text(aad),
                mount_point=self._mount,
            )
        )
        return str(answer["data"]["ciphertext"]).encode()

    def open(self, epoch: int, blob: bytes, aad: bytes) -> bytes:
        """Decrypt. Transit answers 400 to whatever does not open."""
        try:
            answer = self._asked(
                lambda transit: transit.decrypt_data(
                    name=self._prefix + str(epoch),
                    ciphertext=blob.decode("ascii", "replace"),
                    associated_data=_text(aad),
                    mount_point=self._mount,
                )
            )
            return base64.b64decode(answer["data"]["plaintext"], validate=True)
        except (_Rejected, ValueError) as error:
            raise Tampered("Vault does not open it") from error

    def destroy(self, epoch: int) -> None:
        """Allow the deletion, then delete."""
        self._delete(str(epoch))

    def lodging(self) -> Lodging:
        """On Vault's host; on this one it cannot be told from the data's disk."""
        safe, reasons = self._judge(Credential(path=self._token_file))
        place = f"transit engine {self._url}/{self._mount}"
        if self._host in _LOOPBACK:
            here = "Vault runs on this machine: medlock cannot tell whether it stores its keys on the data's disk."
            return Lodging(place, breach_safe=False, reasons=(here, *reasons, _SNAPSHOTS))
        return Lodging(place, safe, (*reasons, _SNAPSHOTS))

    def _create(self, name: str) -> None:
        self._asked(
            lambda transit: transit.create_key(
                name=self._prefix + name,
                key_type="aes256-gcm96",
                exportable=False,
                allow_plaintext_backup=False,
                mount_point=self._mount,
            )
        )

    def _delete(self, name: str) -> None:
        whole = self._prefix + name
        with suppress(_Rejected, _Missing):  # 400: there is no such key
            self._asked(
                lambda transit: transit.update_key_configuration(
                    name=whole, deletion_allowed=True, mount_point=self._mount
                )
            )
            self._asked(lambda transit: transit.delete_key(name=whole, mount_point=self._mount))

    def _asked(self, call: Callable[[Any], Any]) -> Any:
        with _reported():
            return call(self._transit())

    def _transit(self) -> Any:
        """A client with the token as the file has it now: agents renew it."""
        token = read_credential(self._token_file, "a Vault token")
        client = self._hvac.Client(url=self._url, token=token, timeout=TIMEOUT_SECONDS, allow_redirects=False)
        return client.secrets.transit


class _Rejected(SetupError):
    """Vault answered 400."""


class _Missing(SetupError):
    """Vault answered 404."""


@contextmanager
def _reported() -> Iterator[None]:
    """Vault's errors as ours; their texts may name paths and stay private. InvalidPath inside the block is its own."""
    faults, transport = import_module("hvac.exceptions"), import_module("requests.exceptions")
    try:
        yield
    except faults.InvalidPath as error:
        raise _Missing("Vault has no transit engine or key there. Check MEDLOCK_KEY_SERVICE.") from error
    except (faults.Forbidden, faults.Unauthorized) as error:
        raise SetupError("Vault refuses the token: see docs/keys.md for the policy that it needs.") from error
    except faults.InvalidRequest as error:
        raise _Rejected("Vault refuses the request. Check the engine named in MEDLOCK_KEY_SERVICE.") from error
    except (faults.VaultError, transport.RequestException) as error:
        raise Unavailable(
            "Vault cannot be reached, is sealed or does not do it now. Try again.",
            reason=f"vault: {type(error).__name__}",
        ) from error


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
