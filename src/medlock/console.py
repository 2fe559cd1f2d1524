"""What every command shares: its options, its exit codes, how it shows results, and one event loop to run in."""

from __future__ import annotations

import asyncio
import getpass
import sys
from collections.abc import Coroutine
from dataclasses import replace
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import orjson
import typer
import uvloop
from rich.console import Console

from medlock.settings import Settings, from_environment

T = TypeVar("T")


class Exit(IntEnum):
    """What a command's exit code means; docs/cli.md has the same table."""

    OK = 0
    FINDINGS = 1  # it ran to its end, and not all is well: refused resources, findings
    USAGE = 2  # the command line or its input cannot be understood
    SETUP = 3  # the operator must act first; the sentence says how
    UNAVAILABLE = 4  # try again: disk, key service or log cannot be reached
    REFUSED = 5  # not allowed, not there, or in conflict
    FAULT = 70  # a fault in medlock itself
    INTERRUPTED = 130  # stopped from the keyboard


DEFAULT_DIRECTORY = Path("medlock-data")
DataDir = Annotated[
    Path, typer.Option("--data-dir", envvar="MEDLOCK_DATA_DIR", help="Where medlock keeps its data.", file_okay=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]


def settings_for(data_dir: Path, **changes: Any) -> Settings:
    """Settings from the environment, with what the command line says on top."""
    return replace(from_environment(), data_dir=data_dir, **changes)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run one coroutine to its end in an event loop of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def show_json(value: object) -> None:
    """One line of JSON on stdout."""
    sys.stdout.write(orjson.dumps(value).decode() + "\n")
    sys.stdout.flush()


def operator_name() -> str:
    """Who types, for the audit log."""
    return f"cli:{getpass.getuser()}"[:64]


def people() -> Console:
    """For text that people read: stdout. As it is: a stranger's app or user name is no markup and breaks no list."""
    return Console(highlight=False, markup=False, emoji=False)


def aside() -> Console:
    """For progress and remarks, so that stdout holds results only: stderr."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False)
