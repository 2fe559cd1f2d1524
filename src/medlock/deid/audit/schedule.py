"""Audits that are run again and again: a TOML file that lists them, and which of them are due.

    [[audit]]
    name = "university"
    every = "7d"                    # m, h or d
    original = "adult.csv"
    release = "anonymous.csv"
    quasi = ["age", "sex", "zip=@zip"]
    trend = "university.jsonl"      # also says when it was last run
    out = "released/adult.csv"

Keys are the options of `medlock deid audit`; files are named from the schedule's own directory. An audit is due when
its last line in the trend is old enough, or was about another release than the one that is there now. So nothing else
is kept, and it does not matter whether one process watches or a timer starts one each time.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from medlock.deid.audit.job import Job
from medlock.deid.audit.trend import last_run
from medlock.errors import BadRequest

_EVERY: Final = re.compile(r"([1-9]\d{0,4})([mhd])")
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
_NAME: Final = re.compile(r"[\w.-]{1,64}", re.ASCII)
_FILES: Final = frozenset(
    {"original", "release", "hierarchies", "out", "result", "control", "register", "limits", "trend"}
)
_LISTS: Final = frozenset({"quasi", "secrets", "left"})
_NUMBERS: Final = {"population": int, "attacks": int, "seed": int, "threshold": float}
_SAID: Final = {"thresholds": "limits", "secret": "secrets", "id": "ids"}  # as on the command line → as in Job
_NEEDED: Final = ("name", "every", "original", "release", "trend", "quasi")


@dataclass(frozen=True)
class Planned:
    """One audit of a schedule. `job.at` is set when it is run."""

    name: str
    every: timedelta
    job: Job

    def due(self, now: datetime) -> bool:
        """Whether it is time. Raises SetupError for a trend that is none."""
        last = None if self.job.trend is None else last_run(self.job.trend)
        if last is None:
            return True
        return datetime.fromisoformat(last["at"]) + self.every <= now or last["release"]["sha256"] != self._hash()

    def at(self, now: datetime) -> Job:
        """The job as it is run now."""
        return replace(self.job, at=now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"))

    def _hash(self) -> str:
        """Of the release as it is now; of none, "", so that it is due and its audit says what is wrong."""
        try:
            return sha256(self.job.release.read_bytes()).hexdigest()
        except OSError:
            return ""


def read_schedule(path: Path) -> list[Planned]:
    """The audits in a file. Raises BadRequest naming the audit and the key that is wrong."""
    try:
        tree = tomllib.loads(path.read_text("utf-8"))
    except OSError:
        raise BadRequest("The schedule cannot be read; name a TOML file that exists.") from None
    except ValueError as error:
        raise BadRequest(f"The schedule is not TOML: {str(error).rstrip('.')}.") from None
    listed = tree.get("audit")
    if set(tree) != {"audit"} or not isinstance(listed, list) or not listed:
        raise BadRequest("A schedule is a list of [[audit]] tables and nothing else.")
    found = [_planned(each, number, path.parent) for number, each in enumerate(listed, 1)]
    for what, values in (("name", [each.name for each in found]), ("trend", [each.job.trend for each in found])):
        if len(set(values)) < len(values):
            raise BadRequest(f"Two audits have the same {what}; each needs its own.")
    return found


def _planned(table: Any, number: int, base: Path) -> Planned:
    where = f"Audit {number} of the schedule"
    missing = [name for name in _NEEDED if not isinstance(table, dict) or name not in table]
    if missing:
        raise BadRequest(f"{where} has no {missing[0]}.")
    name, every = table["name"], table["every"]
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise BadRequest(f"{where}: name is up to 64 letters, digits and . _ -")
    form = _EVERY.fullmatch(every) if isinstance(every, str) else None
    if form is None:
        raise BadRequest(f"{where}: every is a number with m, h or d, such as 7d.")
    known = {each.name for each in fields(Job)} - {"at"}
    given = {_SAID.get(key, key): value for key, value in table.items() if key not in {"name", "every"}}
    unknown = sorted(set(given) - known)
    if unknown:
        raise BadRequest(f"{where} has a key that is not known: {unknown[0]}.")
    values = {key: _value(where, key, value, base) for key, value in given.items()}
    return Planned(name, timedelta(**{_UNITS[form[2]]: int(form[1])}), Job(at="", **values))


def _value(where: str, key: str, value: Any, base: Path) -> Any:
    """A value of the type that a Job wants."""
    if key in _LISTS:
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return value
        raise BadRequest(f"{where}: {key} is a list of texts.")
    if key in _NUMBERS:
        if isinstance(value, _NUMBERS[key]) and not isinstance(value, bool):
            return value
        raise BadRequest(f"{where}: {key} is a number.")
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{where}: {key} is a text.")
    return base / value if key in _FILES else value
