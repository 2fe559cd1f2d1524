"""What a run found, for people and for programs: who learned what, and the request that shows it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from medlock.defence.leaktest.attempts import Ask
from medlock.defence.leaktest.judge import Finding
from medlock.defence.leaktest.run import Outcome

_SHOWN = 25


def without_tokens(outcome: Outcome, tokens: Mapping[str, str]) -> Outcome:
    """The outcome with each token, where a request or an answer holds one, replaced by the name of a variable."""

    def hidden(text: str) -> str:
        for name, token in tokens.items():
            text = text.replace(token, f"$TOKEN_{_variable(name)}")
        return text

    def masked(ask: Ask) -> Ask:
        headers = tuple((name, hidden(value)) for name, value in ask.headers)
        return replace(ask, target=hidden(ask.target), body=hidden(ask.body.decode()).encode(), headers=headers)

    shown = [
        replace(each, says=hidden(each.says), ask=masked(each.ask), twin=masked(each.twin) if each.twin else None)
        for each in outcome.findings
    ]
    return replace(outcome, findings=shown)


def for_programs(outcome: Outcome) -> dict[str, Any]:
    """The outcome as JSON."""
    return {
        "attempts": outcome.attempts,
        "tried": outcome.tried,
        "actors": outcome.actors,
        "leaks": [
            {
                "actor": each.actor,
                "kind": each.kind,
                "about": each.about,
                "says": each.says,
                "reproduce": curl(each.ask, each.actor),
                "compare": curl(each.twin, each.actor) if each.twin else "",
            }
            for each in outcome.findings
        ],
    }


def for_people(outcome: Outcome) -> Iterator[str]:
    """The outcome in lines."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(outcome.tried.items(), key=lambda one: -one[1]))
    yield f"{outcome.attempts} attempts by {', '.join(outcome.actors)}: {kinds}."
    if not outcome.findings:
        yield "Nothing came out."
        return
    yield f"{len(outcome.findings)} leaks:"
    for each in outcome.findings[:_SHOWN]:
        yield from _told(each)
    if len(outcome.findings) > _SHOWN:
        yield f"… and {len(outcome.findings) - _SHOWN} more; --json has them all."


def _told(finding: Finding) -> Iterator[str]:
    yield ""
    yield f"{finding.actor} learned of {finding.about} by {finding.kind}: {finding.says}"
    yield f"  {curl(finding.ask, finding.actor)}"
    if finding.twin is not None:
        yield f"  compare: {curl(finding.twin, finding.actor)}"


def curl(ask: Ask, actor: str) -> str:
    """A command that sends the request again; the token is left to a variable named for the actor."""
    words = ["curl", "-i", "--path-as-is"]
    if ask.method == "HEAD":
        words.append("-I")
    elif ask.method != "GET":
        words += ["-X", ask.method]
    for name, value in ask.headers:
        words += ["-H", shlex.quote(f"{name}: {value}")]
    if actor != "nobody":
        words += ["-H", f'"Authorization: Bearer $TOKEN_{_variable(actor)}"']
    if ask.body:
        words += ["--data-binary", shlex.quote(ask.body.decode())]
    return " ".join([*words, f'"$BASE"{shlex.quote(ask.target)}'])


def _variable(actor: str) -> str:
    """How the shell names an actor's token."""
    return actor.upper().replace("-", "_")
