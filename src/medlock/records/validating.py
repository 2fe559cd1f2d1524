"""$validate (R4 Resource-validate): everything that a write would be checked for, and nothing written.

Without a mode a resource is judged by the base specification alone. With one, the question is whether this caller could
create, update or delete it now: references, criteria and rights as the write itself would have them. The answer is an
OperationOutcome; only who may not ask at all is refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from medlock.access.grant import Grant
from medlock.errors import BadRequest, Conflict, Gone, Problem
from medlock.fhir.options import ValidateMode, ValidateOptions
from medlock.fhir.outcome import operation_outcome
from medlock.fhir.question import Question
from medlock.ids import resource_id
from medlock.records.drafts import CREATE, UPDATE, Context, Draft, checked
from medlock.records.finding import Finding
from medlock.records.read import visible
from medlock.records.write import may_replace, prepare, refuse_orphans
from medlock.store.bodies import Opened

_GOOD = (Problem("informational", "Nothing was found that would stop this.", severity="information"),)
_Seen = list[Opened]


async def validate(context: Context, grant: Grant, question: Question) -> Finding:
    """The OperationOutcome. Raises Denied, NotFound."""
    mode = question.options.mode if isinstance(question.options, ValidateOptions) else ValidateMode.GENERAL
    seen: _Seen = []
    try:
        await _MODES[mode](context, grant, question, seen)
    except (BadRequest, Conflict, Gone) as fault:
        return Finding(200, operation_outcome(fault.problems), disclosed=seen)
    return Finding(200, operation_outcome(_GOOD), disclosed=seen)


async def _general(context: Context, grant: Grant, question: Question, seen: _Seen) -> None:
    """Valid R4; with an id and no resource, what is stored there."""
    if question.body:
        checked(question.body, question.type)
        return
    opened = await _living(context, grant, question, seen)
    checked(opened.body, question.type)


async def _create(context: Context, grant: Grant, question: Question, _seen: _Seen) -> None:
    await prepare(context, grant, Draft(question.type, resource_id(), CREATE, question.body))


async def _update(context: Context, grant: Grant, question: Question, _seen: _Seen) -> None:
    draft = Draft(question.type, question.id, UPDATE, question.body)
    await may_replace(context, grant, draft)
    await prepare(context, grant, draft, named=question.id)


async def _delete(context: Context, grant: Grant, question: Question, seen: _Seen) -> None:
    await refuse_orphans(context, await _living(context, grant, question, seen))


async def _living(context: Context, grant: Grant, question: Question, seen: _Seen) -> Opened:
    """The resource that is there. Raises NotFound, or Gone when it was deleted."""
    opened = await visible(context.vault, grant, question)
    seen.append(opened)
    if opened.meta.deleted:
        raise Gone("This resource was deleted; its versions are in its history.")
    return opened


_MODES: Mapping[ValidateMode, Callable[[Context, Grant, Question, _Seen], Awaitable[None]]] = {
    ValidateMode.GENERAL: _general,
    ValidateMode.CREATE: _create,
    ValidateMode.UPDATE: _update,
    ValidateMode.DELETE: _delete,
}
