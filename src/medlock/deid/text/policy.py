"""What counts as an identifier: HIPAA's Safe Harbor, or every kind that MEDDOCAN's guideline names.

Safe Harbor (45 CFR 164.514(b)(2)) lets years, ages up to 89, states and countries, sex and profession stand. The
wider policy takes these too; it is the default for Spanish, where no such list makes the rest harmless (GDPR, recital
26: all means likely to be used).
"""

from __future__ import annotations

from dataclasses import dataclass

from medlock.deid.text.spans import Kind

_WIDER = frozenset({Kind.COUNTRY, Kind.SEX, Kind.RELATIVE, Kind.PROFESSION, Kind.OTHER})


@dataclass(frozen=True, slots=True)
class Policy:
    """The kinds that are removed; `all_ages` and `years` widen AGE and DATE beyond Safe Harbor."""

    name: str
    kinds: frozenset[Kind]
    all_ages: bool = False
    years: bool = False


SAFE_HARBOR = Policy("safe-harbor", frozenset(Kind) - _WIDER)
EVERY_KIND = Policy("every-kind", frozenset(Kind), all_ages=True, years=True)
POLICIES = {policy.name: policy for policy in (SAFE_HARBOR, EVERY_KIND)}
