"""What is masked cannot be asked for: a search that looks at a masked element would tell what is in it.

`minimise` takes masked elements out of what leaves; here a question is refused, before anything is fetched, when it
searches, sorts, chains or includes by a parameter that reads one of them, or names an operation that would. When the
masks of one patient in the Grant hide an element, nobody is asked by it: an answer that differed would tell whose they
are. A granular scope over a masked element is refused as well, since what it lets through tells what is in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType

from medlock.access.grant import Grant
from medlock.access.scopes import ANY, Scopes
from medlock.errors import Denied
from medlock.fhir.document import forms
from medlock.fhir.options import EverythingOptions, ExportOptions
from medlock.fhir.query import Condition, Kind, Linked, SearchQuery
from medlock.fhir.question import Interaction, Question
from medlock.fhir.searchparams import Parameter, parameter, parameters

Asked = Iterator[tuple[str, str]]
"""Type and parameter by which something is asked."""
_OPERATIONS: Mapping[Interaction, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        Interaction.LASTN: (("Observation", "code"), ("Observation", "date")),
        Interaction.DOCREF: tuple(("DocumentReference", name) for name in ("type", "date", "period", "status")),
        Interaction.MATCH: tuple(
            ("Patient", name)
            for name in ("identifier", "name", "family", "given", "birthdate", "gender", "phone", "email", "address")
        ),
    }
)


def refuse_masked(scopes: Scopes, grant: Grant, question: Question) -> None:
    """Raise Denied when a question asks by an element that the Grant masks."""
    if grant.masks_nothing():
        return
    asked = [*_OPERATIONS.get(question.interaction, ())]
    for query in _queries(question):
        asked += _by(query)
    masked = _masked(grant)
    if isinstance(question.options, EverythingOptions) and question.options.care is not None:
        dates = [(type_, known) for type_ in masked for known in parameters(type_).values()]
        asked += [(type_, known.name) for type_, known in dates if known.kind is Kind.DATE]
    _refuse(masked, asked)
    refuse_masked_scopes(scopes, grant)


def refuse_masked_scopes(scopes: Scopes, grant: Grant) -> None:
    """Raise Denied when a granular scope chooses by an element that the Grant masks."""
    if not scopes.narrows or grant.masks_nothing():
        return
    masked = _masked(grant)
    for type_ in masked:
        _refuse(
            masked, (pair for each in scopes.each if each.type in {type_, ANY} for pair in _in(type_, each.conditions))
        )


def _refuse(masked: Mapping[str, frozenset[str]], asked: Iterable[tuple[str, str]]) -> None:
    """Raise Denied when one of these parameters reads a masked element."""
    for type_, name in asked:
        if type_ in masked and not _reads(type_, name).isdisjoint(forms(type_, masked[type_])):
            raise Denied(f"{type_}.{name} reads an element that is masked")


def _in(type_: str, conditions: Iterable[Condition]) -> Asked:
    """The parameters of conditions on one type. Whose record something is, as a compartment asks, is never masked."""
    return ((type_, condition.param) for condition in conditions)


def _queries(question: Question) -> tuple[SearchQuery, ...]:
    filters = question.options.filters if isinstance(question.options, ExportOptions) else ()
    known = (question.query, question.criteria, question.preconditions.if_none_exist)
    return (*filters, *(query for query in known if query is not None))


def _masked(grant: Grant) -> dict[str, frozenset[str]]:
    """Every element that is masked for anybody, by type."""
    found: dict[str, frozenset[str]] = {}
    every = (*grant.rules.values(), *(() if grant.everyone is None else (grant.everyone,)))
    for rules in every:
        for type_, names in rules.masks.items():
            found[type_] = found.get(type_, frozenset()) | names
    return found


def _by(query: SearchQuery) -> Asked:
    """Every parameter that a query uses, on whatever type."""
    for part in query.parts or (query,):
        yield from _in(part.type, part.conditions)
        yield from ((part.type, key.param) for key in query.sort)
        for link in (*part.links, *(query.links if query.parts else ())):
            yield from _along(part.type, link)
    for include in (*query.includes, *query.revincludes):
        yield include.source, include.param


def _along(type_: str, link: Linked) -> Asked:
    """The parameters of a chain or `_has`, and of what follows it."""
    for wanted in link.wanted:
        yield (wanted.type if link.reverse else type_), link.param
        if isinstance(wanted.condition, Linked):
            yield from _along(wanted.type, wanted.condition)
        else:
            yield from _in(wanted.type, (wanted.condition,))


@lru_cache(2_048)
def _reads(type_: str, name: str) -> frozenset[str]:
    """The JSON members at the top of a resource that a search parameter reads."""
    known = parameter(type_, name)
    return frozenset() if known is None else frozenset(_members(known))


def _members(known: Parameter) -> Iterator[str]:
    yield from (path.steps[0].key for path in known.paths if path.steps)
    if known.composite is not None:
        yield from (root[0].key for root in known.composite.roots if root)
        for part in known.composite.parts:
            yield from _members(part)
