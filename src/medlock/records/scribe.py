"""Writes down who came in: turns one visit into audit events, one for each patient that it touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

import msgspec

from medlock.access.consent.codes import BREAK_GLASS
from medlock.access.principal import Principal, Role
from medlock.audit.events import Action, Event, Outcome, Position, Touched
from medlock.errors import MedlockError
from medlock.fhir.options import ExportOptions
from medlock.fhir.question import EXPORTS, Interaction, Question
from medlock.records.finding import Finding
from medlock.store.bodies import Opened

ACTIONS = {
    Interaction.READ: Action.READ,
    Interaction.VREAD: Action.VREAD,
    Interaction.HISTORY: Action.HISTORY,
    Interaction.HISTORY_TYPE: Action.HISTORY_TYPE,
    Interaction.HISTORY_SYSTEM: Action.HISTORY_SYSTEM,
    Interaction.CREATE: Action.CREATE,
    Interaction.UPDATE: Action.UPDATE,
    Interaction.PATCH: Action.PATCH,
    Interaction.DELETE: Action.DELETE,
    Interaction.SEARCH: Action.SEARCH,
    Interaction.SEARCH_SYSTEM: Action.SEARCH,
    Interaction.BATCH: Action.BATCH,
    Interaction.TRANSACTION: Action.TRANSACTION,
    Interaction.EVERYTHING: Action.EVERYTHING,
    Interaction.MATCH: Action.MATCH,
    Interaction.ACCESS_REASONS: Action.ACCESS_REASONS,
    Interaction.LASTN: Action.LASTN,
    Interaction.DOCREF: Action.DOCREF,
    Interaction.VALIDATE: Action.VALIDATE,
    Interaction.BREAK_GLASS: Action.GLASS_ASK,
    Interaction.BREAK_GLASS_END: Action.GLASS_ASK,
    Interaction.BREAK_GLASS_CASES: Action.GLASS_CASES,
    Interaction.BREAK_GLASS_REVIEW: Action.GLASS_CASES,
} | dict.fromkeys(EXPORTS, Action.EXPORT)

_SEARCHES = frozenset({Interaction.SEARCH, Interaction.SEARCH_SYSTEM})


@cache
def _names(roles: frozenset[Role]) -> tuple[str, ...]:
    """Roles in a fixed order; there are few sets of them."""
    return tuple(sorted(roles))


class Whom(msgspec.Struct, frozen=True):
    """The patient an event is about: slot and logical id; slot 0 for none."""

    slot: int = 0
    patient: str = ""


NOBODY = Whom()
_NOBODY = (0, "")


def _whose(opened: Opened) -> Whom:
    return Whom(opened.slot, opened.meta.patients[0]) if opened.meta.patients else NOBODY


class Scribe(msgspec.Struct, frozen=True):
    """One visit: who asked what, when. `request` ties its events together.

    windows  slot → emergency in which the caller is with that patient, filled by whoever looks that up
    """

    principal: Principal
    question: Question
    now: int
    request: str
    basis: str = ""
    why: Callable[[str], str] | None = None
    windows: dict[int, str] = {}

    def event(
        self,
        outcome: Outcome,
        whom: Whom = NOBODY,
        touched: Iterable[Touched] = (),
        *,
        reason: str = "",
        position: Position | None = None,
    ) -> Event:
        """One event of this visit."""
        who = self.principal
        window = self.windows.get(whom.slot, "") if self.windows else ""
        return Event(
            ACTIONS[self.question.interaction],
            outcome,
            who.account,
            _names(who.roles),
            who.client,
            BREAK_GLASS if window else who.purpose,
            self.now,
            self.request,
            whom.slot,
            whom.patient,
            tuple(touched),
            self._query(),
            reason,
            self._basis(whom.patient, window),
            position,
        )

    def _basis(self, patient: str, window: str) -> str:
        """Why, in words; with what the patient's consent says of it, and in which emergency."""
        said = self.why(patient) if self.why is not None and patient else ""
        basis = f"{self.basis}; {said}" if said else self.basis
        return f"{basis}; break-glass {window}" if window else basis

    def refusal(self, outcome: Outcome, refusal: MedlockError) -> list[Event]:
        """Events of a refusal: one for each resource that it tells of; at least one in all."""
        reason = f"{refusal.audit_code}: {refusal.reason}"
        events = [
            self.event(
                outcome, _whose(opened), [Touched(opened.meta.reference, opened.meta.version, "R")], reason=reason
            )
            for opened in refusal.tells_of
        ]
        return events or [self.event(outcome, reason=reason)]

    def receipt(self, key: int) -> Event:
        """The event that vouches for a receipt: `request` names its row."""
        return msgspec.structs.replace(self.event(Outcome.SUCCESS), action=Action.LOAD, request=f"{key:016x}")

    def _query(self) -> str:
        """What was asked, as text: it may hold patient data and is sealed with the event's detail."""
        asked = self.question
        query = asked.query or asked.criteria
        if query is not None:
            return f"{self._searched()}?{query.text}"
        named = "/".join(part for part in (asked.type, asked.id, asked.version) if part)
        if isinstance(asked.options, ExportOptions):
            return f"{named}/${asked.interaction} {asked.options.part.file}?{asked.options.text}".removeprefix("/")
        return f"{named}?{asked.options.text}" if asked.options is not None and asked.options.text else named

    def _searched(self) -> str:
        """What a search is made in: a type, or the compartment of a patient."""
        asked = self.question
        if asked.id and asked.interaction in _SEARCHES:
            return f"Patient/{asked.id}/{asked.type or '*'}"
        return asked.type

    def disclosure(self, finding: Finding) -> list[Event]:
        """Events of an answer: one for each patient whose resources it holds; at least one in all."""
        by_patient: dict[tuple[int, str], list[Touched]] = {}
        for opened in finding.disclosed:
            meta = opened.meta
            whom = (opened.slot, meta.patients[0]) if meta.patients else _NOBODY
            touched = Touched(f"{meta.type}/{meta.id}", meta.version, "R")
            if whom in by_patient:
                by_patient[whom].append(touched)
            else:
                by_patient[whom] = [touched]
        for slot, patient, touched in finding.seen:
            by_patient.setdefault((slot, patient), []).append(touched)
        if not by_patient:
            by_patient[finding.about] = []
        return [self.event(Outcome.SUCCESS, Whom(*whom), touched) for whom, touched in by_patient.items()]
