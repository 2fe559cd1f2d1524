"""What the operator decided about consent and relationship, out of the settings. Wrong settings stop the start."""

from __future__ import annotations

from medlock.access.consent.codes import Purposes
from medlock.access.consent.policy import Policy
from medlock.access.consent.ruling import Site
from medlock.errors import SetupError
from medlock.settings import Settings

_SWITCH = {"on": True, "off": False}
_RELATIONSHIP = {"required": True, "open": False}


def consent_site(settings: Settings) -> Site:
    """The site's policy, its own purposes, whether it takes all of R4 and asks for relationships. Raises SetupError."""
    if settings.consent_policy not in list(Policy):
        raise SetupError(f"MEDLOCK_CONSENT_POLICY is one of {', '.join(Policy)}.")
    if settings.consent_r4 not in _SWITCH:
        raise SetupError("MEDLOCK_CONSENT_R4 is on or off.")
    if settings.relationship not in _RELATIONSHIP:
        raise SetupError("MEDLOCK_RELATIONSHIP is open or required.")
    purposes = _purposes(settings.consent_purposes)
    extended, related = _SWITCH[settings.consent_r4], _RELATIONSHIP[settings.relationship]
    days = settings.review_days
    return Site(Policy(settings.consent_policy), purposes, extended=extended, related=related, review_days=days)


def _purposes(text: str) -> Purposes:
    registered: dict[str, str] = {}
    for each in filter(None, (part.strip() for part in text.split(","))):
        own, _, under = each.rpartition("=")
        system, _, code = own.rpartition("|")
        if not (system and code and Purposes().known(under)):
            raise SetupError("MEDLOCK_CONSENT_PURPOSES is a list of system|code=PURPOSE, the latter of v3-ActReason.")
        registered[own] = under
    return Purposes(registered)
