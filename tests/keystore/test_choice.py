"""Settings choose the provider, and where a credential lies decides what a thief of the disk has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from medlock.errors import SetupError
from medlock.settings import Settings, from_environment
from medlock.store.kek import awskms, azurekeys, gcpkms, pkcs11, vault
from medlock.store.kek.choice import NAMES, SERVICES, provider_of
from medlock.store.kek.credentials import Credential, Judge
from medlock.store.kek.place import Kind, Place

ROOT = Path(__file__).parents[2]
ADDRESSES = {
    awskms.NAME: "eu-central-1",
    azurekeys.NAME: "https://clinic.vault.azure.net",
    gcpkms.NAME: "projects/p/locations/europe/keyRings/r",
    pkcs11.NAME: "pkcs11:token=clinic?module-path=/usr/lib/softhsm/libsofthsm2.so",
    vault.NAME: "https://vault.example:8200/transit",
}
DATA, OTHER = Place(1, Kind.DISK, frozenset({"sda"})), Place(2, Kind.DISK, frozenset({"sdb"}))
MEMORY, UNKNOWN = Place(3, Kind.MEMORY), Place(4, Kind.UNKNOWN)


def test_every_service_has_an_address_here():
    """The table of this test is whole."""
    assert set(ADDRESSES) == set(SERVICES)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_settings_make_the_provider(name, tmp_path):
    """Name and address suffice; nothing is asked or read yet."""
    environ = {"MEDLOCK_KEY_PROVIDER": name, "MEDLOCK_KEY_SERVICE": ADDRESSES[name], "MEDLOCK_DATA_DIR": str(tmp_path)}
    assert provider_of(from_environment(environ)).name == name


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_without_address_says_what_to_set(name, tmp_path):
    """The sentence names the setting."""
    with pytest.raises(SetupError, match="MEDLOCK_KEY_SERVICE"):
        provider_of(Settings(tmp_path, key_provider=name))


def test_an_unknown_provider_is_refused_with_the_list(tmp_path):
    """All names are said."""
    with pytest.raises(SetupError) as refusal:
        provider_of(Settings(tmp_path, key_provider="rot13"))
    assert all(name in str(refusal.value) for name in NAMES)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        (vault.NAME, "http://vault.example:8200/transit"),
        (azurekeys.NAME, "http://clinic.vault.azure.net"),
        (pkcs11.NAME, "/usr/lib/softhsm/libsofthsm2.so"),
        (pkcs11.NAME, "pkcs11:token=x"),
        (pkcs11.NAME, "pkcs11:?module-path=/x.so"),
    ],
)
def test_addresses_that_would_show_keys_or_lead_nowhere_are_refused(name, address, tmp_path):
    """Plain HTTP to another machine, and a token without label or module."""
    with pytest.raises(SetupError, match="MEDLOCK_KEY_SERVICE"):
        provider_of(Settings(tmp_path, key_provider=name, key_service=address))


@pytest.mark.parametrize("name", [vault.NAME, pkcs11.NAME])
@pytest.mark.parametrize("content", [None, "", "  \n"])
def test_a_credential_that_is_not_there_is_told(name, content, tmp_path):
    """Missing or empty: the sentence says what the file must hold."""
    path = tmp_path / "credential"
    if content is not None:
        path.write_text(content)
    settings = Settings(tmp_path, key_provider=name, key_service=ADDRESSES[name], key_credential=path)
    with pytest.raises(SetupError, match="credential file"):
        provider_of(settings).enrol(bytes(16))
    with pytest.raises(SetupError, match="MEDLOCK_KEY_CREDENTIAL_FILE"):
        provider_of(Settings(tmp_path, key_provider=name, key_service=ADDRESSES[name])).enrol(bytes(16))


@pytest.fixture
def judged(tmp_path):
    """The verdict on a credential file that lies in a given place."""
    data, path = tmp_path / "data", tmp_path / "credential"
    data.mkdir()
    path.write_text("secret")
    path.chmod(0o600)
    return lambda place: Judge(data, lambda each: DATA if each == data else place)(Credential(path))


@pytest.mark.parametrize(("place", "safe"), [(DATA, False), (OTHER, True), (MEMORY, True), (UNKNOWN, False)])
def test_a_credential_on_the_datas_disk_is_not_safe(judged, place, safe):
    """Elsewhere it is; what cannot be known is not."""
    found, reasons = judged(place)
    assert found is safe
    assert bool(reasons) is not safe


def test_a_credential_in_the_data_directory_is_not_safe(tmp_path):
    """Whatever its disk."""
    (tmp_path / "token").write_text("secret")
    assert not Judge(tmp_path, lambda _: OTHER)(Credential(tmp_path / "token"))[0]


def test_a_credential_of_the_platform_is_safe_and_an_unknown_one_is_not(tmp_path):
    """An instance role lies on no disk; a variable may come from a file anywhere."""
    assert Judge(tmp_path)(Credential(platform=True)) == (True, ())
    safe, reasons = Judge(tmp_path)(Credential())
    assert not safe
    assert reasons


def test_a_credential_that_others_may_read_is_named(judged, tmp_path):
    """As for a passphrase."""
    (tmp_path / "credential").chmod(0o644)
    assert any("chmod 600" in reason for reason in judged(OTHER)[1])


def test_a_vault_on_this_machine_is_not_called_safe(tmp_path):
    """Its storage may be the data's disk."""
    lodging = vault.VaultTransit("http://127.0.0.1:8200", None, Judge(tmp_path, lambda _: OTHER)).lodging()
    assert not lodging.breach_safe


def test_only_its_provider_loads_an_sdk():
    """SDKs are loaded by name, which import-linter does not see: each name stands in its own provider's file only."""
    homes = {"boto": "awskms", "hvac": "vault", "google": "gcpkms", "azure": "azurekeys", "pkcs11": "pkcs11"}
    for path in (ROOT / "src").rglob("*.py"):
        for name in re.findall(r'import_module\(\s*f?"(\w+)', path.read_text()):
            home = next((file for start, file in homes.items() if name.startswith(start)), None)
            assert home is None or path.stem == home, path
