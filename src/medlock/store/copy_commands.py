"""`medlock keys backup`: a copy of all keys, for people who keep shares, or for the provider that guards them now."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

import typer

from medlock.clock import Clock
from medlock.console import DEFAULT_DIRECTORY, AsJson, DataDir, people, run, settings_for, show_json
from medlock.crypto.shares import ALPHABET, SECRET_BYTES, SHARES_MAX, THRESHOLD_MAX, split
from medlock.errors import SetupError
from medlock.ids import random_bytes
from medlock.store.keycopy import KeyExport, seal_export
from medlock.store.opening import open_keystore

PREFIX = "ml"
"""What a share of medlock begins with."""


class Desk(Protocol):
    """An open data directory; `app.App` is one."""

    async def note_copy(self, about: str) -> None:
        """Write down that the keys are about to be copied. Raises Unavailable."""


@dataclass(frozen=True, slots=True)
class KeyCopy:
    """A copy that was made. `shares` are shown once and kept nowhere; none for a copy that the provider opens."""

    file: str
    keys: int
    set: str
    threshold: int
    shares: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<KeyCopy {self.file}>"


class KeyCopyCommand:
    """The command. It is in the audit log before anything is copied."""

    def __init__(self, open_: Callable[..., AbstractAsyncContextManager[Desk]]) -> None:
        self._open = open_

    def backup(
        self,
        out: Annotated[Path, typer.Option("--out", help="A new file for the keys.", dir_okay=False)],
        shares: Annotated[int, typer.Option(min=0, max=SHARES_MAX, help="How many people get a share; 0: none.")] = 3,
        threshold: Annotated[int, typer.Option(min=2, max=THRESHOLD_MAX, help="How many of them are needed.")] = 2,
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Copy all keys into a file that so many shares open. With --shares 0 the key provider opens it instead."""
        if shares and threshold > shares:
            raise typer.BadParameter(f"{threshold} of {shares} shares can never come together.")
        if out.exists():
            raise SetupError(
                f"{out} is there already: name a new file, and destroy the old copy when this one is safe."
            )
        made = run(self._copy(data_dir, out, shares, threshold))
        if json:
            names = ("file", "keys", "set", "threshold", "shares")
            show_json({name: getattr(made, name) for name in names})
        else:
            _show(made)

    async def _copy(self, data_dir: Path, out: Path, shares: int, threshold: int) -> KeyCopy:
        settings = settings_for(data_dir)
        async with self._open(settings) as desk:
            await desk.note_copy(
                f"copy of the keys for {f'{threshold} of {shares} shares' if shares else 'key provider'}"
            )
        keystore = open_keystore(settings, Clock())  # never through a broker: it hands out single keys only
        try:
            exported = keystore.export()
            if shares:
                return shared_copy(exported, out, threshold, shares)
            keystore.copy(out)
            return KeyCopy(str(out), len(exported.keys), "", 0, ())
        finally:
            keystore.close()


def shared_copy(exported: KeyExport, out: Path, threshold: int, shares: int) -> KeyCopy:
    """Write the file under a fresh secret; its shares. Raises SetupError."""
    secret = random_bytes(SECRET_BYTES)
    set_name = "".join(ALPHABET[each & 31] for each in random_bytes(4))
    made = split(secret, threshold, shares, (PREFIX, set_name), random_bytes((threshold - 1) * (SECRET_BYTES + 1)))
    _write(out, seal_export(exported, secret, set_name, threshold, shares))
    return KeyCopy(str(out), len(exported.keys), set_name, threshold, tuple(made))


def _write(out: Path, blob: bytes) -> None:
    """Whole and on the disk, or not there."""
    partial = out.with_name(f".{out.name}.partial")
    try:
        partial.unlink(missing_ok=True)  # of a killed process, or put there by somebody: a link, a file open for others
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(blob)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(out)
    except OSError as fault:
        partial.unlink(missing_ok=True)
        raise SetupError(f"The copy cannot be written to {out}: {fault.strerror}.") from fault


def _show(made: KeyCopy) -> None:
    """The shares, each on a line of its own."""
    console = people()
    if not made.shares:
        console.print(f"{made.keys} keys copied to {made.file}; the key provider opens it until the next ratchet.")
        return
    console.print(f"{made.keys} keys copied to {made.file}, set {made.set}. Any {made.threshold} of these open it:")
    for share in made.shares:
        console.print(f"  {share}", soft_wrap=True)
    console.print(
        "Give each to another person, on paper, away from the file. They are shown only now. Then destroy the copy "
        "before this one: it opens what has been erased since.",
        soft_wrap=True,
    )
