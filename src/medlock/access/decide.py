"""The one decision: may this Principal ask this Question, and how far may the answer reach?

Pure: the same arguments always give the same Grant or the same Denied. A right must be in the role's table *and*
in a scope; what a caller may do is the union of this intersection over its roles. Every type that the question
names must pass, not only the type of the result: a search that may include, or is included from, a hidden type
would tell of it by what comes back.

How far: a caller with a patient in context is held to that patient, whatever the scopes say, and to shared types
that say nothing of any patient. Everybody else reaches every patient within the types allowed. What only a resource
itself can decide goes along as residual rules (`access.residual`), per patient and type: those of granular scopes are
made in `access.remainder`. Relationship and consent fill `Grant.rules` per patient in `_reach`, and change nothing
around it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from functools import lru_cache
from types import MappingProxyType

from msgspec import structs

from medlock.access.consent.binding import binds
from medlock.access.grant import _ISSUED, Consents, Grant, Rules
from medlock.access.groups import ALL_TYPES, AUDIT, SHARED
from medlock.access.labels.labelling import NOTES
from medlock.access.masking import refuse_masked, refuse_masked_scopes
from medlock.access.principal import Principal, Role
from medlock.access.remainder import carriers, remainder
from medlock.access.residual import AnyOf, Residuals, Rule
from medlock.access.roles import (
    KINDS,
    MAY_BREAK_GLASS,
    MAY_ERASE,
    MAY_REVIEW,
    known_types,
    role_rights,
    studied_rights,
    studied_types,
)
from medlock.access.scopes import ANY, CREATE, DELETE, READ, SEARCH, UPDATE, letters
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
        Interaction.ACCESS_REASONS: READ,
        Interaction.BREAK_GLASS: READ,
        Interaction.BREAK_GLASS_END: READ,
        Interaction.BREAK_GLASS_CASES: READ | SEARCH,
        Interaction.BREAK_GLASS_REVIEW: READ | SEARCH,
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


def decide(principal: Principal, question: Question, consents: Consents | None = None) -> Grant:
    """The Grant for one question. Raises Denied, with the private reason, when any part of it is not allowed.

    Batch and transaction are refused here: the door decides on each entry's own Question. `consents` narrow the Grant
    where they bind this caller.
    """
    if not principal.cleared:
        _refuse_notes(question)
    return narrowed(_decided(principal, question), principal, question, consents)


def narrowed(grant: Grant, principal: Principal, question: Question, consents: Consents | None) -> Grant:
    """A Grant within what the process may open, and what consents leave of it."""
    if not principal.cleared:
        grant = _uncleared(grant)
    if consents is None or not binds(principal, question):
        return grant
    narrower = copy(grant)  # `structs.replace` would go through the whole Grant again, for every request
    structs.force_setattr(narrower, "consents", consents)
    return narrower


def _refuse_notes(question: Question) -> None:
    """What is labelled by what else is in its episode is not taken where sensitive classes cannot be sealed.

    All of it: taking those only that turn out to be normal would tell which episodes are.
    """
    if question.interaction in _BRINGING and question.type in NOTES | {"Binary"}:
        raise Denied("a process without clearance takes no notes")


_BRINGING = frozenset({Interaction.CREATE, Interaction.UPDATE, Interaction.PATCH})


def _uncleared(grant: Grant) -> Grant:
    """A Grant without sensitive classes, whoever asks: the patient's own right is served where they can be opened."""
    rules = {patient: structs.replace(each, cleared=False) for patient, each in grant.rules.items()}
    everyone = None if grant.everyone is None else structs.replace(grant.everyone, cleared=False)
    return structs.replace(grant, rules=rules, everyone=everyone)


def _decided(principal: Principal, question: Question) -> Grant:
    """The Grant as role and scope give it."""
    needed = _needed(question)
    if not needed:
        raise Denied("a bundle is decided entry by entry")
    if needed == READ and question.interaction not in _SPECIAL:
        return _decide_read(principal, question.type)
    grant = _SPECIAL.get(question.interaction, _decide_one)(principal, question)
    refuse_masked(principal.scopes, grant, question)
    return grant


def _decide_one(principal: Principal, question: Question) -> Grant:
    """The Grant for a question about one type."""
    needed = _needed(question)
    _require(principal, question.type, needed)
    if question.interaction is Interaction.MATCH and principal.patient:
        raise Denied("a match looks at every patient, and the caller is held to one")
    query = question.query or question.criteria or question.preconditions.if_none_exist
    own = types = _ONE_TYPE[question.type]
    if query is not None:
        types = _searched(principal, query, question.type, needed)
    if question.interaction is Interaction.VALIDATE:
        needed &= ~READ  # of the resource itself the right to write is asked, as the write would
    return _reach(principal, types, needed, types - own)


