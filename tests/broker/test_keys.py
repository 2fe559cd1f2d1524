"""A worker's view of the keystore: the same as without a broker, within its limit, and through every failure."""

from __future__ import annotations

import struct
import threading
import time
from contextlib import closing
from random import Random

import pytest

from broker.world import BrokerWorld, raw
from medlock.errors import Conflict, SetupError, Tampered, Unavailable
from medlock.store.broker import channel
from medlock.store.broker.allowance import Capped
from medlock.store.broker.channel import Channel
from medlock.store.broker.frames import Greeting, Operation, Said
from medlock.store.broker.keys import BrokeredKeys
from medlock.store.broker.server import listen
from medlock.store.broker.unwraplog import Kind
from medlock.store.keyring import SHARED, KeyDestroyed


@pytest.fixture
def keys(broker):
    """A worker."""
    with broker.keys() as found:
        yield found


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Nobody waits long for a broker that is gone."""
    monkeypatch.setattr(channel, "PAUSE_SECONDS", 0.05)


def test_keys_are_those_of_the_keystore(broker, keys):
    """Tenant and patients, of every generation."""
    (patient,) = broker.keystore.allot()
    sealed = patient.body.seal(b"text", b"")
    assert keys.store_id == broker.keystore.store_id
    assert keys.tenant.rid.label(b"x") == broker.keystore.tenant.rid.label(b"x")
    assert keys.keys(patient.slot).body.open(sealed, b"") == b"text"
    newest = broker.keystore.new_generation(patient.slot)
    broker.keystore.new_generation(SHARED)
    assert keys.refresh()
    assert keys.keys(patient.slot).generation == 1
    assert keys.keys(patient.slot, 0).body.open(sealed, b"") == b"text"
    assert [each.generation for each in keys.generations(patient.slot)] == [1, 0]
    assert [each.generation for each in keys.candidates(patient.slot)] == [1, 1, 0]
    sealed = newest.audit.seal(b"text", b"")
    assert keys.keys(patient.slot).audit.open(sealed, b"") == b"text"
    with broker.keys() as later:
        assert later.tenant.own.generation == 1


def test_allotted_keys_are_durable_and_nobody_elses(broker, keys):
    """Two workers never get the same one; what they were given is in the file."""
    with broker.keys() as other:
        mine, theirs = keys.allot(100), other.allot(100)
    slots = [each.slot for each in (*mine, *theirs)]
    assert len(set(slots)) == 200
    sealed = mine[0].body.seal(b"text", b"")
    with broker.keys() as again:
        assert again.keys(mine[0].slot).body.open(sealed, b"") == b"text"
    assert not list(broker.keystore.verify())


def test_a_destroyed_key_is_gone_for_every_worker(broker, keys):
    """For the other one with its next look."""
    (patient,) = keys.allot()
    with broker.keys() as other:
        other.keys(patient.slot)
        keys.destroy(patient.slot)
        with pytest.raises(KeyDestroyed):
            keys.keys(patient.slot)
        assert other.refresh()
        assert not other.refresh()
        with pytest.raises(KeyDestroyed):
            other.keys(patient.slot)
    destroyed = [record.slot for record in broker.records() if record.kind is Kind.DESTROY]
    assert destroyed == [patient.slot]


def test_the_directory_is_loaded_without_keys_to_records(broker, keys):
    """Any number of patients, none of whom counts, and nothing but the entry opens."""
    broker.desk._spend.__self__.limit = 1
    patients = broker.keystore.allot(3_000)
    found = keys.entries.many([each.slot for each in patients] + [5])
    assert len(found) == 3_000
    for each in Random(1).sample(patients, 20):
        sealed = each.directory.seal(b"entry", b"")
        assert found[each.slot].directory.open(sealed, b"") == b"entry"
        with pytest.raises(Tampered):
            found[each.slot].directory.open(each.body.seal(b"body", b""), b"")
        assert not hasattr(found[each.slot], "body")
        assert found[each.slot].key.hex() not in repr(found[each.slot])
    assert sum(record.count for record in broker.records() if record.kind is Kind.ENTRIES) == 3_000


def test_an_entry_under_an_older_key_is_opened_too(broker, keys):
    """While a rotation is under way."""
    (patient,) = broker.keystore.allot()
    sealed = patient.directory.seal(b"entry", b"")
    broker.keystore.new_generation(patient.slot)
    opened = []
    for each in keys.entries.candidates(patient.slot):
        try:
            opened.append(each.directory.open(sealed, b""))
        except Tampered:
            continue
    assert opened == [b"entry"]
    with pytest.raises(KeyDestroyed):
        list(keys.entries.candidates(99))


def test_the_limit_stops_a_thief_and_spares_who_is_known(world):
    """Beyond it 503 with a time, and it is written down; patients already counted go on; later all goes on."""
    world.limit = 10
    with world.broker() as keystore, world.keys() as keys:
        slots = [each.slot for each in keystore.allot(30)]
        assert [keys.keys(slot).slot for slot in slots[:10]] == slots[:10]
        for slot in slots[10:]:
            with pytest.raises(Capped) as refusal:
                keys.keys(slot)
            assert (refusal.value.http_status, refusal.value.audit_code) == (503, "capped")
            assert refusal.value.retry_after > 0
        for slot in slots[:10]:
            keys.forget(slot)
            assert keys.keys(slot).slot == slot
        for act in (lambda: keys.destroy(slots[20]), lambda: keys.generations(slots[20])):
            with pytest.raises(Capped):
                act()
        with world.keys() as another, pytest.raises(Capped):  # a new connection gains nothing
            another.keys(slots[25])
        world.hours.now += 61
        assert keys.keys(slots[20]).slot == slots[20]
        assert not list(keystore.verify())
    capped = [record for record in world.records() if record.kind is Kind.CAPPED]
    assert len(capped) == 1
    assert capped[0].count == 1


def test_while_the_broker_is_away_open_patients_are_read(world):
    """Others are Unavailable with a time, at once; when it is back, all goes on, on the same object."""
    with world.broker() as keystore:
        known, other = (each.slot for each in keystore.allot(2))
        keys = BrokeredKeys(world.socket)
        keys.keys(known)
    for _ in range(3):
        assert keys.keys(known).slot == known
        for act in (lambda: keys.keys(other), keys.refresh, keys.allot, keys.watermark, keys.status):
            with pytest.raises(Unavailable) as refusal:
                act()
            assert refusal.value.retry_after > 0
    with world.broker():
        channel_was_quiet = keys._channel._quiet_until
        keys._channel._quiet_until = 0.0
        assert channel_was_quiet > 0
        assert keys.keys(other).slot == other
    keys.close()


def test_a_worker_does_not_start_without_its_broker(world):
    """Unavailable: try again."""
    with pytest.raises(Unavailable):
        BrokeredKeys(world.socket)


def test_a_connection_that_breaks_is_made_again_within_the_question(broker, keys):
    """The broker restarted a moment ago: nobody notices."""
    (patient,) = broker.keystore.allot()
    for client in list(broker.server._open):
        client.shutdown(2)
    assert keys.keys(patient.slot).slot == patient.slot


def test_what_only_an_operator_does_is_refused(keys):
    """Rotating, moving, verifying."""
    for act in (
        lambda: keys.new_generation(1),
        keys.superseded,
        lambda: keys.drop_generations([]),
        lambda: keys.rewrap_to(None),
        keys.verify,
    ):
        with pytest.raises(Conflict, match="operator"):
            act()
    keys.finish_ratchet()


def test_the_watermark_and_status_are_the_keystores(broker, keys):
    """Both ways."""
    assert keys.watermark() is None
    keys.set_watermark(5, bytes(32))
    assert broker.keystore.watermark() == keys.watermark() == (5, bytes(32))
    with pytest.raises(Tampered):
        keys.set_watermark(5, b"\1" * 32)
    assert keys.status() == broker.keystore.status()


def test_a_ratchet_is_done_by_the_broker_and_not_too_often(broker, keys, monkeypatch):
    """A worker may ask; an epoch younger than an hour stays."""
    (patient,) = keys.allot()
    keys.ratchet()
    assert keys.status().epoch == 1
    clock = broker.keystore._clock
    now = clock.now_ms()
    monkeypatch.setattr(clock, "now_ms", lambda: now + 7_200_000)
    keys.ratchet()
    assert keys.status().epoch == 2
    keys.forget(patient.slot)
    assert keys.keys(patient.slot).slot == patient.slot


def test_a_damaged_row_is_told_as_such(broker, keys):
    """Not as missing."""
    (patient,) = broker.keystore.allot()
    broker.keystore._file._writer.execute("UPDATE key SET wrapped = zeroblob(60) WHERE slot = ?", (patient.slot,))
    with pytest.raises(Tampered):
        keys.keys(patient.slot)


def test_an_epoch_key_is_never_handed_out(broker):
    """Whatever is asked of one patient, the tenant and the status: no answer holds it."""
    epochs = broker.keystore._epochs
    (table,) = broker.keystore._file.read("SELECT number, under, made, state, wrapped FROM epoch")
    from medlock.store.epochs import Epoch, EpochState  # noqa: PLC0415

    kek = epochs.raw(Epoch(table[0], table[1], table[2], EpochState(table[3]), table[4]))
    (patient,) = broker.keystore.allot()
    bodies = {
        Operation.OPEN: struct.pack(">QI", patient.slot, 2**32 - 1),
        Operation.ENTRIES: patient.slot.to_bytes(8, "big"),
        Operation.ALLOT: b"\0\1",
        Operation.GENERATIONS: patient.slot.to_bytes(8, "big"),
        Operation.OPEN_COMMON: struct.pack(">QI", patient.slot, 2**32 - 1),
        Operation.ALLOT_COMMON: b"\0\1",
    }
    with raw(broker.socket) as client:
        for operation in set(Operation) - {Operation.DESTROY, Operation.SET_MARK, Operation.RATCHET}:
            said, answer = client.ask(operation, bodies.get(operation, b""))
            assert said == Said.DONE
            assert kek not in answer


def test_a_broker_that_hangs_is_waited_for_once(world):
    """It takes a request and says nothing: Unavailable after the time given, and at once for those who ask then."""
    with closing(world.world.open()) as keystore, listen(world.socket) as listener:

        def hang():
            client, _ = listener.accept()
            client.sendall(Greeting(keystore.store_id, 7).pack())
            client.recv(100)
            done.wait(20)
            client.close()

        done = threading.Event()
        thread = threading.Thread(target=hang)
        thread.start()
        asking = Channel(world.socket)
        with pytest.raises(Unavailable) as refusal:
            asking.ask(Operation.ERASURES, patience=1)
        assert "BlockingIOError" in refusal.value.reason
        with pytest.raises(Unavailable) as refusal:
            asking.ask(Operation.ERASURES, patience=1)
        assert "known to be gone" in refusal.value.reason
        done.set()
        thread.join()
        asking.close()


def test_what_the_operator_must_mend_is_not_told_to_callers(world):
    """Its sentence may name files: callers get a general one, the reason stays inside."""
    with world.broker(), world.keys() as keys:
        world.desk._acts[Operation.ERASURES] = refuse
        with pytest.raises(SetupError) as refusal:
            keys.refresh()
    assert "/srv/secret" not in str(refusal.value)
    assert "/srv/secret" in refusal.value.reason


def refuse(*_):
    """What a provider might say."""
    raise SetupError("The passphrase in /srv/secret is not the right one.")


def test_a_broker_of_another_store_is_not_asked_for_keys(tmp_path):
    """New patients of this store would lie under keys that only that one has."""
    here, there = BrokerWorld(tmp_path / "here"), BrokerWorld(tmp_path / "there")
    there.socket = here.socket
    with here.broker(), closing(BrokeredKeys(here.socket)) as keys:
        (patient,) = keys.allot()
        keys._spares.clear()
        here.server.stop()
        while here.server._open:
            time.sleep(0.001)
        with there.broker():
            for ask in (keys.allot, lambda: keys.destroy(patient.slot), keys.watermark):
                time.sleep(2 * channel.PAUSE_SECONDS)
                with pytest.raises(Unavailable) as refusal:
                    ask()
                assert "another store" in refusal.value.reason
    assert not [each for each in there.records() if each.kind in {Kind.ALLOT, Kind.DESTROY}]
