"""Serving: uvicorn with our bounds, one process or several on one socket, ready when it says so, gone when asked.

The order of a start: lock the data directory, take the port, make certificates, open the store in each worker, accept,
and only then print one JSON line with the address. SIGTERM and SIGINT stop accepting, let running requests finish
within `drain_seconds`, cut those that do not with an answer that says so, close the store, and end with code 0.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import dataclass, replace

import uvicorn
import uvloop
from starlette.types import ASGIApp

from medlock.clock import Clock
from medlock.errors import MedlockError
from medlock.settings import Settings
from medlock.web.oplog import OpLog, ServerLog, Told
from medlock.web.protocol import FAREWELL_SECONDS, BoundedProtocol, Connections
from medlock.web.seat import Seat
from medlock.web.tls import TlsFiles, load_chain, prepare_tls, server_context

KEEP_ALIVE_SECONDS = 75
RENEWAL_SECONDS = 12 * 3_600
_FAREWELL_TURNS = 50
_STOP = (signal.SIGINT, signal.SIGTERM)

Build = Callable[[Settings, Seat], AbstractAsyncContextManager[ASGIApp]]


@dataclass(frozen=True, slots=True)
class Serving:
    """What one process serves: settings with the real port, how to open the site, certificate files or None."""

    settings: Settings
    build: Build
    tls: TlsFiles | None


@dataclass(frozen=True, slots=True)
class Words:
    """Whom a serving process tells that it accepts and that it will end; whether SIGHUP is meant for it."""

    accepting: Callable[[], None]
    stopping: Callable[[], None] = lambda: None
    reload: bool = False


class _Server(uvicorn.Server):
    """uvicorn that tells when it accepts, and that ends by returning instead of by the signal it was sent."""

    def __init__(self, config: uvicorn.Config, words: Words) -> None:
        super().__init__(config)
        self.server_state = self._connections = Connections()
        self._words = words

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        if self.started:
            self._words.accepting()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain; what was cut short at the end of its time is still told so."""
        self._words.stopping()
        self._connections.leaving = True
        await super().shutdown(sockets)
        for _ in range(_FAREWELL_TURNS):
            if not self._connections.connections:
                return
            await asyncio.sleep(FAREWELL_SECONDS / _FAREWELL_TURNS)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM. Not raised again afterwards: the store must still be closed."""
        loop = asyncio.get_running_loop()
        for number in _STOP:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in _STOP:
                loop.remove_signal_handler(number)


class Worker:
    """One serving process."""

    def __init__(self, serving: Serving, seat: Seat) -> None:
        self._serving = serving
        self._seat = seat
        self._log = OpLog(Clock(), worker=seat.number)

    def run(self, listener: socket.socket, words: Words) -> None:
        """Serve until told to stop. A crash leaves no core file: memory holds keys and records."""
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve(listener, words))

    async def _serve(self, listener: socket.socket, words: Words) -> None:
        """Open the site, serve it, close it."""
        serving = self._serving
        context = None if serving.tls is None else server_context(serving.tls)
        async with serving.build(serving.settings, self._seat) as site:
            _settle_memory()
            ServerLog.attach(self._log)
            server = _Server(_config(site, context, serving.settings.drain_seconds), words)
            renewal = asyncio.create_task(self._renew(context, reload=words.reload))
            try:
                await server.serve(sockets=[listener])
            finally:
                renewal.cancel()
                with suppress(asyncio.CancelledError):
                    await renewal

    async def _renew(self, context: ssl.SSLContext | None, *, reload: bool) -> None:
        """Keep the certificate fresh in a server that runs for years; new connections get the new one.

        SIGHUP does it at once. A lone process cannot take other settings while it serves: that takes two workers.
        """
        asked = asyncio.Event()
        if reload:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(asked.wait(), RENEWAL_SECONDS)
            told = asked.is_set()
            asked.clear()
            try:
                if context is not None:
                    load_chain(context, prepare_tls(self._serving.settings, Clock().now()))
            except MedlockError as fault:
                self._log.notice(Told.RELOAD_FAILED, text=str(fault))
            else:
                if told:
                    self._log.notice(Told.RELOADED, workers=1)


def _config(site: ASGIApp, context: ssl.SSLContext | None, drain_seconds: int) -> uvicorn.Config:
    """Uvicorn without what we do ourselves: no access log, no server header, no lifespan, no proxies trusted."""
    return uvicorn.Config(
        site,
        http=BoundedProtocol,
        ws="none",
        interface="asgi3",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=drain_seconds,
        ssl_context_factory=None if context is None else lambda _config, _default: context,
    )


def _settle_memory() -> None:
    """Everything that is here now stays: keep the collector off it, and have it run less often on the rest."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def with_port(settings: Settings, listener: socket.socket) -> Settings:
    """Settings that name the port really taken."""
    return replace(settings, port=listener.getsockname()[1])
