"""`medlock deid audit`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table as TextTable

from medlock.clock import Clock, instant
from medlock.console import AsJson, Exit, aside, people, show_json
from medlock.deid.audit.attack import ATTACKS
from medlock.deid.audit.examine import Progress
from medlock.deid.audit.job import Done, Job, run_job

Original = Annotated[Path, typer.Argument(help="The table that the release was made of.", dir_okay=False)]
Release = Annotated[Path, typer.Argument(help="The table that is to be released.", dir_okay=False)]
Out = Annotated[Path | None, typer.Option(help="Where the release goes when nothing blocks it.", dir_okay=False)]
Result = Annotated[Path | None, typer.Option(help="Where the findings go, for deid report.", dir_okay=False)]
Quasi = Annotated[
    list[str] | None,
    typer.Option(help="A quasi-identifier: NAME=FILE, NAME=@KIND, or NAME alone when it was not generalised."),
]
Folder = Annotated[
    Path | None, typer.Option(help="Where the hierarchies of attributes named without one are.", file_okay=False)
]
Control = Annotated[Path | None, typer.Option(help="Rows of people who are not in the release.", dir_okay=False)]
Secret = Annotated[list[str] | None, typer.Option(help="A column that inference is tried on; all without it.")]
Left = Annotated[list[str] | None, typer.Option(help="A column that the first of two linking parties knows.")]
Register = Annotated[Path | None, typer.Option(help="A table of known people to link with.", dir_okay=False)]
Ids = Annotated[str | None, typer.Option("--id", help="The column of the original that tells people apart.")]
RegisterId = Annotated[str | None, typer.Option(help="The column of the register with the same ids.")]
Population = Annotated[int | None, typer.Option(min=1, help="How many people the records are drawn from.")]
Limits = Annotated[Path | None, typer.Option("--thresholds", help="What risks recipients may have.", dir_okay=False)]
Recipient = Annotated[str, typer.Option(help="Who is to get the release.")]
Trend = Annotated[Path | None, typer.Option(help="A file that keeps a line of each audit.", dir_okay=False)]
Threshold = Annotated[float, typer.Option(min=0, max=1, help="A record with a higher risk is at risk.")]
Attacks = Annotated[int, typer.Option(min=1, help="People attacked in each attack.")]
Seed = Annotated[int, typer.Option(min=0, help="What chance is drawn from; the same one gives the same result.")]
Encoding = Annotated[str, typer.Option(help="How a CSV is encoded.")]


def audit_command(  # noqa: PLR0917 - each is an option on the command line
    original: Original,
    release: Release,
    out: Out = None,
    result: Result = None,
    quasi: Quasi = None,
    hierarchies: Folder = None,
    control: Control = None,
    secret: Secret = None,
    left: Left = None,
    register: Register = None,
    ids: Ids = None,
    register_id: RegisterId = None,
    population: Population = None,
    thresholds: Limits = None,
    recipient: Recipient = "default",
    trend: Trend = None,
    threshold: Threshold = 0.09,
    attacks: Attacks = ATTACKS,
    seed: Seed = 0,
    encoding: Encoding = "utf-8",
    json: AsJson = False,
) -> None:
    """Attack a table before it is released, and let it out only when every risk is below its threshold."""
    job = Job(
        original=original,
        release=release,
        at=instant(Clock().now_ms()),
        quasi=quasi or [],
        hierarchies=hierarchies,
        out=out,
        result=result,
        control=control,
        secrets=secret or [],
        left=left or [],
        register=register,
        ids=ids,
        register_id=register_id,
        population=population,
        limits=thresholds,
        recipient=recipient,
        trend=trend,
        threshold=threshold,
        attacks=attacks,
        seed=seed,
        encoding=encoding,
    )
    _carry_out(job, json=json)


def _carry_out(job: Job, *, json: bool) -> None:
    with _bar() as progress:
        done = run_job(job, progress)
    if json:
        show_json(done.document)
    else:
        _show(job, done)
    if done.audit.blocked:
        raise typer.Exit(Exit.FINDINGS)


@contextmanager
def _bar() -> Iterator[Progress]:
    """What is being done, on stderr, and nothing when stderr is not a terminal."""
    console = aside()
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Bar(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda step: bar.update(task, description=step)


def _show(job: Job, done: Done) -> None:
    """The result for people."""
    console, audit = people(), done.audit
    table = TextTable("attack", "on", "succeeded", "control", "risk", "95 % interval")
    for each in audit.attacks:
        risk, control = each.risk, each.control
        table.add_row(
            each.kind,
            each.detail,
            f"{each.attack.successes} of {each.attack.attempts}",
            "-" if control is None else f"{control.successes} of {control.attempts}",
            f"{risk.value:.4f}",
            f"{risk.low:.4f} to {risk.high:.4f}",
        )
    console.print(table)
    if job.control is None:
        console.print("Without --control, what everybody could guess counts as risk, too.")
    verdict = TextTable("risk", "found", "threshold", "")
    for finding in audit.findings:
        found = "not measured" if finding.risk is None else f"{finding.risk:.4f}"
        verdict.add_row(finding.name, found, f"{finding.threshold:.4f}", "too high" if finding.exceeded else "held")
    console.print(verdict)
    console.print(f"Utility: granularity {audit.kept.granularity:.4f} of 1. Audits in the trend: {len(done.runs)}.")
    if audit.blocked:
        console.print(f"Blocked for {job.recipient}: nothing was released.", markup=False)
    elif job.out is not None:
        console.print(f"Released for {job.recipient} as {job.out}.", markup=False)


def add_audit(app: typer.Typer) -> None:
    """Mount the command."""
    app.command("audit")(audit_command)
