"""The operator's log: one JSON line on stderr for each fault, and for each request when that is asked for.

It is not the audit log. docs/spec/operator-log.md is its schema. A request's line holds method, route template,
interaction, status, milliseconds and request id; a fault's, the kind of exception and the places it passed through.
Never an address, a query, a header, a message or a value: those may be patient data.
"""

from __future__ import annotations

import logging
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import orjson

from medlock.clock import Clock, instant

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER_METHOD = "other"  # a method is a word of the caller's choosing
NO_INTERACTION = "none"  # it was refused before anybody knew
CAPABILITIES = "capabilities"


class Told(StrEnum):
    """What a line is about."""

    REQUEST = "request"
    FAULT = "fault"
    SERVER = "server"
    WORKER_DIED = "worker-died"
    CRASH_LOOP = "crash-loop"
    BROKER_DIED = "broker-died"
    BROKER_DOWN = "broker-does-not-start"
    RELOADED = "reloaded"
    RELOAD_FAILED = "reload-failed"
    LIMITS_ALONE = "limits-alone"
    MANY_PATIENTS = "many-patients"
    WITHOUT_PKCE = "clients-without-pkce"
    RELATIONSHIP_OPEN = "relationship-open"


class Sink(Protocol):
    """Where lines go."""

    def write(self, line: str, /) -> object:
        """Take one line."""

    def flush(self) -> object:
        """Let it be seen."""


@dataclass(frozen=True, slots=True)
class Line:
    """One request as the operator sees it."""

    method: str
    route: str
    interaction: str
    status: int
    ms: float
    request: str
    trace: str = ""


class OpLog:
    """Writes lines to `sink`, by default to stderr; requests only when `requests` is set."""

    def __init__(self, clock: Clock, sink: Sink | None = None, *, worker: int = 0, requests: bool = False) -> None:
        self.requests = requests
        self._worker = worker
        self._clock = clock
        self._sink = sys.stderr if sink is None else sink

    def request(self, line: Line) -> None:
        """Note an answered request."""
        self._write(
            Told.REQUEST,
            method=line.method,
            route=line.route,
            interaction=line.interaction,
            status=line.status,
            ms=round(line.ms, 2),
            request=line.request,
            **({"trace": line.trace} if line.trace else {}),
        )

    def fault(self, error: BaseException, request: str) -> None:
        """Note something that should not have happened, without its message: messages quote values."""
        frames = traceback.extract_tb(error.__traceback__)[-12:]
        places = [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
        self._write(Told.FAULT, kind=type(error).__name__, places=places, request=request)

    def notice(self, event: Told, **facts: str | float) -> None:
        """Note something about the server itself, such as that it started."""
        self._write(event, **facts)

    def _write(self, event: Told, **facts: object) -> None:
        """One JSON line. A disk that takes no more lines is no reason not to answer: answers wait for the audit log."""
        line = orjson.dumps({"time": instant(self._clock.now_ms()), "event": event, "worker": self._worker, **facts})
        with suppress(OSError):
            self._sink.write(line.decode() + "\n")
            self._sink.flush()


class ServerLog(logging.Handler):
    """Passes the HTTP server's own errors on to the operator's log: the text as written in its source, no values.

    Its warnings are left out: strangers cause them at will, by sending what is not HTTP.
    """

    def __init__(self, log: OpLog) -> None:
        super().__init__(logging.ERROR)
        self._log = log

    @classmethod
    def attach(cls, log: OpLog) -> None:
        """Stand in for all other handlers of the server's and the event loop's logs."""
        for name in ("uvicorn.error", "asyncio", "opentelemetry"):
            logger = logging.getLogger(name)
            logger.handlers[:] = [cls(log)]
            logger.setLevel(logging.ERROR)
            logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        """One line."""
        if record.exc_info and record.exc_info[1] is not None:
            self._log.fault(record.exc_info[1], "server")
        else:
            self._log.notice(Told.SERVER, text=str(record.msg).strip())
