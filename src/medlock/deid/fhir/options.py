"""The command line of `medlock deid fhir`, read into one frozen value."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

import orjson

from medlock.deid.fhir.cleaners import Prose
from medlock.deid.fhir.presets import PRESETS
from medlock.deid.fhir.profile import Dates, Profile
from medlock.deid.text.models import Model
from medlock.errors import BadRequest, SetupError


@dataclass(frozen=True)
class Files:
    """The files that were named."""

    source: Path
    target: Path | None = None
    rules: Path | None = None
    key: Path | None = None
    offsets: Path | None = None
    vault: Path | None = None


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    files: Files
    profile: Profile
    prose: Prose
    at: str  # the instant at which it is done, as Provenance tells it
    as_of: date
    strict: bool = False
    dry_run: bool = False
    limit: int = 3
    models: tuple[Model, ...] = ()


@dataclass(frozen=True)
class Tuning:
    """What changes a preset: how dates go, whether weekdays stay, which further code systems are known."""

    dates: Dates | None = None
    weeks: bool = False
    systems: tuple[str, ...] = ()


EXPERT: Final = "45 CFR 164.514(b)(1): an expert must determine that the risk is very small"


def profile_of(name: str, tuning: Tuning) -> Profile:
    """A preset with what the command line changes. Raises BadRequest."""
    found = PRESETS.get(name)
    if found is None:
        raise BadRequest(f"There is no such preset; choose one of {', '.join(sorted(PRESETS))}.")
    dates = tuning.dates or found.dates
    if found.name == "safe-harbor" and dates is Dates.KEEP:
        raise BadRequest("Safe Harbor does not allow dates to stay; the limited data set does.")
    if tuning.weeks and dates is not Dates.SHIFT:
        raise BadRequest("Whole weeks are for dates that are shifted; add --dates shift.")
    if found.name == "safe-harbor" and dates is Dates.SHIFT:
        found = replace(found, name="safe-harbor-dates-shifted", basis=EXPERT)
    return replace(found, dates=dates, weeks=tuning.weeks, systems=found.systems | frozenset(tuning.systems))


def day_of(text: str, today: date) -> date:
    """The day as of which ages count; today when none is given. Raises BadRequest."""
    if not text:
        return today
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadRequest("A day is written 2026-06-01.") from None


_OFFSET_MAX: Final = 36_600


def offsets_of(path: Path) -> dict[str, int]:
    """Patient id → days, from a JSON object or CSV with two columns. Raises SetupError, or BadRequest with the row."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise SetupError("The file of offsets cannot be read; it must exist and be UTF-8.") from None
    if text.lstrip().startswith("{"):
        try:
            rows = list(orjson.loads(text).items())
        except orjson.JSONDecodeError:
            raise BadRequest("The file of offsets is not valid JSON.") from None
    else:
        rows = [row for row in csv.reader(text.splitlines()) if row]
        rows = rows[1:] if rows and not _is_days(rows[0][-1]) else rows
    return {str(row[0]): _days(row, number) for number, row in enumerate(rows, 1)}


def _is_days(text: object) -> bool:
    return str(text).strip().lstrip("+-").isdigit()


def _days(row: list[str] | tuple[str, int], number: int) -> int:
    if len(row) != 2 or not _is_days(row[1]) or abs(int(row[1])) > _OFFSET_MAX:
        raise BadRequest(f"Row {number} of the offsets is not a patient id and a whole number of days.")
    return int(row[1])
