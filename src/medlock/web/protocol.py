"""uvicorn's HTTP/1.1 protocol with bounds that it lacks: on the size of a request's head, and on its time.

Without them a client could send header lines for ever, or one byte a minute, and hold memory and a connection. A
head that arrives whole, as nearly all do, costs one comparison.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from medlock.web.whole import offer

HEAD_BYTES = 64 * 1_024
HEAD_SECONDS = 20
FAREWELL_SECONDS = 1


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A head that is too long gets 400; one that is too slow is cut off."""

    _in_head = True
    _head_bytes = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start the clock for the first request."""
        super().connection_made(transport)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Let a running request finish. An idle client hears of the end, but the server does not wait for its answer.

        Clients keep connections in pools and look at them only when they next ask; TLS would wait half a minute.
        """
        idle = self.cycle is None or self.cycle.response_complete
        super().shutdown()
        if idle:
            self.loop.call_later(FAREWELL_SECONDS, self.transport.abort)

    def on_message_begin(self) -> None:
        """A request starts."""
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        self._in_head = False
        self._head_bytes = 0
        self._stop_clock()
        super().on_headers_complete()
        if self.cycle is not None and self.cycle.scope is self.scope:
            offer(self.scope, self.cycle)

    def data_received(self, data: bytes) -> None:
        """Take bytes; count them when they end inside a head."""
        super().data_received(data)
        if self._in_head:
            self._start_clock()
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of the request is too large.")

    def _start_clock(self) -> None:
        """Unless it runs."""
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _stop_clock(self) -> None:
        """The head is here, or nobody waits for it any more."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        """The head did not arrive in time."""
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()
