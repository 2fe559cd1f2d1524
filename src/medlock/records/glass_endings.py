"""Emergency accesses end with the account that has them: `identity.endings.Endings` for what `records.glass` gives.

They would open nothing any more, since their tokens end as well; so the queue and the patient's log say when it was.
"""

from __future__ import annotations

from medlock.access.consent.codes import BREAK_GLASS
from medlock.audit.events import Action, Event, Outcome
from medlock.audit.log import AuditLog
from medlock.clock import Clock
from medlock.records.glass import Case, Ended, Glass
from medlock.records.vault import Vault
from medlock.store.tables import Batch

_BY = "medlock"


class GlassEndings:
    """Makes the batch that ends them."""

    def __init__(self, vault: Vault, log: AuditLog, clock: Clock) -> None:
        self._glass = Glass(vault)
        self._log = log
        self._clock = clock

    async def of_account(self, account_id: str) -> Batch:
        """All of an account's that last, for the batch that changes it; Raced when one was ended meanwhile."""
        now = self._clock.now_ms()
        _, recent = await self._glass.recent(account_id)
        lasting = [each for each in recent.windows if each.lasts(now)]
        over = await self._glass.over(lasting)
        batch = Batch()
        for window in lasting:
            if window.number not in over:
                batch += await self._ended(window.number, now)
        return batch

    async def _ended(self, number: int, now: int) -> Batch:
        case = await self._glass.case(self._glass.id(number))
        batch = self._glass.ending(number, Ended(now, _BY, "account"))
        return batch + Batch(entries=self._log.seal(self._event(case, number, now)))

    def _event(self, case: Case, number: int, now: int) -> Event:
        about = case.opened
        patient = case.told.patient if about.slot and case.told is not None else ""
        return Event(
            Action.GLASS_END,
            Outcome.SUCCESS,
            about.account,
            about.roles,
            about.client,
            BREAK_GLASS,
            now,
            self._glass.id(number, b"end"),
            about.slot,
            patient,
            basis=f"the account was changed; break-glass {self._glass.id(number)}",
        )
