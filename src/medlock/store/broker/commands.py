"""`medlock keys broker` and `medlock keys unwraps`."""

from __future__ import annotations

import signal
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from medlock.clock import Clock, instant
from medlock.console import DEFAULT_DIRECTORY, AsJson, DataDir, Exit, people, settings_for, show_json
from medlock.store.broker.allowance import PATIENTS_A_MINUTE
from medlock.store.broker.process import LOG, SOCKET, Brokering, run
from medlock.store.broker.unwraplog import Kind, Unwrap, read_log
from medlock.store.opening import open_keystore


def broker(  # noqa: PLR0917 - each is an option on the command line
    socket: Annotated[Path | None, typer.Option(help="Where it listens; by default keys.sock in the data.")] = None,
    patients_per_minute: Annotated[
        int, typer.Option(min=1, help="Different patients that one worker may open in a minute.")
    ] = PATIENTS_A_MINUTE,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many workers there are; bounds them all.")] = 2,
    worker_uid: Annotated[
        int | None, typer.Option(min=0, help="The account that workers run as, when it is another one.")
    ] = None,
    data_dir: DataDir = DEFAULT_DIRECTORY,
    json: AsJson = False,
) -> None:
    """Hold the epoch keys for servers started with --broker SOCKET. Prints one JSON line when it listens."""
    del json  # the line is JSON in any case
    where = socket or data_dir / SOCKET
    brokering = Brokering(settings_for(data_dir), where, patients_per_minute, workers, worker_uid)
    run(brokering, lambda: show_json({"socket": str(where.resolve())}), (signal.SIGINT, signal.SIGTERM))


def unwraps(data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
    """Show which process was given which patient's key, and check that the broker's log is whole."""
    faults = 0
    with closing(open_keystore(settings_for(data_dir), Clock())) as keystore:
        for found in read_log(data_dir / LOG, keystore.tenant.unwraps, keystore.store_id):
            faults += isinstance(found, str)
            if json:
                show_json({"fault": found} if isinstance(found, str) else _facts(found))
            else:
                people().print(found if isinstance(found, str) else _line(found), markup=False, soft_wrap=True)
    if faults:
        raise typer.Exit(Exit.FINDINGS)


def _facts(record: Unwrap) -> dict[str, object]:
    return {**asdict(record), "kind": record.kind.name.lower(), "time": instant(record.time)}


def _line(record: Unwrap) -> str:
    what = record.kind.name.lower()
    if record.kind in {Kind.UNWRAP, Kind.UNWRAP_COMMON, Kind.DESTROY, Kind.GENERATIONS}:
        what = f"{what} slot {record.slot} generation {record.generation}"
    elif record.count:
        what = f"{what} {record.count}"
    return f"{record.number} {instant(record.time)} process {record.pid} {what}"
