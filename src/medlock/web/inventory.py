"""Every address that medlock answers to, with what it declares: the list that scanners, reviewers and diffs read.

The addresses below /fhir come from `fhir.address.ROUTES`; each must name interactions that have a right in
`access.decide` and a weight in `costs`. All others come from the `routes.py` of the packages that answer there.
`medlock routes --json` prints it, docs/routes.md is it, and the server starts with nothing else mounted.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from medlock.access.decide import RULED
from medlock.errors import SetupError
from medlock.fhir.address import ROUTES
from medlock.fhir.question import Interaction
from medlock.settings import Limits
from medlock.web import routes
from medlock.web.admin import METRICS
from medlock.web.admin_api import routes as admin_routes
from medlock.web.costs import WEIGHTS
from medlock.web.declared import Cors, Declared, Face, Permission, Rate
from medlock.web.oauth_api import routes as oauth_routes
from medlock.web.sharing import routes as sharing
from medlock.web.signin import routes as pages

_OURS = (routes.DECLARED, oauth_routes.DECLARED, admin_routes.DECLARED, sharing.DECLARED, pages.DECLARED)

INVENTORY: tuple[Declared, ...] = tuple(each for declared in _OURS for each in declared)
"""What may be mounted outside the FHIR API. A package adds its own `routes.DECLARED` here."""

_IN_PARTS = frozenset({Interaction.BATCH, Interaction.TRANSACTION})
_ASYNC = routes.ASYNC.decode() + "{answer}"
_BULK = routes.BULK.decode() + "{export}"
_WAITING = ((_ASYNC, "GET"), (_ASYNC, "DELETE"), (_BULK, "GET"), (_BULK, "DELETE"), (_BULK + "/{file}", "GET"))


class Row(msgspec.Struct, frozen=True):
    """One address and method. `weight` counts against the limit named by `rate`; `body` in bytes."""

    path: str
    method: str
    permission: Permission
    rate: Rate
    weight: int = 1
    body: int = 0
    face: Face = Face.FHIR
    cors: Cors = Cors.NONE
    interaction: str = ""


def rows(limits: Limits) -> list[Row]:
    """The whole list, in the order of addresses. Raises SetupError when a FHIR route lacks a right or a weight."""
    outer = [row for each in INVENTORY for row in _outer(each)]
    admin = Row(METRICS, "GET", Permission.LOCAL, Rate.FREE)
    return sorted([*_fhir(limits), *outer, admin], key=lambda row: (row.path, row.method))


def _outer(declared: Declared) -> Iterator[Row]:
    for method in declared.methods:
        body = declared.body if method in {"POST", "PUT", "PATCH"} else 0
        alike = declared.permission, declared.rate, 1, body, declared.face, declared.cors
        yield Row(declared.path, method, *alike)


def _fhir(limits: Limits) -> Iterator[Row]:
    """The addresses of the API itself."""
    alike = Permission.TOKEN, Rate.API
    prefix = routes.PREFIX.decode()
    for template, methods in ROUTES.items():
        for method, interaction in methods.items():
            if interaction not in RULED | _IN_PARTS or interaction not in WEIGHTS:
                raise SetupError(f"{template} {method} has no declared right or weight: it is not served.")
            path, body = prefix + template.removesuffix("/"), _body(template, method, limits)
            yield Row(path, method, *alike, WEIGHTS[interaction], body, Face.FHIR, Cors.REGISTERED, interaction)
    for path, method in _WAITING:
        yield Row(path, method, *alike, cors=Cors.REGISTERED)
    yield Row(routes.METADATA.decode(), "GET", Permission.PUBLIC, Rate.ANONYMOUS, cors=Cors.ANY)


def _body(template: str, method: str, limits: Limits) -> int:
    """How much a request may bring; a Binary's own content is bounded by its setting."""
    if method not in {"POST", "PUT", "PATCH"}:
        return 0
    return limits.bundle_bytes if template == "/" else limits.resource_bytes
