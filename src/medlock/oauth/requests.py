"""What a new token is asked to be, checked before it is made: a token never holds a claim that means nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

from medlock.access.principal import Role
from medlock.access.roles import DEFAULT_SCOPES, HOSPITAL_OPERATIONS, KINDS
from medlock.access.scopes import Kind, Scopes, parse_scopes
from medlock.errors import BadRequest

DEFAULT_SECONDS = 8 * 3_600  # one shift
MAX_SECONDS = 90 * 86_400
MIN_SECONDS = 1
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_NAME = re.compile(r"[\w.@:+\-]{1,64}", re.ASCII)
TOGETHER_MAX = 76
"""Characters of account, client and purpose: with more, audit entries would be longer than others (audit.md §3)."""

# Purposes of use from HL7 v3 PurposeOfUse; what each role asks for unless the request says otherwise.
PURPOSES = {
    Role.PATIENT: "PATRQT",
    Role.CLINICIAN: "TREAT",
    Role.NURSE: "TREAT",
    Role.LAB: "TREAT",
    Role.BILLING: "HPAYMT",
    Role.CONSENT_RECORDER: "PATADMIN",
    Role.FRONT_DESK: "PATADMIN",
    Role.PRIVACY_OFFICER: "HCOMPL",
    Role.SECURITY_ADMIN: "HSYSADMIN",
    Role.LOADER: HOSPITAL_OPERATIONS,
    Role.RESEARCHER: "HRESCH",
    Role.LINK: "PATRQT",
    Role.VENDOR: HOSPITAL_OPERATIONS,
    Role.BACKEND: HOSPITAL_OPERATIONS,
}


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What the operator asks for. Empty fields take the default of the role.

    `patient` holds the token to that patient's record; `by` is who asks, for the audit log.
    """

    role: Role
    by: str
    scopes: str = ""
    patient: str = ""
    account: str = ""
    client: str = ""
    purpose: str = ""
    seconds: int = DEFAULT_SECONDS


def checked_scopes(request: TokenRequest) -> Scopes:
    """The scopes of a sound request. Raises BadRequest with what to change."""
    if not MIN_SECONDS <= request.seconds <= MAX_SECONDS:
        raise BadRequest(f"A token lives between {MIN_SECONDS} second and {MAX_SECONDS // 86_400} days.")
    if request.patient and _ID.fullmatch(request.patient) is None:
        raise BadRequest("The patient is given as the id of a Patient resource.")
    if request.role is Role.LINK:
        raise BadRequest("Share links are made by patients; a token cannot stand for one.")
    if request.role is Role.PATIENT and not request.patient:
        raise BadRequest("A token for the role patient names the patient: --patient ID.")
    for name in (request.account, request.client, request.purpose):
        if name and _NAME.fullmatch(name) is None:
            raise BadRequest("Account, client and purpose are up to 64 letters, digits and . @ : + - _.")
    names = (request.account or f"{request.role}-01234567", request.client, request.purpose or PURPOSES[request.role])
    if sum(map(len, names)) > TOGETHER_MAX:
        raise BadRequest(
            f"Account, client and purpose have up to {TOGETHER_MAX} characters together: choose shorter ones."
        )
    return _scopes(request)


def _scopes(request: TokenRequest) -> Scopes:
    """Scopes that this role can pass on, every one of them."""
    text = request.scopes or DEFAULT_SCOPES.get(request.role, "")
    if not text:
        raise BadRequest(f"A token for the role {request.role} names its scopes: --scope system/Type.rs.")
    scopes = parse_scopes(text)
    useless = scopes.kinds() - set(KINDS[request.role])
    if useless:
        raise BadRequest(f"The role {request.role} passes on nothing through {min(useless)}/ scopes.")
    if Kind.PATIENT in scopes.kinds() and not request.patient:
        raise BadRequest("A patient/ scope needs the patient it speaks of: --patient ID.")
    return scopes
