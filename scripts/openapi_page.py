"""Write docs/openapi.json anew: every address outside the FHIR API, as the route table declares it.

.venv/bin/python scripts/openapi_page.py

The FHIR API is described by `GET /fhir/metadata`, as FHIR has it. Permission, rate and size come from the route table,
bodies from the types that the server reads them with, the rest from `openapi_words.py`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
from openapi_words import SECONDS, TEXT, WORDS, YES_NO, Said, fields, ref

from medlock.oauth.joining import Metadata
from medlock.oauth.launching import LaunchRequest
from medlock.rights.links import LinkWish
from medlock.rights.opening import Manifest
from medlock.rights.shares import Wish
from medlock.settings import Limits
from medlock.web.admin_api.api import BODIES
from medlock.web.declared import Face, Permission
from medlock.web.inventory import Row, rows

PAGE = Path(__file__).parents[1] / "docs" / "openapi.json"
FORM, JSON, HTML = "application/x-www-form-urlencoded", "application/json", "text/html"
ABOUT = (
    "The authorization server, the pages for people, administration, liveness and readiness beside /fhir, and the "
    "counts on the administrator's port. /fhir itself is described by GET /fhir/metadata."
)
LOCAL = [{"url": "http://127.0.0.1:9464", "description": "The port of serve --admin"}]
SECURITY: dict[Permission, list[dict[str, list[str]]]] = {
    Permission.TOKEN: [{"bearer": []}],
    Permission.CLIENT: [{"client": []}, {}],
    Permission.INITIAL: [{"bearer": []}, {}],
    Permission.SESSION: [{"session": []}],
    Permission.STEP_UP: [{"session": []}],
    Permission.ADMIN: [{"session": []}],
    Permission.ADMIN_PROVEN: [{"session": []}],
}
SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "client": {"type": "http", "scheme": "basic"},
    "session": {"type": "apiKey", "in": "cookie", "name": "__Host-medlock-session"},
}


def outside(row: Row) -> bool:
    """Whether an address is none of the FHIR API's, which its CapabilityStatement describes."""
    return not row.path.startswith("/fhir") or row.path.startswith("/fhir/.well-known/")


def page() -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for row in filter(outside, rows(Limits())):
        here = paths.setdefault(row.path, _shared(row))
        if (row.path, row.method) not in WORDS:
            raise SystemExit(f"Say in scripts/openapi_words.py what {row.method} {row.path} is for.")
        here[row.method.lower()] = _operation(row, WORDS[row.path, row.method])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "medlock: what is not FHIR",
            "version": "1",
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "https://localhost:8443"}],
        "security": [],
        "paths": paths,
        "components": {"schemas": _schemas(), "responses": _responses(), "securitySchemes": SCHEMES},
    }


def _shared(row: Row) -> dict[str, Any]:
    """What all methods of an address share."""
    named = [
        {"name": name, "in": "path", "required": True, "schema": TEXT | {"pattern": "^[A-Za-z0-9_-]{1,64}$"}}
        for name in re.findall(r"\{(\w+)\}", row.path)
    ]
    shared: dict[str, Any] = {"servers": LOCAL} if row.permission is Permission.LOCAL else {}
    return shared | ({"parameters": named} if named else {})


def _operation(row: Row, said: Said) -> dict[str, Any]:
    """One method of it."""
    words = re.findall(r"[a-z0-9]+", row.path)
    made: dict[str, Any] = {
        "operationId": "-".join([row.method.lower(), *words]),
        "summary": said.summary,
        "x-permission": row.permission.value,
        "x-rate": row.rate.value,
    }
    if row.permission in SECURITY:
        made["security"] = SECURITY[row.permission]
    if said.query is not None:
        made["parameters"] = [
            {"name": name, "in": "query", "required": name in said.query.get("required", ()), "schema": schema}
            for name, schema in said.query["properties"].items()
        ]
    taken = {FORM: said.form, JSON: said.json}
    content = {media: {"schema": schema} for media, schema in taken.items() if schema is not None}
    if content:
        made["requestBody"] = {"required": True, "content": content}
        made["x-body-bytes"] = row.body
    return made | {"responses": _answers(row, said)}


