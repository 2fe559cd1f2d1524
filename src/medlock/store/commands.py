"""`medlock keys`: the keystore's condition, and what an operator can do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Protocol

import typer
from rich.progress import Progress

from medlock.clock import Clock
from medlock.console import DEFAULT_DIRECTORY, AsJson, DataDir, aside, people, run, settings_for, show_json
from medlock.settings import Settings
from medlock.store.broker.commands import broker, unwraps
from medlock.store.copy_commands import KeyCopyCommand
from medlock.store.kek.choice import provider_of
from medlock.store.kek.provider import KekProvider
from medlock.store.keystatus import KeystoreStatus
from medlock.store.opening import open_keystore

Turn = Callable[[int, int], None]


class Renewable(Protocol):
    """What is used of a `Keystore`."""

    def ratchet(self, progress: Turn) -> None:
        """Wrap all keys under a new epoch."""

    def rewrap_to(self, provider: KekProvider, progress: Turn) -> None:
        """The same under another provider."""

    def status(self) -> KeystoreStatus:
        """Its condition."""


class Rotation(Protocol):
    """What a rotation of patients' keys did; `records.rotate.Rotated` is one."""

    @property
    def patients(self) -> int:
        """Patients gone through."""

    @property
    def rows(self) -> int:
        """Bodies and older versions sealed anew."""

    @property
    def destroyed(self) -> int:
        """Former keys destroyed."""

    @property
    def resumed(self) -> bool:
        """Whether it went on with one that had been interrupted."""


class Desk(Protocol):
    """An open data directory; `app.App` is one."""

    @property
    def keystore(self) -> Renewable:
        """Its keystore."""

    async def note_copy(self, about: str) -> None:
        """Write down that the keys are about to be copied. Raises Unavailable."""

    async def note_keys(self, about: str) -> None:
        """Write down that the operator is about to renew keys. Raises Unavailable."""

    async def rotate(self, patient: str | None, turn: Turn, *, everybody: bool = False) -> Rotation | None:
        """Rotate the data key of one patient or of everybody, or finish what was interrupted; None: there was nothing.

        Raises NotFound, Conflict, Tampered, Unavailable.
        """


class Open(Protocol):
    """Opens a data directory; `create` makes it when it is new."""

    def __call__(self, settings: Settings, *, create: bool = False) -> AbstractAsyncContextManager[Desk]:
        """For the length of a block. Raises SetupError."""


class KeyCommands:
    """The commands. What renews keys is in the audit log before it begins."""

    def __init__(self, open_: Open) -> None:
        self._open = open_

    def status(self, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """Say whether a stolen copy of the data could be opened, and why."""
        keystore = open_keystore(settings_for(data_dir), Clock())
        try:
            found = keystore.status()
        finally:
            keystore.close()
        if json:
            show_json(asdict(found))
        else:
            _show(found)

    def ratchet(self, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """Wrap all keys anew and destroy the old wrapping: older copies of the keystore no longer open. Weekly."""
        found = run(self._renew(settings_for(data_dir), "ratchet", lambda keystore, turn: keystore.ratchet(turn)))
        _say(f"Epoch {found.epoch}: {found.keys} keys wrapped anew, the epoch before destroyed.", found, json)

    def move(  # noqa: PLR0917 - each is an option on the command line
        self,
        passphrase_file: Annotated[
            Path | None, typer.Option("--to-passphrase-file", help="The file that will guard the keys.")
        ] = None,
        to_keyring: Annotated[
            bool, typer.Option("--to-os-keyring", help="Use the operating system's keyring.")
        ] = False,
        to: Annotated[str, typer.Option("--to", help="A key service: its name, as MEDLOCK_KEY_PROVIDER has it.")] = "",
        service: Annotated[str, typer.Option("--service", help="Its address, as MEDLOCK_KEY_SERVICE.")] = "",
        credential: Annotated[
            Path | None, typer.Option("--credential-file", help="What opens it, as MEDLOCK_KEY_CREDENTIAL_FILE.")
        ] = None,
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Change the passphrase, or the provider that guards the keys. Reload or restart running servers afterwards."""
        if [passphrase_file is not None, to_keyring, bool(to)].count(True) != 1:
            raise typer.BadParameter("Give --to-passphrase-file FILE, --to-os-keyring or --to PROVIDER.")
        name = to or ("os-keyring" if to_keyring else "passphrase-file")
        settings = settings_for(data_dir)
        there = replace(
            settings,
            passphrase_file=passphrase_file,
            key_provider=name,
            key_service=service,
            key_credential=credential,
        )
        provider = provider_of(there)
        found = run(self._renew(settings, f"move to {name}", lambda keystore, turn: keystore.rewrap_to(provider, turn)))
        _say(f"The keys are now guarded by {name}: {found.keys} keys wrapped anew.", found, json)

    def rotate(
        self,
        patient: Annotated[str | None, typer.Option("--patient", help="The id of one Patient.")] = None,
        everybody: Annotated[bool, typer.Option("--all", help="Every patient, and the shared resources.")] = False,
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Give patients new data keys and destroy the former ones. Without options: finish what was interrupted."""
        if patient is not None and everybody:
            raise typer.BadParameter("Give --patient ID or --all, not both.")
        done = run(self._rotate(settings_for(data_dir), patient, everybody))
        if done is None:
            raise typer.BadParameter("No rotation was interrupted. Give --patient ID or --all.")
        names = ("patients", "rows", "destroyed", "resumed")
        if json:
            show_json({name: getattr(done, name) for name in names})
        else:
            people().print(_rotated(done), soft_wrap=True)

    async def _rotate(self, settings: Settings, patient: str | None, everybody: bool) -> Rotation | None:
        """Rotate under a progress bar."""
        async with self._open(settings) as desk:
            with _progress() as turn:
                return await desk.rotate(patient, turn, everybody=everybody)

    async def _renew(self, settings: Settings, about: str, act: Callable[[Renewable, Turn], None]) -> KeystoreStatus:
        """Write down, then act under a progress bar."""
        async with self._open(settings) as desk:
            await desk.note_keys(about)
            with _progress() as turn:
                act(desk.keystore, turn)
            return desk.keystore.status()


@contextmanager
def _progress() -> Iterator[Turn]:
    """A bar on stderr when that is a terminal."""
    console = aside()
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("keys", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _say(sentence: str, found: KeystoreStatus, json: bool) -> None:
    """The result, for people or programs."""
    if json:
        show_json(asdict(found))
    else:
        people().print(sentence)


def _rotated(done: Rotation) -> str:
    return (
        f"{done.rows} records of {done.patients} patients sealed anew, {done.destroyed} former keys destroyed. "
        "Copies of the data made before no longer open: make a new one, then run medlock keys ratchet."
    )


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


def key_app(open_: Open) -> typer.Typer:
    """`medlock keys`."""
    app = typer.Typer(help="The keystore: its condition, renewing what guards it, and a copy.", no_args_is_help=True)
    mine = KeyCommands(open_)
    app.command("backup")(KeyCopyCommand(open_).backup)
    for command in (mine.status, mine.ratchet, mine.move, mine.rotate, broker, unwraps):
        app.command()(command)
    return app
