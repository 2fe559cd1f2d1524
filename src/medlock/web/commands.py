"""`medlock serve` and `medlock demo`."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from medlock.clock import Clock
from medlock.console import DEFAULT_DIRECTORY, AsJson, DataDir, run, settings_for, show_json
from medlock.settings import Settings
from medlock.store.opening import make_directory, open_keystore
from medlock.web.demo import Demo, Open, Ready, demo_passphrase, prepare_demo
from medlock.web.listening import listen, only_server
from medlock.web.server import Build, Serving, with_port
from medlock.web.tls import TlsFiles, prepare_tls
from medlock.web.workers import serve as serve_until_stopped

WORKERS_MAX = 64
_DEMO_DIRECTORY = Path("demo-data")

Port = Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")]
Workers = Annotated[int, typer.Option(min=1, max=WORKERS_MAX, help="Processes that answer requests.")]


@dataclass(frozen=True, slots=True)
class ServeCommands:
    """The commands. `build` opens the site in a serving process, `open_` a data directory for preparing the demo."""

    build: Build
    open_: Open

    def serve(  # noqa: PLR0917 - each is an option on the command line
        self,
        host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
        port: Port = 8443,
        workers: Workers = 1,
        tls: Annotated[bool, typer.Option("--tls/--no-tls", help="Plain HTTP is served on loopback only.")] = True,
        tls_cert: Annotated[Path | None, typer.Option(help="Your own certificate chain, PEM.")] = None,
        tls_key: Annotated[Path | None, typer.Option(help="Its key, PEM, without passphrase.")] = None,
        log_requests: Annotated[bool, typer.Option(help="A JSON line on stderr for each request.")] = False,
        admin: Annotated[
            str, typer.Option(help="Show counts to Prometheus at host:port on loopback, or unix:/path.")
        ] = "",
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Serve FHIR. Prints one JSON line with url and ca when it accepts requests; SIGTERM ends it gracefully."""
        del json  # the line is JSON in any case

        def read() -> Settings:
            return settings_for(
                data_dir,
                host=host,
                port=port,
                workers=workers,
                tls=tls,
                tls_cert=tls_cert,
                tls_key=tls_key,
                log_requests=log_requests,
                admin=admin,
            )

        self._serve(read, lambda ready: show_json({"url": ready.url, "ca": ready.ca, "fhir": ready.fhir}))

    def demo(  # noqa: PLR0917 - each is an option on the command line
        self,
        patients: Annotated[int, typer.Option(min=1, max=100_000, help="How many patients the clinic has.")] = 100,
        seed: Annotated[int, typer.Option(help="The same seed gives the same clinic.")] = 1,
        port: Port = 8443,
        workers: Workers = 1,
        data_dir: DataDir = _DEMO_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Make a synthetic clinic, load it, serve it, and print a token with requests to try."""
        settings = settings_for(data_dir, port=port, workers=workers)
        if settings.passphrase_file is None:
            settings = demo_passphrase(settings)
        prepared = run(prepare_demo(settings, self.open_, Demo(seed, patients), Clock().now()))
        self._serve(lambda: settings, lambda ready: prepared.show(ready, json=json))

    def _serve(self, read: Callable[[], Settings], announce: Callable[[Ready], None]) -> None:
        """Lock, listen, prepare, serve; `read` gives the settings, again at each reload."""
        settings = read()
        make_directory(settings.data_dir)
        with only_server(settings.data_dir), listen(settings) as listener:
            serving = self._serving(settings, listener)
            if settings.workers > 1:  # make or refuse the data once, before every worker tries
                open_keystore(settings, Clock(), create=True).close()
            ready = _ready(serving.settings, serving.tls)
            serve_until_stopped(serving, listener, lambda: announce(ready), lambda: self._serving(read(), listener))

    def _serving(self, settings: Settings, listener: socket.socket) -> Serving:
        """What a worker serves on this socket. Raises SetupError."""
        bound = with_port(settings, listener)
        return Serving(bound, self.build, prepare_tls(bound, Clock().now()) if bound.tls else None)


def _ready(settings: Settings, files: TlsFiles | None) -> Ready:
    """What is told when the server accepts."""
    authority = None if files is None or files.authority is None else str(files.authority.resolve())
    return Ready(settings.base_url.removesuffix("/fhir"), settings.base_url, authority)


def add_commands(app: typer.Typer, build: Build, open_: Open) -> None:
    """Mount the commands."""
    mine = ServeCommands(build, open_)
    app.command()(mine.serve)
    app.command()(mine.demo)
