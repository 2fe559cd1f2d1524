"""The one decision: may this Principal ask this Question, and how far may the answer reach?

Pure: the same arguments always give the same Grant or the same Denied. A right must be in the role's table *and*
in a scope; what a caller may do is the union of this intersection over its roles. Every type that the question
names must pass, not only the type of the result: a search that may include, or is included from, a hidden type
would tell of it by what comes back.

How far: a caller with a patient in context is held to that patient, whatever the scopes say, and to shared types
that say nothing of any patient. Everybody else reaches every patient within the types allowed; relationship and
consent (a later issue) will fill `Grant.rules` per patient here, in `_reach`, and change nothing around it.
"""

from __future__ import annotations

from functools import lru_cache
from types import MappingProxyType

from msgspec import structs

from medlock.access.grant import _ISSUED, Grant, Rules
from medlock.access.groups import ALL_TYPES, AUDIT, SHARED
from medlock.access.principal import Principal, Role
from medlock.access.roles import KINDS, MAY_ERASE, known_types, role_rights, studied_rights, studied_types
from medlock.access.scopes import CREATE, DELETE, READ, SEARCH, UPDATE, Kind, letters
from medlock.errors import Denied
from medlock.fhir.options import ExportOptions, ValidateMode, ValidateOptions
from medlock.fhir.query import SearchQuery
from medlock.fhir.question import EXPORTS, Interaction, Question

_NEEDED = MappingProxyType(
    {
        Interaction.READ: READ,
        Interaction.VREAD: READ,
        Interaction.HISTORY: READ,
        Interaction.HISTORY_TYPE: READ | SEARCH,
        Interaction.HISTORY_SYSTEM: READ | SEARCH,
        Interaction.CREATE: CREATE,
        Interaction.UPDATE: UPDATE,
        Interaction.PATCH: READ | UPDATE,  # its tests and its answer tell what is in the resource
        Interaction.DELETE: DELETE,
        Interaction.SEARCH: SEARCH,
        Interaction.SEARCH_SYSTEM: SEARCH,
        Interaction.EVERYTHING: READ,
        Interaction.VALIDATE: READ,  # and what its mode asks about
        Interaction.DOCREF: READ | SEARCH,
        Interaction.LASTN: READ | SEARCH,
        Interaction.MATCH: READ | SEARCH,
    }
    | dict.fromkeys(EXPORTS, READ | SEARCH)
)
RULED = frozenset(_NEEDED)
"""The interactions that have a right of their own; the others are bundles, whose entries have."""
_LOOK = READ | SEARCH
_WRITES = CREATE | UPDATE | DELETE
_VALIDATED = MappingProxyType(
    {
        ValidateMode.GENERAL: READ,
        ValidateMode.CREATE: CREATE,
        ValidateMode.UPDATE: READ | UPDATE,
        ValidateMode.DELETE: READ | DELETE,
    }
)
_LETTERS = MappingProxyType({bits: letters(bits) for bits in (*_NEEDED.values(), *_VALIDATED.values())})
_NOBODY: frozenset[str] = frozenset()
_ONE_TYPE = MappingProxyType({name: frozenset({name}) for name in ALL_TYPES})
_RULES = MappingProxyType({name: Rules(types, MappingProxyType({})) for name, types in _ONE_TYPE.items()})


def decide(principal: Principal, question: Question) -> Grant:
    """The Grant for one question. Raises Denied, with the private reason, when any part of it is not allowed.

    Batch and transaction are refused here: the door decides on each entry's own Question.
    """
    needed = _needed(question)
    if not needed:
        raise Denied("a bundle is decided entry by entry")
    if question.interaction in EXPORTS:
        return _decide_export(principal, question)
    if question.interaction is Interaction.SEARCH_SYSTEM:
        return _reach(principal, _searched_across(principal, question.query), SEARCH)
    if needed == READ and question.interaction is not Interaction.EVERYTHING:
        return _decide_read(principal, question.type)
    if question.interaction is Interaction.HISTORY_SYSTEM:
        return _reach(principal, _some(principal, _readable(principal)), needed)
    _require(principal, question.type, needed)
    query = question.query or question.criteria or question.preconditions.if_none_exist
    if question.interaction is Interaction.EVERYTHING:
        types = _readable(principal)
    elif query is not None and needed != READ:
        types = _searched(principal, query, question.type, needed)
    else:
        types = _ONE_TYPE[question.type]
    if question.interaction is Interaction.MATCH and principal.patient:
        raise Denied("a match looks at every patient, and the caller is held to one")
    return _reach(principal, types, needed)


def _needed(question: Question) -> int:
    """The rights that an interaction needs, 0 for a bundle."""
    if isinstance(question.options, ValidateOptions):
        return _VALIDATED[question.options.mode]
    return _NEEDED.get(question.interaction, 0)


@lru_cache(maxsize=4_096)
def _decide_read(principal: Principal, resource_type: str) -> Grant:
    """The Grant to read resources of one type: which one is asked for makes no difference, so it is remembered."""
    _require(principal, resource_type, READ)
    return _reach(principal, _ONE_TYPE[resource_type], READ)


def decide_erasure(principal: Principal) -> None:
    """Return when this caller may erase a patient for good (GDPR Art. 17). Raises Denied. No scope gives this away."""
    if principal.patient or MAY_ERASE.isdisjoint(principal.roles):
        raise Denied(f"{_roles(principal)} may not erase patients")


