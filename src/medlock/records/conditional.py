"""Conditional update, patch and delete (R4 §3.1.0.4.3, .6, .7.1): from criteria to the one resource that they mean.

The criteria are a search of this caller's, decided as one: a resource that the caller may not see is not there, and
never makes an answer different. After that the question is an ordinary one about an id, and goes the ordinary way.
Requests of one process with the same criteria take turns (`records.claims`); two processes that find nothing at the
same moment both create.
"""

from __future__ import annotations

import msgspec

from medlock.access.decide import decide_criteria
from medlock.errors import BadRequest, NotFound, PreconditionFailed, Problem
from medlock.fhir.query import SearchQuery
from medlock.fhir.question import Interaction, Question
from medlock.records.consents import looking, ready_for
from medlock.records.drafts import Context
from medlock.records.hits import Finder
from medlock.records.reach import reach_of
from medlock.records.read import NOT_FOUND
from medlock.store.bodies import Opened


async def existing(context: Context, query: SearchQuery) -> Opened | None:
    """The one resource that the criteria of a conditional interaction find (R4 §3.1.0.8.1), None when there is none.

    Raises PreconditionFailed when there are several. The criteria are a search, and what they find is told of: the
    caller must be allowed to search and to read it.
    """
    grant = decide_criteria(context.principal, query, looking(context.consents))
    hits = await Finder(context.vault, await reach_of(context.vault, grant)).find(query)
    if len(hits) > 1:
        raise PreconditionFailed("Several resources match the criteria: name what you mean more exactly.")
    if not hits:
        return None
    (opened,) = await context.vault.fetch([hits[0].row])
    await ready_for(grant, [opened])
    return opened if opened is not None and grant.admits(opened) else None


class _Named(msgspec.Struct):
    """The one member of a body that is looked at."""

    id: str = ""


async def settled(context: Context, question: Question) -> Question:
    """The question about the id that its criteria mean; an update that finds nothing becomes one that creates.

    A delete that finds nothing keeps its empty id: there is nothing to do. Raises PreconditionFailed when several
    resources match, or none where a version was demanded; NotFound for a patch of nothing; BadRequest.
    """
    if question.criteria is None or question.id:
        return question
    found = await existing(context, question.criteria)
    if found is not None:
        if question.interaction is Interaction.UPDATE and _body_id(question) not in {"", found.meta.id}:
            text = "The resource's id is not that of the one resource that matches."
            raise BadRequest(text, problems=(Problem("invalid", text, f"{question.type}.id"),))
        return msgspec.structs.replace(question, id=found.meta.id)
    if question.preconditions.if_match is not None:
        raise PreconditionFailed("Nothing matches, so nothing is at the version in If-Match.")
    if question.interaction is Interaction.PATCH:
        raise NotFound(NOT_FOUND, reason="nothing matches the criteria of a patch")
    if question.interaction is Interaction.UPDATE:
        chosen = _body_id(question)
        made = Interaction.UPDATE if chosen else Interaction.CREATE
        return msgspec.structs.replace(question, interaction=made, id=chosen)
    return question


def named_by(question: Question) -> str:
    """The id that an update's body must have: none is needed where criteria said which resource is meant."""
    return "" if question.criteria is not None and not _body_id(question) else question.id


def _body_id(question: Question) -> str:
    """The id in a body, "" when it has none; what is wrong with a body is told when it is validated."""
    try:
        return msgspec.json.decode(question.body, type=_Named).id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
