"""From a method and a path below the FHIR base to the interaction it asks for (R4 §3.1.0, "RESTful API").

One spelling for each address: no doubled or trailing slash, no empty segment, no dot segments; types and ids in
their exact form. What the server does not offer is 404 (no such address) or 405 (no such method there).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from medlock.errors import BadRequest, MethodNotAllowed, NotFound
from medlock.fhir.question import EXPORTS, Interaction
from medlock.fhir.searchparams import RESOURCE_TYPES

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")  # R4 §2.24.0.1, datatype id
_DOTS = frozenset({".", ".."})  # FHIR allows them, but proxies and clients resolve them away (RFC 3986 §5.2.4)
Methods = Mapping[str, Interaction]


class Address(msgspec.Struct, frozen=True):
    """Which thing is meant, before anything is known of parameters or body."""

    interaction: Interaction
    type: str = ""
    id: str = ""
    version: str = ""


BASE: Methods = MappingProxyType(  # or batch: the body says which
    {"GET": Interaction.SEARCH_SYSTEM, "POST": Interaction.TRANSACTION}
)
SYSTEM_SEARCH: Methods = MappingProxyType({"POST": Interaction.SEARCH_SYSTEM})
_BY_CRITERIA = {"PUT": Interaction.UPDATE, "PATCH": Interaction.PATCH, "DELETE": Interaction.DELETE}
TYPE: Methods = MappingProxyType({"GET": Interaction.SEARCH, "POST": Interaction.CREATE} | _BY_CRITERIA)
SEARCH: Methods = MappingProxyType({"POST": Interaction.SEARCH})
INSTANCE: Methods = MappingProxyType({"GET": Interaction.READ} | _BY_CRITERIA)
HISTORY: Methods = MappingProxyType({"GET": Interaction.HISTORY})
HISTORY_TYPE: Methods = MappingProxyType({"GET": Interaction.HISTORY_TYPE})
HISTORY_SYSTEM: Methods = MappingProxyType({"GET": Interaction.HISTORY_SYSTEM})
VERSION: Methods = MappingProxyType({"GET": Interaction.VREAD})
WITHIN: Methods = MappingProxyType({"GET": Interaction.SEARCH})
WITHIN_ALL: Methods = MappingProxyType({"GET": Interaction.SEARCH_SYSTEM})
EVERYTHING: Methods = MappingProxyType({"GET": Interaction.EVERYTHING, "POST": Interaction.EVERYTHING})
VALIDATE: Methods = MappingProxyType({"POST": Interaction.VALIDATE})
VALIDATE_ONE: Methods = MappingProxyType({"GET": Interaction.VALIDATE, "POST": Interaction.VALIDATE})
DOCREF: Methods = MappingProxyType({"GET": Interaction.DOCREF, "POST": Interaction.DOCREF})
LASTN: Methods = MappingProxyType({"GET": Interaction.LASTN, "POST": Interaction.LASTN})
MATCH: Methods = MappingProxyType({"POST": Interaction.MATCH})
ACCESS_REASONS: Methods = MappingProxyType({"GET": Interaction.ACCESS_REASONS})
BREAK_GLASS: Methods = MappingProxyType({"POST": Interaction.BREAK_GLASS})
BREAK_GLASS_END: Methods = MappingProxyType({"POST": Interaction.BREAK_GLASS_END})
BREAK_GLASS_CASES: Methods = MappingProxyType({"GET": Interaction.BREAK_GLASS_CASES})
BREAK_GLASS_REVIEW: Methods = MappingProxyType({"POST": Interaction.BREAK_GLASS_REVIEW})
_BOTH = ("GET", "POST")
EXPORTING: Mapping[str, Methods] = MappingProxyType(
    {f"${each}": MappingProxyType(dict.fromkeys(_BOTH, each)) for each in Interaction if each in EXPORTS}
)

# Every kind of address there is, as written in documentation and logs.
ROUTES: Mapping[str, Methods] = MappingProxyType(
    {
        "/": BASE,
        "/_search": SYSTEM_SEARCH,
        "/_history": HISTORY_SYSTEM,
        "/$end-break-glass": BREAK_GLASS_END,
        "/$break-glass-cases": BREAK_GLASS_CASES,
        "/$review-break-glass": BREAK_GLASS_REVIEW,
        "/{type}": TYPE,
        "/{type}/_search": SEARCH,
        "/{type}/_history": HISTORY_TYPE,
        "/{type}/$validate": VALIDATE,
        "/DocumentReference/$docref": DOCREF,
        "/Observation/$lastn": LASTN,
        "/Patient/$match": MATCH,
        "/{type}/{id}": INSTANCE,
        "/{type}/{id}/_history": HISTORY,
        "/{type}/{id}/_history/{version}": VERSION,
        "/{type}/{id}/$validate": VALIDATE_ONE,
        "/Patient/{id}/$everything": EVERYTHING,
        "/Patient/{id}/$access-reasons": ACCESS_REASONS,
        "/Patient/{id}/$break-glass": BREAK_GLASS,
        "/Patient/{id}/$end-break-glass": BREAK_GLASS_END,
        "/Patient/{id}/*": WITHIN_ALL,
        "/Patient/{id}/_search": SYSTEM_SEARCH,
        "/Patient/{id}/{type}": WITHIN,
        "/Patient/{id}/{type}/_search": SEARCH,
    }
    | {f"{level}/{name}": methods for name, methods in EXPORTING.items() for level in ("", "/Patient", "/Group/{id}")}
)

_OF_TYPE: Mapping[str, Methods] = MappingProxyType({"_search": SEARCH, "_history": HISTORY_TYPE, "$validate": VALIDATE})
_OF_ONE_TYPE: Mapping[tuple[str, str], Methods] = MappingProxyType(
    {("DocumentReference", "$docref"): DOCREF, ("Observation", "$lastn"): LASTN, ("Patient", "$match"): MATCH}
    | {("Patient", name): methods for name, methods in EXPORTING.items()}
)
_OF_ALL: Mapping[str, Methods] = MappingProxyType(
    {
        "_search": SYSTEM_SEARCH,
        "_history": HISTORY_SYSTEM,
        "$end-break-glass": BREAK_GLASS_END,
        "$break-glass-cases": BREAK_GLASS_CASES,
        "$review-break-glass": BREAK_GLASS_REVIEW,
    }
    | dict(EXPORTING)
)
_OF_PATIENT: Mapping[str, Methods] = MappingProxyType(
    {
        "$everything": EVERYTHING,
        "$access-reasons": ACCESS_REASONS,
        "$break-glass": BREAK_GLASS,
        "$end-break-glass": BREAK_GLASS_END,
    }
)
_RESERVED = frozenset({"_", "$", ""})  # no id begins so


def locate(method: str, path: str) -> Address:
    """The address that `path` ("" or "/Type/…", percent-decoded) names. HEAD is asked as GET.

    Raises NotFound for a path that is not offered, MethodNotAllowed with the methods that are, BadRequest for an
    id that cannot be one.
    """
    segments = path.split("/")[1:]
    if len(segments) == 2 and segments[1][:1] not in _RESERVED:
        return _instance(method, segments[0], segments[1], INSTANCE)
    if segments in ([], [""]):
        return Address(_offered(BASE, method))
    if len(segments) == 1:
        return _above(method, segments[0])
    if len(segments) == 2:
        return _beside(method, *segments)
    return _deep(method, segments)


def _above(method: str, segment: str) -> Address:
    """Addresses of one segment: a type, or what is asked of everything."""
    if segment in _OF_ALL:
        return Address(_offered(_OF_ALL[segment], method))
    return Address(_pick(TYPE, method, segment), segment)


def _beside(method: str, resource_type: str, tail: str) -> Address:
    """What can be asked of a type as a whole, beside its instances."""
    methods = _OF_TYPE.get(tail) or _OF_ONE_TYPE.get((resource_type, tail))
    if methods is None:
        raise NotFound("This address is not offered.")
    return Address(_pick(methods, method, resource_type), resource_type)


def _deep(method: str, segments: list[str]) -> Address:
    """Addresses below an instance."""
    resource_type, logical_id, tail = segments[0], segments[1], segments[2:]
    if tail == ["_history"]:
        return _instance(method, resource_type, logical_id, HISTORY)
    if tail == ["$validate"]:
        return _instance(method, resource_type, logical_id, VALIDATE_ONE)
    if resource_type == "Patient" and tail[0] in _OF_PATIENT and len(tail) == 1:
        return _instance(method, resource_type, logical_id, _OF_PATIENT[tail[0]])
    if resource_type == "Group" and len(tail) == 1 and tail[0] in EXPORTING:
        return _instance(method, resource_type, logical_id, EXPORTING[tail[0]])
    if resource_type == "Patient" and tail[0] != "_history":
        return _within(method, logical_id, tail)
    if len(tail) == 2 and tail[0] == "_history":
        address = _instance(method, resource_type, logical_id, VERSION)
        return Address(address.interaction, resource_type, logical_id, _identifier(tail[1]))
    raise NotFound("This address is not offered.")


def _within(method: str, patient: str, tail: list[str]) -> Address:
    """Searches in a patient's compartment (R4 §3.1.1.1): one type, or all of them."""
    if tail in (["*"], ["_search"]):
        return Address(_offered(WITHIN_ALL if tail == ["*"] else SYSTEM_SEARCH, method), "", _identifier(patient))
    if len(tail) == 1 or (len(tail) == 2 and tail[1] == "_search"):
        return Address(_pick(WITHIN if len(tail) == 1 else SEARCH, method, tail[0]), tail[0], _identifier(patient))
    raise NotFound("This address is not offered.")


