"""A FHIR search in canonical form (R4 §3.1.1). `fhir.grammar` is its only maker; nothing here parses.

A query is an AND of conditions; each condition is an OR of values. All instants are milliseconds since
1970-01-01Z, `high` exclusive. Text is kept as given; matching normalises it (`fhir.normalise`).

Beside its own conditions a query may have links: conditions on other resources that the one searched refers to (a
chain) or that refer to it (`_has`). A query over several types has one part for each.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """Search parameter types of R4 §3.1.1.4 that this server evaluates."""

    TOKEN = "token"
    REFERENCE = "reference"
    DATE = "date"
    STRING = "string"
    QUANTITY = "quantity"
    NUMBER = "number"
    URI = "uri"
    COMPOSITE = "composite"
    SPECIAL = "special"

    __hash__ = str.__hash__  # an Enum's own is a function in Python


COMPARTMENT = "_compartment"
"""The parameter of a condition that no caller can write: in this patient's compartment (R4 §3.1.1.1, compartments)."""


class Prefix(StrEnum):
    """Comparators of R4 §3.1.1.4.3."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    LT = "lt"
    GE = "ge"
    LE = "le"
    SA = "sa"
    EB = "eb"
    AP = "ap"

    __hash__ = str.__hash__


class TokenValue(msgspec.Struct, frozen=True):
    """`system` None: any system; "" : no system (|code). `code` None: any code of the system (system|)."""

    system: str | None
    code: str | None


class ReferenceValue(msgspec.Struct, frozen=True):
    """A literal target: `Type/id` when local (type may be "" for a bare id), else an absolute `url`."""

    type: str = ""
    id: str = ""
    url: str = ""


class DateValue(msgspec.Struct, frozen=True):
    """The interval [low, high) that the given date covers; `now` proximity for ap is resolved by the grammar."""

    prefix: Prefix
    low: int
    high: int


class StringValue(msgspec.Struct, frozen=True):
    """Text as given."""

    text: str


class NumberValue(msgspec.Struct, frozen=True):
    """`low` and `high` are the implied precision range of `value` (R4 §3.1.1.4.4)."""

    prefix: Prefix
    value: Decimal
    low: Decimal
    high: Decimal


class QuantityValue(msgspec.Struct, frozen=True):
    """A number with a unit; `system` None: any, `code` None: any; code matches Quantity.code or .unit."""

    number: NumberValue
    system: str | None
    code: str | None


class UriValue(msgspec.Struct, frozen=True):
    """A uri, compared whole."""

    uri: str


class OfTypeValue(msgspec.Struct, frozen=True):
    """An identifier's type (system and code) and its value, for `:of-type`."""

    system: str
    code: str
    value: str


class NearValue(msgspec.Struct, frozen=True):
    """A position in degrees (WGS84) and a distance from it in metres."""

    latitude: float
    longitude: float
    metres: float


PlainValue = TokenValue | ReferenceValue | DateValue | StringValue | NumberValue | QuantityValue | UriValue


class CompositeValue(msgspec.Struct, frozen=True):
    """One value for each part of a composite parameter, in the order of its parts."""

    parts: tuple[PlainValue, ...]


Value = PlainValue | OfTypeValue | NearValue | CompositeValue


class Condition(msgspec.Struct, frozen=True):
    """One occurrence of a parameter.

    `modifier`: "", missing, not, exact, contains, identifier, text, of-type; above and below on a uri.
    `[type]` on a reference is folded into the values, and so are `:in`, `:not-in` and, on a token, `:above` and
    `:below`: their values are the codes meant. With `missing`, `values` is empty and `missing` is set. With
    `identifier`, the values are TokenValues.
    """

    param: str
    kind: Kind
    values: tuple[Value, ...] = ()
    modifier: str = ""
    missing: bool = False


class Wanted(msgspec.Struct, frozen=True):
    """What a linked resource must be and meet."""

    type: str
    condition: Condition | Linked


class Linked(msgspec.Struct, frozen=True):
    """A condition on resources at the other end of a reference: at least one of them meets one of `wanted`.

    Forward, `param` is the reference parameter of the resource searched, and the wanted are its targets. In reverse
    (`_has`), it is the parameter of the wanted, through which they refer to the resource searched.
    """

    param: str
    reverse: bool
    wanted: tuple[Wanted, ...]

    def named_types(self) -> frozenset[str]:
        """Every type on the way."""
        return frozenset[str]().union(*(_named(each) for each in self.wanted))


def _named(wanted: Wanted) -> frozenset[str]:
    further = wanted.condition.named_types() if isinstance(wanted.condition, Linked) else frozenset[str]()
    return further | {wanted.type}


class Include(msgspec.Struct, frozen=True):
    """`_include` or `_revinclude`: source type, its reference parameter, and a target type or ""."""

    source: str
    param: str
    target: str = ""
    iterate: bool = False


class SortKey(msgspec.Struct, frozen=True):
    """One rule of `_sort`."""

    param: str
    kind: Kind
    descending: bool = False


class SearchQuery(msgspec.Struct, frozen=True):
    """Everything that a search asks for. `text` is the canonical query string, for links and paging.

    A search over several types has the type "" and one query for each type in `parts`; `every` says that the types
    were not named but are all that the caller may see (`Patient/[id]/*`).
    """

    type: str
    conditions: tuple[Condition, ...] = ()
    links: tuple[Linked, ...] = ()
    parts: tuple[SearchQuery, ...] = ()
    every: bool = False
    includes: tuple[Include, ...] = ()
    revincludes: tuple[Include, ...] = ()
    sort: tuple[SortKey, ...] = ()
    count: int | None = None
    total: str = ""  # "", none, estimate, accurate
    summary: str = ""  # "", true, text, data, count, false
    elements: tuple[str, ...] = ()
    text: str = ""

    def named_types(self) -> frozenset[str]:
        """Every resource type that the question names; a Grant must allow them all (an oracle is a leak)."""
        named = {self.type} if not self.parts else {part.type for part in self.parts if not self.every}
        for asked in (self, *self.parts):
            named = named.union(*(link.named_types() for link in asked.links))
        for include in (*self.includes, *self.revincludes):
            named |= {include.source, include.target} - {""}
        return frozenset(named)
