"""Problems as an OperationOutcome (R4 §2.28): what every error looks like to a FHIR client.

It carries rule and path, never a value: the texts are written by this server.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from medlock.errors import Problem


def operation_outcome(problems: Iterable[Problem]) -> bytes:
    """An OperationOutcome as JSON, with one issue for each problem."""
    return orjson.dumps({"resourceType": "OperationOutcome", "issue": [_issue(problem) for problem in problems]})


def _issue(problem: Problem) -> dict[str, Any]:
    """One issue; `expression` only when the fault lies at a place in a resource."""
    issue: dict[str, Any] = {
        "severity": problem.severity,
        "code": problem.code,
        "diagnostics": problem.text,
    }
    if problem.path:
        issue["expression"] = [problem.path]
    return issue
