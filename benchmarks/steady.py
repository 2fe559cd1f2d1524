"""Requests at a steady rate, whatever the server does: latency counts from when a request was due.

A closed loop would ask less while the server is slow, and so hide it. Own sockets under one epoll, as in `client`.
"""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Sequence
from time import perf_counter_ns
from typing import Any

from client import Connection
from servers import Server

_LINES = 16


def steady(server: Server, requests: Sequence[bytes], rate: float, seconds: float) -> dict[str, Any]:
    """Send `rate` requests a second; latencies in milliseconds."""
    lines = [Connection(server.host, server.port, None) for _ in range(_LINES)]
    run = _Steady(lines, requests, rate, seconds)
    try:
        return run.result()
    finally:
        for line in lines:
            line.sock.close()


class _Steady:
    """One run. `late` are requests that are due while every connection is busy."""

    def __init__(self, lines: list[Connection], requests: Sequence[bytes], rate: float, seconds: float) -> None:
        self._requests = requests
        self._step = int(1e9 / rate)
        self._count = int(rate * seconds)
        self._free = deque(lines)
        self._by_number = {line.sock.fileno(): line for line in lines}
        self._due: dict[Connection, int] = {}
        self._latencies: list[int] = []
        self._failed = 0
        self._poll = select.epoll()
        for number in self._by_number:
            self._poll.register(number, select.EPOLLIN)

    def result(self) -> dict[str, Any]:
        """Run it; the figures."""
        began, sent = perf_counter_ns(), 0
        while len(self._latencies) < self._count:
            due = began + sent * self._step
            if sent < self._count and due <= perf_counter_ns() and self._free:
                line = self._free.popleft()
                line.send(self._requests[sent % len(self._requests)])
                self._due[line] = due
                sent += 1
            else:
                self._take(due if sent < self._count and self._free else None)
        ordered = sorted(self._latencies)
        at = {
            f"p{share}_ms": ordered[min(len(ordered) - 1, len(ordered) * share // 100)] / 1e6 for share in (50, 95, 99)
        }
        return {"answers": len(ordered), "failed": self._failed, "worst_ms": ordered[-1] / 1e6, **at}

    def _take(self, until: int | None) -> None:
        """Wait for answers, at most until a request is due."""
        wait = None if until is None else max(0.0, (until - perf_counter_ns()) / 1e9)
        for number, _ in self._poll.poll(wait):
            line = self._by_number[number]
            status = line.receive()
            if status:
                self._latencies.append(perf_counter_ns() - self._due.pop(line))
                self._failed += not 200 <= status < 300
                self._free.append(line)
