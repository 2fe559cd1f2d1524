"""One audit over files: what was asked on the command line, read, examined, and released or blocked.

A release leaves only as the very bytes that were examined, and only when no risk is above its threshold. A blocked one
writes nothing but its line of the trend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from medlock.deid.audit.attack import ATTACKS
from medlock.deid.audit.examine import Audit, Progress, Question, examined
from medlock.deid.audit.thresholds import DEFAULT, thresholds
from medlock.deid.audit.trend import remember
from medlock.deid.tabular.columns import Column, Table
from medlock.deid.tabular.files import column_names, read_hierarchy, read_table, whole_file
from medlock.deid.tabular.hierarchy import Hierarchy
from medlock.deid.tabular.wording import hierarchy
from medlock.errors import BadRequest, Conflict

FORMAT = "medlock-deid-audit/1"


@dataclass(frozen=True)
class Job:
    """What was asked: see the options of `medlock deid audit`; `at` is when, in UTC."""

    original: Path
    release: Path
    at: str
    quasi: Sequence[str]
    hierarchies: Path | None = None
    out: Path | None = None
    result: Path | None = None
    control: Path | None = None
    secrets: Sequence[str] = ()
    left: Sequence[str] = ()
    register: Path | None = None
    ids: str | None = None
    register_id: str | None = None
    population: int | None = None
    limits: Path | None = None
    recipient: str = "default"
    trend: Path | None = None
    threshold: float = 0.09
    attacks: int = ATTACKS
    seed: int = 0
    encoding: str = "utf-8"


@dataclass(frozen=True)
class Done:
    """What was found, the document of it, and what the trend holds now."""

    audit: Audit
    document: dict[str, Any]
    runs: list[dict[str, Any]]


def run_job(job: Job, progress: Progress = lambda _: None) -> Done:
    """Audit files. Raises what reading and examining do; writes release and result only when nothing blocks them."""
    _check(job)
    data = _bytes(job.release)
    question = _question(job)
    audit = examined(question, progress)
    if _bytes(job.release) != data:
        msg = f"{job.release.name} was changed while it was audited; nothing was written. Run the audit again."
        raise Conflict(msg)
    document = _document(job, question, audit, data)
    runs = [_run(document)]
    if job.trend is not None:
        runs = remember(job.trend, runs[0])
    document["trend"] = runs
    if not audit.blocked:
        _release(job, data, document)
    return Done(audit, document, runs)


def _release(job: Job, data: bytes, document: dict[str, Any]) -> None:
    if job.result is not None:
        with whole_file(job.result) as part:
            part.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    if job.out is not None:
        with whole_file(job.out) as part:
            part.write_bytes(data)


def _check(job: Job) -> None:
    sources = {each.resolve() for each in (job.original, job.release, job.control, job.register, job.limits) if each}
    written = [each.resolve() for each in (job.out, job.result, job.trend) if each]
    if sources & set(written) or len(set(written)) < len(written):
        msg = "What is written cannot replace what is read, nor one another; name other files."
        raise BadRequest(msg)
    if bool(job.ids) is not bool(job.register_id) or (job.register_id and job.register is None):
        msg = "Counting right links needs a register, --id of the original and --register-id of the register."
        raise BadRequest(msg)


def _question(job: Job) -> Question:
    names = column_names(job.release, job.encoding)
    release = read_table(job.release, names, job.encoding)
    original = read_table(job.original, [*names, *([job.ids] if job.ids else [])], job.encoding)
    control = None if job.control is None else read_table(job.control, names, job.encoding)
    register = None if job.register is None else _register(job, job.register, names)
    people = [original, *([] if control is None else [control])]
    return Question(
        release=release,
        original=Table({name: original.column(name) for name in names}),
        quasi=dict(_quasi(job, text, people) for text in job.quasi),
        control=control,
        secrets=job.secrets,
        left=job.left,
        register=register,
        ids=_ids(job, original, register),
        population=job.population,
        limits=_limits(job),
        threshold=job.threshold,
        attacks=job.attacks,
        seed=job.seed,
    )


def _register(job: Job, path: Path, names: Sequence[str]) -> Table:
    """The columns that the register shares with the release, and its ids."""
    found = column_names(path, job.encoding)
    shared = [name for name in names if name in found]
    return read_table(path, [*shared, *([job.register_id] if job.register_id else [])], job.encoding)


def _ids(job: Job, original: Table, register: Table | None) -> tuple[Column, Column] | None:
    if register is None or job.ids is None or job.register_id is None:
        return None
    found = original.column(job.ids), register.column(job.register_id)
    for each in found:
        each.require_unique()
    return found


def _limits(job: Job) -> dict[str, float]:
    if job.limits is None:
        return DEFAULT
    try:
        text = job.limits.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        msg = f"The thresholds {job.limits} cannot be read as UTF-8; name a TOML or JSON file that exists."
        raise BadRequest(msg) from None
    return thresholds(text, job.recipient, toml=job.limits.suffix != ".json")


def _quasi(job: Job, text: str, tables: Sequence[Table]) -> tuple[str, Hierarchy | None]:
    """NAME=HOW as for `table`; NAME alone has its hierarchy in the directory, or was released as it is."""
    name, _, how = text.partition("=")
    if how:
        words = {word for table in tables for word in table.column(name).words}
        return name, hierarchy(name, how, list(words))
    if job.hierarchies is None:
        return name, None
    found = [*sorted(job.hierarchies.glob(f"*_hierarchy_{name}.csv")), *sorted(job.hierarchies.glob(f"{name}.csv"))]
    return name, read_hierarchy(name, found[0]) if found else None


def _document(job: Job, question: Question, audit: Audit, data: bytes) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "at": job.at,
        "recipient": job.recipient,
        "release": {"name": job.release.name, "bytes": len(data), "sha256": sha256(data).hexdigest()},
        "configuration": _configuration(job, question),
        "audit": audit.plain(),
    }


def _configuration(job: Job, question: Question) -> dict[str, Any]:
    """Everything that decided what was found, besides the tables."""
    ladders = {
        name: None if ladder is None else sha256(orjson.dumps(ladder.lines)).hexdigest()
        for name, ladder in question.quasi.items()
    }
    return {
        "quasi_identifiers": ladders,
        "control_rows": None if question.control is None else len(question.control),
        "secrets": list(question.secrets),
        "first_party": list(question.left),
        "register_rows": None if question.register is None else len(question.register),
        "population": job.population,
        "thresholds": dict(question.limits),
        "at_risk_above": job.threshold,
        "attacks": job.attacks,
        "seed": job.seed,
    }


def _run(document: dict[str, Any]) -> dict[str, Any]:
    """A line of the trend."""
    audit = document["audit"]
    return {
        "at": document["at"],
        "recipient": document["recipient"],
        "release": document["release"],
        "rows": audit["rows"],
        "granularity": audit["utility"]["granularity"],
        "risks": audit["risks"],
        "blocked": audit["blocked"],
    }


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        msg = f"{path} cannot be read; name a file that exists."
        raise BadRequest(msg) from None
