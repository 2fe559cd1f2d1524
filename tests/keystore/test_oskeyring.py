"""The OS keyring provider on a keyring that lives in the test and can misbehave."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.errors import KeyringLocked, PasswordDeleteError

from keystore.kek_conformance import AAD, KEY, STORE, KekConformance
from medlock.errors import SetupError, Unavailable
from medlock.store.kek.oskeyring import OsKeyring
from medlock.store.keystore import Keystore


class MemoryKeyring(KeyringBackend):
    """A keyring in a dictionary. `mood` is how it misbehaves: locked, forgetful, clinging."""

    priority = 1

    def __init__(self):
        super().__init__()
        self.entries = {}
        self.mood = "fine"

    def get_password(self, service, username):
        if self.mood == "locked":
            raise KeyringLocked("locked")
        return self.entries.get((service, username))

    def set_password(self, service, username, password):
        if self.mood == "locked":
            raise KeyringLocked("locked")
        if self.mood != "forgetful":
            self.entries[service, username] = password

    def delete_password(self, service, username):
        if self.mood == "locked":
            raise KeyringLocked("locked")
        if (service, username) not in self.entries:
            raise PasswordDeleteError("not there")
        if self.mood != "clinging":
            del self.entries[service, username]


class Session:
    """One account's keyring."""

    def __init__(self):
        self.backend = MemoryKeyring()

    def provider(self):
        return OsKeyring(self.backend)

    @contextmanager
    def outage(self):
        """The screen is locked."""
        self.backend.mood = "locked"
        yield
        self.backend.mood = "fine"


class TestOsKeyring(KekConformance):
    """The common suite."""

    @pytest.fixture
    def service(self):
        """A session."""
        return Session()


@pytest.fixture
def session():
    """One account's keyring."""
    return Session()


@pytest.mark.parametrize("backend", [fail.Keyring(), null.Keyring()])
def test_a_system_without_a_keyring_says_what_to_do(backend):
    """Neither the keyring that fails nor the one that forgets is used."""
    with pytest.raises(SetupError, match="MEDLOCK_PASSPHRASE_FILE"):
        OsKeyring(backend).enrol(STORE)
    with pytest.raises(SetupError, match="MEDLOCK_PASSPHRASE_FILE"):
        OsKeyring(backend).connect(STORE, {})


def test_a_forgetful_keyring_is_noticed_at_once(session):
    """What was written is read back before anything depends on it."""
    session.backend.mood = "forgetful"
    with pytest.raises(Unavailable, match="did not keep"):
        session.provider().enrol(STORE)


def test_a_clinging_keyring_is_noticed(session):
    """A deletion that deletes nothing is no destruction, and the epoch is not called destroyed."""
    provider = session.provider()
    provider.enrol(STORE)
    provider.new_epoch(1)
    blob = provider.wrap(1, KEY, AAD)
    session.backend.mood = "clinging"
    with pytest.raises(Unavailable, match="did not delete"):
        provider.destroy_epoch(1)
    session.backend.mood = "fine"
    assert provider.unwrap(1, blob, AAD) == KEY


def test_another_account_is_told_so(session):
    """A keyring that never held this store's root."""
    with pytest.raises(SetupError, match="Sign in as the account"):
        session.provider().connect(STORE, {})


@pytest.mark.parametrize("entry", ["root", "epoch 1"])
@pytest.mark.parametrize("value", ["", "zz", "00"])
def test_a_damaged_entry_is_told_so(session, entry, value):
    """Not hex, or not 32 bytes."""
    provider = session.provider()
    provider.enrol(STORE)
    provider.new_epoch(1)
    session.backend.entries[f"medlock {STORE.hex()}", entry] = value
    call = (lambda: session.provider().connect(STORE, {})) if entry == "root" else lambda: provider.wrap(1, KEY, AAD)
    with pytest.raises(SetupError, match="is damaged"):
        call()


def test_parameters_nobody_wrote_are_refused(session):
    """The record of a keyring has none."""
    session.provider().enrol(STORE)
    with pytest.raises(SetupError, match="is damaged"):
        session.provider().connect(STORE, {"salt": "00"})


def test_the_verdict_is_never_breach_safe(session):
    """And says what would be."""
    provider = session.provider()
    provider.enrol(STORE)
    assert not provider.attest().breach_safe
    assert "another device" in provider.attest().reasons[0]


def test_a_keystore_lives_in_a_keyring(session, tmp_path):
    """Made, ratcheted and opened again, with nothing but the session."""
    keystore = Keystore.create(tmp_path / "keystore.db", session.provider())
    (patient,) = keystore.allot()
    sealed = patient.body.seal(b"text", b"")
    keystore.ratchet()
    keystore.close()
    again = Keystore.open(tmp_path / "keystore.db", session.provider())
    assert again.keys(patient.slot).body.open(sealed, b"") == b"text"
    assert [name for _, name in session.backend.entries if name.startswith("epoch")] == ["epoch 2"]
    again.close()
