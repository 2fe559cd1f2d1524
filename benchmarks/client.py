"""The load client: a process of its own that keeps connections busy and counts answers.

Closed loop: each connection sends its next request when the answer to the last is whole. Non-blocking sockets under one
epoll, no event loop and no HTTP library, so that the client costs far less than any server it measures. Jobs come as
JSON lines on stdin, results go as JSON lines to stdout. CPU time of the server is read at both ends of the timed
window, from the scheduler's own count in nanoseconds.
"""

from __future__ import annotations

import json
import select
import socket
import ssl
import sys
from pathlib import Path
from time import perf_counter_ns, process_time_ns
from typing import Any

import msgspec
from machine import cpu_ns

_STUCK_SECONDS = 60
_CHUNK = 1 << 18


class Connection:
    """One kept-alive connection with at most one request under way."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        sock = socket.create_connection((host, port), timeout=_STUCK_SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock if context is None else context.wrap_socket(sock, server_hostname="localhost")
        self.sock.setblocking(False)
        self.sent = 0
        self._got = b""
        self._whole = 0

    def send(self, request: bytes) -> None:
        """Send a request; what the socket does not take at once is sent blocking."""
        self._got, self._whole = b"", 0
        self.sent = perf_counter_ns()
        done = self.sock.send(request[:_CHUNK])
        if done < len(request):
            self.sock.setblocking(True)
            self.sock.sendall(request[done:])
            self.sock.setblocking(False)

    def receive(self) -> int:
        """Take what is there; the status once the answer is whole, 0 before."""
        while True:
            try:
                data = self.sock.recv(_CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError):
                return 0
            if not data:
                raise ConnectionError("the server closed the connection")
            self._got = self._got + data if self._got else data
            if not self._whole:
                self._whole = _length(self._got)
            if self._whole and len(self._got) >= self._whole:
                return int(self._got[9:12])


def _length(got: bytes) -> int:
    """How long the whole answer will be, 0 while its head is not there."""
    end = got.find(b"\r\n\r\n")
    if end < 0:
        return 0
    at = got.find(b"content-length: ", 0, end)
    return end + 4 + (int(got[at + 16 : got.index(b"\r", at)]) if at >= 0 else 0)


class Run:
    """One job: requests over some connections, for a time or each exactly once."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._job = job
        self._requests: list[bytes] = msgspec.msgpack.decode(Path(job["requests"]).read_bytes(), type=list[bytes])
        self._next = 0
        self._latencies: list[int] = []
        self._failed = 0

    def result(self) -> dict[str, Any]:
        """Run it; the counts."""
        job = self._job
        context = ssl.create_default_context(cafile=job["ca"]) if job["ca"] else None
        lines = [Connection(job["host"], job["port"], context) for _ in range(job["connections"])]
        poll = select.epoll()
        by_number = {line.sock.fileno(): line for line in lines}
        for number in by_number:
            poll.register(number, select.EPOLLIN)
        busy = self._start(lines)
        if job["warm"]:
            busy = self._turn(poll, by_number, busy, job["warm"])
            self._latencies, self._failed = [], 0
        cpu, ours, began = self._server_cpu(), process_time_ns(), perf_counter_ns()
        busy = self._turn(poll, by_number, busy, job["seconds"])
        ended, cpu_after, ours_after = perf_counter_ns(), self._server_cpu(), process_time_ns()
        answers = len(self._latencies)
        self._drain(poll, by_number, busy)
        counts = self._counts(answers, ended - began, cpu_after - cpu)
        return counts | {"client_us": (ours_after - ours) / 1000 / answers}

    def _server_cpu(self) -> int:
        """What the server's processes have used."""
        return sum(cpu_ns(pid) for pid in self._job["pids"])

    def _start(self, lines: list[Connection]) -> int:
        started = 0
        for line in lines:
            request = self._take()
            if request is not None:
                line.send(request)
                started += 1
        return started

    def _take(self) -> bytes | None:
        """The next request; around again, or None after the last when each is wanted once."""
        if self._next == len(self._requests):
            if self._job["once"]:
                return None
            self._next = 0
        self._next += 1
        return self._requests[self._next - 1]

    def _turn(self, poll: select.epoll, lines: dict[int, Connection], busy: int, seconds: float) -> int:
        """Answer and ask until the time is over (or, when each is wanted once, until all are answered)."""
        until = perf_counter_ns() + int(seconds * 1e9)
        while busy and (self._job["once"] or perf_counter_ns() < until):
            for number, _ in self._ready(poll):
                line = lines[number]
                if self._note(line):
                    request = self._take()
                    if request is None:
                        busy -= 1
                    else:
                        line.send(request)
        return busy

    def _ready(self, poll: select.epoll) -> list[tuple[int, int]]:
        ready = poll.poll(_STUCK_SECONDS)
        if not ready:
            raise TimeoutError(f"no answer for {_STUCK_SECONDS} seconds")
        return ready

    def _note(self, line: Connection) -> bool:
        status = line.receive()
        if not status:
            return False
        self._latencies.append(perf_counter_ns() - line.sent)
        self._failed += not 200 <= status < 300
        return True

    def _drain(self, poll: select.epoll, lines: dict[int, Connection], busy: int) -> None:
        """Wait for the answers that are under way, then hang up."""
        while busy:
            for number, _ in self._ready(poll):
                busy -= self._note(lines[number])
        for line in lines.values():
            line.sock.close()

    def _counts(self, answers: int, wall: int, cpu: int) -> dict[str, Any]:
        ordered = sorted(self._latencies[:answers])
        at = {f"p{share}_us": ordered[min(answers - 1, answers * share // 100)] / 1000 for share in (50, 95, 99)}
        return {
            "answers": answers,
            "failed": self._failed,
            "seconds": wall / 1e9,
            "per_second": answers / (wall / 1e9),
            "cpu_us": cpu / 1000 / answers,
            **at,
        }


def main() -> None:
    """Do jobs until stdin ends."""
    for line in sys.stdin:
        print(json.dumps(Run(json.loads(line)).result()), flush=True)


if __name__ == "__main__":
    main()
