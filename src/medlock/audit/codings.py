"""How each audited action is said in FHIR: codes of AuditEvent (R4 §6.4) as IHE BALP uses them.

BALP follows DICOM in naming the roles of client and server by the flow of data: on a read the client is the
destination, on a query (where the question flows) and on a write it is the source, on a delete neither.
"""

from __future__ import annotations

from dataclasses import dataclass

from medlock.audit.events import Action, Outcome

Coding = dict[str, str]

_DCM = "http://dicom.nema.org/resources/ontology/DCM"
_TERMS = "http://terminology.hl7.org/CodeSystem/"


def _coding(system: str, code: str, display: str) -> Coding:
    return {"system": system, "code": code, "display": display}


SOURCE = _coding(_DCM, "110153", "Source Role ID")
DESTINATION = _coding(_DCM, "110152", "Destination Role ID")
APPLICATION = _coding(_DCM, "110150", "Application")
CUSTODIAN = _coding(_TERMS + "provenance-participant-type", "custodian", "Custodian")
RECIPIENT = _coding(_TERMS + "v3-ParticipationType", "IRCP", "information recipient")
AUTHOR = _coding(_TERMS + "v3-ParticipationType", "AUT", "author (originator)")

SERVER_KIND = _coding(_TERMS + "security-source-type", "4", "Application Server")
PERSON = _coding(_TERMS + "audit-entity-type", "1", "Person")
OBJECT = _coding(_TERMS + "audit-entity-type", "2", "System Object")
OTHER = _coding(_TERMS + "audit-entity-type", "4", "Other")
REQUEST = {"system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "code": "XrequestId"}
PATIENT = _coding(_TERMS + "object-role", "1", "Patient")
RESOURCE = _coding(_TERMS + "object-role", "4", "Domain Resource")
DECISION = _coding(_TERMS + "object-role", "13", "Security Resource")
QUERY = _coding(_TERMS + "object-role", "24", "Query")

_LIFECYCLE = _TERMS + "dicom-audit-lifecycle"
LIFECYCLES = {
    "C": _coding(_LIFECYCLE, "1", "Origination / Creation"),
    "R": _coding(_LIFECYCLE, "6", "Access / Use"),
    "U": _coding(_LIFECYCLE, "3", "Amendment"),
    "D": _coding(_LIFECYCLE, "14", "Logical deletion"),
}
OUTCOMES = {Outcome.SUCCESS: "0", Outcome.DENIED: "4", Outcome.FAILED: "8"}


@dataclass(frozen=True, slots=True)
class Shape:
    """How one action appears: event type and subtype, CRUDE code, and the roles of client, server and user."""

    type: Coding
    subtype: Coding
    code: str
    client: Coding
    server: Coding
    user: Coding


_REST = _coding(_TERMS + "audit-event-type", "rest", "RESTful Operation")
_EXPORT = _coding(_DCM, "110106", "Export")
_IMPORT = _coding(_DCM, "110107", "Import")
_DESTROY = _coding(_TERMS + "iso-21089-lifecycle", "destroy", "Destroy/Delete Record Lifecycle Event")
_ARCHIVE = _coding(_TERMS + "iso-21089-lifecycle", "archive", "Archive Record Lifecycle Event")
_RESTORE = _coding(_TERMS + "iso-21089-lifecycle", "restore", "Restore Record Lifecycle Event")
_SIGN_IN = _coding(_DCM, "110114", "User Authentication")
_ALERT = _coding(_DCM, "110113", "Security Alert")
_ACTIVITY = _coding(_DCM, "110100", "Application Activity")
_LOGIN = _coding(_DCM, "110122", "Login")
_USE = _coding(_DCM, "110132", "Use of Restricted Function")
_LOGOUT = _coding(_DCM, "110123", "Logout")
_START = _coding(_DCM, "110120", "Application Start")
_ATTRIBUTES = _coding(_DCM, "110137", "User Security Attributes Changed")
_OVERRIDE = _coding(_DCM, "110127", "Emergency Override Started")
_OVERRIDDEN = _coding(_DCM, "110128", "Emergency Override Stopped")
_CONFIGURATION = _coding(_DCM, "110129", "Security Configuration")
UNCLEAR = _coding("urn:medlock:audit", "consent-unclear", "Consent that cannot be evaluated")


def _interaction(code: str) -> Coding:
    return _coding("http://hl7.org/fhir/restful-interaction", code, code)


def _read(code: str) -> Shape:
    return Shape(_REST, _interaction(code), "R", DESTINATION, SOURCE, RECIPIENT)


def _query(code: str) -> Shape:
    return Shape(_REST, _interaction(code), "E", SOURCE, DESTINATION, RECIPIENT)


def _write(code: str, action: str) -> Shape:
    return Shape(_REST, _interaction(code), action, SOURCE, DESTINATION, AUTHOR)


def _admin(kind: Coding, detail: Coding, action: str) -> Shape:
    return Shape(kind, detail, action, APPLICATION, APPLICATION, AUTHOR)


SHAPES = {
    Action.READ: _read("read"),
    Action.VREAD: _read("vread"),
    Action.HISTORY: _read("history-instance"),
    Action.HISTORY_TYPE: _query("history-type"),
    Action.HISTORY_SYSTEM: _query("history-system"),
    Action.SEARCH: _query("search-type"),
    Action.EVERYTHING: _query("operation"),
    Action.VALIDATE: _query("operation"),
    Action.DOCREF: _query("operation"),
    Action.LASTN: _query("operation"),
    Action.MATCH: _query("operation"),
    Action.ACCESS_REASONS: _query("operation"),
    Action.EXPORT: Shape(_EXPORT, _interaction("operation"), "R", DESTINATION, SOURCE, RECIPIENT),
    Action.LOAD: Shape(_IMPORT, _interaction("operation"), "C", SOURCE, DESTINATION, AUTHOR),
    Action.CREATE: _write("create", "C"),
    Action.UPDATE: _write("update", "U"),
    Action.PATCH: _write("patch", "U"),
    Action.DELETE: Shape(_REST, _interaction("delete"), "D", APPLICATION, CUSTODIAN, AUTHOR),
    Action.SHRED: Shape(_DESTROY, _interaction("delete"), "D", APPLICATION, CUSTODIAN, AUTHOR),
    Action.CONSENT_UNCLEAR: _admin(_ALERT, UNCLEAR, "E"),
    Action.BATCH: _write("batch", "E"),
    Action.TRANSACTION: _write("transaction", "E"),
    Action.SIGN_IN: _admin(_SIGN_IN, _LOGIN, "E"),
    Action.SIGN_IN_FAILED: _admin(_SIGN_IN, _LOGIN, "E"),
    Action.SIGN_IN_WAITS: _admin(_ALERT, _LOGIN, "E"),
    Action.SESSION_START: _admin(_SIGN_IN, _LOGIN, "E"),
    Action.SESSION_PROVE: _admin(_SIGN_IN, _LOGIN, "E"),
    Action.SESSION_END: _admin(_SIGN_IN, _LOGOUT, "E"),
    Action.FACTOR_ADD: _admin(_ALERT, _ATTRIBUTES, "C"),
    Action.FACTOR_CHANGE: _admin(_ALERT, _ATTRIBUTES, "U"),
    Action.FACTOR_REMOVE: _admin(_ALERT, _ATTRIBUTES, "D"),
    Action.ACCOUNT_CREATE: _admin(_ALERT, _ATTRIBUTES, "C"),
    Action.ACCOUNT_APPROVE: _admin(_ALERT, _ATTRIBUTES, "U"),
    Action.ACCOUNT_CHANGE: _admin(_ALERT, _ATTRIBUTES, "U"),
    Action.ACCOUNT_DISABLE: _admin(_ALERT, _ATTRIBUTES, "U"),
    Action.ACCOUNT_ENABLE: _admin(_ALERT, _ATTRIBUTES, "U"),
    Action.ACCOUNT_TAKE_UP: _admin(_ALERT, _ATTRIBUTES, "U"),
    Action.ACCOUNT_INVITE: _admin(_ALERT, _ATTRIBUTES, "U"),
    Action.ACCOUNT_UNLOCK: _admin(_ALERT, _ATTRIBUTES, "U"),
    Action.TOKEN_CREATE: _admin(_ALERT, _ATTRIBUTES, "C"),
    Action.TOKEN_REVOKE: _admin(_ALERT, _ATTRIBUTES, "D"),
    Action.CLIENT_REGISTER: _admin(_ALERT, _CONFIGURATION, "C"),
    Action.CLIENT_CHANGE: _admin(_ALERT, _CONFIGURATION, "U"),
    Action.SIGNING_ROTATE: _admin(_ALERT, _CONFIGURATION, "U"),
    Action.OAUTH_APPROVE: _admin(_ALERT, _ATTRIBUTES, "C"),
    Action.OAUTH_REJECT: _admin(_ALERT, _ATTRIBUTES, "E"),
    Action.OAUTH_ISSUE: _admin(_ALERT, _ATTRIBUTES, "C"),
    Action.OAUTH_END: _admin(_ALERT, _ATTRIBUTES, "D"),
    Action.OAUTH_REFUSED: _admin(_SIGN_IN, _LOGIN, "E"),
    Action.OAUTH_LAUNCH: _admin(_ACTIVITY, _START, "E"),
    Action.LINK_MAKE: _admin(_ALERT, _ATTRIBUTES, "C"),
    Action.LINK_OPEN: _admin(_SIGN_IN, _LOGIN, "E"),
    Action.LINK_END: _admin(_ALERT, _ATTRIBUTES, "D"),
    Action.KEY_ROTATE: _admin(_ALERT, _CONFIGURATION, "U"),
    Action.KEY_RATCHET: _admin(_ALERT, _CONFIGURATION, "U"),
    Action.KEY_BACKUP: _admin(_ALERT, _CONFIGURATION, "R"),
    Action.BACKUP: Shape(_EXPORT, _ARCHIVE, "R", DESTINATION, SOURCE, RECIPIENT),
    Action.RESTORE: Shape(_IMPORT, _RESTORE, "C", SOURCE, DESTINATION, AUTHOR),
    Action.STORE_OPEN: _admin(_ACTIVITY, _START, "E"),
    Action.STORE_MOVE: _admin(_ALERT, _CONFIGURATION, "U"),
    Action.LIMIT: _admin(_ALERT, _USE, "E"),
    Action.GLASS_ASK: _admin(_ALERT, _USE, "E"),
    Action.GLASS_OPEN: _admin(_ALERT, _OVERRIDE, "E"),
    Action.GLASS_END: _admin(_ALERT, _OVERRIDDEN, "E"),
    Action.GLASS_REVIEW: _admin(_ALERT, _USE, "U"),
    Action.GLASS_CASES: _admin(_ALERT, _USE, "R"),
    Action.PASSWORD_LIST: _admin(_ALERT, _CONFIGURATION, "U"),
}
"""Every Action has its Shape; a test walks both."""


def action_of(system: str | None, code: str | None) -> Action | None:
    """The one action whose subtype this is, so that the log can be asked for it; None where it tells of several."""
    found = [action for action, shape in SHAPES.items() if shape.subtype["code"] == code]
    return found[0] if len(found) == 1 and system in {None, SHAPES[found[0]].subtype["system"]} else None
