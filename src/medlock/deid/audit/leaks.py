"""How much may be left in released texts: the leaks that somebody found, with a 95 % interval.

A review says what was looked for, on what, how many identifiers or texts were checked and how many leaked:

    [[leak]]
    what = "names of patients"
    on = "200 notes of this release, drawn at random, read by two people"
    checked = 545
    leaked = 1

The interval holds for what the sample was drawn from, and only if it was drawn at random.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medlock.deid.audit.intervals import Estimate, exact_interval
from medlock.deid.text.known import Known
from medlock.deid.text.sweep import Sweep
from medlock.errors import BadRequest


@dataclass(frozen=True)
class Leak:
    """One measurement of residual leaks."""

    what: str
    on: str
    checked: int
    leaked: int

    @property
    def share(self) -> Estimate:
        """The share that leaked, in its Clopper-Pearson interval."""
        return exact_interval(self.leaked, self.checked)


def leaks(text: str, *, toml: bool) -> list[Leak]:
    """The measurements of a file. Raises BadRequest for another form, or more leaked than was checked."""
    try:
        found: Any = tomllib.loads(text) if toml else json.loads(text)
    except ValueError as error:
        msg = f"The leaks are not {'TOML' if toml else 'JSON'}: {str(error).rstrip('.')}."
        raise BadRequest(msg) from None
    entries = found.get("leak") if isinstance(found, dict) else None
    if not isinstance(entries, list) or not entries:
        msg = "The leaks need at least one entry [[leak]] with what, on, checked and leaked."
        raise BadRequest(msg)
    return [_leak(number, entry) for number, entry in enumerate(entries, 1)]


def known_left(texts: Sequence[tuple[str, str]], known: Known) -> Leak:
    """How many of the released texts (name, words) still hold a known identifier in any spelling; see text.sweep."""
    sweep = Sweep(known)
    held = sum(any(True for _ in sweep.find(words)) for _, words in texts)
    return Leak(
        "known identifiers, in every spelling of the sweep", f"all {len(texts)} texts of this release", len(texts), held
    )


def texts_of(name: str, data: bytes) -> list[tuple[str, str]]:
    """The texts of a released file: its lines for NDJSON, else the whole. Raises BadRequest when it is not UTF-8."""
    try:
        words = data.decode()
    except UnicodeDecodeError:
        msg = f"{name} is not UTF-8 text; known identifiers can be looked for in text only."
        raise BadRequest(msg) from None
    parts = words.splitlines() if name.endswith((".ndjson", ".jsonl")) else [words]
    return [(name, part) for part in parts if part.strip()]


def _leak(number: int, entry: Any) -> Leak:
    match entry:
        case {"what": str(what), "on": str(on), "checked": int(checked), "leaked": int(leaked)} if what and on:
            pass
        case _:
            msg = f"Leak {number} needs the texts what and on, and the whole numbers checked and leaked."
            raise BadRequest(msg)
    if isinstance(checked, bool) or isinstance(leaked, bool) or not 0 <= leaked <= checked or not checked:
        msg = f"Leak {number} should have checked at least 1, and leaked from 0 to that."
        raise BadRequest(msg)
    return Leak(what, on, checked, leaked)
