"""Attacks on the socket: garbage, huge lengths, halves, replays, strangers, crowds. Other clients never notice."""

from __future__ import annotations

import os
import socket
import stat
import struct
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from broker.world import HEAD, Raw, raw
from medlock.errors import SetupError
from medlock.store.broker import server
from medlock.store.broker.frames import Operation, Said
from medlock.store.broker.server import answers, listen
from medlock.store.broker.unwraplog import Kind

ERASURES = Operation.ERASURES


def refused(world):
    """How many connections were closed for breaking the rules."""
    return sum(record.kind is Kind.REFUSED for record in world.records())


@pytest.fixture
def neighbour(broker):
    """A client that must be served whatever another one does."""
    with raw(broker.socket) as client:
        yield client
        assert client.ask(ERASURES)[0] == Said.DONE


def test_only_its_own_account_may_connect(broker):
    """The socket is for its owner, and stays so."""
    found = broker.socket.stat()
    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600


def test_a_peer_of_another_uid_gets_not_one_byte(world):
    """Even one whom the file's mode let through."""
    world.uids = {12_345}
    with world.broker():
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(10)
        server.with_address(world.socket, client.connect)
        assert client.recv(100) == b""
        client.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another account")
def test_the_system_says_who_the_peer_is(broker):
    """A process of another account, with the doors wide open, is closed without a byte."""
    broker.socket.chmod(0o666)
    for folder in (broker.socket.parent, *broker.socket.parents):
        if folder.stat().st_uid == 0 and str(folder) != "/" and "pytest" in str(folder):
            folder.chmod(0o755)
    program = (
        "import os, socket, sys; os.setuid(12345); c = socket.socket(socket.AF_UNIX); c.settimeout(10);"
        "d = os.open(sys.argv[1], os.O_RDONLY); c.connect(f'/proc/self/fd/{d}/keys.sock'); print(len(c.recv(100)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(broker.socket.parent)], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("0", 0), done.stderr


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(64),
        b"\xff" * 64,
        struct.pack(">IQB", 2**32 - 1, 0, 1),
        struct.pack(">IQB", 16_394, 0, 1),
        struct.pack(">IQB", 8, 0, 1),
    ],
)
@pytest.mark.usefixtures("neighbour")
def test_garbage_closes_its_own_connection(broker, garbage):
    """Nothing is answered, and it is written down."""
    with raw(broker.socket) as client:
        client.send(garbage)
        assert client.closed()
    assert refused(broker) == 1


@pytest.mark.usefixtures("neighbour")
def test_random_bytes_never_hurt(broker):
    """A hundred clients, each with noise of its own."""
    random = Random(1)
    for _ in range(100):
        with raw(broker.socket) as client:
            client.send(random.randbytes(random.randrange(4, 200)) + b"\xff" * 16)
            assert client.closed()


@pytest.mark.parametrize("code", [0, 13, 99, 255])
@pytest.mark.usefixtures("neighbour")
def test_an_unknown_operation_closes(broker, code):
    """There is nothing to say about it."""
    with raw(broker.socket) as client:
        assert client.ask(code) is None


BODIES = [
    (Operation.OPEN, b""), (Operation.OPEN, bytes(11)), (Operation.OPEN, bytes(13)),
    (Operation.ENTRIES, b""), (Operation.ENTRIES, bytes(7)), (Operation.ENTRIES, bytes(8 * 1_025)),
    (Operation.ALLOT, b""), (Operation.ALLOT, bytes(2)), (Operation.ALLOT, b"\1\1"), (Operation.ALLOT, bytes(3)),
    (Operation.DESTROY, b""), (Operation.DESTROY, bytes(9)), (Operation.DESTROY, bytes(8 * 65)),
    (Operation.GENERATIONS, b""), (Operation.GENERATIONS, bytes(16)),
    (Operation.ERASURES, b"x"), (Operation.MARK, b"x"), (Operation.STATUS, b"x"), (Operation.RATCHET, b"x"),
    (Operation.SET_MARK, bytes(39)), (Operation.SET_MARK, b"\xff" * 40),
]  # fmt: skip


