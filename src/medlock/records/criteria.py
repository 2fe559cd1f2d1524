"""Conditional references: `Practitioner?identifier=…` inside a resource becomes `Practitioner/id` (R4 §3.1.0.11.4).

Each is a search like any other, decided for this caller; exactly one resource must match.
"""

from __future__ import annotations

import re

import orjson

from medlock.access.decide import decide
from medlock.errors import BadRequest, Problem
from medlock.fhir.grammar import parse_criteria
from medlock.fhir.question import Interaction, Question
from medlock.fhir.references import literal_references, rewrite
from medlock.records.consents import looking, ready_for
from medlock.records.drafts import Context, checked, unresolved
from medlock.records.hits import Finder
from medlock.records.reach import reach_of

_REFERENCE = re.compile(rb'("reference"[ \t\r\n]*:[ \t\r\n]*)("[^"\\]*(?:\\.[^"\\]*)*")')
_CONDITIONAL = re.compile(rb'"reference"\s*:\s*("[A-Z][A-Za-z]{1,40}\?(?:[^"\\]|\\.)*")')


def with_local_references(body: bytes, base: str) -> bytes:
    """The body with absolute references to this server's own address made relative (R4 §2.3.0.1), escaped or not."""
    own = base.encode() + b"/"
    if own not in body and b"\\" not in body:
        return body

    def relative(match: re.Match[bytes]) -> bytes:
        quoted = _canonical(match[2])
        return match[1] + b'"' + quoted[1 + len(own) :] if quoted.startswith(b'"' + own) else match[0]

    return _REFERENCE.sub(relative, body)


def _canonical(quoted: bytes) -> bytes:
    """A JSON string with no escape that it does not need; one that is malformed as it is, for the parser to refuse."""
    try:
        return orjson.dumps(orjson.loads(quoted)) if b"\\" in quoted else quoted
    except ValueError:
        return quoted


async def with_criteria_resolved(context: Context, body: bytes, type_: str, path: str = "") -> bytes:
    """The body, a resource of the type, with every conditional reference replaced by the resource it means.

    Raises BadRequest naming the places of one that cannot be understood, matches nothing or several, or matches what
    this caller may not see; what else is wrong with the resource is told first.
    """
    found = set(_CONDITIONAL.findall(body))
    if not found:
        return body
    mapping: dict[str, str] = {}
    for quoted in found:
        reference = orjson.loads(quoted)
        try:
            mapping[reference] = await _resolve(context, reference)
        except BadRequest as fault:
            raise _placed(fault, reference, checked(body, type_, path), path) from fault
    return rewrite(body, mapping)


def _placed(fault: BadRequest, reference: str, resource: dict[str, object], path: str) -> BadRequest:
    """The same refusal, once for each place where the reference stands."""
    (problem, *_) = fault.problems
    places = [place for place, given in literal_references(resource) if given == reference]
    shown = [f"{path}.{place.partition('.')[2]}" if path else place for place in places]
    return type(fault)(str(fault), problems=tuple(Problem(problem.code, problem.text, place) for place in shown))


async def _resolve(context: Context, reference: str) -> str:
    """`Type/id` of the one resource meant; remembered for the rest of the request."""
    known = context.criteria.get(reference)
    if known is not None:
        return known
    type_, _, text = reference.partition("?")
    query = parse_criteria(type_, text, now_ms=context.now)
    grant = decide(context.principal, Question(Interaction.SEARCH, type_, query=query), looking(context.consents))
    hits = await Finder(context.vault, await reach_of(context.vault, grant)).find(query)
    opened = (await context.vault.fetch([hits[0].row]))[0] if len(hits) == 1 else None
    await ready_for(grant, [opened])
    if opened is None or not grant.admits(opened):
        raise unresolved("")
    context.criteria[reference] = opened.meta.reference
    return opened.meta.reference