def decide_criteria(principal: Principal, query: SearchQuery, consents: Consents | None = None) -> Grant:
    """The Grant for criteria in place of an id: what they find is told of, and changed or shown. Raises Denied."""
    types = _searched(principal, query, query.type, _LOOK)
    grant = _reach(principal, types, _LOOK, types)
    asked = Question(Interaction.SEARCH, query.type, query=query)
    refuse_masked(principal.scopes, grant, asked)
    return narrowed(grant, principal, asked, consents)


@lru_cache(maxsize=4_096)
def decide_naming(principal: Principal, resource_type: str) -> Grant | None:
    """The Grant to know of resources of one type, be it by reading or by searching; None without a right to either."""
    ways = [bit for bit in (READ, SEARCH) if allowed(principal, resource_type) & bit]
    if not ways:
        return None
    rules = [remainder(principal, resource_type, bit) for bit in ways]
    grant = _reach(principal, _ONE_TYPE[resource_type], ways[0])
    known = [rule for rule in rules if rule is not None]
    either = {} if len(known) < len(rules) else {resource_type: AnyOf(tuple(known))}
    return _with_residuals(grant, either)


def _with_residuals(grant: Grant, residuals: Residuals) -> Grant:
    """The same Grant with other residual rules for everybody whom it reaches."""
    rules = {patient: structs.replace(each, residuals=residuals) for patient, each in grant.rules.items()}
    everyone = None if grant.everyone is None else structs.replace(grant.everyone, residuals=residuals)
    return structs.replace(grant, rules=rules, everyone=everyone, shared_residuals=residuals, by_body=_NOBODY)


def _require_system(principal: Principal) -> None:
    """Raise Denied for a question to the whole server by who may not search every type (SMART: `*.s`)."""
    if not any(principal.scopes.allowed(kind, ANY) & SEARCH for _, kind in carriers(principal)):
        raise Denied("a search or history of the whole server needs a scope on *, with s")


def _needed(question: Question) -> int:
    """The rights that an interaction needs, 0 for a bundle."""
    if isinstance(question.options, ValidateOptions):
        return _VALIDATED[question.options.mode]
    return _NEEDED.get(question.interaction, 0)


@lru_cache(maxsize=4_096)
def _decide_read(principal: Principal, resource_type: str) -> Grant:
    """The Grant to read resources of one type: which one is asked for makes no difference, so it is remembered."""
    _require(principal, resource_type, READ)
    grant = _reach(principal, _ONE_TYPE[resource_type], READ)
    refuse_masked_scopes(principal.scopes, grant)
    return grant


def decide_erasure(principal: Principal) -> None:
    """Return when this caller may erase a patient for good (GDPR Art. 17). Raises Denied. No scope gives this away."""
    if principal.patient or MAY_ERASE.isdisjoint(principal.roles):
        raise Denied(f"{_roles(principal)} may not erase patients")


@lru_cache(maxsize=4_096)
def allowed(principal: Principal, resource_type: str) -> int:
    """Every right of this caller on a type, be it on some resources only, as bits: roles and scopes intersected.

    Remembered, since it follows from the arguments alone and every request asks for it.
    """
    bits = 0
    for role, kind in carriers(principal):
        of_role = role_rights(role, resource_type, principal.purpose)
        if of_role:
            bits |= of_role & principal.scopes.allowed(kind, resource_type)
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


def _decide_everything(principal: Principal, question: Question) -> Grant:
    """The Grant for $everything: the Patient, and of the record what may be read and searched."""
    _require(principal, question.type, READ)
    types = _readable(principal)
    return _reach(principal, types, READ, types)


def _decide_history(principal: Principal, _question: Question) -> Grant:
    """The Grant for a history of everything within reach."""
    _require_system(principal)
    return _reach(principal, _some(principal, _readable(principal)), _LOOK)