@pytest.mark.parametrize(("code", "body"), BODIES)
@pytest.mark.usefixtures("neighbour")
def test_a_body_of_the_wrong_form_closes(broker, code, body):
    """Every operation knows its lengths and counts."""
    with raw(broker.socket) as client:
        assert client.ask(code, body) is None
    assert not list(broker.keystore.verify())


@pytest.mark.usefixtures("neighbour")
def test_a_request_sent_twice_is_a_replay(broker):
    """The second time it is not the next one."""
    with raw(broker.socket) as client:
        request = client.request(ERASURES)
        client.send(request)
        assert len(client.read(HEAD.size + 8)) == HEAD.size + 8
        client.send(request)
        assert client.closed()


@pytest.mark.parametrize("step", [-1, 1, 2**63])
@pytest.mark.usefixtures("neighbour")
def test_a_number_that_is_not_the_next_closes(broker, step):
    """Neither an old one nor one ahead."""
    with raw(broker.socket) as client:
        client.send(client.request(ERASURES, number=(client.number + step) % 2**64))
        assert client.closed()


@pytest.mark.usefixtures("neighbour")
def test_a_recorded_connection_cannot_be_played_again(broker):
    """Each connection begins at a number of its own."""
    with raw(broker.socket) as client:
        recorded = client.request(ERASURES)
        client.send(recorded)
        client.read(HEAD.size + 8)
    with raw(broker.socket) as again:
        again.send(recorded)
        assert again.closed()


def test_several_requests_at_once_are_answered_in_order(broker):
    """They need not wait for one another, but they must be whole and in sequence."""
    with raw(broker.socket) as client:
        numbers = [(client.number + step) % 2**64 for step in range(20)]
        client.send(b"".join(client.request(ERASURES) for _ in numbers))
        seen = [HEAD.unpack(client.read(HEAD.size + 8)[: HEAD.size])[1] for _ in numbers]
        assert seen == numbers


@pytest.mark.usefixtures("neighbour")
def test_slow_bytes_are_waited_for_within_bounds(broker, monkeypatch):
    """A frame in pieces is served; one that never becomes whole ends its own connection only."""
    with raw(broker.socket) as client:
        for byte in client.request(ERASURES):
            client.send(bytes((byte,)))
        assert len(client.read(HEAD.size + 8)) == HEAD.size + 8
    monkeypatch.setattr(server, "SLOW_SECONDS", 1)
    with raw(broker.socket) as client:
        client.send(client.request(ERASURES)[:7])
        assert client.closed()
    assert refused(broker) == 1


def flood(client):
    """Ask without ever reading an answer."""
    while True:
        client.send(b"".join(client.request(Operation.STATUS) for _ in range(200)))


@pytest.mark.usefixtures("neighbour")
def test_a_client_that_takes_no_answers_ends_itself(broker, monkeypatch):
    """Its buffer fills up, the broker waits as long as it must, and lets go."""
    monkeypatch.setattr(server, "SLOW_SECONDS", 1)
    with raw(broker.socket) as client:
        client.socket.settimeout(30)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            flood(client)


def test_an_idle_connection_stays(broker, monkeypatch):
    """A worker at night."""
    monkeypatch.setattr(server, "SLOW_SECONDS", 1)
    with raw(broker.socket) as client:
        threading.Event().wait(2.2)
        assert client.ask(ERASURES)[0] == Said.DONE


def test_one_process_has_so_many_connections_and_no_more(broker):
    """Those beyond are closed without a byte; when one goes, there is room again."""
    held = [Raw(broker.socket) for _ in range(server.OF_ONE_PROCESS)]
    beyond = Raw(broker.socket)
    assert beyond.greeting == b""
    beyond.close()
    held.pop().close()
    while True:
        again = Raw(broker.socket)
        if again.greeting:
            break
        again.close()
    assert again.ask(ERASURES)[0] == Said.DONE
    for client in [*held, again]:
        client.close()


