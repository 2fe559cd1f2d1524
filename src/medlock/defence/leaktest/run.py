"""One run: write the family, let everybody try, see whether anything changed, take the family away again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import orjson

from medlock.defence.leaktest.actors import Actor
from medlock.defence.leaktest.attempts import Ask, Attempt, Caller, Told, get, send
from medlock.defence.leaktest.family import RECORDS, Json, Record, placed
from medlock.defence.leaktest.judge import Finding, Judge
from medlock.defence.leaktest.plan import attempts
from medlock.defence.leaktest.timing import Stopwatch, timed
from medlock.errors import SetupError

_PAGES_MAX = 8
_JOB_POLLS = 20


@dataclass(slots=True)
class Outcome:
    """What a run found, and how much it tried: requests by kind of attempt."""

    findings: list[Finding] = field(default_factory=list)
    tried: dict[str, int] = field(default_factory=dict)
    actors: list[str] = field(default_factory=list)

    @property
    def attempts(self) -> int:
        """How many attempts were made."""
        return sum(self.tried.values())


class LeakTest:
    """The test of one server.

    writer  a token that may write and read all of the family
    tag     what the ids of the family begin with
    rounds  how often each of a pair is asked when times are compared; 0: they are not
    """

    def __init__(self, caller: Caller, writer: str, tag: str = "leaktest", rounds: int = 0) -> None:
        self._caller = caller
        self._watch = Stopwatch(caller, rounds)
        self._writer = writer
        self._ids = {record.name: f"{tag}-{record.name}" for record in RECORDS}

    @property
    def ids(self) -> Mapping[str, str]:
        """The server's names for the family."""
        return self._ids

    async def settle(self) -> None:
        """Write the family. Raises SetupError when the server does not take it."""
        entries = [
            {"resource": self._resource(record), "request": {"method": "PUT", "url": self._address(record)}}
            for record in RECORDS
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answer = await self._caller.call(send("POST", "/", bundle), self._writer)
        if answer.status >= 300:
            raise SetupError(
                f"The server did not take the test's family ({answer.status}): the writer's token must be allowed to "
                f"update with ids of its own. It said: {answer.body[:300].decode(errors='replace')}"
            )

    async def leave(self) -> None:
        """Take the family away; what cannot be deleted stays."""
        for record in reversed(RECORDS):
            await self._caller.call(Ask("DELETE", f"/{self._address(record)}"), self._writer)

    async def run(
        self, who: Sequence[Actor], step: Callable[[], None] = lambda: None, *, first: bool = False
    ) -> Outcome:
        """Everybody tries everything; `step` is called for each attempt; `first`: until something is found.

        Raises Unavailable.
        """
        outcome = Outcome(actors=[actor.name for actor in who])
        before = await self._versions()
        for actor in who:
            judge = Judge(actor, self._ids)
            for attempt in chain(timed(actor, self._ids), attempts(actor, self._ids, self._writer)):
                outcome.tried[attempt.kind] = outcome.tried.get(attempt.kind, 0) + 1
                outcome.findings += await self._try(actor, judge, attempt)
                step()
                if first and outcome.findings:
                    return outcome
            after = await self._versions()
            outcome.findings += _changed(judge, before, after)
            before = after
        return outcome

    async def _try(self, actor: Actor, judge: Judge, attempt: Attempt) -> list[Finding]:
        """One attempt, with its twin, the pages that follow and the files that are made."""
        if attempt.kind == "timing":
            return await self._watch.look(actor, judge, attempt)
        answer = await self._caller.call(attempt.ask, actor.token)
        found = judge.told(attempt, answer)
        if attempt.twin is not None:
            found = found or judge.apart(attempt, answer, await self._caller.call(attempt.twin, actor.token))
        if not found and attempt.ask.method == "GET" and answer.status < 300:
            found = await self._followed(actor, judge, attempt, answer)
        return found

    async def _followed(self, actor: Actor, judge: Judge, attempt: Attempt, answer: Told) -> list[Finding]:
        """Later pages, and the files of an export."""
        if answer.status == 202:
            return await self._exported(actor, judge, attempt, answer)
        for _ in range(_PAGES_MAX):
            following = _next(answer)
            if not following:
                return []
            answer = await self._caller.call(get(following), actor.token)
            if found := judge.told(attempt, answer, get(following)):
                return found
        return []

    async def _exported(self, actor: Actor, judge: Judge, attempt: Attempt, answer: Told) -> list[Finding]:
        """What an export brought, once it is ready."""
        place = answer.headers.get("content-location", "")
        for _ in range(_JOB_POLLS if place else 0):
            answer = await self._caller.call(get(place), actor.token)
            if answer.status != 202:
                break
        for file in _files(answer):
            brought = await self._caller.call(get(file), actor.token)
            if found := judge.told(attempt, brought, get(file)):
                return found
        return []

    async def _versions(self) -> dict[str, bytes]:
        """Every record as the writer sees it."""
        found = {}
        for record in RECORDS:
            answer = await self._caller.call(get(f"/{self._address(record)}"), self._writer)
            found[record.name] = answer.body if answer.status == 200 else b""
        return found

    def _address(self, record: Record) -> str:
        return f"{record.type}/{self._ids[record.name]}"

    def _resource(self, record: Record) -> Json:
        return {"resourceType": record.type, "id": self._ids[record.name], **placed(record.body, self._ids)}


def _changed(judge: Judge, before: Mapping[str, bytes], after: Mapping[str, bytes]) -> list[Finding]:
    """Hidden records that are not what they were before an actor tried."""
    return [
        judge.finding(Attempt("change", record, get(f"/{record.type}")), "the record was changed or deleted")
        for record in judge.actor.hidden()
        if before[record.name] != after[record.name]
    ]


def _next(answer: Told) -> str:
    """Where the next page is; "" when there is none."""
    try:
        links = orjson.loads(answer.body).get("link", [])
    except (orjson.JSONDecodeError, AttributeError):
        return ""
    return next((str(link.get("url", "")) for link in links if link.get("relation") == "next"), "")


def _files(answer: Told) -> list[str]:
    """The addresses of an export's files."""
    try:
        return [str(each["url"]) for each in orjson.loads(answer.body).get("output", [])]
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        return []
