"""Addresses as templates: what the operator's log and the route test call them, with nothing of the address in it.

Below /fhir the FHIR API answers, but for `/fhir/.well-known/`, which is the site's like every other address.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from medlock.errors import MedlockError
from medlock.fhir.address import ROUTES, locate
from medlock.fhir.form import decode_path
from medlock.fhir.question import Interaction
from medlock.web.declared import Declared, Permission, Rate

PREFIX = b"/fhir"
METADATA = PREFIX + b"/metadata"
HEALTH = "/healthz"
READY = "/readyz"
ASYNC = PREFIX + b"/_async/"
BULK = PREFIX + b"/_bulk/"
WELL_KNOWN = PREFIX + b"/.well-known/"
UNKNOWN = "unknown"

PROBES = (
    Declared(HEALTH, ("GET",), Permission.PUBLIC, Rate.FREE),
    Declared(READY, ("GET",), Permission.PUBLIC, Rate.FREE),
)
DECLARED = PROBES

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
