"""What holds where no consent speaks: the implicit policies of IHE PCF (ITI PCF 53.2.1), one per site."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from medlock.access.consent.codes import BREAK_GLASS, NORMAL, TREATMENT, Labels, Purposes
from medlock.access.consent.model import Ask


class Policy(StrEnum):
    """An implicit policy by the name that the setting takes."""

    DENY = "deny"
    BASIC_NORMAL = "basic-normal"
    PERMIT_ALL = "permit-all"
    BREAK_GLASS_ONLY = "break-glass-only"


_PCF: Final = "https://profiles.ihe.net/ITI/PCF/Policy-"
WRITING: Final = frozenset({"collect", "correct"})
URIS: Final[Mapping[Policy, str]] = MappingProxyType(
    {each: _PCF + ("all-normal" if each is Policy.PERMIT_ALL else each.value) for each in Policy}
)


def default_permits(policy: Policy, ask: Ask, labels: Labels | None, purposes: Purposes) -> bool:
    """Whether the site lets a request pass that no consent speaks of. Who may write is a matter of roles, not of this.

    basic-normal: clinicians, for treatment, data of normal confidentiality; unlabelled data are of none that is known.
    """
    if policy is Policy.PERMIT_ALL or ask.action in WRITING:
        return True
    if policy is Policy.BASIC_NORMAL:
        treating = any(TREATMENT in purposes.opened_by(each) for each in ask.purposes)
        return ask.clinical and treating and labels is not None and labels.level <= NORMAL
    if policy is Policy.BREAK_GLASS_ONLY:
        return ask.may_break_glass and BREAK_GLASS in ask.purposes
    return False