def _decide_across(principal: Principal, question: Question) -> Grant:
    """The Grant for a search over several types: all that it names, each allowed; or of a compartment those that are.

    A type that is not named but left to the server (`Patient/[id]/*`) is passed over where the caller may not see it.
    """
    query = question.query
    if query is None or not query.parts:
        raise Denied("a search over several types names none")
    if not question.id:
        _require_system(principal)
    own = frozenset(part.type for part in query.parts)
    readable = _readable(principal)
    if query.every:
        own = _some(principal, own & readable)
    for each in own:
        _require(principal, each, SEARCH)
    others = query.named_types() - own
    for other in others:
        _require(principal, other, _LOOK)
    types = own | others | (readable if any(include.target == "" for include in query.includes) else _NOBODY)
    return _reach(principal, types, SEARCH, types - own)


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
    types = wanted if options.types else within
    hides = studies or question.interaction is not Interaction.EXPORT
    if studies:  # only scopes without a query let them see anything, so none is left to ask
        basis = f"{_roles(principal)} {_LETTERS[_LOOK]}"
        return Grant(principal.account, {}, Rules(types), types, basis, _ISSUED, hides, studies)
    return structs.replace(_reach(principal, types, _LOOK), deidentified=hides)


def _decide_emergency(principal: Principal, question: Question) -> Grant:
    """The Grant to open a patient's record in an emergency, or to end that: the same whoever the patient is."""
    if not question.id:
        return _decide_review(principal, question)
    if MAY_BREAK_GLASS.isdisjoint(principal.roles):
        raise Denied(f"{_roles(principal)} may not declare an emergency")
    if principal.patient not in {"", question.id}:
        raise Denied("the caller is held to another patient")
    _require(principal, "Patient", READ)
    return _reach(principal, _ONE_TYPE["Patient"], READ)


def _decide_review(principal: Principal, _question: Question) -> Grant:
    """The Grant to look at the emergency accesses of everybody, which are of the audit log."""
    if MAY_REVIEW.isdisjoint(principal.roles) or principal.patient:
        raise Denied(f"{_roles(principal)} may not review emergency accesses")
    _require(principal, "AuditEvent", _LOOK)
    return _reach(principal, AUDIT, _LOOK)


def _studied(principal: Principal) -> frozenset[str]:
    """All types that may reach this caller de-identified, by role and scope."""
    known = [(role, name) for role in principal.roles for name in studied_types(role)]
    return frozenset(
        name for role, name in known if studied_rights(role, name) & _plain(principal, role, name) & _LOOK == _LOOK
    )


def _plain(principal: Principal, role: Role, resource_type: str) -> int:
    """What scopes without a query allow: one with a query would choose records by what they say."""
    bits = 0
    for kind in KINDS[role]:
        bits |= principal.scopes.plain(kind, resource_type)
    return bits


def _some(principal: Principal, types: frozenset[str]) -> frozenset[str]:
    """The types that a question without a type is about. Raises Denied when there are none."""
    if not types:
        raise Denied(f"{_roles(principal)} may not {letters(_LOOK)} any type with these scopes")
    return types


def _reach(principal: Principal, types: frozenset[str], needed: int, looked: frozenset[str] = _NOBODY) -> Grant:
    """Whose records the Grant covers: with the rights `needed` on each type, but to look only at those `looked` at."""
    rules = _RULES[next(iter(types))] if len(types) == 1 else Rules(types)
    residuals: dict[str, Rule] = {}
    if principal.scopes.narrows:
        residuals = _residuals(principal, types, needed, looked)
        rules = Rules(types, residuals=residuals)
    basis = f"{_roles(principal)} {_LETTERS[needed]}"
    if principal.patient:
        shared = _NOBODY if needed & _WRITES else types & SHARED
        held = {principal.patient: rules}
        return Grant(principal.account, held, None, shared, basis, _ISSUED, shared_residuals=residuals)
    return Grant(principal.account, {}, rules, types, basis, _ISSUED, shared_residuals=residuals)


def _residuals(principal: Principal, types: frozenset[str], needed: int, looked: frozenset[str]) -> dict[str, Rule]:
    """What granular scopes leave to be asked of each resource of these types."""
    rules = {name: remainder(principal, name, _LOOK if name in looked else needed) for name in types}
    return {name: rule for name, rule in rules.items() if rule is not None}


_SPECIAL: Mapping[Interaction, Callable[[Principal, Question], Grant]] = MappingProxyType(
    {
        Interaction.SEARCH_SYSTEM: _decide_across,
        Interaction.HISTORY_SYSTEM: _decide_history,
        Interaction.EVERYTHING: _decide_everything,
        Interaction.BREAK_GLASS: _decide_emergency,
        Interaction.BREAK_GLASS_END: _decide_emergency,
        Interaction.BREAK_GLASS_CASES: _decide_review,
        Interaction.BREAK_GLASS_REVIEW: _decide_review,
    }
    | dict.fromkeys(EXPORTS, _decide_export)
)


def _roles(principal: Principal) -> str:
    """The caller's roles in words, for the log."""
    return "+".join(sorted(principal.roles))
