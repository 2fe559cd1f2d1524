"""`medlock load`, `export`, `verify`, `shred`, `relabel`: the operator's ways in, through the door like everybody's."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Protocol

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table as TextTable

from medlock.access.principal import Principal, Role
from medlock.audit.findings import Finding
from medlock.clock import Clock
from medlock.console import DEFAULT_DIRECTORY, AsJson, DataDir, Exit, aside, people, run, settings_for, show_json
from medlock.deid.fhir.cleaners import Prose, cleaner_of, said_of
from medlock.deid.fhir.keyfile import read_key
from medlock.deid.fhir.options import Tuning, profile_of
from medlock.errors import BadRequest, Unavailable
from medlock.records.export import Exporter
from medlock.records.export_deid import Project, export_deidentified
from medlock.records.load import Loader, Report, as_json, found_files
from medlock.records.opening import Records, open_tables
from medlock.records.relabel import Relabelled, Relabeller
from medlock.records.shred import Erased, Shredder
from medlock.records.verify import Check, verify_all
from medlock.settings import Settings

SHOWN_MAX = 20


class Desk(Protocol):
    """An open data directory and the operator's own Principals; `app.App` is one."""

    @property
    def records(self) -> Records:
        """The records."""

    def operator(self, role: Role) -> Principal:
        """The operator in one of their roles."""


class Open(Protocol):
    """Opens a data directory; `create` makes it when it is new."""

    def __call__(self, settings: Settings, *, create: bool = False) -> AbstractAsyncContextManager[Desk]:
        """For the length of a block. Raises SetupError."""


Checks = Callable[[Records], Sequence[Check]]


def _project(preset: str, key_file: Path | None, text: Prose) -> Project | None:
    """What to de-identify for; None for an export as it is. Raises BadRequest, SetupError."""
    if not preset:
        if key_file is not None or text is not Prose.DROP:
            raise BadRequest("A key file and a way with notes are for de-identified exports; add --deid with a preset.")
        return None
    if key_file is None:
        raise BadRequest("A de-identified export is made for a project: name its key with --key-file.")
    return Project(profile_of(preset, Tuning()), read_key(key_file), cleaner_of(text, ()))


