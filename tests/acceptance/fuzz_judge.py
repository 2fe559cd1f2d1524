"""What every answer to the fuzzer has to keep to, whatever was asked.

No fault; no plain error that is not an OperationOutcome (by the models of fhirclient, a second opinion); nothing in an
error that was sent as a value, that is planted in a record, or that tells of the inside; nothing of the other patient's
record in any answer to the one who is held to a record.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from fhirclient.models.fhirabstractbase import FHIRValidationError
from fhirclient.models.operationoutcome import OperationOutcome

from acceptance.fuzz_request import Asked
from acceptance.fuzz_wire import Answer

INSIDE = re.compile(
    rb"Traceback|File \\?\"|\.py\b|site-packages|/work/|/tmp/|/home/|/usr/|SELECT |INSERT |sqlite|asyncpg|psycopg"
    rb"|msgspec|orjson|uvicorn|starlette|Error\(|0x[0-9a-f]{6,}",
)
SECRET = "Zsecret"  # begins whatever is sent as a value that a person would not want to see in a log


@dataclass
class Judge:
    """Knows the planted markers; keeps what went wrong, and the links to next pages."""

    planted: re.Pattern[bytes]
    pages: list[str] = field(default_factory=list)
    counts: dict[int, int] = field(default_factory=dict)
    _valid: set[bytes] = field(default_factory=set)

    def wrongs(self, asked: Asked, answer: Answer) -> list[str]:
        """Sentences about what an answer must not be."""
        self.counts[answer.status] = self.counts.get(answer.status, 0) + 1
        body = answer.plain
        found = [f"status {answer.status}"] if answer.status >= 500 else []
        if asked.caller != "clinician" and self.planted.search(body + repr(answer.headers).encode()):
            found.append("another's record")
        if answer.status >= 400:
            found += self._error(asked, answer, body)
        elif body and "json" in answer.headers.get("content-type", ""):
            found += self._entries(body)
        return found

    def _error(self, asked: Asked, answer: Answer, body: bytes) -> list[str]:
        """What is wrong with an error."""
        found = [f"an error holds {name}" for name, pattern in self._forbidden() if pattern.search(body)]
        if answer.headers.get("connection") == "close" and answer.status == 400:
            return found  # not HTTP: no API has seen it
        if asked.method != "HEAD" and not self._is_outcome(body):
            found.append("no valid OperationOutcome")
        return found

    def _forbidden(self) -> tuple[tuple[str, re.Pattern[bytes]], ...]:
        return ("a record", self.planted), ("a value", re.compile(SECRET.encode())), ("the inside", INSIDE)

    def _is_outcome(self, body: bytes) -> bool:
        """Whether a body is a valid OperationOutcome that has something to say."""
        if body in self._valid:
            return True
        try:
            outcome = OperationOutcome(json.loads(body), strict=True)
        except (ValueError, TypeError, FHIRValidationError):
            return False
        if not all(issue.severity and issue.code and issue.diagnostics for issue in outcome.issue):
            return False
        self._valid.add(body)
        return True

    def _entries(self, body: bytes) -> list[str]:
        """The same for what stands in the entries of a Bundle."""
        shown = json.loads(body)
        if shown.get("resourceType") != "Bundle":
            return []
        self._follow(shown)
        return [wrong for entry in shown.get("entry", []) for wrong in self._entry(entry.get("response") or {})]

    def _entry(self, response: dict[str, Any]) -> list[str]:
        status = response.get("status", "200")
        self.counts[int(status[:3])] = self.counts.get(int(status[:3]), 0) + 1
        if status < "400":
            return []
        outcome = json.dumps(response.get("outcome")).encode()
        found = [f"an entry's error holds {name}" for name, pattern in self._forbidden() if pattern.search(outcome)]
        if status >= "500":
            found.append(f"an entry with status {status}")
        return found if self._is_outcome(outcome) else [*found, "an entry without a valid OperationOutcome"]

    def _follow(self, bundle: dict[str, Any]) -> None:
        """Keep links to pages."""
        links = [each["url"] for each in bundle.get("link", []) if each["relation"] == "next"]
        self.pages = (self.pages + [link.partition("_page=")[2] for link in links])[-50:]
