"""Key services as providers: one suite for all, then what each of them does when it refuses, limits or is attacked."""

from __future__ import annotations

import pytest

from keystore.kek_conformance import AAD, KEY, STORE, KekConformance
from keystore.services import SERVICES, HsmService, softhsm_ready
from medlock.errors import SetupError, Tampered, Unavailable
from medlock.store.kek.provider import EpochDestroyed
from medlock.store.kek.service import CHECK_BYTES, EpochKeys
from medlock.store.keystore import Keystore

HSM = pytest.mark.skipif(not softhsm_ready(), reason="needs softhsm2")
KINDS = [pytest.param(name, marks=HSM if kind is HsmService else ()) for name, kind in sorted(SERVICES.items())]


@pytest.fixture(scope="session", autouse=True)
def tokens(tmp_path_factory):
    """SoftHSM keeps the tokens of this run in a directory of its own."""
    root = tmp_path_factory.mktemp("softhsm")
    (root / "tokens").mkdir()
    (root / "softhsm2.conf").write_text(f"directories.tokendir = {root}/tokens\nobjectstore.backend = file\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(root / "softhsm2.conf"))
        yield


@pytest.fixture(params=KINDS)
def service(request, tmp_path):
    """Each of the services."""
    made = SERVICES[request.param](tmp_path)
    yield made
    made.close()


class TestServices(KekConformance):
    """The common suite, unchanged, on every service."""


@pytest.fixture
def enrolled(service):
    """A provider with epoch 1."""
    provider = service.provider()
    provider.enrol(STORE)
    provider.new_epoch(1)
    return provider


def test_over_the_limit_is_unavailable_and_passes(service, enrolled):
    """A service that limits rates says so with its own code; afterwards all is as before."""
    blob = enrolled.wrap(1, KEY, AAD)
    with service.limited():
        for call in (lambda: enrolled.unwrap(1, blob, AAD), lambda: enrolled.new_epoch(2)):
            with pytest.raises(Unavailable) as refusal:
                call()
            assert refusal.value.retry_after > 0
    assert enrolled.unwrap(1, blob, AAD) == KEY


def test_the_service_itself_finds_forgery(service, enrolled):
    """With a right check in front, one bit anywhere in what the service made is found by the service."""
    blob = enrolled.wrap(1, KEY, AAD)[CHECK_BYTES:]
    forged = service.adapter()
    forged.reach(STORE.hex())
    bound = enrolled._bound(1, AAD)
    assert forged.open(1, blob, bound) == KEY
    for position in (*range(0, len(blob), 7), len(blob) - 1):
        changed = blob[:position] + bytes((blob[position] ^ 1,)) + blob[position + 1 :]
        with pytest.raises((Tampered, SetupError)):  # a blob that names another key is refused by its owner
            forged.open(1, changed, bound)
    for cut in (blob[:-1], blob[: len(blob) // 2], b""):
        with pytest.raises((Tampered, SetupError)):
            forged.open(1, cut, bound)
    with pytest.raises(Tampered):
        forged.open(1, blob, bound + b"\0")


@pytest.mark.usefixtures("enrolled")
def test_another_service_than_recorded_is_not_followed(service):
    """What the keystore records of the service is compared with the settings, and with nothing else."""
    for parameters in ({}, {"service": "https://evil.example"}, {"token": "evil"}):
        with pytest.raises(SetupError, match="MEDLOCK_KEY_SERVICE"):
            service.provider().connect(STORE, parameters)


def test_a_store_that_the_service_never_saw(service):
    """Wrong account, region, vault or token: nothing opens, and nothing is called destroyed."""
    provider = service.provider()
    provider.connect(STORE, service.adapter().parameters)
    with pytest.raises(SetupError) as refusal:
        provider.unwrap(1, bytes(64), AAD)
    assert not isinstance(refusal.value, EpochDestroyed)


def test_a_keystore_lives_on_it(service, tmp_path):
    """Made, ratcheted, opened again; the old copy is dead."""
    path, copy = tmp_path / "keystore.db", tmp_path / "copy.db"
    keystore = Keystore.create(path, service.provider())
    (patient,) = keystore.allot()
    sealed = patient.body.seal(b"text", b"")
    keystore._file._writer.execute("VACUUM INTO ?", (str(copy),))
    keystore.ratchet()
    keystore.close()
    again = Keystore.open(path, service.provider())
    assert again.keys(patient.slot).body.open(sealed, b"") == b"text"
    again.close()
    with pytest.raises(EpochDestroyed):
        Keystore.open(copy, service.provider())


def test_an_outage_leaves_open_keys_open(service, tmp_path):
    """While the service is out of reach, patients read before and after are read; only a new epoch must wait."""
    path = tmp_path / "keystore.db"
    keystore = Keystore.create(path, service.provider())
    known, other = keystore.allot(2)
    worker = Keystore.open(path, service.provider())
    assert worker.keys(known.slot).slot == known.slot
    keystore.ratchet()
    with service.outage():
        assert worker.keys(known.slot).slot == known.slot
        with pytest.raises(Unavailable) as refusal:
            worker.keys(other.slot)
        assert refusal.value.retry_after > 0
        assert keystore.keys(other.slot).slot == other.slot
        with pytest.raises(Unavailable):
            Keystore.open(path, service.provider())
    assert worker.keys(other.slot).slot == other.slot
    worker.close()
    keystore.close()


def test_a_killed_destruction_is_done_again(service, enrolled):
    """Keys go first, the floor rises then: in between the repetition finds no key and goes on."""
    enrolled.new_epoch(2)
    half = service.adapter()
    half.reach(STORE.hex())
    half.destroy(1)
    with pytest.raises(SetupError):
        enrolled.wrap(1, KEY, AAD)
    enrolled.destroy_epoch(1)
    with pytest.raises(EpochDestroyed):
        enrolled.wrap(1, KEY, AAD)
    half.raise_floor(5)
    assert half.floor() == 5
    half.raise_floor(7)
    assert service.provider().__class__ is EpochKeys
    assert half.floor() == 7


@pytest.mark.parametrize("arriving", [True, False], ids=["to", "from"])
def test_keys_move_while_others_read(service, world, arriving):
    """To and from each service: who reads meanwhile goes on with open patients; others wait for a start with the new one."""
    old, new = (world.provider, service.provider) if arriving else (service.provider, world.provider)
    keystore = Keystore.create(world.path, old())
    known, other = keystore.allot(2)
    worker = Keystore.open(world.path, old())
    worker.keys(known.slot)
    keystore.rewrap_to(new())
    assert worker.keys(known.slot).slot == known.slot
    with pytest.raises(Unavailable) as refusal:
        worker.keys(other.slot)
    assert refusal.value.retry_after > 0
    worker.close()
    assert not list(keystore.verify())
    keystore.close()
    with pytest.raises(SetupError):
        Keystore.open(world.path, old())
    again = Keystore.open(world.path, new())
    assert {again.keys(each.slot).slot for each in (known, other)} == {known.slot, other.slot}
    again.close()
