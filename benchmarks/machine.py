"""The machine under measurement: what it is, which core does what, and what a process has used of it."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = _CORES[0], _CORES[-1]
"""Servers and everything measured in process run on the first core, the client on the last."""


def facts() -> dict[str, Any]:
    """What the figures depend on."""
    model = next((line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if "model name" in line), "")
    return {
        "cpu": model,
        "cores": len(_CORES),
        "system": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
        "sqlite": sqlite3.sqlite_version,
        **{name: version(name) for name in ("cryptography", "starlette", "uvicorn", "uvloop", "numpy", "orjson")},
        "load_average": os.getloadavg(),
    }


@contextmanager
def pinned(*cores: int) -> Iterator[None]:
    """Run on these cores, and let processes started meanwhile inherit that."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_ns(pid: int) -> int:
    """CPU time of all threads of a process, in nanoseconds, as the scheduler counts it."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def children(pid: int) -> list[int]:
    """Processes that this one started: a server's workers."""
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    return next(int(line.split()[1]) for line in _lines(f"/proc/{pid}/status") if line.startswith("VmRSS")) * 1024


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def peak_mb() -> float:
    """The most memory this process had resident, in MB. getrusage's peak is inherited from who started the process."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
