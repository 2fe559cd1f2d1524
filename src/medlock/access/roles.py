"""What each role may do: one table, deny by default. A pair of role and type that stands in no row may do nothing.

Letters are SMART's: c create, r read with vread and history, u update, d delete, s search. A row speaks of types;
*whose* records it reaches is decided in `access.decide`: a caller held to a patient reaches that patient only.
Consent narrows every row, and the treatment relationship those of who treats; nothing outside this table widens them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from medlock.access.groups import (
    ACCOUNTS,
    AUDIT,
    CHARTING,
    CONSENT,
    DEMOGRAPHICS,
    DIRECTORY,
    KNOWLEDGE,
    LOOSE,
    ORDERS,
    RECORD,
    RESULTS,
    SHARED_BY_LINK,
)
from medlock.access.principal import Role
from medlock.access.scopes import Kind, rights

HOSPITAL_OPERATIONS = "HOPERAT"  # purpose of use, HL7 v3 PurposeOfUse


@dataclass(frozen=True, slots=True)
class Row:
    """One line: this role may do these interactions on these types. `purpose` "" means for any purpose.

    `deidentified`: it may not do them, but what they would bring may reach it de-identified, by an export.
    """

    role: Role
    types: frozenset[str]
    letters: str
    purpose: str = ""
    deidentified: bool = False


TABLE = (
    Row(Role.PATIENT, RECORD | AUDIT, "rs"),
    Row(Role.PATIENT, CONSENT, "crus"),
    Row(Role.PATIENT, DIRECTORY | KNOWLEDGE, "rs"),
    Row(Role.PATIENT, frozenset({"Binary"}), "r"),  # those whose security context is in the record; no others are
    Row(Role.CLINICIAN, RECORD - CONSENT, "cruds"),
    Row(Role.CLINICIAN, CONSENT, "rs"),  # what a patient decided is written down by who has that task
    Row(Role.CLINICIAN, DIRECTORY | KNOWLEDGE | LOOSE, "cruds"),
    Row(Role.NURSE, RECORD, "rs"),
    Row(Role.NURSE, CHARTING, "crus"),
    Row(Role.NURSE, DIRECTORY | KNOWLEDGE, "rs"),
    Row(Role.LAB, ORDERS, "rs"),
    Row(Role.LAB, RESULTS, "crus"),
    Row(Role.LAB, DIRECTORY, "rs"),
    Row(Role.BILLING, ACCOUNTS, "crus"),
    Row(Role.BILLING, frozenset({"Patient"}), "rs"),
    Row(Role.BILLING, DIRECTORY, "rs"),
    Row(Role.CONSENT_RECORDER, CONSENT, "crus"),
    Row(Role.CONSENT_RECORDER, frozenset({"Patient", "RelatedPerson"}), "rs"),
    Row(Role.CONSENT_RECORDER, DIRECTORY, "rs"),
    Row(Role.FRONT_DESK, DEMOGRAPHICS, "crus"),
    Row(Role.FRONT_DESK, DIRECTORY, "rs"),
    Row(Role.PRIVACY_OFFICER, AUDIT, "rs"),
    # security-admin: no row. Who runs the machine sees nothing of patients.
    Row(Role.LOADER, RECORD | DIRECTORY | KNOWLEDGE | LOOSE, "crus", purpose=HOSPITAL_OPERATIONS),
    Row(Role.RESEARCHER, RECORD | DIRECTORY | KNOWLEDGE, "rs", deidentified=True),
    Row(Role.LINK, SHARED_BY_LINK, "rs"),
    # vendor: no row. What may reach one is said by name, or nothing does.
    Row(Role.BACKEND, RECORD | DIRECTORY | KNOWLEDGE | LOOSE, "cruds"),
)

TREATS = frozenset({Role.CLINICIAN, Role.NURSE, Role.LAB})
"""Who needs a treatment relationship, where the site asks for one (`access.relationship`)."""

# Who may erase a patient for good; offered to operators only, never over HTTP.
MAY_ERASE = frozenset({Role.PRIVACY_OFFICER})

# Who may open one patient's record in an emergency, and who looks at it afterwards (docs/break-glass.md).
MAY_BREAK_GLASS = frozenset({Role.CLINICIAN, Role.NURSE})
MAY_REVIEW = frozenset({Role.PRIVACY_OFFICER})

# Which kinds of scope pass on a role's rights. `patient/` counts only for a caller who is held to a patient.
KINDS: Mapping[Role, tuple[Kind, ...]] = MappingProxyType(
    {
        Role.PATIENT: (Kind.PATIENT, Kind.USER),
        Role.CLINICIAN: (Kind.PATIENT, Kind.USER),
        Role.NURSE: (Kind.PATIENT, Kind.USER),
        Role.LAB: (Kind.USER, Kind.SYSTEM),
        Role.BILLING: (Kind.USER, Kind.SYSTEM),
        Role.CONSENT_RECORDER: (Kind.USER,),
        Role.FRONT_DESK: (Kind.PATIENT, Kind.USER),
        Role.PRIVACY_OFFICER: (Kind.USER,),
        Role.SECURITY_ADMIN: (Kind.USER,),
        Role.LOADER: (Kind.SYSTEM,),
        Role.RESEARCHER: (Kind.USER, Kind.SYSTEM),
        Role.LINK: (Kind.PATIENT,),
        Role.VENDOR: (Kind.SYSTEM,),
        Role.BACKEND: (Kind.SYSTEM,),
    }
)

# What a token gets when it names no scope; a program must always name its own.
DEFAULT_SCOPES: Mapping[Role, str] = MappingProxyType(
    {
        Role.PATIENT: "patient/*.rs",
        Role.CLINICIAN: "user/*.cruds",
        Role.NURSE: "user/*.crus",
        Role.LAB: "user/*.crus",
        Role.BILLING: "user/*.crus",
        Role.CONSENT_RECORDER: "user/*.crus",
        Role.FRONT_DESK: "user/*.crus",
        Role.PRIVACY_OFFICER: "user/AuditEvent.rs",
        Role.LOADER: "system/*.crus",
        Role.RESEARCHER: "user/*.rs",
    }
)


def _by_role(purpose_given: bool, *, deidentified: bool = False) -> Mapping[Role, Mapping[str, int]]:
    """The table turned round, role → type → rights; rows bound to a purpose only when it is given."""
    allowed: dict[Role, dict[str, int]] = {role: {} for role in Role}
    for row in TABLE:
        if (row.purpose and not purpose_given) or row.deidentified is not deidentified:
            continue
        of_role = allowed[row.role]
        for resource_type in row.types:
            of_role[resource_type] = of_role.get(resource_type, 0) | rights(row.letters)
    return MappingProxyType({role: MappingProxyType(of_role) for role, of_role in allowed.items()})


_ANY_PURPOSE = _by_role(purpose_given=False)
_OPERATIONS = _by_role(purpose_given=True)
_DEIDENTIFIED = _by_role(purpose_given=False, deidentified=True)


def role_rights(role: Role, resource_type: str, purpose: str) -> int:
    """The rights that a role has on a type for a purpose, as bits of `access.scopes`; 0 is the default."""
    table = _OPERATIONS if purpose == HOSPITAL_OPERATIONS else _ANY_PURPOSE
    return table[role].get(resource_type, 0)


def known_types(role: Role) -> frozenset[str]:
    """The types that stand in any row of a role."""
    return frozenset(_OPERATIONS[role])


def studied_types(role: Role) -> frozenset[str]:
    """The types that may reach a role de-identified, and not otherwise."""
    return frozenset(_DEIDENTIFIED[role])


def studied_rights(role: Role, resource_type: str) -> int:
    """What a role would need to have for a type to reach it de-identified, as bits; 0 where it does not."""
    return _DEIDENTIFIED[role].get(resource_type, 0)
