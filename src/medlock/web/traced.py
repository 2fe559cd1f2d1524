"""The API with a clock at each stage: the same FhirApi over parts that time themselves.

Used only where the operator set an endpoint for traces; `app.py` chooses. A caller's `traceparent` is taken up by the
rule of `correlation`; the trace's id then stands in the operator's log as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Protocol

from starlette.types import Receive, Scope, Send

from medlock.access.principal import Principal
from medlock.fhir.question import Question
from medlock.fhir.request import Request
from medlock.records.disclosure import Disclosure
from medlock.records.traced import Stage, Stages
from medlock.web.correlation import trace_of
from medlock.web.fhir_api import Asked, FhirApi, Parts
from medlock.web.ports import Gate
from medlock.web.reply import Replies, Reply


class Tracer(Stages, Protocol):
    """What makes spans; `otlp.Otlp` is one."""

    def request(self, parent: tuple[str, str] | None) -> AbstractContextManager[None]:
        """Time a block as one request, as part of the trace and span given."""

    def answered(self, interaction: str, status: int) -> str:
        """Say what the request turned out to be; the id of its trace."""


class TracedApi(FhirApi):
    """`FhirApi`, timed."""

    def __init__(self, parts: Parts, tracer: Tracer) -> None:
        super().__init__(replace(parts, gate=TracedGate(parts.gate, tracer)))
        self._tracer = tracer
        self._watched = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        address = scope["raw_path"] + b"?" + scope["query_string"]
        with self._tracer.request(trace_of(dict(scope["headers"]), address)):
            await super().__call__(scope, receive, send)

    def _question(self, request: Request) -> Question:
        with self._tracer.stage(Stage.PARSE):
            return super()._question(request)

    def _note(self, scope: Scope, reply: Reply, asked: Asked, started: float) -> None:
        asked.trace = self._tracer.answered(asked.interaction, reply.status)
        super()._note(scope, reply, asked, started)


class TracedGate:
    """A `Gate`, timed."""

    def __init__(self, gate: Gate, stages: Stages) -> None:
        self._gate = gate
        self._stages = stages

    async def authenticate(self, secret: str) -> Principal:
        """Whose token this is. Raises NotAuthenticated."""
        with self._stages.stage(Stage.AUTHENTICATE):
            return await self._gate.authenticate(secret)

    async def still(self, secret: str) -> Principal:
        """Whose token this is, of a request that is going on."""
        return await self._gate.still(secret)


class TracedReplies(Replies):
    """`Replies`, timed."""

    def __init__(self, base_url: str, stages: Stages, *, tls: bool) -> None:
        super().__init__(base_url, tls=tls)
        self._stages = stages

    async def disclosed(self, disclosure: Disclosure, question: Question, asked: Mapping[bytes, bytes]) -> Reply:
        """The answer to a question."""
        with self._stages.stage(Stage.RESPOND):
            return await super().disclosed(disclosure, question, asked)