def test_many_clients_at_once_get_their_own_answers(broker):
    """Twelve threads, each with patients of its own."""
    patients = {keys.slot: broker.keystore.secret(keys.slot)[1] for keys in broker.keystore.allot(120)}

    def ask(part):
        with raw(broker.socket) as client:
            for _ in range(3):
                for slot in part:
                    said, answer = client.ask(Operation.OPEN, struct.pack(">QI", slot, 2**32 - 1))
                    assert (said, answer) == (Said.DONE, bytes(4) + patients[slot])
        return len(part)

    slots = list(patients)
    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(ask, [slots[start::12] for start in range(12)])) == 120
    assert sum(record.kind is Kind.UNWRAP for record in broker.records()) == 360


def test_every_answer_is_in_the_log_before_it_leaves(broker):
    """Who was given what: process, slot, generation; never a key."""
    (keys,) = broker.keystore.allot()
    with raw(broker.socket) as client:
        _, answer = client.ask(Operation.OPEN, struct.pack(">QI", keys.slot, 2**32 - 1))
        record = broker.records()[-1]
        assert (record.kind, record.pid, record.slot, record.generation) == (Kind.UNWRAP, os.getpid(), keys.slot, 0)
    assert all(answer[4:] not in path.read_bytes() for path in broker.log.iterdir())


def test_a_log_that_cannot_be_written_stops_the_keys(broker):
    """No log, no key."""
    (keys,) = broker.keystore.allot()
    handle = broker.desk._log._handle
    broker.desk._log._handle = os.open(os.devnull, os.O_RDONLY)
    with raw(broker.socket) as client:
        said, answer = client.ask(Operation.OPEN, struct.pack(">QI", keys.slot, 2**32 - 1))
    assert said == Said.UNAVAILABLE
    assert broker.keystore.secret(keys.slot)[1] not in answer
    os.close(broker.desk._log._handle)
    broker.desk._log._handle = handle


@pytest.mark.parametrize("slot", [1, 2**63, 2**64 - 1])
def test_a_slot_that_never_was_looks_like_a_destroyed_one(broker, slot):
    """Also one that no keystore can hold."""
    with raw(broker.socket) as client:
        for code, body in (
            (Operation.OPEN, struct.pack(">QI", slot, 0)),
            (Operation.GENERATIONS, slot.to_bytes(8, "big")),
        ):
            assert client.ask(code, body)[0] == Said.DESTROYED
        assert client.ask(Operation.ENTRIES, slot.to_bytes(8, "big")) == (Said.DONE, b"")


def test_the_tenants_key_cannot_be_destroyed(broker):
    """A conflict, and all is there."""
    with raw(broker.socket) as client:
        assert client.ask(Operation.DESTROY, bytes(8))[0] == Said.CONFLICT
        assert client.ask(Operation.OPEN, bytes(12))[0] == Said.DONE


def test_a_broker_does_not_start_beside_one_that_answers(broker):
    """And a socket that nobody listens on is in nobody's way."""
    assert answers(broker.socket)
    with pytest.raises(SetupError, match="running"):
        listen(broker.socket)
    left = broker.socket.with_name("left.sock")
    listen(left).close()
    assert not answers(left)
    listen(left).close()


def test_no_file_but_a_socket_gives_way(tmp_path):
    """Whoever mistypes the address loses no data."""
    path = tmp_path / "medlock.db"
    path.write_text("records")
    with pytest.raises(SetupError, match="socket"):
        listen(path)
    assert path.read_text() == "records"
    assert [each.name for each in tmp_path.iterdir()] == ["medlock.db"]


def test_a_path_may_be_long(tmp_path):
    """Longer than a socket's address holds."""
    deep = tmp_path.joinpath(*["a-directory-with-a-long-name"] * 8)
    deep.mkdir(parents=True)
    with listen(deep / "keys.sock"):
        assert answers(deep / "keys.sock")
