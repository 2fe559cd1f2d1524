"""The Principal: who is asking, proven. Made only through `access.mint`, which the import contract guards."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from medlock.access.scopes import Scopes

_MINTED = object()


class Role(StrEnum):
    """What a person or program is here for. What each role may do is the table in `access.roles`."""

    PATIENT = "patient"
    CLINICIAN = "clinician"
    NURSE = "nurse"
    LAB = "lab"  # a laboratory: sees orders, brings results
    BILLING = "billing"  # who pays for what; no clinical content
    CONSENT_RECORDER = "consent-recorder"  # writes down what a patient decided
    FRONT_DESK = "front-desk"
    PRIVACY_OFFICER = "privacy-officer"
    SECURITY_ADMIN = "security-admin"
    LOADER = "loader"  # bulk import and export by an operator, purpose HOPERAT
    RESEARCHER = "researcher"  # sees nothing but what is de-identified
    LINK = "link"  # who opens a share link of a patient: sees what that link shares
    VENDOR = "vendor"  # somebody else's program: nothing but what is shared with it by name
    BACKEND = "backend"  # a program acting for itself (SMART system scopes)


@dataclass(frozen=True, slots=True)
class Launch:
    """What the app was launched with (SMART App Launch 2.2): ids, told to the app; they give no rights."""

    patient: str = ""
    encounter: str = ""


NO_LAUNCH = Launch()


@dataclass(frozen=True, slots=True)
class Principal:
    """A proven caller: account, roles, what the app was granted, and the patient in context if any.

    `patient` is the logical id of the Patient that a patient-scoped token or a patient account is held to.
    `acr` says how strongly the person was authenticated, `organisations` for whom they work (`Organization/x`).

    What follows `organisations` is told and never decided upon here: two callers that differ in nothing else are equal,
    and share remembered decisions. Consents, relationships and emergencies, which go by it, are asked anew by each
    request. `fhir_user` is their resource (`Practitioner/x`), `amr` and `auth_time` (seconds) how
    and when they signed in (OpenID Connect Core §2), `grant_id` the approval that the token came of. `cleared` is no
    attribute of theirs: whether the process that answers them may open sensitive classes.
    """

    account: str
    roles: frozenset[Role]
    scopes: Scopes
    patient: str = ""
    client: str = ""
    purpose: str = "TREAT"
    auth_strength: str = "token"
    _minted: object = field(repr=False, compare=False, default=None)
    acr: str = ""
    organisations: frozenset[str] = frozenset()
    fhir_user: str = field(compare=False, default="")
    launch: Launch = field(compare=False, default=NO_LAUNCH)
    amr: tuple[str, ...] = field(compare=False, default=())
    auth_time: int = field(compare=False, default=0)
    grant_id: str = field(compare=False, default="")
    cleared: bool = True

    def __post_init__(self) -> None:
        """Refuse to be built anywhere but in `access.mint`."""
        if self._minted is not _MINTED:
            raise TypeError("a Principal comes from access.mint, after authentication")

    def uncleared(self) -> Principal:
        """The same caller at a process that may not open sensitive classes."""
        return replace(self, cleared=False)