class RecordCommands:
    """The commands. `checks` are what other packages add to verify."""

    def __init__(self, open_: Open, checks: Checks) -> None:
        self._open = open_
        self._checks = checks

    def load(
        self,
        path: Annotated[Path, typer.Argument(help="A file or directory of Bundles (JSON) or NDJSON, also gzipped.")],
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Load FHIR resources from files. Run again after an interruption: what was loaded whole is passed over."""
        report = run(self._load(settings_for(data_dir), path))
        if json:
            sys.stdout.write(as_json(report).decode() + "\n")
        else:
            _show_report(report)
        if not report.well:
            raise typer.Exit(Exit.FINDINGS)

    async def _load(self, settings: Settings, path: Path) -> Report:
        """Load under a progress bar."""
        files = found_files(path)
        async with self._open(settings, create=True) as desk:
            with _bar() as bar:
                task = bar.add_task("loading", total=len(files), resources=0)
                seen: set[str] = set()

                def progress(file: str, count: int) -> None:
                    seen.add(file)
                    resources = bar.tasks[task].fields["resources"] + count
                    bar.update(task, completed=len(seen), resources=resources)

                report = await Loader(desk.records.door, desk.operator(Role.LOADER), progress).load(files)
            with suppress(Unavailable):  # another process writes, or the disk is full: what was loaded is loaded
                await desk.records.backend.rewrite()
            return report

    def export(  # noqa: PLR0917 - each is an option on the command line
        self,
        directory: Annotated[Path, typer.Argument(help="A new or empty directory for one NDJSON file per type.")],
        deid: Annotated[str, typer.Option(help="De-identify under this preset; see medlock deid fhir --choose.")] = "",
        key_file: Annotated[Path | None, typer.Option(help="With --deid: the project's key.")] = None,
        text: Annotated[Prose, typer.Option(help="With --deid: drop notes, or clean them.")] = Prose.DROP,
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Write all current resources, readable, as NDJSON. Keep the result as safe as the data itself."""
        project = _project(deid, key_file, text)
        counts = run(self._export(settings_for(data_dir), directory, project))
        how = {"preset": project.profile.name, "text": text, "cleaner": said_of(text, ())} if project else {}
        if json:
            show_json({"directory": str(directory), "resources": counts} | how)
        else:
            _show_counts(counts)
            if project:
                people().print(f"{project.profile.name}: {how['cleaner']}", markup=False, soft_wrap=True)

    async def _export(self, settings: Settings, directory: Path, project: Project | None) -> dict[str, int]:
        async with self._open(settings) as desk:
            if project is not None:
                return await export_deidentified(desk.records, desk.operator(Role.LOADER), project, directory)
            return await Exporter(desk.records.door, desk.operator(Role.LOADER)).export(directory)

    def shred(
        self,
        patient: Annotated[str, typer.Argument(help="The id of the Patient.")],
        yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
        data_dir: DataDir = DEFAULT_DIRECTORY,
        json: AsJson = False,
    ) -> None:
        """Erase one patient for good: destroy the key, then everything under it. There is no way back."""
        if not yes and not typer.confirm("Erase this patient for good?", err=True):
            raise typer.Exit(Exit.REFUSED)
        erased = run(self._shred(settings_for(data_dir), patient))
        if json:
            show_json(asdict(erased))
        else:
            people().print(
                f"Erased {erased.resources} resources and {erased.versions} older versions. "
                "Older copies of the keystore die with the next medlock keys ratchet."
            )

    async def _shred(self, settings: Settings, patient: str) -> Erased:
        async with self._open(settings) as desk:
            records = desk.records
            shredder = Shredder(records.vault, records.log, records.clock)
            return await shredder.shred(desk.operator(Role.PRIVACY_OFFICER), patient)

    def relabel(self, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """Look at every record again by the sensitive codes of this release: label and seal what they call for."""
        done = run(self._relabel(settings_for(data_dir)))
        if json:
            show_json(done._asdict())
        else:
            people().print(
                f"Looked at {done.records} records; {done.changed} resources have new labels, "
                f"{done.moved} versions were sealed apart."
            )

    async def _relabel(self, settings: Settings) -> Relabelled:
        async with self._open(settings) as desk:
            records = desk.records
            principal = desk.operator(Role.PRIVACY_OFFICER)
            return await Relabeller(records.vault, records.log, records.clock, principal).relabel()

    def verify(self, data_dir: DataDir = DEFAULT_DIRECTORY, json: AsJson = False) -> None:
        """Check log, indexes, bodies, tokens and keystore, and name every row that is not as it was written."""
        findings = run(self._verify(settings_for(data_dir)))
        if json:
            show_json({"well": not findings, "findings": findings})
        else:
            _show_findings(findings)
        if findings:
            raise typer.Exit(Exit.FINDINGS)

    async def _verify(self, settings: Settings) -> list[dict[str, str | int]]:
        """All findings, ready to be shown."""
        async with open_tables(settings, Clock()) as records:
            return [_row(finding) for finding in await verify_all(records, self._checks(records))]


def _row(finding: Finding) -> dict[str, str | int]:
    return {
        "table": str(finding.table),
        "key": finding.key,
        "kind": str(finding.kind),
        "sentence": finding.sentence,
    }


def _bar() -> Progress:
    """Progress on stderr, and none of it when stderr is not a terminal."""
    console = aside()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("files, {task.fields[resources]} resources"),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal)


def _show_report(report: Report) -> None:
    """What was loaded, and the first of what was not."""
    console = people()
    console.print(f"Loaded {report.loaded} resources from {report.files} files ({report.skipped} already loaded).")
    for refusal in report.refused[:SHOWN_MAX]:
        problems = "; ".join(f"{problem.path} {problem.text}".strip() for problem in refusal.problems[:3])
        console.print(f"refused: {refusal.file} {refusal.place}: {problems}", markup=False)
    if len(report.refused) > SHOWN_MAX:
        console.print(f"… and {len(report.refused) - SHOWN_MAX} more; --json shows all.")


def _show_counts(counts: dict[str, int]) -> None:
    """Resources by type."""
    table = TextTable("type", "resources")
    for name, count in sorted(counts.items()):
        table.add_row(name, str(count))
    people().print(table)


def _show_findings(findings: list[dict[str, str | int]]) -> None:
    """All is well, or what is not."""
    console = people()
    if not findings:
        console.print("All is well: every row is as it was written.")
    for finding in findings:
        console.print(" ".join(str(value) for value in finding.values() if value != ""), markup=False)


def add_commands(app: typer.Typer, open_: Open, checks: Checks) -> None:
    """Mount the commands."""
    mine = RecordCommands(open_, checks)
    for command in (mine.load, mine.export, mine.verify, mine.shred, mine.relabel):
        app.command()(command)
