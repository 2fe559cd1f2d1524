"""One question of one caller on its way through the door."""

from __future__ import annotations

import msgspec

from medlock.access.grant import Grant
from medlock.access.principal import Principal
from medlock.errors import Denied
from medlock.fhir.question import Question
from medlock.records.consents import Consulted
from medlock.records.inflow import Received
from medlock.records.scribe import Scribe


class Visit(msgspec.Struct, frozen=True):
    """What is known of it by now: who asks what, the Grant, and what the answer is made with."""

    principal: Principal
    question: Question
    grant: Grant | None
    scribe: Scribe
    now: int
    receipt: bytes = b""
    consents: Consulted | None = None
    content: Received | None = None

    @property
    def granted(self) -> Grant:
        """The Grant; a visit without one has no business fetching."""
        if self.grant is None:
            raise Denied("no decision was made")
        return self.grant
