"""An OperationOutcome is valid R4 whatever problems it tells of."""

from __future__ import annotations

import orjson
import pytest

from medlock import errors
from medlock.errors import MedlockError, Problem
from medlock.fhir.outcome import operation_outcome
from medlock.fhir.structures import codes
from medlock.fhir.validate import validate


def test_every_problem_becomes_an_issue():
    """Severity, code, sentence and path are told; a problem without a path has no expression."""
    made = orjson.loads(
        operation_outcome([Problem("required", "x is required", "Patient.x"), Problem("invalid", "bad")])
    )
    assert made["issue"] == [
        {"severity": "error", "code": "required", "diagnostics": "x is required", "expression": ["Patient.x"]},
        {"severity": "error", "code": "invalid", "diagnostics": "bad"},
    ]
    assert validate(made) == []


@pytest.mark.parametrize("kind", sorted({name for name in vars(errors) if isinstance(getattr(errors, name), type)}))
def test_every_error_has_a_code_of_the_value_set(kind):
    """Each error of the tree names an issue code that R4 knows."""
    error = getattr(errors, kind)
    if issubclass(error, MedlockError):
        assert error.issue in {code for _, code in codes("issue-type")}
        assert validate(orjson.loads(operation_outcome([Problem(error.issue, "x")]))) == []
