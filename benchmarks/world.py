"""A store of the product and its rival, opened in this process and filled with the same resources, without HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from rival import Item, Rival

from medlock.access.mint import mint_principal
from medlock.access.principal import Role
from medlock.access.scopes import parse_scopes
from medlock.clock import Clock
from medlock.fhir.extract import extract
from medlock.fhir.question import Interaction, Question
from medlock.ids import random_bytes
from medlock.records.commit import Committer
from medlock.records.drafts import CREATE, Draft
from medlock.records.opening import Records, open_records
from medlock.records.ownership import owners
from medlock.records.scribe import Scribe
from medlock.settings import from_environment
from medlock.store.tables import Batch

WHO = mint_principal("bench", frozenset({Role.CLINICIAN}), parse_scopes("user/*.cruds"))


@asynccontextmanager
async def open_store(data_dir: Path) -> AsyncIterator[Records]:
    """The product's data directory, made when it is new."""
    async with open_records(replace(from_environment(), data_dir=data_dir), Clock(), create=True) as records:
        yield records


def draft_of(resource: dict[str, Any]) -> Draft:
    """A resource ready to be committed, as the door would make it of a valid one."""
    values = extract(resource)
    kind, ident = resource["resourceType"], resource["id"]
    whose = (ident,) if kind == "Patient" else owners(resource, values)
    labels = tuple(f"{system}|{code}" for param, system, code in values.tokens if param == "_security")
    return Draft(kind, ident, CREATE, orjson.dumps(resource), values, whose, labels)


def item_of(draft: Draft) -> Item:
    """The same for the rival."""
    if draft.values is None:
        raise ValueError("a draft of a living resource has values")
    return Item(draft.type, draft.id, draft.body, draft.values)


def committer(records: Records) -> Committer:
    """What commits drafts, with an audit entry for each patient."""
    now = records.clock.now_ms()
    asked = Question(Interaction.TRANSACTION)
    return Committer(records.vault, records.log, Scribe(WHO, asked, now, random_bytes(16).hex()), Batch())


async def fill(records: Records, drafts: Iterable[Draft], batch: int = 500) -> int:
    """Commit drafts in large transactions; how many they were."""
    done = 0
    for part in parts(drafts, batch):
        await committer(records).commit(part)
        done += len(part)
    return done


def fill_rival(rival: Rival, drafts: Iterable[Draft], batch: int = 500) -> None:
    """The same for the rival."""
    for part in parts(drafts, batch):
        rival.write([item_of(draft) for draft in part], Clock().now_ms())


def parts(drafts: Iterable[Draft], size: int) -> Iterator[list[Draft]]:
    """Lists of `size`; the last may be shorter."""
    part: list[Draft] = []
    for draft in drafts:
        part.append(draft)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part
