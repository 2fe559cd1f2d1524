"""Planted markers: whatever a caller sends or a record holds, none of it reaches metrics, traces or the operator's log."""

import random
import socket
import urllib.request

from acceptance.markers import Mint, record, transaction
from web.collector import Collector
from web.running import Server, new_token


def every_spelling(marker):
    """As text and as what a percent-encoded or JSON-escaped address would hold of it."""
    return {marker.encode(), marker.encode("ascii", "ignore")}


def provoke(server, token, mint):
    """Requests of every kind and outcome, full of markers."""
    resources = record(mint)
    text = lambda: mint.text("sent")  # noqa: E731 - a word for it
    patient, observation = resources[0]["id"], resources[1]["id"]
    with server.client(token) as client:
        assert client.post("", json=transaction(resources)).status_code == 200
        client.headers["user-agent"] = text()
        client.headers["x-request-id"] = text()
        client.headers["traceparent"] = f"00-{text()}-{text()}-01"
        client.headers["tracestate"] = f"{text()}={text()}"
        client.headers["baggage"] = f"patient={text()}"
        answers = [
            client.get(f"Patient/{patient}"),
            client.get(f"Observation/{observation}/_history/1"),
            client.get(f"Observation/{observation}/_history"),
            client.get("Observation", params={"patient": patient, "code": text()}),
            client.get("Patient", params={"name": text(), "_count": "5"}),
            client.post("Patient/_search", data={"identifier": f"urn:clinic|{text()}"}),
            client.get(f"Patient/{patient}/$everything"),
            client.get(f"Patient/{text()}"),
            client.get(f"Observation?{text()}={text()}"),
            client.get(f"{text()}/{text()}/{text()}"),
            client.post("Patient", json={"resourceType": "Patient", text(): text()}),
            client.post("Patient", content=f'{{"resourceType":"{text()}'),
            client.put(f"Patient/{text()}", json={"resourceType": "Patient", "id": text()}),
            client.put(f"Patient/{patient}", json=resources[0], headers={"if-match": f'W/"{text()}"'}),
            client.request(text().upper(), f"Patient/{patient}"),
            client.options(f"Patient/{patient}"),
            client.delete(f"Observation/{observation}"),
            client.get(f"Observation/{observation}"),
            client.get(f"https://localhost:{server.ready['url'].rpartition(':')[2]}/{text()}"),
        ]
    with server.client(text()) as client:
        answers.append(client.get(f"Patient/{patient}"))
    assert {200, 400, 401, 404, 405, 410, 412, 422} <= {answer.status_code for answer in answers}
    return token


def test_no_marker_is_told(tmp_path):
    """Two thousand bytes of names, ids, values and headers go in; the three channels hold not one of them."""
    mint = Mint(random.Random(20))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "log"
    with Collector().listening() as collector:
        server = Server(
            tmp_path / "data",
            *("--workers", "2", "--admin", f"127.0.0.1:{port}", "--log-requests"),
            log=log,
            more={"MEDLOCK_OTLP_ENDPOINT": collector.endpoint},
        )
        token, _ = new_token(tmp_path / "data")
        provoke(server, token, mint)
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read()
        assert server.stop()[0] == 0
    sent = "".join(collector.headers).encode() + b"".join(collector.bodies)
    told = {"metrics": metrics, "log": log.read_bytes(), "traces": sent}
    assert len(mint.all()) > 80
    for channel, content in told.items():
        assert len(content) > 1_000, channel
        for marker in (*mint.all(), token):
            for spelling in every_spelling(marker):
                assert spelling not in content, (channel, marker)
                assert spelling.lower() not in content.lower(), (channel, marker)
