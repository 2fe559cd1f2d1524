"""Which provider guards the keys, by the settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from medlock.errors import SetupError
from medlock.settings import Settings
from medlock.store.kek import awskms, azurekeys, gcpkms, pkcs11, vault
from medlock.store.kek.credentials import Judge
from medlock.store.kek.oskeyring import OsKeyring
from medlock.store.kek.passphrase import PassphraseFile
from medlock.store.kek.provider import KekProvider
from medlock.store.kek.service import EpochKeys, KeyService

SERVICES: dict[str, Callable[[str, Path | None, Judge], KeyService]] = {
    awskms.NAME: awskms.AwsKms,
    azurekeys.NAME: azurekeys.AzureKeyVault,
    gcpkms.NAME: gcpkms.GcpKms,
    pkcs11.NAME: pkcs11.Pkcs11,
    vault.NAME: vault.VaultTransit,
}
NAMES = (PassphraseFile.name, OsKeyring.name, *sorted(SERVICES))
_NO_PASSPHRASE = (
    "Set MEDLOCK_PASSPHRASE_FILE to a file, outside the data directory, that holds a passphrase of at least 12 "
    "characters (or MEDLOCK_KEY_PROVIDER=os-keyring, or a key service: docs/keys.md); medlock demo makes one by itself."
)


def provider_of(settings: Settings) -> KekProvider:
    """What guards the keys. Raises SetupError when the settings name nothing that can."""
    name = settings.key_provider
    if name == OsKeyring.name:
        return OsKeyring()
    if name in SERVICES:
        if not settings.key_service:
            raise SetupError(f"Set MEDLOCK_KEY_SERVICE to the address of {name}: docs/keys.md shows its form.")
        return EpochKeys(SERVICES[name](settings.key_service, settings.key_credential, Judge(settings.keys_dir)))
    if name != PassphraseFile.name:
        raise SetupError(f"MEDLOCK_KEY_PROVIDER is one of {', '.join(NAMES)}.")
    if settings.passphrase_file is None:
        raise SetupError(_NO_PASSPHRASE)
    return PassphraseFile(settings.passphrase_file, settings.keys_dir)
