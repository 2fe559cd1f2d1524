"""`medlock keys status | ratchet | move`: the keystore's condition, and what an operator can do about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from medlock.clock import Clock
from medlock.console import DEFAULT_DIRECTORY, AsJson, DataDir, aside, people, settings_for, show_json
from medlock.store.keystatus import KeystoreStatus
from medlock.store.keystore import Keystore
from medlock.store.opening import open_keystore, provider_of

app = typer.Typer(help="The keystore: its condition, and renewing what guards it.", no_args_is_help=True)


@app.command()
def status(data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
    """Say whether a stolen copy of the data could be opened, and why."""
    with _keystore(data_dir) as keystore:
        found = keystore.status()
    if json:
        show_json(asdict(found))
    else:
        _show(found)


@app.command()
def ratchet(data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
    """Wrap all keys anew and destroy the old wrapping: older copies of the keystore no longer open. Weekly."""
    with _keystore(data_dir) as keystore, _progress() as bar:
        task = bar.add_task("keys", total=None)
        keystore.ratchet(lambda done, total: bar.update(task, completed=done, total=total))
        found = keystore.status()
    _say(f"Epoch {found.epoch}: {found.keys} keys wrapped anew, the epoch before destroyed.", found, json)


@app.command()
def move(
    passphrase_file: Annotated[
        Path | None, typer.Option("--to-passphrase-file", help="The file that will guard the keys.")
    ] = None,
    to_keyring: Annotated[bool, typer.Option("--to-os-keyring", help="Use the operating system's keyring.")] = False,
    data_dir: DataDir = DEFAULT_DIRECTORY,
    json: AsJson = False,
) -> None:
    """Change the passphrase, or what kind of provider guards the keys. Restart running servers afterwards."""
    if (passphrase_file is None) is not to_keyring:
        raise typer.BadParameter("Give --to-passphrase-file FILE or --to-os-keyring.")
    name = "os-keyring" if to_keyring else "passphrase-file"
    settings = replace(settings_for(data_dir), passphrase_file=passphrase_file, key_provider=name)
    with _keystore(data_dir) as keystore, _progress() as bar:
        task = bar.add_task("keys", total=None)
        keystore.rewrap_to(provider_of(settings), lambda done, total: bar.update(task, completed=done, total=total))
        found = keystore.status()
    _say(f"The keys are now guarded by {name}: {found.keys} keys wrapped anew.", found, json)


@contextmanager
def _keystore(data_dir: Path) -> Iterator[Keystore]:
    """The keystore of a data directory, closed afterwards."""
    keystore = open_keystore(settings_for(data_dir), Clock())
    try:
        yield keystore
    finally:
        keystore.close()


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on stderr when that is a terminal."""
    console = aside()
    with Progress(console=console, disable=not console.is_terminal) as bar:
        yield bar


def _say(sentence: str, found: KeystoreStatus, json: bool) -> None:
    """The result, for people or programs."""
    if json:
        show_json(asdict(found))
    else:
        people().print(sentence)


def _show(found: KeystoreStatus) -> None:
    """The verdict first, then why, then the figures."""
    console = people()
    console.print(f"Breach-safe: {'yes' if found.breach_safe else 'no'}")
    for reason in found.reasons:
        console.print(f"  {reason}", markup=False, soft_wrap=True)
    days = found.epoch_age_seconds // 86_400
    console.print(f"{found.keys} keys ({found.spare} spare) in epoch {found.epoch}, {days} days old.")
    if found.rotating:
        console.print(f"A ratchet is under way: {found.remaining} keys left. Run medlock keys ratchet to finish it.")