def _answers(row: Row, said: Said) -> dict[str, Any]:
    """What it answers, by status."""
    good: dict[str, Any] = {"description": said.summary}
    if row.path in {"/healthz", "/readyz"}:
        answers = {"200": {"$ref": "#/components/responses/Status"}}
        return answers | ({"503": {"$ref": "#/components/responses/Unavailable"}} if row.path == "/readyz" else {})
    if row.path == "/metrics":
        return {"200": good | {"content": {"text/plain": {"schema": TEXT}}}}
    if said.answer is not None:
        good["content"] = {JSON: {"schema": said.answer}}
    elif said.media:
        good["content"] = {said.media: {"schema": TEXT}}
    elif row.face is Face.PAGE:
        media = "*/*" if row.path.startswith("/static/") else HTML
        good["content"] = {media: {"schema": TEXT}}
    answers = {str(said.status): good}
    if row.face is Face.PAGE:
        answers["303"] = {"description": "On to another page of ours, or to the app whose address was registered."}
    kind = {Face.PAGE: "Page", Face.OAUTH: "Refused", Face.FHIR: "Outcome"}[row.face]
    return answers | {status: {"$ref": f"#/components/responses/{kind}"} for status in ("4XX", "503")}


def _schemas() -> dict[str, Any]:
    """The components: bodies as the server reads them, and what it answers."""
    _, read = msgspec.json.schema_components(
        [*BODIES.values(), Metadata, LaunchRequest, Wish, LinkWish, Manifest],
        ref_template="#/components/schemas/{name}",
    )
    said = {
        "Status": fields("status", status={"enum": ["ok", "unavailable"]}) | {"additionalProperties": False},
        "Error": fields("error error_description", error=TEXT, error_description=TEXT),
        "Client": fields(
            "client_id name kind status version",
            client_id=TEXT,
            name=TEXT,
            kind=ref("Kind"),
            status={"enum": ["active", "pending", "disabled"]},
            version=SECONDS,
            verified=YES_NO,
            client_secret="Shown once.",
            warning=TEXT,
        ),
        "Token": fields(
            "access_token token_type expires_in scope",
            access_token=TEXT,
            token_type={"enum": ["Bearer", "DPoP"]},
            expires_in=SECONDS,
            scope=TEXT,
            refresh_token=TEXT,
            id_token=TEXT,
            patient=TEXT,
            encounter=TEXT,
        ),
        "Outcome": fields("resourceType issue", resourceType={"const": "OperationOutcome"}, issue={"type": "array"}),
        "Left": fields("", remainingAttempts=SECONDS),
        "Standing": fields("patient shares links", patient=TEXT, shares={"type": "array"}, links={"type": "array"}),
        "UserInfo": fields("sub", sub=TEXT, fhirUser=TEXT, name=TEXT, profile=TEXT),
    }
    return dict(sorted({**read, **said}.items()))


def _responses() -> dict[str, Any]:
    """Answers that many addresses share."""
    status = {JSON: {"schema": ref("Status")}}
    wait = {"Retry-After": {"required": True, "schema": SECONDS}}
    return {
        "Status": {"description": "Yes.", "content": status},
        "Unavailable": {"description": "No, and no reason.", "headers": wait, "content": status},
        "Refused": {
            "description": "RFC 6749 §5.2; 429 and 503 with Retry-After.",
            "content": {JSON: {"schema": ref("Error")}},
        },
        "Outcome": {
            "description": "An OperationOutcome; at /shl/{name} how many attempts are left.",
            "content": {"application/fhir+json": {"schema": ref("Outcome")}, JSON: {"schema": ref("Left")}},
        },
        "Page": {
            "description": "A sentence for a person, or the form again with what is wrong.",
            "content": {HTML: {"schema": TEXT}},
        },
    }


if __name__ == "__main__":
    PAGE.write_text(json.dumps(page(), indent=2, ensure_ascii=False) + "\n")
