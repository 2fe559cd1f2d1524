"""The door with a clock at each stage, for traces. Where nobody traces, `Door` itself stands there and nothing is paid.

A stage says how long it took and nothing else: no span has an attribute that comes from a question or a record.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Any, Protocol

from medlock.access.principal import Principal
from medlock.errors import MedlockError
from medlock.fhir.question import Interaction, Question
from medlock.records.consents import Consulted
from medlock.records.disclosure import Disclosure
from medlock.records.door import Door, Handler
from medlock.records.finding import Finding
from medlock.records.scribe import Scribe
from medlock.records.visit import Visit


class Stage(StrEnum):
    """The stages of one request (docs/design.md). A write's commit, its audit entries among them, is `write`."""

    PARSE = "parse"
    AUTHENTICATE = "authenticate"
    DECIDE = "decide"
    FETCH = "fetch"
    WRITE = "write"
    AUDIT = "audit"
    RESPOND = "respond"


_WRITES = frozenset({Interaction.CREATE, Interaction.UPDATE, Interaction.DELETE, Interaction.TRANSACTION})


class Stages(Protocol):
    """Whoever times them."""

    def stage(self, stage: Stage) -> AbstractContextManager[None]:
        """Time a block as a part of the request that is being answered."""


class TracedDoor(Door):
    """`Door`, timed."""

    def __init__(self, stages: Stages, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self._stages = stages
        self._handlers = {each: self._timed(each, handler) for each, handler in self._handlers.items()}

    def _timed(self, interaction: Interaction, handler: Handler) -> Handler:
        if interaction is Interaction.BATCH:  # its entries are
            return handler
        stage = Stage.WRITE if interaction in _WRITES else Stage.FETCH

        async def timed(visit: Visit) -> Finding:
            with self._stages.stage(stage):
                return await handler(visit)

        return timed

    def _decided(
        self, principal: Principal, asked: Question, scribe: Scribe, receipt: bytes, consents: Consulted
    ) -> Visit:
        with self._stages.stage(Stage.DECIDE):
            return super()._decided(principal, asked, scribe, receipt, consents)

    async def _release(self, finding: Finding, visit: Visit) -> Disclosure:
        if finding.logged:
            return await super()._release(finding, visit)
        with self._stages.stage(Stage.AUDIT):
            return await super()._release(finding, visit)

    async def _write_down(self, refusal: MedlockError, scribe: Scribe) -> None:
        with self._stages.stage(Stage.AUDIT):
            await super()._write_down(refusal, scribe)
