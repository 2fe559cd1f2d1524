"""Whom the patient's consent binds, and as what request it sees them. Pure.

It binds everybody but the patient: a caller who is held to their own record as its patient reads it before consents are
looked at (45 CFR 164.524, GDPR Art. 15). The audit log is no part of the record; what the patient is told by it, and a
privacy officer, does not hang on a consent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from msgspec import structs

from medlock.access.consent.book import Book
from medlock.access.consent.codes import BREAK_GLASS
from medlock.access.consent.model import NOBODY, Ask, Consent
from medlock.access.consent.policy import Policy
from medlock.access.consent.ruling import Site
from medlock.access.groups import AUDIT
from medlock.access.principal import Principal, Role
from medlock.access.roles import MAY_BREAK_GLASS
from medlock.fhir.question import EXPORTS, Interaction, Question

LOOKING: Final = frozenset({"access"})
NAMING: Final = frozenset({"collect"})
_ACTIONS: Final[Mapping[Interaction, frozenset[str]]] = MappingProxyType(
    {
        Interaction.CREATE: frozenset({"collect"}),
        Interaction.UPDATE: frozenset({"correct"}),
        Interaction.DELETE: frozenset({"correct"}),
        Interaction.PATCH: frozenset({"access", "correct"}),  # its tests and its answer tell what is there
    }
    | dict.fromkeys(EXPORTS, frozenset({"use"}))  # what leaves them is de-identified
    | {Interaction.EXPORT: frozenset({"disclose"})}
)
_OUTWARD: Final = frozenset({"disclose", "use"})
CLINICAL: Final = frozenset({Role.CLINICIAN, Role.NURSE})


def binds(principal: Principal, question: Question) -> bool:
    """Whether consents are asked for this question of this caller."""
    own = principal.patient != "" and Role.PATIENT in principal.roles
    return not own and question.type not in AUDIT


def actions_of(question: Question) -> frozenset[str]:
    """What a question does to data, as a consent calls it (R4 consentaction); each must be allowed."""
    return _ACTIONS.get(question.interaction, LOOKING)


def callers(principal: Principal) -> frozenset[str]:
    """The app that asks, or the share link, as a consent names them."""
    if Role.LINK in principal.roles:
        return frozenset({f"link:{principal.account}"})
    return frozenset({f"app:{principal.client}"}) if principal.client else NOBODY


def ask_of(
    principal: Principal, action: str, now: int, beside: frozenset[str] = frozenset(), *, emergency: bool = False
) -> Ask:
    """The request that a consent sees; `beside` are roles, teams and groups of the person that the store tells.

    `emergency`: the caller opened this patient's record (docs/break-glass.md). It lets them look and write, for as long
    as their role may declare one; what takes data out in bulk it does not touch.
    """
    own = frozenset({principal.fhir_user} if principal.fhir_user else ())
    opened = emergency and action not in _OUTWARD and not MAY_BREAK_GLASS.isdisjoint(principal.roles)
    declared = frozenset({principal.purpose} if principal.purpose else ())
    return Ask(
        actors=own | principal.organisations | beside | callers(principal),
        purposes=declared | {BREAK_GLASS} if opened else declared,
        action=action,
        now=now,
        may_break_glass=opened,
        clinical=not CLINICAL.isdisjoint(principal.roles),
        records_consents=Role.CONSENT_RECORDER in principal.roles,
    )


def weighed(principal: Principal, book: Book, site: Site) -> tuple[Site, tuple[Book, ...]]:
    """The books that must all agree, and under which policy.

    A share link sees what its own rule opens and no rule denies; a site's policy opens nothing to it.
    """
    if Role.LINK not in principal.roles:
        return site, (book,)
    own = Book(book.patient, naming_of(book.consents, callers(principal)))
    return structs.replace(site, policy=Policy.DENY), (book, own)


def naming_of(consents: Iterable[Consent], callers: frozenset[str]) -> list[Consent]:
    """Of these consents nothing but the permits that name such a caller: what a share link may show at most."""
    found = []
    for consent in consents:
        named = [each for each in consent.root.children if not each.deny and callers & (each.actors or NOBODY)]
        if named and not consent.root.deny:
            root = structs.replace(consent.root, actors=NOBODY, children=tuple(named))
            found.append(structs.replace(consent, root=root))
    return found
