"""All attempts of one actor: every generator over every record that is hidden from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from medlock.defence.leaktest import reading, searching, writing
from medlock.defence.leaktest.actors import Actor
from medlock.defence.leaktest.attempts import Attempt
from medlock.defence.leaktest.family import Record

_FIRST = ("ann", "ann-hiv", "ann-viral-load", "ann-note", "both-appointment")
"""Records that every attempt is made on; of the others, those that ask for one by its address and by its values."""

_PEOPLE = ("ann", "ben")


def attempts(actor: Actor, ids: Mapping[str, str], others: str) -> Iterator[Attempt]:
    """What one actor tries; `others` is somebody else's token. Writes come last, so that nothing they do is read."""
    hidden = [record for record in actor.hidden() if record.owners]
    for record in hidden:
        yield from _looks(record, ids[record.name], thorough=record.name in _FIRST)
    seen_types: set[str] = set()
    for record in hidden:
        if record.type not in seen_types:
            seen_types.add(record.type)
            yield from searching.whole(record)
            yield from writing.in_address(record, ids[record.name], others)
    for record in hidden:
        if record.name in _PEOPLE:
            yield from searching.of_patient(record, ids[record.name])
        if record.name in _FIRST:
            yield from searching.linked(record, ids[record.name], ids)
    if hidden:
        yield from reading.exports(hidden[0])
    for record in hidden:
        yield from _changes(record, ids, thorough=record.name in _FIRST)


def _looks(record: Record, name: str, *, thorough: bool) -> Iterator[Attempt]:
    yield from reading.reads(record, name)
    yield from reading.operations(record, name)
    if thorough or record.type == "Patient":
        yield from searching.values(record, name)
        yield from writing.bundled(record, name)
    if thorough:
        yield from reading.twisted(record, name)


def _changes(record: Record, ids: Mapping[str, str], *, thorough: bool) -> Iterator[Attempt]:
    name = ids[record.name]
    if record.type == "Patient":
        yield from writing.references(record, name)
    if thorough:
        yield from writing.criteria(record, ids)
        yield from writing.changes(record, name, ids)