def _instance(method: str, resource_type: str, logical_id: str, methods: Methods) -> Address:
    """An address with a type and an id in it."""
    return Address(_pick(methods, method, resource_type), resource_type, _identifier(logical_id))


def _pick(methods: Methods, method: str, resource_type: str) -> Interaction:
    """The interaction of a method on a known type."""
    if resource_type not in RESOURCE_TYPES:
        raise NotFound("This address is not offered.")
    return _offered(methods, method)


def _offered(methods: Methods, method: str) -> Interaction:
    """The interaction of a method."""
    interaction = methods.get(method)
    if interaction is None:
        raise not_allowed(methods)
    return interaction


def not_allowed(methods: Iterable[str]) -> MethodNotAllowed:
    """The refusal of a method where only these are offered; where GET is, HEAD is too."""
    shown = tuple(shown for method in methods for shown in (("GET", "HEAD") if method == "GET" else (method,)))
    return MethodNotAllowed(f"This address takes only {', '.join(shown)}.", allow=shown)


def _identifier(text: str) -> str:
    """A logical or version id in its exact form."""
    if _ID.fullmatch(text) is None or text in _DOTS:
        if text[:1] in {"", "$", "_"}:
            raise NotFound("This address is not offered.")
        raise BadRequest("An id is 1 to 64 letters, digits, hyphens and dots, and not . or .. alone.")
    return text
