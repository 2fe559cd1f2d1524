"""`ports.Notices` over the door: who opened a patient's record in an emergency, out of the patient's own log.

The log is asked as the patient, who is held to their own record, and that is written down like every other look.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import orjson

from medlock.access.principal import Role
from medlock.clock import Clock
from medlock.errors import Denied, NotFound
from medlock.fhir.request import Frame, Request, parse
from medlock.identity.accounts import Accounts
from medlock.oauth.people import person_of
from medlock.oauth.tokens import log_reader
from medlock.web.ports import Door
from medlock.web.signin.ports import NoticeView, Visitor

SHOWN: Final = 5
_OPENED: Final = "110127"  # DICOM: Emergency Override Started
_CLIENT: Final = "medlock"


class NoticeDesk:
    """What a patient is told of emergencies. `base_url`: of the FHIR API."""

    def __init__(self, door: Door, accounts: Accounts, clock: Clock, base_url: str) -> None:
        self._door = door
        self._accounts = accounts
        self._clock = clock
        self._base_url = base_url

    async def of(self, visitor: Visitor) -> list[NoticeView]:
        """The latest, newest first; none for who is no patient. Raises Unavailable."""
        account, now = await self._accounts.get(visitor.account), self._clock.now_ms()
        if not account.patient or Role.PATIENT not in account.roles:
            return []
        asked = f"patient=Patient/{quote(account.patient)}&subtype={_OPENED}&_count={SHOWN}"
        question = parse(Request("GET", b"/AuditEvent", asked.encode(), {}), Frame(now, SHOWN, self._base_url))
        who = log_reader(person_of(account, now), account.patient, _CLIENT)
        try:
            found = orjson.loads((await self._door.answer(who, question)).body)
        except (NotFound, Denied):
            return []
        return [await self._view(entry["resource"]) for entry in found.get("entry", ())]

    async def _view(self, event: Mapping[str, Any]) -> NoticeView:
        user = event["agent"][0]
        at = int(datetime.fromisoformat(event["recorded"]).timestamp() * 1_000)
        roles = tuple(each["text"] for each in user.get("role", ()))
        return NoticeView(at, await self._name(user.get("altId", "")), roles, _reason(event))

    async def _name(self, account_id: str) -> str:
        """What somebody is called; of who has no account here, what the log calls them."""
        try:
            return (await self._accounts.get(account_id)).name
        except NotFound:
            return account_id


def _reason(event: Mapping[str, Any]) -> str:
    details = (detail for entity in event.get("entity", ()) for detail in entity.get("detail", ()))
    return next((each["valueString"] for each in details if each["type"] == "reason"), "")
