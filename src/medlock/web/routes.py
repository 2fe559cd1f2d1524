"""Addresses as templates: what the operator's log and the route test call them, with nothing of the address in it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from medlock.errors import MedlockError
from medlock.fhir.address import ROUTES, locate
from medlock.fhir.form import decode_path
from medlock.fhir.question import Interaction

PREFIX = b"/fhir"
METADATA = PREFIX + b"/metadata"
HEALTH = "/healthz"
READY = "/readyz"
ASYNC = PREFIX + b"/_async/"
BULK = PREFIX + b"/_bulk/"
UNKNOWN = "unknown"

_TEMPLATES: Mapping[tuple[str, Interaction, bool], str] = MappingProxyType(
    {
        (method, interaction, "{id}" in template): PREFIX.decode() + template
        for template, methods in ROUTES.items()
        for method, interaction in methods.items()
    }
)


def route_of(method: str, raw_path: bytes) -> str:
    """The template that an address below /fhir fits; "unknown" for what is not offered."""
    if raw_path == METADATA:
        return METADATA.decode()
    if raw_path.startswith(ASYNC):
        return f"{ASYNC.decode()}{{answer}}"
    if raw_path.startswith(BULK):
        return f"{BULK.decode()}{{export}}" + ("/{file}" if b"/" in raw_path[len(BULK) :] else "")
    asked = "GET" if method == "HEAD" else method
    try:
        address = locate(asked, decode_path(raw_path[len(PREFIX) :]))
    except MedlockError:
        return UNKNOWN
    return _TEMPLATES[asked, address.interaction, address.id != ""]
