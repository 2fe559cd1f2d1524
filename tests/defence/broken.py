"""Builds of medlock that are broken on purpose: each forgets the rule on one path, or says a word too many.

`Forgets` is how leaks come about: one kind of question is answered as if somebody who may see everything had asked it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from medlock.defence.leaktest.attempts import Answer, Ask
from medlock.fhir.question import Interaction, Question


@dataclass(frozen=True)
class Forgets:
    """A build that does not ask who asks, for questions that `which` picks."""

    name: str
    which: Callable[[Question], bool]
    asker: str = "writer"


def _of(*interactions):
    return lambda question: question.interaction in interactions


def _search(picks):
    return lambda question: (
        question.interaction is Interaction.SEARCH and question.query is not None and picks(question.query)
    )


def _conditional(interaction):
    return lambda question: (
        question.interaction is interaction
        and (question.criteria is not None or question.preconditions.if_none_exist is not None)
    )


FORGETFUL = (
    Forgets("read", _of(Interaction.READ)),
    Forgets("vread", _of(Interaction.VREAD)),
    Forgets("instance history", _of(Interaction.HISTORY)),
    Forgets("type history", _of(Interaction.HISTORY_TYPE)),
    Forgets("system history", _of(Interaction.HISTORY_SYSTEM)),
    Forgets("every search", _of(Interaction.SEARCH)),
    Forgets("search across types", _of(Interaction.SEARCH_SYSTEM)),
    Forgets("totals", _search(lambda query: "_summary=count" in query.text)),
    Forgets("includes", _search(lambda query: "_include" in query.text)),
    Forgets("reverse includes", _search(lambda query: "_revinclude" in query.text)),
    Forgets("chains", _search(lambda query: "patient.identifier" in query.text)),
    Forgets("_has", _search(lambda query: "_has" in query.text)),
    Forgets("everything", _of(Interaction.EVERYTHING)),
    Forgets("lastn", _of(Interaction.LASTN)),
    Forgets("docref", _of(Interaction.DOCREF)),
    Forgets("match", _of(Interaction.MATCH)),
    Forgets("update", _of(Interaction.UPDATE)),
    Forgets("patch", _of(Interaction.PATCH)),
    Forgets("delete", _of(Interaction.DELETE)),
    Forgets("create", _of(Interaction.CREATE)),
    Forgets("transactions", _of(Interaction.TRANSACTION)),
    Forgets("batches", _of(Interaction.BATCH)),
    Forgets("the log", lambda question: question.type == "AuditEvent", "privacy"),
)


@dataclass(frozen=True)
class Talks:
    """A build that says too much: `spoil` gets what a caller got, and what the writer gets for what `asks` makes of it."""

    name: str
    spoil: Callable[[Ask, Answer, Answer], Answer]
    asks: Callable[[Ask], Ask] = lambda ask: ask


def _forbidden(_ask, answer, whole):
    """403 for what is there, 404 for what is not."""
    return replace(answer, status=403) if answer.status == 404 and whole.status == 200 else answer


def _tagged(_ask, answer, whole):
    """The version of a hidden record in a header."""
    etag = whole.headers.get("etag")
    return replace(answer, headers={**answer.headers, "etag": etag}) if etag and answer.status >= 400 else answer


def _worded(_ask, answer, whole):
    """An error text that depends on the reason."""
    if answer.status != 404 or whole.status != 200:
        return answer
    return replace(answer, body=answer.body.replace(b"diagnostics", b"Diagnostics"))


def _longer(_ask, answer, whole):
    """A body that is longer when there is something to hide."""
    return replace(answer, body=answer.body + b" ") if answer.status == 404 and whole.status == 200 else answer


def _by_address(ask, answer, whole):
    """A token taken from the address."""
    return whole if "access_token" in ask.target else answer


def _without_token(ask):
    return replace(ask, target=ask.target.partition("?access_token")[0])


def _slashes(ask, answer, whole):
    """A rule that looks for /Patient/ and meets //Patient/."""
    return whole if ask.target.startswith("//") else answer


def _straight(ask):
    return replace(ask, target="/" + ask.target.lstrip("/"))


TALKATIVE = (
    Talks("403 for 404", _forbidden),
    Talks("an ETag on refusals", _tagged),
    Talks("a reason in the error", _worded),
    Talks("a longer body", _longer),
    Talks("a token in the address", _by_address, _without_token),
    Talks("an address written otherwise", _slashes, _straight),
)
