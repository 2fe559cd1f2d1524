"""What consents cost over HTTP: two servers with the same records, the one with a consent of every patient.

get     GET Patient/{id}, protected, for a caller whom each patient's consent permits, divided by the same without
labels  a page of 50 Observations of a patient with 5,000, of which labels hide a tenth; against the same patient
        without a consent, in the same server: time divided by time
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from corpus import Corpus
from http_reads import fetch_patients, run_rounds
from rounds import ratios
from servers import Bench, Server, make_token
from verdict import measure

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from consent import form

MANY = 5_000
_HIDES = {"type": "permit", "provision": [{"type": "deny", "securityLabel": ["HIV"]}]}
_SYSTEM = ("--role", "backend", "--scope", "system/*.cruds")
_STEP = 500


def guarded_measures(bench: Bench, corpus: Corpus, *, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """Both."""
    with ExitStack() as running:
        directories = {name: bench.fresh(name) for name in ("guarded", "open")}
        servers = [running.enter_context(bench.medlock(place, name=name)) for name, place in directories.items()]
        for server in servers:
            bench.ask(server, [server.post("", bundle) for bundle in corpus.put], once=True, connections=1)
        patients = fetch_patients(servers[0])
        writer = _as_program(servers[0], directories["guarded"])
        _post(bench, writer, [_consent(each) for each in patients])
        requests = {server.name: [server.get(f"Patient/{each}") for each in patients] for server in servers}
        gets = run_rounds(bench, servers, requests, rounds, seconds)
        pages = _pages(bench, servers[0], writer, rounds, seconds)
    reads, labels = ratios(gets, "guarded", "open"), ratios(pages, "plain", "labelled")
    return [
        measure("consent_get", reads["by_wall"], **reads, **gets),
        measure("consent_labels", labels["by_wall"], **labels, **pages),
    ]


def _pages(bench: Bench, server: Server, writer: Server, rounds: int, seconds: float) -> dict[str, Any]:
    """Pages of two patients who differ in nothing but that the one has a consent."""
    for patient in ("labelled", "plain"):
        _post(bench, writer, [{"resourceType": "Patient", "id": patient}])
        _post(bench, writer, [_observation(patient, number) for number in range(MANY)])
    _post(bench, writer, [_consent("labelled")])
    alike = [Server(name, *_place(server)) for name in ("labelled", "plain")]
    requests = {each.name: [server.get(f"Observation?patient={each.name}&_count=50")] * 8 for each in alike}
    return run_rounds(bench, alike, requests, rounds, seconds, connections=8)


def _place(server: Server) -> tuple[str, int, str | None, str, int]:
    return server.host, server.port, server.ca, server.token, server.pid


def _as_program(server: Server, directory: Path) -> Server:
    """The same server for a program that may write consents."""
    host, port, ca, _, pid = _place(server)
    return Server("writer", host, port, ca, make_token(directory, *_SYSTEM), pid)


def _post(bench: Bench, server: Server, resources: list[dict[str, Any]]) -> None:
    entries = [
        {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
        for each in resources
    ]
    bundles = [
        json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries[start : start + _STEP]}).encode()
        for start in range(0, len(entries), _STEP)
    ]
    bench.ask(server, [server.post("", each) for each in bundles], once=True, connections=1)


def _consent(patient: str) -> dict[str, Any]:
    return form.consent({"patient": patient, "provision": _HIDES}) | {"id": f"consent-{patient}"}


def _observation(patient: str, number: int) -> dict[str, Any]:
    """One in ten is of what is hidden."""
    code = "56888-1" if number % 10 == 0 else "8867-4"
    return {
        "resourceType": "Observation",
        "id": f"{patient}-{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": f"2024-01-{number % 28 + 1:02}",
    }
