"""What risk a recipient may be sent: thresholds in a small file, and whether a release stays below them.

    [recipients.university]        # TOML, or the same in JSON
    prosecutor = 0.09
    singling-out = 0.09

A risk with an interval is held against its upper end: what may be too much is too much. A risk that a threshold names
and the audit did not measure blocks the release, too.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from medlock.errors import BadRequest

RISKS: Final = {
    "prosecutor": "highest risk of a record, for an attacker who knows that the person is in it",
    "journalist": "highest risk of a record, for an attacker who knows that the person is in the population",
    "marketer": "part of the records that an attacker gets right who wants as many as possible",
    "population-uniques": "part of the population estimated to be unique in it",
    "singling-out": "singling-out attack, upper end of its interval",
    "linkability": "linkability attack, upper end of its interval",
    "inference": "worst inference attack, upper end of its interval",
    "register": "highest chance that a record is linked rightly to somebody of the register",
}
DEFAULT: Final = {
    "prosecutor": 1 / 11,  # EMA policy 0070 writes 0.09: classes of eleven and more
    "journalist": 1 / 11,
    "marketer": 0.05,
    "singling-out": 0.09,
    "linkability": 0.09,
    "inference": 0.2,
    "register": 1 / 11,
}


@dataclass(frozen=True)
class Finding:
    """One risk against its threshold; a risk of None was not measured."""

    name: str
    risk: float | None
    threshold: float

    @property
    def exceeded(self) -> bool:
        """Whether it blocks the release."""
        return self.risk is None or self.risk > self.threshold


def thresholds(text: str, recipient: str, *, toml: bool) -> dict[str, float]:
    """A recipient's thresholds. Raises BadRequest for another form, an unknown recipient or an unknown risk."""
    try:
        found: Any = tomllib.loads(text) if toml else json.loads(text)
    except ValueError as error:
        msg = f"The thresholds are not {'TOML' if toml else 'JSON'}: {str(error).rstrip('.')}."
        raise BadRequest(msg) from None
    recipients = found.get("recipients") if isinstance(found, dict) else None
    if not isinstance(recipients, dict) or not isinstance(recipients.get(recipient), dict):
        msg = f"The thresholds have no recipient {recipient}; write a table [recipients.{recipient}]."
        raise BadRequest(msg)
    return {name: _threshold(name, value) for name, value in recipients[recipient].items()}


def held(risks: Mapping[str, float | None], limits: Mapping[str, float]) -> list[Finding]:
    """Every threshold with the risk it is for; one for the register only when the audit had one."""
    return [Finding(name, risks.get(name), limit) for name, limit in limits.items()]


def _threshold(name: str, value: Any) -> float:
    if name not in RISKS:
        msg = f"There is no risk {name}; thresholds are for {', '.join(RISKS)}."
        raise BadRequest(msg)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        msg = f"The threshold of {name} should be a number from 0 to 1."
        raise BadRequest(msg)
    return float(value)
