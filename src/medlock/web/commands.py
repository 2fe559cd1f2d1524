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
from medlock.store.broker.allowance import PATIENTS_A_MINUTE
from medlock.store.broker.beside import AUTO, DIED, keys_held
from medlock.store.opening import make_directory
from medlock.web.demo import Demo, Open, Ready, demo_passphrase, prepare_demo
from medlock.web.listening import listen, only_server
from medlock.web.oplog import OpLog, Told
from medlock.web.server import Build, Serving, with_port
from medlock.web.tls import TlsFiles, prepare_tls
from medlock.web.workers import serve as serve_until_stopped

WORKERS_MAX = 64
_DEMO_DIRECTORY = Path("demo-data")

Port = Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")]
Workers = Annotated[int, typer.Option(min=1, max=WORKERS_MAX, help="Processes that answer requests.")]


Broker = Annotated[
    str,
    typer.Option(
        envvar="MEDLOCK_BROKER",
        help="Whether a key broker holds the epoch keys: auto (with two workers or more), on, off, or its socket.",
    ),
]
PatientsAMinute = Annotated[
    int, typer.Option(min=1, help="Different patients that the key broker opens for one worker in a minute.")
]


@dataclass(frozen=True, slots=True)
class _Keys:
    """Who holds the epoch keys, and how many patients a minute that one opens."""

    broker: str
    limit: int


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
        broker: Broker = AUTO,
        patients_per_minute: PatientsAMinute = PATIENTS_A_MINUTE,
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

        keys = _Keys(broker, patients_per_minute)
        self._serve(read, lambda ready: show_json({"url": ready.url, "ca": ready.ca, "fhir": ready.fhir}), keys)

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
        self._serve(lambda: settings, lambda ready: prepared.show(ready, json=json), _Keys(AUTO, PATIENTS_A_MINUTE))

    def _serve(self, read: Callable[[], Settings], announce: Callable[[Ready], None], keys: _Keys) -> None:
        """Lock, listen, prepare, serve; `read` gives the settings, again at each reload."""
        settings = read()
        make_directory(settings.data_dir)
        with (
            only_server(settings.data_dir),
            listen(settings) as listener,
            keys_held(settings, keys.broker, keys.limit, _notice) as held,
        ):
            serving = self._serving(held(settings), listener)
            ready = _ready(serving.settings, serving.tls)
            renew = lambda: self._serving(held(read()), listener)  # noqa: E731
            serve_until_stopped(serving, listener, lambda: announce(ready), renew)

    def _serving(self, settings: Settings, listener: socket.socket) -> Serving:
        """What a worker serves on this socket. Raises SetupError."""
        bound = with_port(settings, listener)
        return Serving(bound, self.build, prepare_tls(bound, Clock().now()) if bound.tls else None)


def _notice(event: str, code: int) -> None:
    """What befell the broker, in the operator's log."""
    log = OpLog(Clock())
    if event == DIED:
        log.notice(Told.BROKER_DIED, code=code)
    else:
        log.notice(Told.BROKER_DOWN, code=code)


def _ready(settings: Settings, files: TlsFiles | None) -> Ready:
    """What is told when the server accepts."""
    authority = None if files is None or files.authority is None else str(files.authority.resolve())
    return Ready(settings.base_url.removesuffix("/fhir"), settings.base_url, authority)


def add_commands(app: typer.Typer, build: Build, open_: Open) -> None:
    """Mount the commands."""
    mine = ServeCommands(build, open_)
    app.command()(mine.serve)
    app.command()(mine.demo)
