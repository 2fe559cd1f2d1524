"""What one process wrote, another answers on the very next request: two workers, and two servers, on both back ends."""

import asyncio
import json
from contextlib import ExitStack, contextmanager

import pytest

from store.pgserver import database
from web.running import Server, medlock, new_token

LOINC = "http://loinc.org"


@pytest.fixture
def store():
    """The address of an empty PostgreSQL database."""
    with asyncio.Runner() as runner:
        entered = database()
        yield runner.run(entered.__aenter__())
        runner.run(entered.__aexit__(None, None, None))


@pytest.fixture(params=["sqlite", "postgres"])
def directory(request, tmp_path):
    """A data directory on either back end."""
    if request.param == "postgres":
        (tmp_path / "data.store").write_text(request.getfixturevalue("store"))
    return tmp_path / "data"


@contextmanager
def stopped(*servers):
    """Servers that end with the block, with nothing to complain of."""
    try:
        yield
    except BaseException:
        for server in servers:
            server.stop()
        raise
    for server in servers:
        assert server.stop() == (0, "")


def process_of(client):
    """Which process answers on this client's connection: the first half of the names that it gives to requests."""
    return client.get("metadata").headers["x-request-id"].partition("-")[0]


def one_client_each(stack, server, token, count=2):
    """Clients whose kept connections lead to different processes."""
    found = {}
    for _ in range(200):
        client = stack.enter_context(server.client(token))
        found.setdefault(process_of(client), client)
        if len(found) == count:
            return list(found.values())
    raise AssertionError("one process answers everything")


def observation(number, value):
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": f"code-{number}"}]},
        "subject": {"reference": "Patient/p1"},
        "valueString": value,
    }


def patient(number, family):
    return {"resourceType": "Patient", "id": f"p{number}", "name": [{"family": family}]}


def check_coherence(writer, reader):
    """Bodies, versions, indexes, directory, deletions and bundles, each read elsewhere right after the answer."""
    total = lambda question: reader.get(question).json()["total"]  # noqa: E731 - a word for it
    assert reader.get("Patient/p1").status_code == 404
    assert total("Patient?family=First") == 0
    assert writer.put("Patient/p1", json=patient(1, "First")).status_code == 201
    assert reader.get("Patient/p1").json()["name"][0]["family"] == "First"
    assert total("Patient?family=First") == 1
    for number in range(12):
        assert writer.put(f"Observation/o{number}", json=observation(number, "one")).status_code == 201
        assert reader.get(f"Observation/o{number}").json()["valueString"] == "one"
        assert total("Observation?patient=p1&_total=accurate") == number + 1
        assert total(f"Observation?patient=p1&code={LOINC}|code-{number}&_total=accurate") == 1
    assert writer.put("Observation/o1", json=observation(1, "two")).headers["etag"] == 'W/"2"'
    got = reader.get("Observation/o1")
    assert (got.json()["valueString"], got.headers["etag"]) == ("two", 'W/"2"')
    assert reader.put("Observation/o1", json=observation(1, "x"), headers={"if-match": 'W/"1"'}).status_code == 412
    assert writer.delete("Observation/o2").status_code == 204
    assert reader.get("Observation/o2").status_code == 410
    assert total("Observation?patient=p1&_total=accurate") == 11
    assert writer.put("Patient/p1", json=patient(1, "Second")).status_code == 200
    assert (total("Patient?family=First"), total("Patient?family=Second")) == (0, 1)
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for each in (patient(2, "Third"), observation(20, "three"))
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert writer.post("", json=bundle).status_code == 200
    assert total("Patient?family=Third") == 1
    assert reader.get("Observation/o20").status_code == 200
    made = writer.post("Patient", json=patient(3, "Fourth"))
    assert reader.get(made.headers["location"].partition("/fhir/")[2]).status_code == 200


def test_two_workers(directory):
    """A worker's write is read by the other on its next request, and the other way round; nothing is amiss afterwards."""
    server = Server(directory, "--workers", "2")
    with stopped(server), ExitStack() as stack:
        first, second = one_client_each(stack, server, new_token(directory)[0])
        check_coherence(first, second)
        for number in range(30, 50):
            writer, reader = (first, second) if number % 2 else (second, first)
            assert writer.put(f"Observation/o{number}", json=observation(number, "x")).status_code == 201
            assert reader.get("Observation?patient=p1&_total=accurate&_count=0").json()["total"] == 12 + number - 29
    assert json.loads(medlock(directory, "verify", "--json").stdout) == {"well": True, "findings": []}


def test_two_servers_on_one_database(store, tmp_path):
    """They share a keystore; writes, tokens and erasures of one are those of the other on its next request."""
    keys = {"MEDLOCK_KEYSTORE_DIR": str(tmp_path / "keys"), "MEDLOCK_STORE": store}
    (tmp_path / "passphrase").write_text("correct horse battery staple\n")
    (tmp_path / "passphrase").chmod(0o600)
    keys["MEDLOCK_PASSPHRASE_FILE"] = str(tmp_path / "passphrase")
    one, two = (Server(tmp_path / name, more=keys) for name in ("one", "two"))
    assert not (tmp_path / "one/keystore.db").exists()
    assert (tmp_path / "one/store.id").read_text() == (tmp_path / "two/store.id").read_text()
    made = medlock(tmp_path / "two", "token", "create", "--json", "--role", "clinician", more=keys)
    issued = json.loads(made.stdout)
    with stopped(one, two), one.client(issued["token"]) as first, two.client(issued["token"]) as second:
        assert process_of(first) != process_of(second)
        check_coherence(first, second)
        for client, server in ((first, one), (second, two)):
            assert client.get(server.ready["url"] + "/readyz").status_code == 200
        check_again = second.put("Patient/p9", json=patient(9, "Ninth")).status_code
        assert (check_again, first.get("Patient/p9").status_code) == (201, 200)
        assert medlock(tmp_path / "one", "shred", "p9", "--yes", more=keys).returncode == 0
        assert {first.get("Patient/p9").status_code, second.get("Patient/p9").status_code} == {404}
        assert medlock(tmp_path / "two", "token", "revoke", issued["id"], more=keys).returncode == 0
        assert {first.get("Patient/p1").status_code, second.get("Patient/p1").status_code} == {401}
    done = medlock(tmp_path / "one", "verify", "--json", more=keys)
    assert json.loads(done.stdout) == {"well": True, "findings": []}


def test_a_directory_bound_to_another_keystore_is_refused(tmp_path):
    """A data directory remembers its keystore."""
    first = {"MEDLOCK_KEYSTORE_DIR": str(tmp_path / "keys")}
    server = Server(tmp_path / "data", more=first)
    assert server.stop() == (0, "")
    done = medlock(tmp_path / "data", "serve", "--port", "0", more={"MEDLOCK_KEYSTORE_DIR": str(tmp_path / "others")})
    assert done.returncode == 3
