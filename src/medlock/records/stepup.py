"""What weighs more than a read needs a fresh proof of who acts through an app (RFC 9470, ASVS 5.0 7.5.3).

A token that came of a person's approval tells when and how strongly they had proved who they are; a refresh changes
neither, so an app asks for a new approval (`max_age`) when the proof is too old. Programs, and tokens that an operator
made, have nobody behind them who could prove anything: their keys are their proof.
"""

from __future__ import annotations

from medlock.access.principal import Principal
from medlock.fhir.question import EXPORTS, Question
from medlock.identity.strength import Act, demand
from medlock.records.exporting import begins


def step_up(principal: Principal, question: Question, now_ms: int) -> None:
    """Return when a caller's proof is strong and fresh enough for what they ask. Raises StepUpNeeded.

    An export is proved for when it begins; what has begun goes on.
    """
    if principal.grant_id and question.interaction in EXPORTS and begins(question):
        demand(Act.EXPORT, principal.acr, principal.auth_time * 1000, now_ms)
