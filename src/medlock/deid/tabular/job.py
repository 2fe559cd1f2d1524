"""One run over files: what was asked on the command line, made into a plan, carried out and reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from medlock.deid.tabular.columns import Table, subset_rows
from medlock.deid.tabular.files import column_names, delimiter_of, read_hierarchy, read_table, write_table
from medlock.deid.tabular.hierarchy import Hierarchy
from medlock.deid.tabular.release import Plan, Progress, Release, after, before, contradictions, released
from medlock.deid.tabular.wording import Setting, hierarchy, levels, metric, model
from medlock.errors import BadRequest

SHOWN_ROWS = 5


@dataclass(frozen=True)
class Job:
    """What was asked: see the options of `medlock deid table`."""

    source: Path
    target: Path | None
    quasi: Sequence[str]
    models: Sequence[str]
    hierarchies: Path | None = None
    hierarchy: Sequence[str] = ()
    limit: float = 0.0
    metric: str = "loss"
    local: bool = False
    subset: Path | None = None
    population: int | None = None
    keep: Sequence[str] = ()
    ids: str | None = None
    levels: Sequence[str] = ()
    threshold: float = 0.09
    encoding: str = "utf-8"


@dataclass(frozen=True)
class Done:
    """The plan, the table it was used on, and what came out."""

    job: Job
    plan: Plan
    table: Table
    release: Release
    report: dict[str, Any] = field(default_factory=dict)


def run_job(job: Job, progress: Progress | None = None, *, dry: bool = False) -> Done:
    """Read, make anonymous, measure, and unless it is a dry run write the result. Raises what reading and searching do.

    Nothing is written before everything else has succeeded.
    """
    if job.target is None and not dry:
        msg = "Name the file to write, or ask for --dry-run."
        raise BadRequest(msg)
    if job.target is not None and job.target.resolve() == job.source.resolve():
        msg = "The result cannot replace its source; name another file."
        raise BadRequest(msg)
    table, plan = prepared(job)
    release = released(table, plan, progress)
    done = Done(job, plan, table, release, _report(job, plan, release))
    if job.target is not None and not dry:
        write_table(release.table, job.target, delimiter_of(job.source, job.encoding))
    return done


def prepared(job: Job) -> tuple[Table, Plan]:
    """The columns that the job needs, and its plan."""
    named = dict(_named(text) for text in job.quasi)
    models = _attributes(job)
    needed = list(dict.fromkeys([*named, *models, *job.keep, *([job.ids] if job.ids else [])]))
    if job.subset is not None:
        needed = column_names(job.source, job.encoding)
    table = read_table(job.source, needed, job.encoding)
    if job.ids:
        table.column(job.ids).require_unique()
        if job.ids in job.keep or job.ids in named:
            msg = f"{job.ids} identifies people; it can neither be kept nor be a quasi-identifier."
            raise BadRequest(msg)
    plan = _plan(job, table, {name: _hierarchy(job, table, name, how) for name, how in named.items()})
    contradictions(plan)
    return table, plan


def _plan(job: Job, table: Table, quasi: dict[str, Hierarchy]) -> Plan:
    given = dict(_named(text) for text in job.hierarchy)
    setting = Setting(
        job.population, job.subset is not None, lambda name: _hierarchy(job, table, name, given.get(name, ""))
    )
    spans = [levels(text) for text in job.levels]
    sample = None
    if job.subset is not None:
        sample = subset_rows(table, read_table(job.subset, None, job.encoding))
    return Plan(
        quasi=quasi,
        models=[model(text, setting) for text in job.models],
        limit=job.limit,
        metric=metric(job.metric),
        local=job.local,
        sample=sample,
        keep=job.keep,
        lowest={name: low for name, low, _ in spans},
        highest={name: high for name, _, high in spans},
    )


def _named(text: str) -> tuple[str, str]:
    """NAME or NAME=HOW."""
    name, _, how = text.partition("=")
    return name, how


def _attributes(job: Job) -> list[str]:
    """The sensitive attributes that the models name."""
    parts = [text.split(":") for text in job.models]
    return [part[1] for part in parts if part[0] in {"dl", "el", "rl", "te", "to", "th", "bb", "eb", "dd"} and part[1:]]


def _hierarchy(job: Job, table: Table, name: str, how: str) -> Hierarchy:
    """As it was given, or the file of the directory that is named for the attribute."""
    if how:
        return hierarchy(name, how, table.column(name).words)
    if job.hierarchies is None:
        msg = f"The hierarchy of {name} is missing: write {name}=FILE or {name}=@KIND, or give --hierarchies."
        raise BadRequest(msg)
    found = [*sorted(job.hierarchies.glob(f"*_hierarchy_{name}.csv")), *sorted(job.hierarchies.glob(f"{name}.csv"))]
    if not found:
        msg = f"The hierarchy of {name} is missing: {job.hierarchies} has no {name}.csv and no *_hierarchy_{name}.csv."
        raise BadRequest(msg)
    return read_hierarchy(name, found[0])


def _report(job: Job, plan: Plan, release: Release) -> dict[str, Any]:
    recoding = release.recoding
    risks, utility = after(recoding, job.threshold, job.population)
    return {
        "records": recoding.counts.records,
        "suppressed": recoding.suppressed,
        "withheld": release.withheld,
        "classes": recoding.classes.number,
        "models": [str(each) for each in plan.models],
        "recoding": "local" if job.local else "global",
        "metric": None if job.local else job.metric,
        "score": release.score,
        "levels": release.levels,
        "checked": release.checked,
        "lattice": release.lattice,
        "threshold": job.threshold,
        "risk_before": asdict(before(recoding, job.threshold, job.population)),
        "risk_after": asdict(risks),
        "utility": asdict(utility),
        "columns": list(release.table.columns),
    }


def differences(done: Done) -> list[dict[str, Any]]:
    """The first rows before and after: for a dry run. They hold original values."""
    shown = done.plan.sample
    rows = list(range(SHOWN_ROWS)) if shown is None else [int(row) for row in shown.nonzero()[0][:SHOWN_ROWS]]
    found = []
    for after_row, before_row in zip(range(len(done.release.table)), rows, strict=False):
        for name, column in done.release.table.columns.items():
            old = done.table.column(name)
            was, now = old.words[old.codes[before_row]], column.words[column.codes[after_row]]
            if was != now:
                found.append({"row": before_row + 1, "column": name, "before": was, "after": now})
    return found
