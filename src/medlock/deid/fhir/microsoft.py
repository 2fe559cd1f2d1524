"""A rule file of Microsoft's tool, ready to run: `from_rules(read_rules(data), key).apply(resource, today)`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from medlock.deid.fhir.methods import Keep, Redact, treatment_of
from medlock.deid.fhir.nodes import resource_kind
from medlock.deid.fhir.rules import Parameters, RuleSet
from medlock.deid.fhir.run import Run, Treatment
from medlock.deid.fhir.subject import Subject
from medlock.deid.fhir.walk import Compiler
from medlock.errors import Unprocessable


@dataclass(frozen=True)
class RuleEngine:
    """Compiled rules of one file."""

    compiler: Compiler
    skip_errors: bool = False

    def apply(self, resource: dict[str, Any], today: date) -> dict[str, Any]:
        """The resource as the rules leave it. Raises Unprocessable, unless the file says to skip errors."""
        return self.counted(resource, today)[0]

    def counted(self, resource: dict[str, Any], today: date) -> tuple[dict[str, Any], int]:
        """The same, with the number of strings that no rule spoke of and that were kept."""
        run = Run(today, Subject())
        try:
            out = self.compiler.outermost(resource, run)
        except Unprocessable:
            if not self.skip_errors or not resource_kind(resource):
                raise
            out = {"resourceType": resource["resourceType"]}
        return out, run.unruled


def from_rules(rules: RuleSet, key: bytes, *, prefix: str = "", strict: bool = False) -> RuleEngine:
    """An engine for `rules`; `key`, 32 bytes, stands in for keys that the file leaves empty.

    `prefix` is the name of the file or folder when the scope of date shifts says so. With `strict`, what no rule
    reaches is redacted; Microsoft's tool keeps it.
    """
    treatments = [treatment_of(rank, rule, rules.parameters, key, prefix) for rank, rule in enumerate(rules.rules)]
    unmatched: Treatment = Redact(Parameters()) if strict else Keep(counts=True)
    return RuleEngine(Compiler(rules.rules, treatments, unmatched), rules.skip_errors)
