"""The setting that asks for a treatment relationship, on a running server with two workers."""

import json

from web.running import Server, medlock, new_token

PATIENT = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Peano"}]}


def furnished(directory):
    """A store with one patient, and tokens of a program and of a clinician who is nobody's practitioner."""
    system, _ = new_token(directory, "--role", "backend", "--scope", "system/*.cruds")
    return system, new_token(directory)[0]


def test_required_holds_for_a_token_that_names_nobody(tmp_path):
    """A clinician's token of the command line treats nobody: every patient is as if not there. Programs are not asked."""
    directory = tmp_path / "data"
    system, clinician = furnished(directory)
    server = Server(directory, "--workers", "2", more={"MEDLOCK_RELATIONSHIP": "required"})
    with server.client(system) as program, server.client(clinician) as doctor:
        assert program.put("/Patient/p1", json=PATIENT).status_code == 201
        assert program.get("/Patient/p1").status_code == 200
        there, missing = doctor.get("/Patient/p1"), doctor.get("/Patient/nobody")
        assert (there.status_code, there.content) == (404, missing.content)
        assert doctor.get("/Patient?name=Peano").json()["total"] == 0
        assert doctor.get("/Patient/p1/$access-reasons").status_code == 404
        assert doctor.put("/Patient/p1", json=PATIENT).content == doctor.put("/Patient/p2", json=PATIENT).content
    assert server.stop()[0] == 0
    assert "relationship-open" not in server.errors


def test_an_open_server_says_so_once(tmp_path):
    """At the start, whatever the number of workers; and the operation tells that nothing hangs on it."""
    directory = tmp_path / "data"
    system, clinician = furnished(directory)
    server = Server(directory, "--workers", "2")
    with server.client(system) as program, server.client(clinician) as doctor:
        program.put("/Patient/p1", json=PATIENT)
        told = doctor.get("/Patient/p1/$access-reasons").json()
        assert told["parameter"] == [{"name": "relationship", "valueCode": "open"}]
    assert server.stop() == (0, "")
    lines = [json.loads(line) for line in server.errors.splitlines()]
    assert [line["event"] for line in lines] == ["relationship-open"]


def test_a_setting_that_is_none_stops_the_start(tmp_path):
    """With the sentence of what it is."""
    directory = tmp_path / "data"
    furnished(directory)
    done = medlock(directory, "serve", "--port", "0", more={"MEDLOCK_RELATIONSHIP": "yes"})
    assert (done.returncode, "MEDLOCK_RELATIONSHIP is open or required" in done.stderr) == (3, True)
