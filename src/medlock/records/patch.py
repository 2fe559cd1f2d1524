"""patch (R4 §3.1.0.6): the current version, changed as a patch says, is written as the next one.

The version that was patched must still be there at the commit, else the patch is applied again to what is there then.
A caller from whom part of the resource is hidden cannot patch it: a test, a copy or a move would tell what is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from medlock.access.grant import Grant
from medlock.errors import BadRequest, Denied, Gone, MedlockError, PreconditionFailed, TooLarge, Unprocessable
from medlock.fhir.options import PatchKind, PatchOptions
from medlock.fhir.patching import patched
from medlock.fhir.question import Question
from medlock.records.commit import Committer
from medlock.records.conditional import settled
from medlock.records.drafts import UPDATE, Context, Draft
from medlock.records.finding import Finding
from medlock.records.minimise import minimised
from medlock.records.read import visible
from medlock.records.write import commit, prepare
from medlock.store.bodies import Opened


async def patch(context: Context, grant: Grant, question: Question, committer: Committer) -> Finding:
    """The next version. Raises NotFound, Gone, PreconditionFailed, BadRequest or TooLarge: then nothing is written."""
    asked = await settled(context, question)
    draft = await patch_draft(context, grant, asked)
    with telling_of(draft.made_from):
        try:
            await prepare(context, grant, draft, named=asked.id)
        except BadRequest as fault:
            raise no_resource(fault) from fault
    return await commit(context, grant, draft, committer)


async def patch_draft(context: Context, grant: Grant, question: Question) -> Draft:
    """The draft of what a patch makes of the current version."""
    before = await visible(context.vault, grant, question)
    if context.onlooker is not None and before.meta.patients:  # the answer and each test tell what is there
        context.onlooker.saw(context.principal, [before.slot])
    with telling_of(before):
        return _made_from(before, context, grant, question)


def _made_from(before: Opened, context: Context, grant: Grant, question: Question) -> Draft:
    if before.meta.deleted:
        raise Gone("This resource was deleted; its versions are in its history.")
    demanded = question.preconditions.if_match
    if demanded is not None and demanded != str(before.meta.version):
        raise PreconditionFailed("The resource is not at the version in If-Match: read it again, then decide.")
    if before.content is not None:
        raise Unprocessable("A Binary with a large content is not patched: PUT it with its content.")
    if minimised(grant, before) != before.body:
        raise Denied("a patch of a resource of which part is hidden")
    kind = question.options.kind if isinstance(question.options, PatchOptions) else PatchKind.JSON
    body = patched(before.body, kind, question.body)
    if len(body) > context.resource_bytes:
        raise TooLarge(f"The patch would make the resource larger than {context.resource_bytes} bytes.")
    version = before.meta.version
    return Draft(question.type, question.id, UPDATE, body, if_match=demanded or "", based_on=version, made_from=before)


@contextmanager
def telling_of(opened: Opened | None) -> Iterator[None]:
    """A refusal inside the block depends on what is in the resource, and with a test for each guess tells all of it.

    So it is written down as one that concerns this resource and its patient, as a read is.
    """
    try:
        yield
    except MedlockError as refusal:
        refusal.tells_of = () if opened is None else (opened,)
        raise


def no_resource(fault: BadRequest) -> Unprocessable:
    """What is wrong with the result of a patch is a rule of FHIR broken, not a request misunderstood."""
    if isinstance(fault, Unprocessable):
        return fault
    return Unprocessable(str(fault), reason=fault.reason, problems=fault.problems)
