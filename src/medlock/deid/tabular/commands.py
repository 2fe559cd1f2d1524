"""`medlock deid table`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table as TextTable

from medlock.console import AsJson, aside, people, show_json
from medlock.deid.tabular.job import Done, Job, differences, run_job
from medlock.deid.tabular.release import Progress

EVERY = 16  # transformations between two movements of the bar


Source = Annotated[Path, typer.Argument(help="The table: CSV, Parquet or Arrow.", dir_okay=False)]
Target = Annotated[Path | None, typer.Argument(help="The file to write, in the format of its suffix.")]
Quasi = Annotated[
    list[str] | None,
    typer.Option(help="A quasi-identifier with its hierarchy: NAME=FILE, NAME=@KIND built from the values, or NAME."),
]
Models = Annotated[list[str] | None, typer.Option("--model", help="A privacy model to satisfy, such as k:5.")]
Folder = Annotated[
    Path | None, typer.Option(help="Where the hierarchies of attributes named without one are.", file_okay=False)
]
Sensitive = Annotated[list[str] | None, typer.Option(help="The hierarchy of a sensitive attribute: NAME=FILE, for th.")]
Limit = Annotated[float, typer.Option(help="Part of the records that may be suppressed, 0 to 1.")]
Metric = Annotated[str, typer.Option(help="The information loss to minimise, such as loss or entropy.")]
Local = Annotated[bool, typer.Option("--local", help="Recode each record by itself instead of columns.")]
Subset = Annotated[Path | None, typer.Option(help="The rows to release, of a table that is the population.")]
Population = Annotated[int | None, typer.Option(min=1, help="How many people the records are drawn from.")]
Keep = Annotated[list[str] | None, typer.Option(help="A column to publish as it is.")]
Ids = Annotated[str | None, typer.Option("--id", help="A column of ids that must be unique; left out.")]
Levels = Annotated[list[str] | None, typer.Option(help="NAME=LOW-HIGH holds an attribute to these levels.")]
Threshold = Annotated[float, typer.Option(min=0, max=1, help="A record with a higher risk is at risk.")]
Encoding = Annotated[str, typer.Option(help="How a CSV is encoded.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Write nothing; show what would change.")]


def table_command(  # noqa: PLR0917 - each is an option on the command line
    source: Source,
    target: Target = None,
    quasi: Quasi = None,
    model: Models = None,
    hierarchies: Folder = None,
    hierarchy: Sensitive = None,
    limit: Limit = 0.0,
    metric: Metric = "loss",
    local: Local = False,
    subset: Subset = None,
    population: Population = None,
    keep: Keep = None,
    ids: Ids = None,
    levels: Levels = None,
    threshold: Threshold = 0.09,
    encoding: Encoding = "utf-8",
    dry_run: DryRun = False,
    json: AsJson = False,
) -> None:
    """Make a table anonymous: generalise and suppress until the models hold, and lose as little as possible."""
    job = Job(
        source=source,
        target=target,
        quasi=quasi or [],
        models=model or [],
        hierarchies=hierarchies,
        hierarchy=hierarchy or [],
        limit=limit,
        metric=metric,
        local=local,
        subset=subset,
        population=population,
        keep=keep or [],
        ids=ids,
        levels=levels or [],
        threshold=threshold,
        encoding=encoding,
    )
    _carry_out(job, dry=dry_run, json=json)


def _carry_out(job: Job, *, dry: bool, json: bool) -> None:
    with _bar() as progress:
        done = run_job(job, progress, dry=dry)
    changes = differences(done) if dry else None
    if json:
        show_json(done.report | {"written": None if dry else str(job.target), "diff": changes})
    else:
        _show(done, changes)


@contextmanager
def _bar() -> Iterator[Progress]:
    """A counter of transformations on stderr, and none of it when stderr is not a terminal."""
    console = aside()
    columns = (SpinnerColumn(), TextColumn("{task.completed} transformations looked at"), TimeElapsedColumn())
    with Bar(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("searching", total=None)

        def progress(number: int) -> None:
            if number % EVERY == 0:
                bar.update(task, completed=number)

        yield progress


def _show(done: Done, changes: list[dict[str, Any]] | None) -> None:
    """The result for people."""
    console, report = people(), done.report
    console.print(
        f"{report['records']} records in {report['classes']} classes, {report['suppressed']} suppressed"
        + (f", {report['withheld']} outside the subset left out" if report["withheld"] else "")
        + f"; satisfied: {', '.join(report['models'])}."
    )
    if report["levels"] is not None:
        levels = TextTable("attribute", "level", "of")
        for name, level in report["levels"].items():
            levels.add_row(name, str(level), str(done.plan.quasi[name].height))
        console.print(levels)
        console.print(
            f"{report['metric']} {report['score']:.6g}: the least of {report['lattice']} transformations, "
            f"{report['checked']} looked at."
        )
    _show_risk(report)
    if changes is None:
        return
    console.print("Nothing was written. The first rows would change like this:")
    for change in changes:
        console.print(f"row {change['row']} {change['column']}: - {change['before']} + {change['after']}", markup=False)


def _show_risk(report: dict[str, Any]) -> None:
    table = TextTable("risk", "before", "after")
    was, now = report["risk_before"], report["risk_after"]
    for label, key, part in (
        ("highest, prosecutor", "prosecutor", "highest"),
        ("average, prosecutor", "prosecutor", "average"),
        (f"records above {report['threshold']:g}", "prosecutor", "records_at_risk"),
        ("highest, journalist", "journalist", "highest"),
    ):
        table.add_row(label, f"{was[key][part]:.4f}", f"{now[key][part]:.4f}")
    table.add_row("marketer", f"{was['marketer']:.4f}", f"{now['marketer']:.4f}")
    people().print(table)
    people().print(f"Utility: granularity {report['utility']['granularity']:.4f} of 1.")


def add_table(app: typer.Typer) -> None:
    """Mount `table`."""
    app.command("table")(table_command)
