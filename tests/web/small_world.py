"""A small world behind the edge: a door that keeps resources in a dict, a gate with one token, a watch that remembers.

The door can be told to fail. It stands for `records.door`, whose answers have the same form.
"""

import orjson

from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.scopes import parse_scopes
from medlock.clock import Clock
from medlock.errors import NotAuthenticated, NotFound
from medlock.fhir.capability import Instance, capability_statement
from medlock.fhir.question import Interaction
from medlock.records.disclosure import _RELEASED, Disclosure
from medlock.settings import Limits
from medlock.web.fhir_api import FhirApi, Parts
from medlock.web.inventory import INVENTORY
from medlock.web.oplog import OpLog
from medlock.web.pipeline import Outer, Site
from medlock.web.protection import UNPROTECTED
from medlock.web.reply import Replies

BASE = "https://localhost:8443/fhir"
TOKEN = "a-token-that-is-known"
AUTH = {"authorization": f"Bearer {TOKEN}"}
UPDATED = 1_700_000_000_000
STATEMENT = capability_statement(Instance(BASE, "0.0.0", "2026-01-01T00:00:00Z"))


class SmallGate:
    """Knows one token."""

    def __init__(self):
        self.asked = 0
        self.principal = mint_principal("dr", frozenset({Role.CLINICIAN}), parse_scopes("user/*.cruds"))

    async def authenticate(self, secret):
        self.asked += 1
        if secret != TOKEN:
            raise NotAuthenticated("another sentence", reason="unknown token")
        return self.principal

    async def still(self, secret):
        return await self.authenticate(secret)


class SmallDoor:
    """Answers from a dict of `Type/id` to JSON; remembers questions; raises `fault` when it is set."""

    def __init__(self):
        self.kept = {"Patient/1": b'{"resourceType":"Patient","id":"1","active":true}'}
        self.questions = []
        self.fault = None

    async def answer(self, principal, question, *, arriving=None):
        assert principal.account == "dr"
        self.questions.append(question)
        if arriving is not None:
            self.arrived = b"".join([piece async for piece in arriving])
        if self.fault is not None:
            raise self.fault
        if question.interaction in {Interaction.READ, Interaction.VREAD}:
            body = self.kept.get(f"{question.type}/{question.id}")
            if body is None:
                raise NotFound("Not here.", reason="private reason")
            return Disclosure(200, body, "3", UPDATED, "", 7, _RELEASED)
        if question.interaction is Interaction.CREATE:
            return Disclosure(201, question.body, "1", UPDATED, "Patient/2/_history/1", 8, _RELEASED)
        if question.interaction is Interaction.DELETE:
            return Disclosure(204, b"", "4", UPDATED, "", 9, _RELEASED)
        body = orjson.dumps({"resourceType": "Bundle", "type": "searchset", "note": "x" * 2000})
        return Disclosure(200, body, _released=_RELEASED)


class SmallWatch:
    """Remembers whom it was told of."""

    def __init__(self):
        self.reasons = []
        self.fault = None

    async def refused(self, reason, request):
        if self.fault is not None:
            raise self.fault
        assert request
        self.reasons.append(reason)


class SmallProbe:
    """Is ready unless it has a fault."""

    fault = None

    async def ready(self):
        if self.fault is not None:
            raise self.fault


class Lines(list):
    """A sink that keeps lines."""

    def write(self, line):
        self.append(line)

    def flush(self):
        """Nothing is held back."""


class SmallWorld:
    """Everything together, and the site over it."""

    def __init__(
        self, *, tls=True, requests=False, limits=None, protection=UNPROTECTED, mounted=(), inventory=INVENTORY
    ):
        self.gate, self.door, self.watch, self.probe = SmallGate(), SmallDoor(), SmallWatch(), SmallProbe()
        self.lines = Lines()
        log = OpLog(Clock(), self.lines, requests=requests)
        replies = Replies(BASE, tls=tls)
        self.parts = Parts(
            *(self.gate, self.door, self.watch, replies, limits or Limits(), BASE, Clock(), log, lambda: STATEMENT),
            protection=protection,
        )
        outer = Outer(replies, self.probe, log, tls=tls, protection=protection)
        rest = outer.app(mounted, inventory)
        self.site = Site(FhirApi(self.parts), rest, outer.preflights(rest))
