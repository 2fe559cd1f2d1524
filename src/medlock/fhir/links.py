"""Conditions on other resources: chains (`subject:Patient.name`), `_has` and `_list` (R4 §3.1.1.4.11, §3.1.1.4.12).

Each is one condition at the end of a way of references, in either direction. The way is bounded: at most three
references long, and all ways of one question together ask at most sixteen searches, for each step is a search of its
own. A chain through a reference to several types needs no type when only one of them has the parameter that follows;
where several have it, all are meant, and whoever asks must be allowed to search all of them.

Refused: AuditEvent on any way (it is a view of the log, not a stored record), canonical references (they name no
resource of this server), the functional lists of `_list` ($current-problems and the like).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from medlock.errors import BadRequest
from medlock.fhir.directives import refusal, renamed
from medlock.fhir.query import Condition, Kind, Linked, Wanted
from medlock.fhir.searchparams import RESOURCE_TYPES, Parameter, parameter

DEPTH_MAX: Final = 3
SEARCHES_MAX: Final = 16

_HAS: Final = "_has"
_LIST: Final = "_list"
_VIEW: Final = "AuditEvent"
Leaf = Callable[[str, str, str], Condition]  # (type, name, text) → the condition at the end of a way


def is_link(name: str) -> bool:
    """Whether a parameter's name asks about other resources."""
    base = name.partition(":")[0]
    return base in {_HAS, _LIST} or "." in name


def read_link(resource_type: str, name: str, text: str, leaf: Leaf) -> Linked:
    """The way and its condition. Raises BadRequest naming the parameter."""
    return _Reader(name, text, leaf).read(resource_type)


def searches(link: Linked) -> int:
    """How many searches a link asks."""
    return sum(1 + (searches(each.condition) if isinstance(each.condition, Linked) else 0) for each in link.wanted)


class _Reader:
    """Reads one parameter; every refusal names it whole."""

    def __init__(self, name: str, text: str, leaf: Leaf) -> None:
        self._name = name
        self._text = text
        self._leaf = leaf

    def read(self, resource_type: str) -> Linked:
        self._stored(resource_type)
        return self._list() if self._name == _LIST else self._link(resource_type, self._name, 1)

    def _link(self, resource_type: str, name: str, depth: int) -> Linked:
        if depth > DEPTH_MAX:
            raise refusal(self._name, f"leads over more than {DEPTH_MAX} references.", "too-costly")
        if name.partition(":")[0] == _HAS:
            return self._reverse(resource_type, name, depth)
        return self._forward(resource_type, name, depth)

    def _end(self, resource_type: str, rest: str, depth: int) -> Condition | Linked:
        """What follows a reference: another one, or the condition."""
        self._stored(resource_type)
        if is_link(rest) and rest.partition(":")[0] != _LIST:
            return self._link(resource_type, rest, depth + 1)
        return self._condition(resource_type, rest)

    def _condition(self, resource_type: str, name: str) -> Condition:
        try:
            return self._leaf(resource_type, name, self._text)
        except BadRequest as error:
            raise renamed(error, self._name) from None

    def _reverse(self, resource_type: str, name: str, depth: int) -> Linked:
        """_has:Type:parameter:rest."""
        _, _, given = name.partition(":")
        source, _, after = given.partition(":")
        param, _, rest = after.partition(":")
        known = parameter(source, param)
        if not rest or known is None or not _leads(known, resource_type):
            raise refusal(self._name, f"takes _has:Type:reference:parameter, the reference one to {resource_type}.")
        return Linked(param, reverse=True, wanted=(Wanted(source, self._end(source, rest, depth)),))

    def _forward(self, resource_type: str, name: str, depth: int) -> Linked:
        """parameter.rest or parameter:Type.rest."""
        head, _, rest = name.partition(".")
        param, colon, only = head.partition(":")
        known = parameter(resource_type, param)
        if known is None or not _is_reference(known):
            raise refusal(self._name, f"begins with a parameter that is no reference of {resource_type}.")
        if colon and not _leads(known, only):
            raise refusal(self._name, "names a type that its reference cannot lead to.")
        types = [only] if colon else list(self._meant(known, rest))
        return Linked(param, reverse=False, wanted=tuple(Wanted(each, self._end(each, rest, depth)) for each in types))

    def _meant(self, known: Parameter, rest: str) -> Iterator[str]:
        """The types that a chain without one can go through: those that have what follows."""
        following = rest.replace(".", ":").partition(":")[0]
        found = [each for each in known.targets if _evaluated(each, following) or len(known.targets) == 1]
        if not found:
            raise refusal(self._name, f"needs a type, such as {known.name}:Patient before the point.")
        yield from found

    def _list(self) -> Linked:
        """_list=id: the resources that a List names (R4 §3.1.1.4.13)."""
        if "$" in self._text:
            raise refusal(self._name, "takes ids of List resources; functional lists are not kept.", "not-supported")
        return Linked("item", reverse=True, wanted=(Wanted("List", self._condition("List", "_id")),))

    def _stored(self, resource_type: str) -> None:
        if resource_type == _VIEW:
            raise refusal(self._name, "leads to or from the audit log, which has no part in other searches.")
        if resource_type not in RESOURCE_TYPES:
            raise refusal(self._name, "names what is no resource type.")


def _is_reference(known: Parameter) -> bool:
    return known.kind is Kind.REFERENCE and "Reference" in known.datatypes


def _leads(known: Parameter, resource_type: str) -> bool:
    """Whether a parameter's references can lead to a type."""
    return _is_reference(known) and resource_type in (known.targets or RESOURCE_TYPES)


def _evaluated(resource_type: str, name: str) -> bool:
    known = parameter(resource_type, name)
    return known is not None and known.kind is not None
