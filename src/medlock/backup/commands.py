"""`medlock backup create | list | verify | restore | drill`: sealed rows kept elsewhere, and a store made of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from medlock.access.principal import Principal, Role
from medlock.backup.check import backup_keys, faults_of
from medlock.backup.create import Made, Maker
from medlock.backup.ephemeral import Ephemeral
from medlock.backup.fitting import fit
from medlock.backup.keysource import exported_from, read_shares
from medlock.backup.restore import Checks, Ground, Restored, Restorer, building, passing
from medlock.backup.shelf import Held, look
from medlock.clock import Clock, instant
from medlock.console import (
    DEFAULT_DIRECTORY,
    AsJson,
    DataDir,
    Exit,
    operator_name,
    people,
    run,
    settings_for,
    show_json,
)
from medlock.errors import SetupError
from medlock.records.opening import open_tables
from medlock.settings import Settings
from medlock.store.kek.choice import provider_of
from medlock.store.kek.provider import KekProvider
from medlock.store.keycopy import KeyExport
from medlock.store.opening import open_keystore

NICE = 10
"""So much less than a server a backup wants of the processor."""
_DRILL = ".drill"

Directory = Annotated[Path, typer.Argument(help="The directory of backups, on another disk than the data.")]
KeyFile = Annotated[Path | None, typer.Option("--keystore-backup", help="The file that medlock keys backup made.")]
ShareFiles = Annotated[list[str] | None, typer.Option("--share", help="A file with a share; - for standard input.")]
Chosen = Annotated[str, typer.Option("--backup", help="The beginning of a backup's id; the newest unless given.")]
Known = Annotated[Path | None, typer.Option("--checkpoint", help="A checkpoint of the log that was kept elsewhere.")]


class BackupCommands:
    """The commands. `officer` makes the operator's Principal, `checks` are what other packages add to verify."""

    def __init__(self, checks: Checks, officer: Callable[[Role], Principal]) -> None:
        self._checks = checks
        self._officer = officer

    def create(
        self,
        directory: Directory,
        incremental: Annotated[bool, typer.Option("--incremental", help="Only what changed since the newest.")] = False,
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Back up the sealed rows of one moment, beside running servers. Keys are not in it: medlock keys backup."""
        with suppress(OSError):
            os.nice(NICE)
        made = run(self._create(settings_for(data_dir), directory, incremental=incremental))
        if json:
            show_json(asdict(made))
            return
        kind = f"continues {made.parent[:8]}" if made.parent else "full"
        people().print(
            f"Backup {made.id[:8]} ({kind}): {made.rows} rows, {made.bytes / 1e6:.1f} MB in {made.seconds:.1f} s, "
            f"the log at {made.log} entries.",
            soft_wrap=True,
        )

    @staticmethod
    async def _create(settings: Settings, directory: Path, *, incremental: bool) -> Made:
        async with open_tables(settings, Clock()) as records:  # the directory need not be in memory
            return await Maker(records, operator_name()).make(directory, incremental=incremental)

    @staticmethod
    def listed(directory: Directory, json: AsJson = False) -> None:
        """List backups, oldest first. Needs no keys and vouches for nothing: medlock backup verify does."""
        shelf = look(directory)
        if json:
            show_json({"backups": [_row(held) for held in shelf.held], "faults": shelf.faults})
        else:
            for held in shelf.held:
                people().print(" ".join(str(value) for value in _row(held).values()), markup=False, soft_wrap=True)
            for fault in shelf.faults:
                people().print(fault, markup=False, soft_wrap=True)
        if shelf.faults:
            raise typer.Exit(Exit.FINDINGS)

    @staticmethod
    def verify(directory: Directory, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """Open every file of every backup, and name each that is missing, edited, cut or another's."""
        keystore = open_keystore(settings_for(data_dir), Clock())
        try:
            keys = backup_keys(keystore.store_id, keystore.tenant)
        finally:
            keystore.close()
        shelf = look(directory)
        faults = list(faults_of(shelf, keys))
        if json:
            show_json({"well": not faults, "backups": len(shelf.held), "faults": faults})
        else:
            for line in faults or [f"All is well: {len(shelf.held)} backups, each as it was written."]:
                people().print(line, markup=False, soft_wrap=True)
        if faults:
            raise typer.Exit(Exit.FINDINGS)

    def restore(  # noqa: PLR0917 - each is an option on the command line
        self,
        directory: Directory,
        keystore_backup: KeyFile = None,
        share: ShareFiles = None,
        backup: Chosen = "",
        checkpoint: Known = None,
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Make a data directory from a backup and a copy of the keys, verify every row, and erase who was erased."""
        if keystore_backup is None:
            raise typer.BadParameter("Give --keystore-backup FILE: a backup of the data holds no keys.")
        settings = settings_for(data_dir)
        exported = exported_from(keystore_backup, read_shares(share or []), settings, Clock())
        with building(settings.data_dir) as partial:
            inside = replace(settings, data_dir=partial, keystore_dir=None)
            ground = self._ground(inside, provider_of(inside))
            report = run(self._restored(ground, directory, exported, backup, checkpoint))
        if settings.keystore_dir is not None:
            report = replace(report, remarks=(*report.remarks, _elsewhere(settings)))
        _show(report, json=json, sentence=f"Restored into {settings.data_dir}.")

    def drill(  # noqa: PLR0917 - each is an option on the command line
        self,
        directory: Directory,
        keystore_backup: KeyFile = None,
        share: ShareFiles = None,
        backup: Chosen = "",
        checkpoint: Known = None,
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Restore for practice into a place that is gone afterwards, with the keystore here or with the copy."""
        settings = settings_for(data_dir)
        try:
            report = self._drilled(settings, directory, keystore_backup, share, backup, checkpoint)
        except SetupError as fault:
            _show_failure(str(fault), json=json)
            raise typer.Exit(Exit.FINDINGS) from fault
        _show(report, json=json, sentence="The drill succeeded; nothing of it is left.")

    def _drilled(  # noqa: PLR0917
        self, settings: Settings, directory: Path, file: Path | None, share: list[str] | None, backup: str,
        checkpoint: Path | None,
    ) -> Restored:  # fmt: skip
        """A restore into a directory in the data directory, under a key provider that dies with this process."""
        if file is None:
            exported = _living(settings)
        else:
            exported = exported_from(file, read_shares(share or []), settings, Clock())
        with passing(settings.data_dir / _DRILL) as place:
            ground = self._ground(replace(settings, store="", data_dir=place, keystore_dir=None), Ephemeral())
            return run(self._restored(ground, directory, exported, backup, checkpoint))

    def _ground(self, settings: Settings, provider: KekProvider) -> Ground:
        officer = self._officer(Role.PRIVACY_OFFICER)
        return Ground(settings, provider, Clock(), self._checks, officer, operator_name())

    @staticmethod
    async def _restored(
        ground: Ground, directory: Path, exported: KeyExport, backup: str, checkpoint: Path | None
    ) -> Restored:
        shelf = look(directory)
        known = _text(checkpoint) if checkpoint else ""
        fitting = fit(shelf, exported, backup, known, ground.clock.now_ms())
        return await Restorer(ground, shelf, fitting).restore()


def _elsewhere(settings: Settings) -> str:
    """What remains to be done when the keystore is to lie apart: what lies there now is the operator's to judge."""
    return (
        f"The keystore lies in {settings.data_dir}, and MEDLOCK_KEYSTORE_DIR names {settings.keystore_dir}: move "
        "keystore.db (and keystore.kek, if it is there) to that directory before medlock is started."
    )


def _living(settings: Settings) -> KeyExport:
    """The keys of the store that is here."""
    keystore = open_keystore(settings, Clock())
    try:
        return keystore.export()
    finally:
        keystore.close()


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as fault:
        raise SetupError(f"The checkpoint in {path} cannot be read.") from fault


def _row(held: Held) -> dict[str, Any]:
    """One line of the list."""
    manifest = held.manifest
    return {
        "id": held.name,
        "made": instant(manifest.made),
        "kind": f"continues {manifest.parent[:8]}" if manifest.parent else "full",
        "bytes": sum(file.size for file in manifest.files),
        "rows": sum(manifest.counts.values()),
        "log": manifest.size,
        "epoch": manifest.epoch,
        "store": manifest.store[:8],
    }


def _show(report: Restored, *, json: bool, sentence: str) -> None:
    """The report, for programs or people."""
    if json:
        show_json({"well": True} | asdict(report))
        return
    console = people()
    for line in (
        sentence,
        f"Backup {' > '.join(report.backups)}, made {instant(report.made)}.",
        f"{report.rows} rows are as they were written, {report.log} of them in the log; medlock verify finds nothing.",
        f"Patients erased since the backup and now again: {report.erased} ({report.swept} rows).",
        f"Tokens, approvals of apps, sessions and invitations ended: {report.tokens}.",
        *report.remarks,
        "Seconds: " + ", ".join(f"{what} {seconds:.1f}" for what, seconds in report.seconds.items()) + ".",
    ):
        console.print(line, markup=False, soft_wrap=True)


def _show_failure(sentence: str, *, json: bool) -> None:
    if json:
        show_json({"well": False, "fault": sentence})
    else:
        people().print(f"The drill failed: {sentence}", markup=False, soft_wrap=True)


def backup_app(checks: Checks, officer: Callable[[Role], Principal]) -> typer.Typer:
    """`medlock backup`."""
    app = typer.Typer(help="Backups of the sealed rows, and a store made of them.", no_args_is_help=True)
    mine = BackupCommands(checks, officer)
    app.command("create")(mine.create)
    app.command("list")(mine.listed)
    for command in (mine.verify, mine.restore, mine.drill):
        app.command()(command)
    return app
