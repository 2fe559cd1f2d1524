"""uvicorn's HTTP/1.1 protocol with bounds that it lacks: on the size of a request's head, and on its time.

Without them a client could send header lines for ever, or one byte a minute, and hold memory and a connection. A
head that arrives whole, as nearly all do, costs one comparison.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from medlock.web.whole import offer

HEAD_BYTES = 64 * 1_024
HEAD_SECONDS = 20
FAREWELL_SECONDS = 1


class Connections(ServerState):
    """The connections of one server; `leaving` when it takes no new ones and answers one more request on each."""

    leaving = False


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A head that is too long gets 400; one that is too slow is cut off."""

    _in_head = True
    _head_bytes = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start the clock for the first request."""
        super().connection_made(transport)
        self._start_clock()
        if self._leaving:  # it was accepted, or shook hands, when the end was called
            self.shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_clock()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Let a running request finish, and one that is on its way: a client that has just sent it must not lose it.

        Idle clients hear of the end a second later, and the server does not wait for their answer: they keep
        connections in pools and look at them only when they next ask; TLS would wait half a minute.
        """
        if self._idle:
            self.loop.call_later(FAREWELL_SECONDS, self._farewell)
        else:
            super().shutdown()

    def _farewell(self) -> None:
        """Nothing came."""
        if self._idle:
            self.transport.close()
            self.loop.call_later(FAREWELL_SECONDS, self.transport.abort)

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    @property
    def _leaving(self) -> bool:
        return isinstance(self.server_state, Connections) and self.server_state.leaving

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
            if self._leaving:
                self.cycle.keep_alive = False

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
