"""Keys are rotated by a command beside a server with two workers that is read, searched and written to."""

import json
import threading

from web.running import medlock, new_token, running

WRITERS, READS = 3, 12
PATIENTS = tuple(f"p{n}" for n in range(6))


def observation(who, number):
    """One of a patient's observations."""
    return {
        "resourceType": "Observation",
        "id": f"{who}-{number}",
        "status": "final",
        "code": {"text": "x" * (40 * number + 1)},
        "subject": {"reference": f"Patient/{who}"},
        "valueString": f"{who} {number}",
    }


def found(server):
    """Records in it."""
    with server.client(server.token) as client:
        for who in PATIENTS:
            assert client.put(f"Patient/{who}", json={"resourceType": "Patient", "id": who}).status_code == 201
            for number in range(READS):
                made = client.put(f"Observation/{who}-{number}", json=observation(who, number))
                assert made.status_code == 201


def read(server, over, wrong):
    """Read and search until told to stop; what is not as it was written goes into `wrong`."""
    with server.client(server.token) as client:
        while not over.is_set():
            for who in PATIENTS:
                for number in range(READS):
                    shown = client.get(f"Observation/{who}-{number}")
                    if shown.status_code != 200 or shown.json()["valueString"] != f"{who} {number}":
                        wrong.append((who, number, shown.status_code, shown.text))
                listed = client.get("Observation", params={"patient": who, "_count": "100"})
                if listed.status_code != 200 or len(listed.json()["entry"]) < READS:
                    wrong.append((who, listed.status_code, listed.text))


def write(server, over, wrong, name, written):
    """Write until told to stop; every write must be taken, and each version be one more."""
    with server.client(server.token) as client:
        while not over.is_set():
            number = written.get(name, 0)
            who = PATIENTS[number % len(PATIENTS)]
            done = client.put(f"Observation/{name}", json=observation(who, 1) | {"id": name})
            if done.status_code not in (200, 201):
                wrong.append((name, done.status_code, done.text))
                continue
            written[name] = number + 1
            over.wait(0.02)


def test_nobody_notices(tmp_path):
    """Two rotations of all keys: no read, search or write fails or is lost, and verification finds nothing."""
    directory, over, wrong, written = tmp_path / "data", threading.Event(), [], {}
    with running(directory, "--workers", "2") as server:
        server.token = new_token(directory)[0]
        found(server)
        threads = [threading.Thread(target=read, args=(server, over, wrong)) for _ in range(2)]
        threads += [
            threading.Thread(target=write, args=(server, over, wrong, f"w{n}", written)) for n in range(WRITERS)
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in range(2):
                done = medlock(directory, "keys", "rotate", "--all", "--json")
                assert done.returncode == 0, done.stderr
                assert json.loads(done.stdout)["patients"] == len(PATIENTS)
                checked = medlock(directory, "verify", "--json")
                assert json.loads(checked.stdout)["findings"] == []
        finally:
            over.set()
            for thread in threads:
                thread.join()
        assert wrong == []
        with server.client(server.token) as client:
            for name, versions in written.items():
                assert client.get(f"Observation/{name}").json()["meta"]["versionId"] == str(versions)
    assert min(written.values()) > READS
    assert medlock(directory, "verify").returncode == 0
