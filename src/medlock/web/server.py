"""Serving: uvicorn with our bounds, one process or several on one socket, ready when it says so, gone when asked.

The order of a start: lock the data directory, take the port, make certificates, open the store in each worker, accept,
and only then print one JSON line with the address. SIGTERM and SIGINT stop accepting, let running requests finish
within `DRAIN_SECONDS`, close the store, and end with code 0.
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
from medlock.web.oplog import OpLog, ServerLog
from medlock.web.protocol import BoundedProtocol
from medlock.web.tls import TlsFiles, load_chain, prepare_tls, server_context

DRAIN_SECONDS = 20
KEEP_ALIVE_SECONDS = 75
RENEWAL_SECONDS = 12 * 3_600
_STOP = (signal.SIGINT, signal.SIGTERM)

Build = Callable[[Settings], AbstractAsyncContextManager[ASGIApp]]


@dataclass(frozen=True, slots=True)
class Serving:
    """What one process serves: settings with the real port, how to open the site, certificate files or None."""

    settings: Settings
    build: Build
    tls: TlsFiles | None


class _Server(uvicorn.Server):
    """uvicorn that tells when it accepts, and that ends by returning instead of by the signal it was sent."""

    def __init__(self, config: uvicorn.Config, accepting: Callable[[], None]) -> None:
        super().__init__(config)
        self._accepting = accepting

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        if self.started:
            self._accepting()

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

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def run(self, listener: socket.socket, accepting: Callable[[], None]) -> None:
        """Serve until told to stop. A crash leaves no core file: memory holds keys and records."""
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve(listener, accepting))

    async def _serve(self, listener: socket.socket, accepting: Callable[[], None]) -> None:
        """Open the site, serve it, close it."""
        serving = self._serving
        context = None if serving.tls is None else server_context(serving.tls)
        async with serving.build(serving.settings) as site:
            _settle_memory()
            server = _Server(_config(site, context), accepting)
            renewal = asyncio.create_task(_renew(serving.settings, context))
            try:
                await server.serve(sockets=[listener])
            finally:
                renewal.cancel()
                with suppress(asyncio.CancelledError):
                    await renewal


def _config(site: ASGIApp, context: ssl.SSLContext | None) -> uvicorn.Config:
    """Uvicorn without what we do ourselves: no access log, no server header, no lifespan, no proxies trusted."""
    ServerLog.attach(OpLog(Clock()))
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
        timeout_graceful_shutdown=DRAIN_SECONDS,
        ssl_context_factory=None if context is None else lambda _config, _default: context,
    )


def _settle_memory() -> None:
    """Everything that is here now stays: keep the collector off it, and have it run less often on the rest."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _renew(settings: Settings, context: ssl.SSLContext | None) -> None:
    """Keep the certificate fresh in a server that runs for years; new connections get the new one."""
    while context is not None:
        await asyncio.sleep(RENEWAL_SECONDS)
        try:
            load_chain(context, prepare_tls(settings, Clock().now()))
        except MedlockError as fault:
            OpLog(Clock()).fault(fault, "renewal")


def with_port(settings: Settings, listener: socket.socket) -> Settings:
    """Settings that name the port really taken."""
    return replace(settings, port=listener.getsockname()[1])
