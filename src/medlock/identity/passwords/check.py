"""Whether a new password will do: every rule that it breaks, in one pass, each with a sentence that says what to do.

Pure: policy, lists and words are handed in. It takes up to 20 ms (the advice), so callers run it beside the event loop.
History is not here: comparing with former passwords means hashing, which is `factors.password`'s work.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from medlock.crypto.passwords import canonical
from medlock.errors import Unprocessable
from medlock.identity.passwords.advice import advise
from medlock.identity.passwords.blocklist import Lookup
from medlock.identity.passwords.context import context_words, rests_on
from medlock.identity.passwords.profiles import PasswordPolicy, Rule


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that a password breaks, and what to do. Neither quotes the password."""

    rule: Rule
    sentence: str


class UnfitPassword(Unprocessable):
    """A new password breaks rules; `findings` say which."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__(" ".join(each.sentence for each in self.findings))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A new password with what it is judged by; nothing of it is shown.

    about    names, address, birth date, record numbers, organisation
    second   whether another factor is asked for after it
    present  the password that it replaces, where the owner has just typed it
    """

    password: str = field(repr=False)
    about: tuple[str, ...] = field(default=(), repr=False)
    second: bool = False
    present: str = field(default="", repr=False)


def check(candidate: Candidate, policy: PasswordPolicy, listed: Lookup) -> None:
    """Return when the password will do. Raises UnfitPassword with every finding, BadRequest."""
    found = findings(candidate, policy, listed)
    if found:
        raise UnfitPassword(found)


def findings(candidate: Candidate, policy: PasswordPolicy, listed: Lookup) -> list[Finding]:
    """Every rule that a new password breaks. Raises BadRequest."""
    form = canonical(candidate.password)
    if len(form) > policy.max_length:
        return [Finding(Rule.MAXIMUM, f"Choose a password of at most {policy.max_length} characters.")]
    return [*_form(form, candidate, policy), *_guessed(form, candidate, policy, listed)]


def _form(form: str, candidate: Candidate, policy: PasswordPolicy) -> Iterable[Finding]:
    least = policy.least(second=candidate.second)
    if len(form) < least:
        yield Finding(Rule.LENGTH, f"Use at least {least} characters: several words that do not belong together.")
    if classes(form) < policy.classes:
        sentence = f"Use {policy.classes} of these: lower case, upper case, digits, other characters."
        yield Finding(Rule.CLASSES, sentence)
    if policy.one_edit and candidate.present and within_one_edit(form, canonical(candidate.present)):
        yield Finding(Rule.ONE_EDIT, "This is nearly your present password: choose another one.")


def _guessed(form: str, candidate: Candidate, policy: PasswordPolicy, listed: Lookup) -> Iterable[Finding]:
    if form in listed:
        yield Finding(Rule.LISTED, "This password is on lists that attackers use: choose another one.")
    words = context_words(candidate.about)
    if rests_on(form, words):
        yield Finding(Rule.CONTEXT, "Leave out names, dates and numbers that have to do with you or this service.")
    advice = advise(form, words)
    if advice.score < policy.floor:
        tips = " ".join(advice.sentences) or "Add another word or two."
        yield Finding(Rule.STRENGTH, f"This password is easy to guess. {tips}")


def classes(form: str) -> int:
    """How many of lower case, upper case, digits and others are in it; letters without case are others."""
    kinds = {
        "lower" if each.islower() else "upper" if each.isupper() else "digit" if each.isdigit() else "other"
        for each in form
    }
    return len(kinds)


def within_one_edit(one: str, other: str) -> bool:
    """Whether one character added, left out or changed, or two neighbours swapped, makes one of the other.

    Case does not count as a difference: `Password1` after `password1` is the same password to whoever guesses.
    """
    shorter, longer = sorted((one.casefold(), other.casefold()), key=len)
    same = next((n for n, (a, b) in enumerate(zip(shorter, longer, strict=False)) if a != b), len(shorter))
    rest, far = shorter[same:], longer[same:]
    if len(rest) == len(far):
        return rest[1:] == far[1:] or (rest[:2] == far[1::-1] and rest[2:] == far[2:])
    return rest == far[1:]
