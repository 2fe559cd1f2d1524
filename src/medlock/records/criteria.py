"""Conditional references: `Practitioner?identifier=…` inside a resource becomes `Practitioner/id` (R4 §3.1.0.11.4).

Each is a search like any other, decided for this caller; exactly one resource must match.
"""

from __future__ import annotations

import re

import orjson

from medlock.access.decide import decide
from medlock.fhir.grammar import parse_criteria
from medlock.fhir.question import Interaction, Question
from medlock.fhir.references import rewrite
from medlock.records.drafts import Context, unresolved
from medlock.records.hits import Finder
from medlock.records.reach import reach_of

_CONDITIONAL = re.compile(rb'"reference"\s*:\s*("[A-Z][A-Za-z]{1,40}\?(?:[^"\\]|\\.)*")')


def with_local_references(body: bytes, base: str) -> bytes:
    """The body with absolute references to this server's own address made relative (R4 §2.3.0.1)."""
    own = base.encode() + b"/"
    if own not in body:
        return body
    return re.sub(rb'("reference"\s*:\s*")' + re.escape(own), rb"\1", body)


async def with_criteria_resolved(context: Context, body: bytes, path: str) -> bytes:
    """The body with every conditional reference replaced by the resource it means.

    Raises Unprocessable when one matches nothing, or several, or what this caller may not see.
    """
    found = set(_CONDITIONAL.findall(body))
    if not found:
        return body
    mapping: dict[str, str] = {}
    for quoted in found:
        reference = orjson.loads(quoted)
        mapping[reference] = await _resolve(context, reference, path)
    return rewrite(body, mapping)


async def _resolve(context: Context, reference: str, path: str) -> str:
    """`Type/id` of the one resource meant; remembered for the rest of the request."""
    known = context.criteria.get(reference)
    if known is not None:
        return known
    type_, _, text = reference.partition("?")
    query = parse_criteria(type_, text, now_ms=context.now)
    grant = decide(context.principal, Question(Interaction.SEARCH, type_, query=query))
    hits = await Finder(context.vault, await reach_of(context.vault, grant)).find(query)
    opened = (await context.vault.fetch([hits[0].row]))[0] if len(hits) == 1 else None
    if opened is None or not grant.covers(opened.meta):
        raise unresolved(f"{path}.reference")
    context.criteria[reference] = opened.meta.reference
    return opened.meta.reference
