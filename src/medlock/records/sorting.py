"""_sort (R4 §3.1.1.5.1): by columns where the index has them, else by the opened bodies. Missing values come last."""

from __future__ import annotations

from collections.abc import Sequence

from medlock.errors import BadRequest, Problem
from medlock.fhir.extract import extract
from medlock.fhir.normalise import fold
from medlock.fhir.parse import parse_json
from medlock.fhir.query import Kind, SortKey
from medlock.fhir.values import Values
from medlock.records.hitlist import Hit
from medlock.records.vault import Vault
from medlock.store.bodies import Opened
from medlock.store.entries import parameter_number

SORTED_MAX = 10_000


async def sort_hits(vault: Vault, hits: Sequence[Hit], keys: tuple[SortKey, ...]) -> Sequence[Hit]:
    """The hits in the wanted order; stable, so that equal keys keep the default order.

    Raises BadRequest when too many bodies would have to be opened.
    """
    for key in reversed(keys):
        values = await _values(vault, hits, key)
        known = [(value, hit) for value, hit in zip(values, hits, strict=True) if value is not None]
        unknown = [hit for value, hit in zip(values, hits, strict=True) if value is None]
        known.sort(key=lambda pair: pair[0], reverse=key.descending)
        hits = [hit for _, hit in known] + unknown
    return hits


async def _values(vault: Vault, hits: Sequence[Hit], key: SortKey) -> list[int | str | None]:
    if key.param == "_lastUpdated":
        return [hit.updated for hit in hits]
    if key.kind is Kind.DATE:
        return [_date(hit, key) for hit in hits]
    if len(hits) > SORTED_MAX:
        text = f"More than {SORTED_MAX} resources match: narrow the search, or sort by a date or _lastUpdated."
        raise BadRequest(text, problems=(Problem("too-costly", text, "_sort"),))
    opened = await vault.fetch([hit.row for hit in hits])
    return [None if each is None else _body_value(each, key) for each in opened]


def _date(hit: Hit, key: SortKey) -> int | None:
    """The earliest start when ascending, the latest end when descending."""
    known = hit.segment.dates_of(parameter_number(key.param))
    mine = known.row == hit.at
    if not mine.any():
        return None
    return int(known.high[mine].max() if key.descending else known.low[mine].min())


def _body_value(opened: Opened, key: SortKey) -> int | str | None:
    if key.param == "_id":
        return opened.meta.id
    found = _sortable(extract(parse_json(opened.body)), key)
    if not found:
        return None
    return max(found) if key.descending else min(found)


def _sortable(values: Values, key: SortKey) -> list[str]:
    """The texts that a parameter sorts by; numbers are padded so that they sort as numbers do."""
    if key.kind is Kind.STRING:
        return [fold(text) for param, text in values.strings if param == key.param]
    if key.kind is Kind.TOKEN:
        return [f"{system}|{code}" for param, system, code in values.tokens if param == key.param]
    if key.kind is Kind.REFERENCE:
        return [target for param, target in values.references if param == key.param]
    if key.kind is Kind.URI:
        return [uri for param, uri in values.uris if param == key.param]
    numbers = [value for param, value, *_ in values.quantities if param == key.param]
    numbers += [value for param, value in values.numbers if param == key.param]
    return [f"{value + 10**15:040.12f}" for value in numbers]
