"""What an attacker would try first for a patient: names, birth date, record numbers, addresses in their own record.

For the rule that passwords do not rest on such words (SP 800-63B-4 §3.1.1.2). The record is read through the door, as
the account's owner, held to their own record, and written down like every other look; nothing of it is kept or shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from medlock.clock import Clock
from medlock.errors import Denied, NotFound
from medlock.fhir.request import Frame, Request, parse
from medlock.identity.account import Account
from medlock.oauth.people import person_of
from medlock.oauth.tokens import looker
from medlock.web.ports import Door

_CLIENT = "medlock"


class OwnWords:
    """`identity.enrolment.Words` over the door. `base_url`: of the FHIR API."""

    def __init__(self, door: Door, clock: Clock, base_url: str) -> None:
        self._door = door
        self._clock = clock
        self._base_url = base_url

    async def __call__(self, account: Account) -> tuple[str, ...]:
        """The words; none for who is no patient, or whose record is gone. Raises Unavailable."""
        if not account.patient:
            return ()
        who = looker(person_of(account, self._clock.now_ms()), account.patient, _CLIENT)
        request = Request("GET", f"/Patient/{account.patient}".encode(), b"", {})
        try:
            disclosure = await self._door.answer(who, parse(request, Frame(self._clock.now_ms(), 1, self._base_url)))
        except (NotFound, Denied):
            return ()
        return tuple(_said(orjson.loads(disclosure.body)))


def _said(patient: dict[str, Any]) -> Iterator[str]:
    """The texts of a Patient that people make passwords of."""
    yield patient.get("birthDate", "")
    for name in patient.get("name", ()):
        yield from (name.get("text", ""), name.get("family", ""), *name.get("given", ()))
    for coded in (*patient.get("identifier", ()), *patient.get("telecom", ())):
        yield coded.get("value", "")
    for address in patient.get("address", ()):
        yield from (address.get("city", ""), address.get("postalCode", ""), *address.get("line", ()))
