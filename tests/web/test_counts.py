"""Counts: places and labels are fixed, sums outlive workers, and only this machine can ask."""

import http.client
import os
import re
import signal
import socket
import urllib.error
import urllib.request
from array import array
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from medlock.errors import SetupError
from medlock.records.vitals import Vitals
from medlock.store.tally import Tally
from medlock.web.admin import administered
from medlock.web.counts import Board, Counts
from medlock.web.metrics import Exposition
from medlock.web.series import CELLS, CLASSES, INTERACTIONS, PLACES, REQUEST_SECONDS, REQUESTS, SERIES
from web.running import Server, children, eventually, medlock, new_token

PAGE = (Path(__file__).parents[2] / "docs/metrics.md").read_text()


def new_board():
    return Board(lambda cells: array("d", bytes(8 * cells)))


def shown(text):
    """Sample name and labels → value."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_series_has_cells_of_its_own():
    """Places do not overlap and end where the array does."""
    ends = [*PLACES.values(), CELLS]
    widths = [series.width * len(list(series.rows())) for series in SERIES]
    assert [after - before for before, after in pairwise(ends)] == widths


@given(
    st.lists(
        st.tuples(st.sampled_from(INTERACTIONS), st.integers(100, 599), st.floats(0, 100)), min_size=1, max_size=30
    )
)
def test_what_is_counted_is_what_is_shown(requests):
    """Each request is in the row of its interaction and class, and below every bound that its time is below."""
    board = new_board()
    counts = Counts(board.seat(1).cells)
    for interaction, status, seconds in requests:
        counts.answered(interaction, status, seconds)
    found = shown(Exposition(board).text().decode())
    for interaction in INTERACTIONS:
        for code in CLASSES:
            times = [
                seconds
                for name, status, seconds in requests
                if name == interaction and f"{min(max(status // 100, 2), 5)}xx" == code
            ]
            labels = (("interaction", interaction), ("status", code))
            assert found.get((f"{REQUESTS.name}_count", *labels), 0) == len(times)
            for bound in REQUEST_SECONDS if times else ():
                below = found[f"{REQUESTS.name}_bucket", labels[0], ("le", str(bound)), labels[1]]
                assert below == sum(seconds <= bound for seconds in times)


def test_refusals_and_alarms_are_shown():
    """Each limit has a place; alarms are counters."""
    board = new_board()
    counts = Counts(board.seat(1).cells)
    for quota in ("user", "user", "people_patients"):
        counts.refused(quota)
    counts.alone()
    counts.crowded()
    found = shown(Exposition(board).text().decode())
    assert found["medlock_limit_refusals_total", ("limit", "user")] == 2
    assert found["medlock_limit_refusals_total", ("limit", "people_patients")] == 1
    assert found["medlock_limit_refusals_total", ("limit", "token")] == 0
    assert found["medlock_limits_alone_total",] == found["medlock_many_patients_total",] == 1


def test_an_interaction_without_a_place_counts_as_none():
    """Whatever text comes there does not become a label."""
    board = new_board()
    Counts(board.seat(1).cells).answered("Jane Doe", 200, 0.1)
    text = Exposition(board).text().decode()
    assert "Jane" not in text
    assert 'medlock_request_seconds_count{interaction="none",status="2xx"} 1.0' in text


def test_sums_outlive_a_worker_and_gauges_do_not():
    """What a worker counted stays when it is gone; what it held does not."""
    board = new_board()
    tally = Tally()
    tally.committed(4, 0.002)
    tally.waiting = 7
    seats = [board.seat(1), board.seat(2)]
    for seat in seats:
        Counts(seat.cells).answered("read", 200, 0.1)
        Counts(seat.cells).sample(Vitals(tally, 10, 20, 30, 5))
    before = shown(Exposition(board).text().decode())
    board.fold(seats[0])
    after = shown(Exposition(board).text().decode())
    sums = [key for key in before if not any(name == "worker" for name, _ in key[1:])]
    assert {key: after[key] for key in sums} == {key: before[key] for key in sums}
    assert after["medlock_key_unwraps_total",] == 10
    assert after["medlock_commit_group_size_sum",] == 8
    assert before["medlock_writer_queue", ("worker", "1")] == 7
    assert ("medlock_writer_queue", ("worker", "1")) not in after
    assert after["medlock_cache_entries", ("cache", "directory"), ("worker", "2")] == 30


def test_the_page_lists_what_there_is():
    """Names, types and labels of docs/metrics.md are those of the table."""
    rows = re.findall(r"^\| `(medlock_\w+)` \| (\w+) \| ([^|]*)\|", PAGE, flags=re.MULTILINE)
    assert {(name, kind, tuple(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows} == {
        (series.name, series.kind.value, tuple(name for name, _ in series.labels)) for series in SERIES
    }


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0:9464", "192.0.2.7:9464", "example.org:1", "[::]:1", "127.0.0.1", "127.0.0.1:99999", ":9464", "x"],
)
def test_an_address_that_others_could_reach_is_refused(address):
    """Loopback or a file, nothing else."""
    with pytest.raises(SetupError), administered(address, new_board()):
        raise AssertionError("it listens")


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    """Only what a server before left behind is replaced; the socket is for owner and group, and goes with the server."""
    path = tmp_path / "admin.sock"
    path.write_text("of somebody else")
    with pytest.raises(SetupError), administered(f"unix:{path}", new_board()):
        raise AssertionError("it listens")
    path.unlink()
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    with administered(f"unix:{path}", new_board()):
        assert path.stat().st_mode & 0o777 == 0o660
        channel = http.client.HTTPConnection("localhost")
        channel.sock = socket.socket(socket.AF_UNIX)
        channel.sock.connect(str(path))
        channel.request("GET", "/metrics")
        assert b"medlock_workers" in channel.getresponse().read()
        channel.close()
    assert not path.exists()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def scrape(port, path="/metrics"):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.read().decode()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_scrape_of_a_running_server(tmp_path, workers):
    """Requests to all workers are in one sum; it does not go back when a worker dies; the public port knows nothing."""
    port = free_port()
    log = tmp_path / "log"
    server = Server(tmp_path / "data", "--workers", str(workers), "--admin", f"127.0.0.1:{port}", log=log)
    token, _ = new_token(tmp_path / "data")
    for number in range(20):
        with server.client(token) as client:  # each on a connection of its own
            client.put(f"Patient/p{number}", json={"resourceType": "Patient", "id": f"p{number}"})
            assert client.get(server.ready["url"] + "/metrics").status_code == 404
    with server.client() as client:
        client.get("metadata")
        client.get("Patient/p1")

    def counted():
        found = shown(scrape(port))
        name = "medlock_request_seconds_count"
        return [
            found.get((name, ("interaction", interaction), ("status", status)))
            for interaction, status in (("update", "2xx"), ("capabilities", "2xx"), ("none", "4xx"))
        ]

    assert eventually(lambda: counted() == [20, 1, 1])
    assert eventually(lambda: shown(scrape(port))["medlock_commit_group_size_sum",] >= 21)
    with pytest.raises(urllib.error.HTTPError):
        scrape(port, "/")
    if workers > 1:
        assert eventually(lambda: shown(scrape(port))["medlock_workers", ("worker", "0")] == 2)
        os.kill(children(server.process.pid)[0], signal.SIGKILL)
        assert eventually(lambda: shown(scrape(port))["medlock_worker_deaths_total",] == 1)
        assert counted() == [20, 1, 1]
        server.tell(signal.SIGHUP)
        assert eventually(
            lambda: (
                shown(scrape(port))["medlock_reloads_total", ("result", "done")] == 1
                and len(children(server.process.pid)) == 2
            )
        )
        assert counted() == [20, 1, 1]
    assert server.stop()[0] == 0


def test_an_admin_port_in_use_is_told(tmp_path):
    """The server does not start without what it was asked for."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = medlock(tmp_path / "data", "serve", "--port", "0", "--admin", f"127.0.0.1:{taken.getsockname()[1]}")
    assert done.returncode == 3
    assert "administrator's address" in done.stderr