@lru_cache(maxsize=4_096)
def allowed(principal: Principal, resource_type: str) -> int:
    """Every right of this caller on a type, as bits of `access.scopes`: roles and scopes intersected.

    Remembered, since it follows from the arguments alone and every request asks for it.
    """
    bits = 0
    held = principal.patient != ""
    for role in principal.roles:
        if role is Role.PATIENT and not held:
            continue
        of_role = role_rights(role, resource_type, principal.purpose)
        if of_role:
            bits |= of_role & _in_scope(principal, role, resource_type, held)
    return bits


def _in_scope(principal: Principal, role: Role, resource_type: str, held: bool) -> int:
    """What the scopes that can carry this role's rights allow on a type."""
    bits = 0
    for kind in KINDS[role]:
        if held or kind is not Kind.PATIENT:
            bits |= principal.scopes.allowed(kind, resource_type)
    return bits


def _require(principal: Principal, resource_type: str, needed: int) -> None:
    """Raise Denied unless the caller has all rights `needed` on a type."""
    missing = needed & ~allowed(principal, resource_type)
    if missing:
        raise Denied(f"{_roles(principal)} may not {letters(missing)} {resource_type} with these scopes")


def _searched(principal: Principal, query: SearchQuery, own: str, needed: int) -> frozenset[str]:
    """The types that the answer may hold, once every type the query names has passed."""
    if needed == SEARCH and query.type != own:
        raise Denied("the query is about another type than the question")
    if needed != SEARCH:  # If-None-Exist and other criteria: the answer tells whether a match exists
        _require(principal, query.type, _LOOK)
    named = query.named_types()
    for other in named:
        if other != own:
            _require(principal, other, _LOOK)
    if any(include.target == "" for include in query.includes):
        return named | _readable(principal)
    return named if len(named) > 1 else _ONE_TYPE[own]


def _searched_across(principal: Principal, query: SearchQuery | None) -> frozenset[str]:
    """The types of a search over several: all that it names, each allowed; or of a compartment those that are.

    A type that is not named but left to the server (`Patient/[id]/*`) is passed over where the caller may not see it.
    """
    if query is None or not query.parts:
        raise Denied("a search over several types names none")
    own = frozenset(part.type for part in query.parts)
    readable = _readable(principal)
    if query.every:
        own = _some(principal, own & readable)
    for each in own:
        _require(principal, each, SEARCH)
    others = query.named_types() - own
    for other in others:
        _require(principal, other, _LOOK)
    return own | others | (readable if any(include.target == "" for include in query.includes) else _NOBODY)


def _readable(principal: Principal) -> frozenset[str]:
    """All types this caller may both read and search, the audit log aside: it is asked for by name only."""
    known = frozenset[str]().union(*(known_types(role) for role in principal.roles)) - AUDIT
    return frozenset(name for name in known if allowed(principal, name) & _LOOK == _LOOK)


def _decide_export(principal: Principal, question: Question) -> Grant:
    """The Grant for an export: what may be read and searched, or what may reach the caller de-identified only.

    Who is to see nothing but de-identified output may not choose by what a record says, or when it was changed, nor
    be held to a patient: each would tell whose record it is.
    """
    options = question.options if isinstance(question.options, ExportOptions) else ExportOptions()
    studies = Role.RESEARCHER in principal.roles
    if studies and (principal.patient or options.filters or options.since is not None):
        raise Denied("a researcher may not choose records by patient, content or time of change")
    within = _studied(principal) if studies else _readable(principal)
    named = {"Group"} if question.type == "Group" else _NOBODY
    wanted = options.types | named | {each.type for each in options.filters}
    if not within or not wanted <= within:
        raise Denied(f"{_roles(principal)} may not {letters(_LOOK)} all these types with these scopes")
    grant = _reach(principal, wanted if options.types else within, _LOOK)
    hides = studies or question.interaction is not Interaction.EXPORT
    return structs.replace(grant, deidentified=hides, studies=studies)


def _studied(principal: Principal) -> frozenset[str]:
    """All types that may reach this caller de-identified, by role and scope."""
    known = [(role, name) for role in principal.roles for name in studied_types(role)]
    return frozenset(
        name
        for role, name in known
        if studied_rights(role, name) & _in_scope(principal, role, name, held=False) & _LOOK == _LOOK
    )


def _some(principal: Principal, types: frozenset[str]) -> frozenset[str]:
    """The types that a question without a type is about. Raises Denied when there are none."""
    if not types:
        raise Denied(f"{_roles(principal)} may not {letters(_LOOK)} any type with these scopes")
    return types


def _reach(principal: Principal, types: frozenset[str], needed: int) -> Grant:
    """Whose records the Grant covers."""
    rules = _RULES[next(iter(types))] if len(types) == 1 else Rules(types)
    basis = f"{_roles(principal)} {_LETTERS[needed]}"
    if principal.patient:
        shared = _NOBODY if needed & _WRITES else types & SHARED
        return Grant(principal.account, {principal.patient: rules}, None, shared, basis, _ISSUED)
    return Grant(principal.account, {}, rules, types, basis, _ISSUED)


def _roles(principal: Principal) -> str:
    """The caller's roles in words, for the log."""
    return "+".join(sorted(principal.roles))
