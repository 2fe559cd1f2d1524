"""An answer in one write: head and body together, on a connection of ours.

ASGI has an answer sent in two messages, and uvicorn takes each header apart, checks it, and writes twice. Our
answers are whole when they are sent and eight headers of every one are the same, so those are joined once and the whole
goes out in one system call and one TLS record. `BoundedProtocol` offers this to the application as an ASGI extension;
where it is not offered, answers go the ordinary way.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from medlock.web.headers import RawHeaders

EXTENSION = "medlock.whole"
Whole = Callable[[bytes, bytes], bool]
"""Sends head (without the blank line) and body; whether it did: else send it the ordinary way."""

_STATUS = {code.value: f"HTTP/1.1 {code.value} {code.phrase}\r\n".encode() for code in HTTPStatus}
_COPIED_MAX = 64 * 1_024  # a larger body is not copied behind its head


def offer(scope: Any, cycle: RequestResponseCycle) -> None:
    """Tell the application that this request can be answered in one write."""
    scope["extensions"] = {EXTENSION: partial(_send, cycle)}


def offered(scope: Scope) -> Whole | None:
    """The way to answer in one write, where there is one. Taken out of the scope, which it leads back to."""
    extensions = scope.pop("extensions", None)
    return None if extensions is None else extensions.get(EXTENSION)


def block(headers: RawHeaders) -> bytes:
    """Headers as they go over the wire. Raises ValueError for one that would end its line itself."""
    lines = b"".join([b"%b: %b\r\n" % header for header in headers])
    if lines.count(b"\n") != len(headers) or lines.count(b"\r") != len(headers):
        raise ValueError("a header holds a line break")
    return lines


def head(status: int, fixed: bytes, headers: RawHeaders) -> bytes:
    """Status line and headers; `fixed` is a block made before."""
    return _STATUS[status] + fixed + block(headers)


def _send(cycle: RequestResponseCycle, top: bytes, body: bytes) -> bool:
    """What `RequestResponseCycle.send` does for the two messages of one answer, in one go."""
    if cycle.flow.write_paused or cycle.response_started or cycle.disconnected:
        return False
    closing = b"" if cycle.keep_alive else b"connection: close\r\n"
    top = b"".join((top, block(cycle.default_headers), closing, b"\r\n"))
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    _write(cycle.transport, top, body)
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True


def _write(transport: Any, top: bytes, body: bytes) -> None:
    if len(body) <= _COPIED_MAX:
        transport.write(top + body)
    else:
        transport.writelines((top, body))
