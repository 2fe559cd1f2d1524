"""Password policies as named profiles, each rule with its clause, and what a profile does against a standard.

`nist` is the default: NIST SP 800-63B-4 and OWASP ASVS 5.0 to the letter. `classic` is for contracts and audits that
still demand classes of characters, expiry and history; it works, and the administrator is shown which clauses it goes
against. Blocklist, context words and forced change after a compromise are in every profile and cannot be switched
off.

A setting names a profile for all roles and others for some:
`nist,clinician=classic:90,front-desk=classic:180:exempt-long`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from medlock.access.principal import Role
from medlock.errors import SetupError

AGES = (90, 180, 365)
LONG = 20
EXEMPT = "exempt-long"


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """What a password must be. Lengths in code points of the canonical form, ages in days; 0: the rule is off.

    min_alone        when the password is all that is asked for; min_with_second when another factor follows
    classes          how many of the four classes of characters: lower case, upper case, digits, others
    max_age          how long it may be used; reminders on the days before the end
    exempt_long      passwords this long do not age
    history          how many former ones may not come back; one_edit refuses what is one edit away from the present one
    floor            least score of zxcvbn (0 to 4)
    review           how often an account's owner is asked to look over their credentials
    """

    profile: str
    min_alone: int = 15
    min_with_second: int = 8
    max_length: int = 256
    classes: int = 0
    max_age: int = 0
    reminders: tuple[int, ...] = (14, 7, 1)
    exempt_long: int = 0
    history: int = 0
    one_edit: bool = False
    floor: int = 3
    review: int = 365

    def least(self, *, second: bool) -> int:
        """The least length."""
        return self.min_with_second if second else self.min_alone


NIST = PasswordPolicy("nist")
CLASSIC = PasswordPolicy(
    "classic", min_alone=12, min_with_second=12, classes=3, max_age=AGES[0], history=5, one_edit=True
)
PROFILES = {each.profile: each for each in (NIST, CLASSIC)}


class Rule(StrEnum):
    """The name of a rule, for programs; `described` has its sentence."""

    LENGTH = "length"
    MAXIMUM = "maximum"
    CLASSES = "classes"
    LISTED = "listed"
    CONTEXT = "context"
    STRENGTH = "strength"
    AGE = "age"
    HISTORY = "history"
    ONE_EDIT = "one-edit"
    COMPROMISE = "compromise"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class RuleText:
    """A rule as the administrator reads it. `deviates` says which clauses it goes against, and is empty in `nist`."""

    rule: Rule
    sentence: str
    clauses: tuple[str, ...]
    deviates: str = ""


_B4 = "NIST SP 800-63B-4 §3.1.1.2"


def described(policy: PasswordPolicy) -> list[RuleText]:
    """Every rule that is on, in the order in which they are checked."""
    return [*_form(policy), *_content(policy), *_time(policy)]


def deviations(policy: PasswordPolicy) -> list[RuleText]:
    """The rules that go against a standard."""
    return [each for each in described(policy) if each.deviates]


def _form(policy: PasswordPolicy) -> Iterable[RuleText]:
    lengths = f"At least {policy.min_alone} characters, or {policy.min_with_second} when a second factor follows."
    short = "" if policy.min_alone >= NIST.min_alone else f"{_B4} (15 when the password is the only factor)"
    yield RuleText(Rule.LENGTH, lengths, (_B4, "ASVS 5.0 6.2.1"), short)
    longest = f"At most {policy.max_length}, of any kind, none cut off; pasting and password managers are welcome."
    yield RuleText(Rule.MAXIMUM, longest, (_B4, "ASVS 5.0 6.2.7", "ASVS 5.0 6.2.8", "ASVS 5.0 6.2.9"))
    if policy.classes:
        sentence = f"{policy.classes} of: lower case, upper case, digits, other characters."
        against = f"{_B4} (no composition rules), ASVS 5.0 6.2.5"
        yield RuleText(Rule.CLASSES, sentence, ("PCI DSS 4.0.1 8.3.6",), against)


def _content(policy: PasswordPolicy) -> Iterable[RuleText]:
    yield RuleText(Rule.LISTED, "Not among passwords known to attackers.", (_B4, "ASVS 5.0 6.2.4", "ASVS 5.0 6.2.12"))
    context = "Not made of the names of this service, the organisation, the person, their birth date or record number."
    yield RuleText(Rule.CONTEXT, context, (_B4, "ASVS 5.0 6.1.2", "ASVS 5.0 6.2.11"))
    yield RuleText(Rule.STRENGTH, f"An estimated strength of {policy.floor} of 4, with advice.", (_B4,))
    if policy.history:
        sentence = f"None of the last {policy.history}."
        yield RuleText(Rule.HISTORY, sentence, ("PCI DSS 4.0.1 8.3.7",))
    if policy.one_edit:
        yield RuleText(Rule.ONE_EDIT, "More than one character away from the present one.", ("PCI DSS 4.0.1 8.3.7",))


def _time(policy: PasswordPolicy) -> Iterable[RuleText]:
    if policy.max_age:
        exempt = f"; {policy.exempt_long} characters or more do not age" if policy.exempt_long else ""
        days = ", ".join(map(str, policy.reminders))
        sentence = f"Changed every {policy.max_age} days, with reminders {days} days before{exempt}."
        against = f"{_B4} (no periodic change), ASVS 5.0 6.2.10"
        yield RuleText(Rule.AGE, sentence, ("PCI DSS 4.0.1 8.3.9",), against)
    sentence = "Changed at the next sign-in when it has become known to attackers."
    yield RuleText(Rule.COMPROMISE, sentence, (_B4, "ASVS 5.0 6.2.10"))
    review = f"Every {policy.review} days the owner looks over factors and devices; nothing expires by that."
    yield RuleText(Rule.REVIEW, review, ("HIPAA 45 CFR 164.308(a)(5)(ii)(D)",))


@dataclass(frozen=True, slots=True)
class Policies:
    """The policy of each role."""

    everybody: PasswordPolicy = NIST
    roles: tuple[tuple[Role, PasswordPolicy], ...] = ()

    def of(self, roles: Iterable[str]) -> PasswordPolicy:
        """The policy of somebody with these roles: of several, the one with more classes, then the shorter age."""
        named = dict(self.roles)
        candidates = [named.get(Role(role), self.everybody) for role in roles] or [self.everybody]
        return max(candidates, key=lambda each: (each.classes, -(each.max_age or 99_999)))


def policies(setting: str) -> Policies:
    """Policies from the setting MEDLOCK_PASSWORD_POLICY. Raises SetupError."""
    everybody, roles = NIST, dict[Role, PasswordPolicy]()
    for place, part in enumerate(filter(None, (each.strip() for each in setting.split(",")))):
        role, given, text = part.rpartition("=")
        if given:
            roles[_role(role)] = _policy(text)
        elif place == 0:
            everybody = _policy(text)
        else:
            raise SetupError("MEDLOCK_PASSWORD_POLICY names one profile for everybody, first, then role=profile.")
    return Policies(everybody, tuple(roles.items()))


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise SetupError(f"MEDLOCK_PASSWORD_POLICY: there is no role {text!r}.") from None


def _policy(text: str) -> PasswordPolicy:
    form = re.fullmatch(rf"(?:(nist)|(classic)(?::([0-9]+))?(:{EXEMPT})?)", text)
    if form is None or (form[3] and int(form[3]) not in AGES):
        raise SetupError(f"MEDLOCK_PASSWORD_POLICY: a profile is nist or classic[:90|:180|:365][:{EXEMPT}].")
    if form[1]:
        return NIST
    return replace(CLASSIC, max_age=int(form[3] or AGES[0]), exempt_long=LONG if form[4] else 0)
