"""Subscription (R4 §2.7), rest-hook: prepared, and refused until something can send.

A notification leaves the building, so it needs what is not there yet: the register of partners and the one outbound
connection. Until `app` can hand in a `Notifier`, a Subscription may be stored only as `off`: anything else would
promise notifications that never come. When it comes, whoever sends asks the door again on behalf of the subscriber for
every notice, so a notice itself says nothing but that there is something to look at.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from medlock.errors import Problem, Unprocessable

_OFF = "off"


class Notice(msgspec.Struct, frozen=True):
    """That something happened which a Subscription is about: no resource, no id, no patient."""

    subscription: str
    account: str
    recorded: int


class Notifier(Protocol):
    """Sends notices; `partners` will be one. It keeps what cannot be sent yet, and never raises for that."""

    async def tell(self, notice: Notice) -> None:
        """Take one notice."""


def refuse_promises(resource: dict[str, object]) -> None:
    """Raise Unprocessable for a Subscription that expects to be told."""
    if resource.get("resourceType") == "Subscription" and resource.get("status") != _OFF:
        text = "This server sends no notifications yet: a Subscription can be stored with status off only."
        raise Unprocessable(text, problems=(Problem("not-supported", text, "Subscription.status"),))
