"""Every audit of a release that was ever run, a line each: JSON Lines that are only appended to, under a lock."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import orjson

from medlock.errors import SetupError


def remember(path: Path, run: dict[str, Any]) -> list[dict[str, Any]]:
    """Append a run and return all runs, oldest first. Raises SetupError for a file that is no trend."""
    try:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
    except OSError as error:
        msg = f"The trend {path} cannot be opened: {error.strerror}."
        raise SetupError(msg) from None
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        data = file.read()
        whole = data[: data.rfind(b"\n") + 1]  # a line cut short was never acknowledged
        runs = [_run(line, number, path) for number, line in enumerate(whole.splitlines(), 1)]
        file.truncate(len(whole))
        file.seek(len(whole))
        file.write(orjson.dumps(run) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return [*runs, run]


def last_run(path: Path) -> dict[str, Any] | None:
    """The newest run in a trend, None while there is none. Raises SetupError for a file that is no trend."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        msg = f"The trend {path} cannot be opened: {error.strerror}."
        raise SetupError(msg) from None
    lines = data[: data.rfind(b"\n") + 1].splitlines()
    found = _run(lines[-1], len(lines), path) if lines else None
    if found is not None and not ("at" in found and "sha256" in found.get("release", ())):
        msg = f"Line {len(lines)} of {path} is not a run of an audit; name another file for the trend."
        raise SetupError(msg)
    return found


def _run(line: bytes, number: int, path: Path) -> dict[str, Any]:
    try:
        found = orjson.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict) or "risks" not in found:
        msg = f"Line {number} of {path} is not a run of an audit; name another file for the trend."
        raise SetupError(msg)
    return found
