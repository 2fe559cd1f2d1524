"""Attempts to change, and to learn from what a change is answered: criteria, versions, references, bundles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from medlock.defence.leaktest.attempts import Ask, Attempt, get, send
from medlock.defence.leaktest.family import LOINC, SYSTEM, Record, placed

_PATCH = "application/json-patch+json"


def changes(record: Record, name: str, ids: Mapping[str, str]) -> Iterator[Attempt]:
    """A hidden record by its address."""
    at = f"/{record.type}/{name}"
    body = {"resourceType": record.type, "id": name, **_least(record, ids)}
    yield Attempt("update", record, send("PUT", at, body), name)
    yield Attempt("update", record, send("PUT", at, body, if_match='W/"999"'), name)
    test = [{"op": "test", "path": "/resourceType", "value": record.type}]
    yield Attempt("patch", record, send("PATCH", at, test, _PATCH), name)
    yield Attempt("patch", record, send("PATCH", at, test, _PATCH, if_match='W/"999"'), name)
    yield Attempt("delete", record, Ask("DELETE", at), name)


def criteria(record: Record, ids: Mapping[str, str]) -> Iterator[Attempt]:
    """Conditional interactions tell whether somebody matches."""
    at, word = f"/{record.type}", record.canary
    body = {"resourceType": record.type, **_least(record, ids)}
    yield Attempt("conditional", record, send("POST", at, body, if_none_exist=f"identifier={SYSTEM}|{word}"), word)
    yield Attempt("conditional", record, send("PUT", f"{at}?identifier={word}", body), word)
    yield Attempt("conditional", record, Ask("DELETE", f"{at}?identifier={word}"), word)
    test = [{"op": "test", "path": "/resourceType", "value": record.type}]
    yield Attempt("conditional", record, send("PATCH", f"{at}?identifier={word}", test, _PATCH), word)


def references(person: Record, name: str) -> Iterator[Attempt]:
    """A new resource that refers to a hidden one: a server that checks must not tell what it found."""
    for reference in (f"Patient/{name}", f"Patient?identifier={person.canary}"):
        needle = name if "/" in reference else person.canary
        body = _measured({"reference": reference})
        yield Attempt("reference", person, send("POST", "/Observation", body), needle)
        entry = {"resource": body, "request": {"method": "POST", "url": "Observation"}}
        yield Attempt("reference", person, send("POST", "/", _bundle("transaction", entry)), needle)
        yield Attempt("reference", person, send("POST", "/", _bundle("batch", entry)), needle)


def bundled(record: Record, name: str) -> Iterator[Attempt]:
    """Reads inside bundles."""
    for url, needle in (
        (f"{record.type}/{name}", name),
        (f"{record.type}/{name}/_history/1", name),
        (f"{record.type}?identifier={record.canary}", record.canary),
        (f"{record.type}?_summary=count&identifier={record.canary}", record.canary),
    ):
        for kind in ("batch", "transaction"):
            entry = {"request": {"method": "GET", "url": url}}
            yield Attempt(kind, record, send("POST", "/", _bundle(kind, entry)), needle)


def in_address(record: Record, name: str, token: str) -> Iterator[Attempt]:
    """Somebody else's token where it must not work: in the address, and as a second header."""
    yield Attempt("token in the address", record, get(f"/{record.type}/{name}?access_token={token}"))
    yield Attempt("token in the address", record, get(f"/{record.type}?access_token={token}"))
    yield Attempt("token in the address", record, get(f"/{record.type}/{name}", x_access_token=token))
    yield Attempt("token in the address", record, get(f"/{record.type}/{name}", cookie=f"access_token={token}"))


def _least(record: Record, ids: Mapping[str, str]) -> dict[str, Any]:
    """The record's own fields, of those that a stranger would guess, without its secrets."""
    return {name: value for name, value in placed(record.body, ids).items() if name in {"status", "subject", "patient"}}


def _measured(subject: dict[str, str]) -> dict[str, Any]:
    code = {"coding": [{"system": LOINC, "code": "8867-4"}]}
    return {"resourceType": "Observation", "status": "final", "code": code, "subject": subject}


def _bundle(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
