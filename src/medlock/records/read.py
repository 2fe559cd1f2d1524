"""read and vread (R4 §3.1.0.2, .3)."""

from __future__ import annotations

from medlock.access.grant import Grant
from medlock.errors import Gone, NotFound
from medlock.fhir.question import Question
from medlock.records.admitting import told
from medlock.records.consents import ready_for, why_not
from medlock.records.finding import Finding
from medlock.records.minimise import minimised
from medlock.records.outflow import in_json, outflow
from medlock.records.vault import Vault
from medlock.store.bodies import Opened

NOT_FOUND = "There is no such resource, or you may not see it."


async def visible(vault: Vault, grant: Grant, question: Question) -> Opened:
    """The current version, tombstones included, if the Grant admits it; NotFound otherwise, whatever the reason."""
    opened = await vault.current(question.type, question.id)
    if opened is None:
        raise NotFound(NOT_FOUND, reason="unknown id")
    await ready_for(grant, (opened,))
    if not await told(vault, grant, opened):
        raise NotFound(NOT_FOUND, reason=f"{opened.meta.reference} is out of reach {why_not(grant, opened)}".strip())
    return opened


async def read(vault: Vault, grant: Grant, question: Question) -> Finding:
    """The current version. Raises NotFound, or Gone when it was deleted."""
    opened = await visible(vault, grant, question)
    if opened.meta.deleted:
        raise Gone("This resource was deleted; its versions are in its history.")
    return await _answer(vault, grant, question, opened)


async def vread(vault: Vault, grant: Grant, question: Question) -> Finding:
    """One version. Raises NotFound, or Gone when that version is the deletion."""
    opened = await visible(vault, grant, question)
    number = int(question.version) if question.version.isascii() and question.version.isdigit() else 0
    found = await vault.version(opened, number) if 0 < number <= opened.meta.version else None
    if found is not None:
        await ready_for(grant, (found,))
    if found is None or not await told(vault, grant, found):
        raise NotFound(NOT_FOUND, reason="no such version within reach")
    if found.meta.deleted:
        raise Gone("This version is the deletion of the resource.")
    return await _answer(vault, grant, question, found)


async def _answer(vault: Vault, grant: Grant, question: Question, opened: Opened) -> Finding:
    body, flow = minimised(grant, opened), None
    if opened.content is not None and question.raw:
        flow = outflow(vault, grant, opened, opened.content)
    elif opened.content is not None:
        body = await in_json(vault, grant, opened, opened.content)
    found = Finding(200, body, str(opened.meta.version), opened.meta.updated, disclosed=[opened])
    found.outflow = flow
    return found
